"""MQTT clients that others wrote, behind one face: Paho Python in this process, Paho C and MQTT.js
as processes that obey lines (see paho_c/peer.c). A peer is one client with at most one connection.
"""
import collections
import os
import pathlib
import queue
import socket
import subprocess
import sys
import threading

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
from server import HOST  # noqa: E402

TIMEOUT = 60

Message = collections.namedtuple("Message", "topic qos retain payload response_topic correlation")
# Where a peer connects and what it shows; `device` is a pki.Device or None for plain TCP.
Target = collections.namedtuple("Target", "port version device")


class PeerError(Exception):
    """The client library refused or gave up."""


class Peer:
    """What all peers share: messages in the order of their arrival."""

    def __init__(self, target):
        self.target = target
        self.arrived = queue.Queue()

    def next_message(self, timeout=TIMEOUT):
        try:
            return self.arrived.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(f"no message within {timeout} s") from None

    def messages(self, count):
        return [self.next_message() for _ in range(count)]


class ProcessPeer(Peer):
    """A library that needs a program of its own."""

    def __init__(self, target, command):
        super().__init__(target)
        self.answers = queue.Queue()
        scheme, files = "mqtt", []
        if target.device:
            scheme = "mqtts"
            files = [target.device.server.root_certificate, str(target.device.certificate_file),
                     str(target.device.key_file)]
        uri = f"{self.scheme_of(scheme)}://{HOST}:{target.port}"
        self.process = subprocess.Popen([*command, uri, str(target.version), *files],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    @staticmethod
    def scheme_of(scheme):
        return scheme

    def _read(self):
        for line in self.process.stdout:
            words = line.decode().split()
            if words[0] == "message":
                self.arrived.put(Message(words[1], int(words[2]), words[3] == "1",
                                         self._decode(words[4]),
                                         None if words[5] == "-" else words[5],
                                         self._decode(words[6])))
            else:
                self.answers.put(words)
        self.answers.put(["error", "the process has ended"])

    @staticmethod
    def _decode(text):
        return b"" if text == "-" else bytes.fromhex(text)

    @staticmethod
    def _encode(data):
        return data.hex() or "-"

    def _call(self, expected, *words):
        self.process.stdin.write((" ".join(str(word) for word in words) + "\n").encode())
        self.process.stdin.flush()
        try:
            answer = self.answers.get(timeout=TIMEOUT)
        except queue.Empty:
            raise PeerError(f"no answer to {' '.join(str(word) for word in words)[:100]}") from None
        if answer[0] != expected:
            raise PeerError(" ".join(answer))
        return answer[1:]

    def connect(self, client_id, clean=True, will=None):
        """Whether there was a session; None if the library does not tell."""
        extra = [will.topic, self._encode(will.payload), will.qos, int(will.retain)] if will else []
        present = self._call("connected", "connect", client_id, int(clean), *extra)[0]
        return {"0": False, "1": True}.get(present)

    def subscribe(self, topic_filter, qos):
        return int(self._call("subscribed", "subscribe", topic_filter, qos)[0])

    def publish(self, topic, payload, qos=0, retain=False, response_topic=None, correlation=b""):
        extra = [response_topic, self._encode(correlation)] if response_topic else []
        self._call("published", "publish", topic, qos, int(retain), self._encode(payload), *extra)

    def flood(self, topic, qos, count):
        self._call("published", "flood", topic, qos, count)

    def disconnect(self):
        self._call("disconnected", "disconnect")

    def vanish(self):
        """Gone without DISCONNECT."""
        self.process.kill()
        self.close()

    def close(self):
        self.process.stdin.close()
        self.process.wait(TIMEOUT)
        self.reader.join(TIMEOUT)
        self.process.stdout.close()


class PahoC(ProcessPeer):
    half = "sync"

    def __init__(self, target):
        super().__init__(target, [os.environ["SKERRY_PAHO_C_" + self.half.upper()]])

    @staticmethod
    def scheme_of(scheme):
        return "ssl" if scheme == "mqtts" else "tcp"


class PahoCAsync(PahoC):
    half = "async"


class MqttJs(ProcessPeer):
    def __init__(self, target):
        directory = pathlib.Path(os.environ["SKERRY_MQTTJS"])
        super().__init__(target, ["node", str(directory / "peer.mjs")])


class PahoPython(Peer):
    def __init__(self, target):
        super().__init__(target)
        self.client = None

    @property
    def five(self):
        return self.target.version == 5

    def _properties(self, kind, **values):
        if not self.five:
            return None
        properties = Properties(kind)
        for name, value in values.items():
            setattr(properties, name, value)
        return properties

    def connect(self, client_id, clean=True, will=None):
        self.outcome = queue.Queue()
        self.granted = queue.Queue()
        options = {} if self.five else {"clean_session": clean}
        self.client = client = paho.Client(
            client_id, protocol=paho.MQTTv5 if self.five else paho.MQTTv311,
            reconnect_on_failure=False, **options)
        client.max_inflight_messages_set(100)
        if will:
            client.will_set(will.topic, will.payload, will.qos, will.retain)
        if self.target.device:
            client.tls_set_context(self.target.device.context())
        client.on_connect = lambda _c, _u, flags, reason, *_: self.outcome.put(
            (flags["session present"], reason))
        client.on_subscribe = lambda _c, _u, _mid, granted, *_: self.granted.put(granted)
        client.on_message = self._on_message
        if self.five:
            client.connect(HOST, self.target.port, clean_start=clean, properties=self._properties(
                PacketTypes.CONNECT, SessionExpiryInterval=0 if clean else 3600))
        else:
            client.connect(HOST, self.target.port)
        client.loop_start()
        present, reason = self.outcome.get(timeout=TIMEOUT)
        if reason != 0:
            raise PeerError(f"refused: {reason}")
        return bool(present)

    def _on_message(self, _client, _data, message):
        properties = message.properties if self.five else None
        self.arrived.put(Message(message.topic, message.qos, message.retain, message.payload,
                                 getattr(properties, "ResponseTopic", None),
                                 getattr(properties, "CorrelationData", b"")))

    def subscribe(self, topic_filter, qos):
        self.client.subscribe(topic_filter, qos)
        granted = self.granted.get(timeout=TIMEOUT)[0]
        return granted.value if self.five else granted

    def publish(self, topic, payload, qos=0, retain=False, response_topic=None, correlation=b""):
        properties = None
        if response_topic:
            properties = self._properties(PacketTypes.PUBLISH, ResponseTopic=response_topic,
                                          CorrelationData=correlation)
        self._await(self.client.publish(topic, payload, qos, retain, properties))

    @staticmethod
    def _await(sent):
        sent.wait_for_publish(TIMEOUT)
        if not sent.is_published():
            raise PeerError("not acknowledged")

    def flood(self, topic, qos, count):
        for sent in [self.client.publish(topic, str(i).encode(), qos) for i in range(count)]:
            self._await(sent)

    def disconnect(self):
        self.client.disconnect()
        self._end()

    def vanish(self):
        """Gone without DISCONNECT, and without the farewell of TLS."""
        socket.socket.shutdown(self.client.socket(), socket.SHUT_RDWR)
        self._end()

    def _end(self):
        self.client.loop_stop()
        self.client = None

    def close(self):
        if self.client is not None:
            self.disconnect()


FAMILIES = {"paho_python": PahoPython, "paho_c": PahoC, "paho_c_async": PahoCAsync,
            "mqttjs": MqttJs}
