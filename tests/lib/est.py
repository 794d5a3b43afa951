"""A device that speaks EST with nothing but curl and openssl, and what its tests share: two
gateways and the ways to ask them."""
import base64
import json
import pathlib
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

import mqtt
import pki
from server import HOST, Server

NOT_AUTHORIZED, BANNED = 0x87, 0x8A
KEYS = {"p256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "p384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        "ed25519": ["-algorithm", "ED25519"],
        "rsa2048": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        "rsa4096": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"]}
WEAK_KEYS = {"rsa1024": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
             "rsa_e3": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048",
                        "-pkeyopt", "rsa_keygen_pubexp:3"],
             "rsa4608": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4608"],
             "p521": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
             "secp256k1": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
             "ed448": ["-algorithm", "ED448"]}

server = brief = None
work = None


def start():
    """Two gateways for all tests of a program: one that lets do, one where all is soon old."""
    global server, brief, work
    work = pathlib.Path(tempfile.mkdtemp(prefix="skerry-est-"))
    server = Server(overrides={"identity": {
        "renew_after": "0%", "key_overlap": "2s",
        "crl_url": "http://gateway.example/crl/device.crl"}})
    # Certificates that are old in seconds, and humans who approve.
    brief = Server(overrides={"identity": {
        "device_certificate_life": "4s", "renew_grace": "1h",
        "enrolment": {"mode": "approval"}}})
    return server, brief


def stop():
    for each in (server, brief):
        if each:
            each.close()
    shutil.rmtree(work, ignore_errors=True)


def openssl(*arguments, data=None, check=True):
    """What openssl prints, as bytes; with check=False (exit code, both outputs as text)."""
    done = subprocess.run(["openssl", *map(str, arguments)], input=data, capture_output=True)
    if not check:
        return done.returncode, (done.stdout + done.stderr).decode(errors="replace")
    if done.returncode:
        raise RuntimeError(f"openssl {arguments}: {done.stderr.decode(errors='replace')}")
    return done.stdout


class Answer:
    def __init__(self, text):
        head, _, self.body = text.partition(b"\r\n\r\n")
        while re.match(rb"HTTP/1.1 1\d\d", head):
            head, _, self.body = self.body.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {name.lower(): value for name, _, value in
                        (line.partition(": ") for line in lines[1:])}

    @property
    def code(self):
        return json.loads(self.body)["code"]

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:500]}"


def curl(gateway, path, *arguments, data=None):
    """One request to the enrolment port."""
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--include", "--max-time", "60",
         "--cacert", gateway.root_certificate, *map(str, arguments),
         f"https://localhost:{gateway.ports['enrolment']}{path}"],
        input=data, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"curl {path}: {done.stderr.decode()}")
    return Answer(done.stdout)


class Device:
    """A device as README describes it: files, openssl and curl."""
    count = 0

    def __init__(self, gateway=None, device_id=None, key="p256"):
        Device.count += 1
        self.gateway = gateway or server
        self.id = device_id or f"d{Device.count}"
        self.stem = work / f"{Device.count}"
        self.key = self.file("key")
        openssl("genpkey", *(KEYS | WEAK_KEYS)[key], "-out", self.key)
        self.certificate = None

    def file(self, kind):
        return self.stem.with_suffix("." + kind)

    @property
    def fingerprint(self):
        der = openssl("pkey", "-in", self.key, "-pubout", "-outform", "DER")
        return openssl("dgst", "-sha256", "-r", data=der).split()[0].decode()

    def register(self):
        self.gateway.rest("POST", "/api/v1/devices",
                          {"id": self.id, "keys": [{"fingerprint": self.fingerprint}]})
        return self

    def request(self, *arguments, subject="", key=None):
        """A CSR in base64, as EST has it."""
        der = openssl("req", "-new", "-key", key or self.key, "-subj", subject or "/",
                      "-outform", "DER", *arguments)
        return base64.encodebytes(der)

    def self_signed(self):
        path = self.file("self.crt")
        if not path.exists():
            openssl("req", "-new", "-x509", "-key", self.key, "-subj", f"/CN={self.id}",
                    "-days", "1", "-out", path)
        return ["--cert", path, "--key", self.key]

    def shown(self):
        return ["--cert", self.certificate, "--key", self.key]

    def post(self, name, body, *arguments):
        return curl(self.gateway, f"/.well-known/est/{name}", "-H",
                    "Content-Type: application/pkcs10", "--data-binary", "@-", *arguments,
                    data=body)

    def enrol(self, body=None, arguments=None):
        answer = self.post("simpleenroll", self.request() if body is None else body,
                           *(self.self_signed() if arguments is None else arguments))
        return self.keep(answer)

    def renew(self, body=None, arguments=None):
        return self.keep(self.post("simplereenroll", body or self.request(),
                                   *(arguments or self.shown())))

    def keep(self, answer):
        if answer.status == 200:
            Device.count += 1
            self.certificate = self.stem.with_suffix(f".{Device.count}.crt")
            pem = openssl("pkcs7", "-inform", "DER", "-print_certs",
                          data=base64.b64decode(answer.body))
            self.certificate.write_bytes(pem)
        return answer

    def enrolled(self):
        answer = self.register().enrol()
        assert answer.status == 200, answer
        return self

    def text(self, *what):
        return openssl("x509", "-in", self.certificate, "-noout", *what).decode()

    @property
    def serial(self):
        return self.text("-serial").strip().partition("=")[2].lower()

    @property
    def state(self):
        return self.gateway.rest("GET", f"/api/v1/devices/{self.id}")["state"]

    def certificates(self):
        return [certificate["serial"] for key in
                self.gateway.rest("GET", f"/api/v1/devices/{self.id}")["keys"]
                for certificate in key["certificates"]]

    def context(self):
        return pki.client_context(self.gateway.root_certificate, self.certificate, self.key)

    async def connect(self, **options):
        client = mqtt.Client(self.id, **options)
        await client.connect(HOST, self.gateway.ports["devices"], tls=self.context())
        return client


def act(gateway, device_id, what, body=None):
    return gateway.rest("POST", f"/api/v1/devices/{device_id}:{what}", body)


def revoke(gateway, serial, reason=None):
    return gateway.rest("POST", f"/api/v1/certificates/{serial}:revoke",
                        {"reason": reason} if reason else None)


def make_token(gateway, **wish):
    return gateway.rest("POST", "/api/v1/enrolment-tokens", wish)


class Case(unittest.IsolatedAsyncioTestCase):
    def tearDown(self):
        if not self._outcome.success:
            print(server.tail(20), brief.tail(20), file=sys.stderr)

    def refused(self, answer, status, code):
        self.assertEqual((answer.status, answer.code), (status, code), answer)
        self.assertEqual(answer.headers["content-type"], "application/problem+json")

    async def connect_refused(self, device):
        with self.assertRaises(mqtt.Refused) as caught:
            await device.connect()
        return caught.exception.packet.reason

    async def connect_refused_or_lost(self, device):
        try:
            await device.connect()
        except (mqtt.Refused, mqtt.Lost, ssl.SSLError, ConnectionError):
            return "refused"
        return "let in"

    def until(self, ask, wanted, every=0.25):
        """Asks until an answer is wanted, and returns that answer."""
        deadline = time.monotonic() + 30
        while not wanted(answer := ask()):
            self.assertLess(time.monotonic(), deadline, answer)
            time.sleep(every)
        return answer
