#!/usr/bin/env python3
"""Clients that others wrote against one server: each scenario over TCP and mutual TLS, MQTT 3.1.1
and 5. Usage: clients_test.py FAMILY (paho_python, paho_c, paho_c_async, mqttjs)"""
import collections
import itertools
import os
import sys
import unittest

import peers
from peers import Message, Target

import pki
from server import Server, open_tls_listener, plain_listener, wait_until

FLOOD = 1_000
SHARED = 100
LARGE = {"100 kB": 100_000, "1 MB": 1_000_000}

family = peers.PahoPython
server = None
device = None


def setUpModule():
    global server, device
    server = Server(listeners=[plain_listener(), open_tls_listener()])
    device = pki.Device.enrolled(server, "tester")


def tearDownModule():
    server.close()


def message(topic, payload, qos=0, retain=False, response_topic=None, correlation=b""):
    return Message(topic, qos, retain, payload, response_topic, correlation)


class Scenarios:
    """Mixed into one TestCase for each transport and version."""
    version = None
    tls = False
    idle = None             # peers whose process may serve the next test

    @classmethod
    def setUpClass(cls):
        cls.idle = []

    @classmethod
    def tearDownClass(cls):
        for peer in cls.idle:
            peer.close()

    def setUp(self):
        self.prefix = f"{type(self).__name__}/{self.id().rsplit('.', 1)[-1]}"
        self.busy = []
        self.numbers = itertools.count(1)

    def tearDown(self):
        if self._outcome.success:
            for peer in self.busy:
                peer.disconnect()
            self.idle.extend(self.busy)
            return
        print(server.tail(), file=sys.stderr)
        for peer in self.busy:
            peer.vanish()

    def client_id(self):
        return f"{self.prefix}/{next(self.numbers)}"

    def new_peer(self):
        if self.idle:
            peer = self.idle.pop()
            while not peer.arrived.empty():
                peer.arrived.get()
            return peer
        port = server.ports["open-tls" if self.tls else "plain"]
        return family(Target(port, self.version, device if self.tls else None))

    def connected(self, client_id=None, clean=True, will=None, expect_session=False):
        peer = self.new_peer()
        self.busy.append(peer)
        present = peer.connect(client_id or self.client_id(), clean, will)
        self.assertIn(present, (None, expect_session), "session present")
        return peer

    def leave(self, peer):
        peer.disconnect()
        self.busy.remove(peer)
        self.idle.append(peer)

    def subscribed(self, topic_filter, qos, **options):
        peer = self.connected(**options)
        self.assertEqual(peer.subscribe(topic_filter, qos), qos, "granted QoS")
        return peer

    def topic(self, rest):
        return f"{self.prefix}/{rest}"

    def test_every_qos_arrives_at_the_lower_of_both(self):
        publisher = self.connected()
        for granted in (0, 1, 2):
            subscriber = self.subscribed(self.topic(f"{granted}/+"), granted)
            for sent in (0, 1, 2):
                topic = self.topic(f"{granted}/{sent}")
                publisher.publish(topic, b"text", sent)
                self.assertEqual(subscriber.next_message(),
                                 message(topic, b"text", min(sent, granted)))

    def test_a_retained_message_waits_for_subscribers_until_an_empty_one_removes_it(self):
        publisher = self.connected()
        topic = self.topic("kept")
        publisher.publish(topic, b"old", 1, retain=True)
        publisher.publish(topic, b"new", 1, retain=True)
        late = self.subscribed(self.topic("#"), 1)
        self.assertEqual(late.next_message(), message(topic, b"new", 1, retain=True))
        publisher.publish(topic, b"", 1, retain=True)
        self.assertEqual(late.next_message(), message(topic, b"", 1))
        too_late = self.subscribed(self.topic("#"), 1)
        publisher.publish(self.topic("end"), b"end", 1)
        self.assertEqual(too_late.next_message().payload, b"end")

    def test_a_will_is_published_when_its_client_vanishes_and_not_when_it_disconnects(self):
        watcher = self.subscribed(self.topic("#"), 2)
        for name, end in (("polite", self.leave), ("lost", self.vanish)):
            end(self.connected(will=message(self.topic(name), b"gone", 2)))
        self.assertEqual(watcher.next_message(), message(self.topic("lost"), b"gone", 2))
        watcher.publish(self.topic("end"), b"", 0)
        self.assertEqual(watcher.next_message().topic, self.topic("end"))

    def vanish(self, peer):
        peer.vanish()
        self.busy.remove(peer)
        if isinstance(peer, peers.PahoPython):
            self.idle.append(peer)

    def test_a_will_may_be_retained(self):
        topic = self.topic("state")
        self.vanish(self.connected(will=message(topic, b"offline", 1, retain=True)))
        watcher = self.subscribed(topic, 1)
        # It is either retained already or on its way.
        self.assertEqual(watcher.next_message().payload, b"offline")
        late = self.subscribed(topic, 1)
        self.assertEqual(late.next_message(), message(topic, b"offline", 1, retain=True))

    def test_a_persistent_session_keeps_messages_while_its_client_is_away(self):
        name = self.client_id()
        sleeper = self.subscribed(self.topic("+"), 2, client_id=name, clean=False)
        self.leave(sleeper)
        publisher = self.connected()
        for qos in (1, 2):
            publisher.publish(self.topic(str(qos)), b"missed", qos)
        sleeper = self.connected(client_id=name, clean=False, expect_session=True)
        self.assertEqual(sleeper.messages(2), [message(self.topic(str(qos)), b"missed", qos)
                                               for qos in (1, 2)])
        publisher.publish(self.topic("now"), b"live", 1)
        self.assertEqual(sleeper.next_message(), message(self.topic("now"), b"live", 1))
        self.leave(sleeper)
        self.connected(client_id=name, clean=True, expect_session=False)

    def test_a_persistent_session_and_retained_messages_survive_a_restart_of_the_server(self):
        name = self.client_id()
        sleeper = self.subscribed(self.topic("+"), 2, client_id=name, clean=False)
        self.leave(sleeper)
        publisher = self.connected()
        publisher.publish(self.topic("kept"), b"kept", 1, retain=True)
        for i in range(20):
            publisher.publish(self.topic(f"queued{1 + i % 2}"), str(i).encode(), 1 + i % 2)
        self.leave(publisher)
        server.restart()
        sleeper = self.connected(client_id=name, clean=False, expect_session=True)
        seen = sleeper.messages(21)
        # Libraries hand out a message of QoS 2 when it is released, so order counts within a QoS.
        self.assertEqual([m.payload for m in seen if m.qos == 1],
                         [b"kept"] + [str(i).encode() for i in range(0, 20, 2)])
        self.assertEqual([m.payload for m in seen if m.qos == 2],
                         [str(i).encode() for i in range(1, 20, 2)])
        late = self.subscribed(self.topic("kept"), 1)
        self.assertEqual(late.next_message(), message(self.topic("kept"), b"kept", 1, retain=True))
        self.leave(sleeper)
        self.connected(client_id=name, clean=True)

    def test_a_shared_subscription_gives_each_message_to_one_member(self):
        share = f"$share/group/{self.topic('work')}"
        members = [self.subscribed(share, 1) for _ in range(2)]
        whole = self.subscribed(self.topic("work"), 1)
        publisher = self.connected()
        publisher.flood(self.topic("work"), 1, SHARED)
        self.assertEqual([m.payload for m in whole.messages(SHARED)],
                         [str(i).encode() for i in range(SHARED)])
        wait_until(lambda: sum(m.arrived.qsize() for m in members) >= SHARED,
                   "the group has all messages")
        parts = [m.messages(m.arrived.qsize()) for m in members]
        self.assertTrue(all(parts), "one member got everything")
        counts = collections.Counter(m.payload for part in parts for m in part)
        self.assertEqual(dict(counts), {str(i).encode(): 1 for i in range(SHARED)})

    def test_a_response_finds_its_request_by_correlation_data(self):
        if self.version < 5:
            self.skipTest("an addition of MQTT 5")
        responder = self.subscribed(self.topic("request"), 1)
        requester = self.subscribed(self.topic("answers"), 1)
        for number in range(5):
            data = bytes([0, 255, number])
            requester.publish(self.topic("request"), b"question", 1,
                              response_topic=self.topic("answers"), correlation=data)
            seen = responder.next_message()
            self.assertEqual((seen.response_topic, seen.correlation),
                             (self.topic("answers"), data))
            responder.publish(seen.response_topic, b"answer", 1, response_topic="unused",
                              correlation=seen.correlation)
            self.assertEqual(requester.next_message().correlation, data)

    def test_large_payloads_arrive_whole(self):
        publisher = self.connected()
        for qos in (0, 1, 2):
            subscriber = self.subscribed(self.topic(str(qos)), qos)
            for name, size in LARGE.items():
                payload = os.urandom(size)
                publisher.publish(self.topic(str(qos)), payload, qos)
                seen = subscriber.next_message()
                self.assertTrue(seen.payload == payload, f"{name} at QoS {qos} arrived otherwise")

    def test_a_thousand_messages_arrive_in_order(self):
        publisher = self.connected()
        for qos in (0, 1, 2):
            subscriber = self.subscribed(self.topic(str(qos)), qos)
            publisher.flood(self.topic(str(qos)), qos, FLOOD)
            seen = [(m.qos, int(m.payload)) for m in subscriber.messages(FLOOD)]
            self.assertEqual(seen, [(qos, i) for i in range(FLOOD)])


class Tcp311(Scenarios, unittest.TestCase):
    version = 4


class Tcp5(Scenarios, unittest.TestCase):
    version = 5


class MutualTls311(Scenarios, unittest.TestCase):
    version = 4
    tls = True


class MutualTls5(Scenarios, unittest.TestCase):
    version = 5
    tls = True


if __name__ == "__main__":
    family = peers.FAMILIES[sys.argv.pop(1)]
    unittest.main(verbosity=2)
