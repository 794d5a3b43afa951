#!/usr/bin/env python3
"""skerry-bench against a real skerryd and a real Mosquitto: every scenario runs to its end, counts
what the broker counted, and fails when the broker does wrong."""
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))
from server import HOST, Server, binaries_directory, free_port, plain_listener, wait_until  # noqa: E402

BENCH = binaries_directory() / "skerry-bench"

SMALL = {
    "fan-in": ["--publishers", "10", "--window", "4"],
    "fan-out": ["--subscribers", "20", "--window", "2"],
    "pairs": ["--publishers", "10", "--qos", "2"],
    "shared": ["--publishers", "10", "--subscribers", "4"],
    "wildcard": ["--publishers", "20", "--subscribers", "80"],
    "durable": ["--publishers", "5"],
    "connect": ["--connections", "100", "--at-once", "10"],
    "idle": ["--connections", "50"],
    "subscriptions": ["--subscriptions", "2000", "--subscribers", "10"],
    "retained": ["--messages", "500", "--subscribers", "3"],
}


def bench(port, *words, url="mqtt", expect=0, version=5, pid=None):
    command = [str(BENCH), "--json", "--url", f"{url}://{HOST}:{port}", "--seconds", "0.4",
               "--warm-up", "0.1", "--version-of-mqtt", str(version), *words]
    if pid:
        command += ["--pid", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if answer.returncode != expect:
        raise AssertionError(f"{words}: exit code {answer.returncode}\n{answer.stdout}"
                             f"{answer.stderr}")
    return json.loads(answer.stdout) if expect == 0 else answer.stderr


class Skerryd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(listeners=[plain_listener()])
        cls.port = cls.server.ports["plain"]

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def test_each_scenario_runs_in_both_versions(self):
        for version in (4, 5):
            for name, words in SMALL.items():
                with self.subTest(scenario=name, version=version):
                    figures = bench(self.port, name, *words, version=version, pid=self.server.pid)
                    self.assertEqual(figures["scenario"], name)
                    self.assertEqual(figures["failures"], [])
                    self.assertGreater(max(figures.get(key, 0) for key in (
                        "delivered", "connections", "received", "subscriptions")), 0)

    def test_what_the_load_counts_the_server_counts_too(self):
        before = self.server.metric("skerry_telemetry_samples_total")
        figures = bench(self.port, "telemetry", "--publishers", "5", pid=self.server.pid)
        stored = self.server.metric("skerry_telemetry_samples_total") - before
        self.assertEqual(figures["failures"], [])
        self.assertGreaterEqual(stored, figures["delivered"] * 5)
        self.assertGreater(figures["broker_cpu_seconds"], 0)

    def test_a_rate_is_kept_and_latency_counts_from_when_a_message_was_due(self):
        figures = bench(self.port, "pairs", "--publishers", "10", "--rate", "500")
        # Never faster than asked; slower only when the machine is, and then nothing is left out.
        self.assertLessEqual(figures["delivered"], 500 * figures["seconds"] * 1.5)
        self.assertGreater(figures["delivered"], 0)
        self.assertEqual((figures["given_up"], figures["missing"]), (0, 0))
        self.assertGreaterEqual(figures["latency_max_us"], figures["latency_p50_us"])

    def test_a_profile_runs(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("groups:\n"
                       "  - name: sensors\n    count: 20\n"
                       "    publish: {topic: 'devices/{id}/telemetry', qos: 1, interval: 100ms}\n"
                       "    reconnect: 500ms\n"
                       "  - name: chatter\n    count: 5\n"
                       "    publish: {topic: 'bench/{id}', payload: 64, interval: 20ms}\n"
                       "  - {name: backend, subscribe: ['bench/+'], qos: 1}\n")
            file.flush()
            figures = bench(self.port, "profile", file.name)
        self.assertEqual(figures["failures"], [])
        self.assertGreater(figures["published_per_second"], 0)
        self.assertGreater(figures["delivered_per_second"], 0)
        self.assertGreater(figures["reconnects"], 0)

    def test_a_refusal_ends_the_run_with_words(self):
        self.assertIn("no connection", bench(1, "fan-in", expect=1))
        # More than one SUBSCRIBE may hold is refused by the broker's own cap.
        said = bench(self.port, "subscriptions", "--subscriptions", "5000", "--subscribers", "1",
                     expect=1)
        self.assertIn("SUBACK with reason", said)

    def test_options_that_make_no_sense_are_named(self):
        for words in (["fan-in", "--qos", "3"], ["durable", "--qos", "0"], ["nothing"],
                      ["fan-in", "--payload", "3"]):
            bench(self.port, *words, expect=2)


class Mosquitto(unittest.TestCase):
    """Nothing in the load knows Skerry: the same scenarios against somebody else's broker."""

    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="skerry-bench-test-"))
        cls.port = free_port()
        path = cls.directory / "mosquitto.conf"
        path.write_text(f"listener {cls.port} {HOST}\nallow_anonymous true\npersistence false\n"
                        "log_type error\nmax_queued_messages 0\n")
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        cls.process = subprocess.Popen([program, "-c", str(path)], stderr=subprocess.DEVNULL)

        def listens():
            with socket.socket() as probe:
                return probe.connect_ex((HOST, cls.port)) == 0
        wait_until(listens, "mosquitto listens", 10)

    @classmethod
    def tearDownClass(cls):
        cls.process.terminate()
        cls.process.wait()
        shutil.rmtree(cls.directory, ignore_errors=True)

    def test_each_scenario_runs(self):
        for name, words in SMALL.items():
            with self.subTest(scenario=name):
                figures = bench(self.port, name, *words, pid=self.process.pid)
                self.assertEqual(figures["failures"], [])


class Liar(unittest.TestCase):
    """A broker that answers with garbage is no reason to crash or to hang."""

    def test_garbage_ends_the_run(self):
        with socket.socket() as listener:
            listener.bind((HOST, 0))
            listener.listen(200)

            def answer():
                try:
                    while True:
                        peer, _ = listener.accept()
                        peer.recv(100)
                        peer.sendall(b"\xff\xff\xff\xff\xff\xff")
                        peer.close()
                except OSError:
                    pass
            thread = threading.Thread(target=answer, daemon=True)
            thread.start()
            said = bench(listener.getsockname()[1], "fan-in", expect=1)
            self.assertIn("no MQTT packet", said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
