#!/usr/bin/env python3
"""Mosquitto's command line clients against one server, over TCP and mutual TLS, MQTT 3.1.1 and 5."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import pki  # noqa: E402
from server import (HOST, Server, open_tls_listener, plain_listener,  # noqa: E402
                    wait_until)

TIMEOUT = 60
FLOOD = 1_000

server = None
device = None


def setUpModule():
    global server, device
    server = Server(listeners=[plain_listener(), open_tls_listener()])
    device = pki.Device.enrolled(server, "tester")


def tearDownModule():
    server.close()


class Subscriber:
    """A running mosquitto_sub; `lines(n)` waits for its end after n messages."""

    def __init__(self, command, count):
        # It writes to a pipe in blocks unless told otherwise.
        self.process = subprocess.Popen(["stdbuf", "-oL", *command, "-C", str(count), "-d"],
                                        bufsize=0, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        self.said = []

    def ready(self):
        """Waits for SUBACK, which only -d tells of."""
        for line in self.process.stdout:
            text = line.decode(errors="replace").rstrip("\n")
            self.said.append(text)
            if text.startswith("Subscribed ("):
                return self
        raise AssertionError("mosquitto_sub ended: " + "\n".join(self.said))

    def lines(self):
        out, _ = self.process.communicate(timeout=TIMEOUT)
        text = self.said + out.decode(errors="replace").splitlines()
        return [line[1:] for line in text if line.startswith("=")]

    def kill(self):
        self.process.kill()
        self.process.communicate()


class Scenarios:
    version = None
    tls = False

    def setUp(self):
        self.prefix = f"mosquitto/{type(self).__name__}/{self.id().rsplit('.', 1)[-1]}"

    def tearDown(self):
        if not self._outcome.success:
            print(server.tail(), file=sys.stderr)

    def topic(self, rest):
        return f"{self.prefix}/{rest}"

    def command(self, program, *words):
        port = server.ports["open-tls" if self.tls else "plain"]
        command = [program, "-h", HOST, "-p", str(port), "-V", self.version]
        if self.tls:
            command += ["--cafile", server.root_certificate, "--cert",
                        str(device.certificate_file), "--key", str(device.key_file)]
        return [*command, *words]

    def run_to_end(self, program, *words, input=None):
        done = subprocess.run(self.command(program, *words), input=input, timeout=TIMEOUT,
                              capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr.decode(errors="replace"))
        return done.stdout

    def publish(self, topic, payload, qos=0, *words):
        self.run_to_end("mosquitto_pub", "-t", topic, "-m", payload, "-q", str(qos), *words)

    def subscriber(self, topic_filter, qos, count, *words):
        return Subscriber(self.command("mosquitto_sub", "-t", topic_filter, "-q", str(qos), "-F",
                                       "=%q %r %p", *words), count).ready()

    def test_every_qos_arrives_at_the_lower_of_both(self):
        for granted in (0, 1, 2):
            subscriber = self.subscriber(self.topic(str(granted)), granted, 3)
            for sent in (0, 1, 2):
                self.publish(self.topic(str(granted)), f"sent-{sent}", sent)
            self.assertEqual(sorted(subscriber.lines(), key=lambda line: line[-1]),
                             [f"{min(sent, granted)} 0 sent-{sent}" for sent in (0, 1, 2)])

    def test_a_retained_message_waits_until_an_empty_one_removes_it(self):
        self.publish(self.topic("kept"), "state", 1, "-r")
        self.assertEqual(self.subscriber(self.topic("#"), 1, 1).lines(), ["1 1 state"])
        self.run_to_end("mosquitto_pub", "-t", self.topic("kept"), "-n", "-r", "-q", "1")
        late = self.subscriber(self.topic("#"), 1, 1)
        self.publish(self.topic("end"), "end", 1)
        self.assertEqual(late.lines(), ["1 0 end"])

    def test_a_will_is_published_when_its_client_vanishes(self):
        watcher = self.subscriber(self.topic("will"), 1, 1)
        doomed = self.subscriber(self.topic("none"), 0, 1, "--will-topic", self.topic("will"),
                                 "--will-payload", "gone", "--will-qos", "1")
        doomed.kill()
        self.assertEqual(watcher.lines(), ["1 0 gone"])

    def persistent(self, name):
        expiry = ["-x", "3600"] if self.version == "5" else []
        return ["-c", "-i", self.topic(name), *expiry]

    def forget(self, name):
        self.run_to_end("mosquitto_pub", "-i", self.topic(name), "-t", self.topic("end"), "-n")

    def test_a_persistent_session_outlives_its_connection_and_the_server(self):
        # -E: subscribes and leaves.
        self.run_to_end("mosquitto_sub", "-t", self.topic("+"), "-q", "1", "-E",
                        *self.persistent("sleeper"))
        self.publish(self.topic("one"), "before", 1)
        server.restart()
        self.publish(self.topic("two"), "after", 1)
        sleeper = Subscriber(self.command("mosquitto_sub", "-t", self.topic("+"), "-q", "1", "-F",
                                          "=%q %r %p", *self.persistent("sleeper")), 2)
        self.assertEqual(sleeper.lines(), ["1 0 before", "1 0 after"])
        self.forget("sleeper")

    def test_a_shared_subscription_gives_each_message_to_one_member(self):
        share = f"$share/group/{self.topic('work')}"
        # Mosquitto's clients count and leave, so each gets its half by its own count.
        members = [self.subscriber(share, 1, 50) for _ in range(2)]
        self.run_to_end("mosquitto_pub", "-t", self.topic("work"), "-q", "1", "-l",
                        input="".join(f"{i}\n" for i in range(100)).encode())
        seen = [line.split()[-1] for member in members for line in member.lines()]
        self.assertEqual(sorted(seen, key=int), [str(i) for i in range(100)])

    def test_a_response_finds_its_request(self):
        if self.version != "5":
            self.skipTest("an addition of MQTT 5")
        responder = self.subscriber(self.topic("request"), 1, 1, "-F", "=%R %D %p")
        requester = subprocess.Popen(
            self.command("mosquitto_rr", "-t", self.topic("request"), "-e", self.topic("answer"),
                         "-m", "question", "-q", "1", "-D", "publish", "correlation-data", "n7"),
            stdout=subprocess.PIPE)
        self.assertEqual(responder.lines(), [f"{self.topic('answer')} n7 question"])
        self.publish(self.topic("answer"), "answer", 1, "-D", "publish", "correlation-data", "n7")
        self.assertEqual(requester.communicate(timeout=TIMEOUT)[0].strip(), b"answer")

    def test_large_payloads_arrive_whole(self):
        for size in (100_000, 1_000_000):
            with tempfile.NamedTemporaryFile() as file:
                file.write(os.urandom(size))
                file.flush()
                subscriber = subprocess.Popen(
                    self.command("mosquitto_sub", "-t", self.topic(str(size)), "-q", "1", "-C",
                                 "1", "-N"), stdout=subprocess.PIPE)
                # Retained, so that it does not matter who comes first.
                self.run_to_end("mosquitto_pub", "-t", self.topic(str(size)), "-f", file.name,
                                "-q", "1", "-r")
                seen = subscriber.communicate(timeout=TIMEOUT)[0]
                self.assertTrue(seen == pathlib.Path(file.name).read_bytes(),
                                f"{size} bytes arrived otherwise")

    def test_a_thousand_messages_arrive_in_order(self):
        lines = "".join(f"{i}\n" for i in range(FLOOD)).encode()
        for qos in (0, 1, 2):
            subscriber = self.subscriber(self.topic(str(qos)), qos, FLOOD)
            self.run_to_end("mosquitto_pub", "-t", self.topic(str(qos)), "-q", str(qos), "-l",
                            input=lines)
            self.assertEqual(subscriber.lines(), [f"{qos} 0 {i}" for i in range(FLOOD)])


class Tcp311(Scenarios, unittest.TestCase):
    version = "311"


class Tcp5(Scenarios, unittest.TestCase):
    version = "5"


class MutualTls311(Scenarios, unittest.TestCase):
    version = "311"
    tls = True


class MutualTls5(Scenarios, unittest.TestCase):
    version = "5"
    tls = True


class Device(unittest.TestCase):
    """The tour's way: the listener for devices, under their policy."""

    def publish(self, topic, *words):
        return subprocess.run(
            ["mosquitto_pub", "-h", "localhost", "-p", str(server.ports["devices"]),
             "--cafile", server.root_certificate, "--cert", str(device.certificate_file),
             "--key", str(device.key_file), "-q", "1", "-t", topic, "-m", '{"temperature": 21.5}',
             *words], timeout=TIMEOUT, capture_output=True)

    def test_telemetry_of_a_device_is_in_its_twin(self):
        for version in ("311", "5"):
            done = self.publish(device.topic("telemetry"), "-V", version)
            self.assertEqual(done.returncode, 0, done.stderr)

        def stored():
            page = server.rest("GET", f"/api/v1/devices/{device.id}/telemetry")
            samples = [s for series in page["series"] for s in series["samples"]]
            return len(samples) == 2 and samples
        self.assertEqual([s["value"] for s in wait_until(stored, "two samples are stored")],
                         [21.5, 21.5])


if __name__ == "__main__":
    unittest.main(verbosity=2)
