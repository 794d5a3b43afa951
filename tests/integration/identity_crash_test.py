#!/usr/bin/env python3
"""kill -9 in the middle of enrolments and revocations: what was answered holds afterwards, what was
not is whole or absent, and the audit chain tells exactly one story. Cycles: SKERRY_CYCLES."""
import asyncio
import concurrent.futures
import http.client
import os
import pathlib
import random
import ssl
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import mqtt  # noqa: E402
import pki  # noqa: E402
from server import HOST, RestError, Server  # noqa: E402

CYCLES = int(os.environ.get("SKERRY_CYCLES", "2"))
DEVICES = 50  # to enrol, and as many again to revoke
LOST = (OSError, http.client.HTTPException, ssl.SSLError)


def serial_of(device):
    """As the server writes it: whole bytes, so with an even number of digits."""
    digits = format(device.certificate.serial_number, "x")
    return "0" * (len(digits) % 2) + digits


class Ledger:
    """What the server has answered, kept outside of it."""

    def __init__(self, kill_after):
        self.lock = threading.Lock()
        self.enrolled, self.revoked = set(), set()
        self.kill_after = kill_after
        self.due = threading.Event()

    def answered(self, kind, name):
        with self.lock:
            getattr(self, kind).add(name)
            if len(self.enrolled) + len(self.revoked) >= self.kill_after:
                self.due.set()


def certificates_of(server, device_id):
    device = server.rest("GET", f"/api/v1/devices/{device_id}")
    return [c["serial"] for key in device["keys"] for c in key["certificates"]]


class KilledInTheMiddle(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.close)

    def test_threat_31_nothing_doubled_and_nothing_lost(self):
        for cycle in range(CYCLES):
            with self.subTest(cycle=cycle):
                self.run_cycle(cycle)

    def run_cycle(self, cycle):
        fresh = [pki.Device(self.server, f"new-{cycle}-{n}").register() for n in range(DEVICES)]
        old = pki.enrol_many(self.server, [f"old-{cycle}-{n}" for n in range(DEVICES)])
        ledger = Ledger(kill_after=random.randrange(10, DEVICES))
        work = [(self.enrol_one, d) for d in fresh] + [(self.revoke_one, d) for d in old]
        random.shuffle(work)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            running = [pool.submit(task, device, ledger) for task, device in work]
            ledger.due.wait(60)
            self.server.process.kill()
            for future in running:
                future.result()
        self.server.kill9()
        self.server.start()
        self.check(fresh, old, ledger)

    def enrol_one(self, device, ledger):
        try:
            context = device.self_signed_context()
            chain = pki.enrol(self.server, pki.make_request(device.key, device.id), context)
        except LOST + (pki.EnrolmentRefused,):
            return
        device.certificate = chain[0]
        device.certificate_file.write_bytes(device.certificate.public_bytes(pki.PEM))
        ledger.answered("enrolled", device.id)

    def revoke_one(self, device, ledger):
        admin = http.client.HTTPSConnection(HOST, self.server.ports["admin"], timeout=30,
                                            context=self.server.server_context())
        try:
            admin.request("POST", f"/api/v1/certificates/{serial_of(device)}:revoke",
                          '{"reason": "keyCompromise"}',
                          {"Content-Type": "application/json",
                           "Authorization": "Bearer " + self.server.token})
            answer = admin.getresponse()
            answer.read()
        except LOST:
            return
        finally:
            admin.close()
        self.assertEqual(answer.status, 200, device.id)
        ledger.answered("revoked", device.id)

    def check(self, fresh, old, ledger):
        seen = set()
        for device in fresh:
            serials = certificates_of(self.server, device.id)
            self.assertLessEqual(len(serials), 1, f"{device.id} was given two")
            if device.id in ledger.enrolled:
                self.assertEqual(serials, [serial_of(device)])
                self.assertTrue(asyncio.run(self.comes_in(device)), f"{device.id} was lost")
            self.assertTrue(seen.isdisjoint(serials), "one serial was given twice")
            seen.update(serials)
        for device in old:
            if device.id in ledger.revoked:
                self.assertFalse(asyncio.run(self.comes_in(device)),
                                 f"{device.id} came back after its revocation was answered")
        self.assertTrue(ledger.revoked and ledger.enrolled, "the kill came before any work")
        self.check_audit(ledger)

    def check_audit(self, ledger):
        verdict = self.server.rest("GET", "/api/v1/audit:verify")
        self.assertTrue(verdict["ok"], verdict)
        try:
            records = self.server.pages("/api/v1/audit?action=certificate.revoke&limit=500")
        except RestError as error:
            self.fail(str(error))
        told = [record["object"] for record in records]
        self.assertEqual(len(told), len(set(told)), "a revocation is told twice")
        self.assertGreaterEqual(len(told), len(ledger.revoked))

    async def comes_in(self, device):
        client = mqtt.Client(device.id)
        try:
            await client.connect(HOST, self.server.ports["devices"], tls=device.context())
        except (mqtt.Refused, mqtt.Lost, OSError):
            return False
        await client.disconnect()
        return True


if __name__ == "__main__":
    unittest.main(verbosity=2)
