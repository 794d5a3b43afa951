"""An MQTT 3.1.1 and 5.0 client for the tests, on asyncio: one object is one client for its whole
life, over any number of connections, and keeps the state that MQTT asks a client to keep (packet
ids, unacknowledged messages, half-done QoS 2) when the server dies. A thousand fit in a process.

    client = Client("reader", clean=False, on_message=print)
    await client.connect("127.0.0.1", 1883)            # Packet of the CONNACK, or Refused
    await client.subscribe("a/#", qos=2)               # tuple of reasons
    await client.publish("a/b", b"text", qos=2).acknowledged()
    await client.disconnect()

It does not reconnect by itself: the test decides. `RawConnection` sends any bytes at all.
"""
import asyncio
import collections
import itertools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import mqtt_codec as codec  # noqa: E402
from mqtt_codec import (CONNACK, DISCONNECT, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC,  # noqa
                        PUBREL, SUBACK, UNSUBACK)

FOREVER = 0xFFFFFFFF


class Refused(Exception):
    """CONNACK with a reason other than success; `.packet` is that CONNACK."""

    def __init__(self, packet):
        super().__init__(f"refused with {packet.reason:#x} {packet.properties}")
        self.packet = packet


class Lost(Exception):
    """The connection closed while something was awaited; `.reason` is that of a DISCONNECT."""

    def __init__(self, reason=None):
        super().__init__("connection lost" + (f" ({reason:#x})" if reason is not None else ""))
        self.reason = reason


class Outgoing:
    """A message on its way to the server. `state`: waiting, publish, release, done."""
    __slots__ = ("topic", "payload", "qos", "retain", "properties", "packet_id", "state",
                 "reason", "tag", "sent_count", "_future")

    def __init__(self, topic, payload, qos, retain, properties, tag):
        self.topic, self.payload, self.qos = topic, payload, qos
        self.retain, self.properties, self.tag = retain, properties, tag
        self.packet_id, self.state, self.reason, self.sent_count = 0, "waiting", None, 0
        self._future = None

    def finish(self, reason):
        self.state, self.reason = "done", reason
        if self._future is not None and not self._future.done():
            self._future.set_result(reason)

    async def acknowledged(self, timeout=30):
        """Waits for PUBACK or PUBCOMP, over reconnects if need be; its reason code."""
        if self.state != "done":
            if self._future is None:
                self._future = asyncio.get_running_loop().create_future()
            await asyncio.wait_for(asyncio.shield(self._future), timeout)
        return self.reason


class Session:
    """What a client keeps over a lost connection [MQTT-4.1.0-1]."""

    def __init__(self):
        self.in_flight = {}                    # packet id -> Outgoing, in the order of first sending
        self.waiting = collections.deque()     # published, but the window is full
        self.incoming = set()                  # QoS 2 ids received and not yet released
        self._ids = itertools.cycle(range(1, 65536))
        self.requests = {}                     # SUBSCRIBE, UNSUBSCRIBE: id -> future

    def next_id(self):
        for number in self._ids:
            if number not in self.in_flight and number not in self.requests:
                return number

    def forget(self):
        """The server has no session: an id means nothing any more [MQTT-3.2.2-5]."""
        lost = list(self.in_flight.values())
        self.in_flight.clear()
        self.incoming.clear()
        return lost


class _Wire(asyncio.Protocol):
    """One connection: cuts frames, gathers what is sent within a turn into one write."""

    def __init__(self, client):
        self.client, self.frames, self.transport = client, codec.Frames(), None
        self.pending, self.loop = [], asyncio.get_running_loop()
        self.closed = self.loop.create_future()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        for first, body in self.frames.feed(data):
            self.client._on_frame(self, first, body)

    def connection_lost(self, _error):
        if not self.closed.done():
            self.closed.set_result(None)
        self.client._on_lost(self)

    def send(self, data):
        if not self.pending:
            self.loop.call_soon(self.flush)
        self.pending.append(data)

    def flush(self):
        if self.pending and self.transport is not None and not self.transport.is_closing():
            self.transport.write(b"".join(self.pending))
        self.pending = []


class Client:
    """See the first lines of the file. Callbacks, all optional and synchronous:
    on_message(client, packet)  a message for the application: QoS 2 only once per packet id;
    on_packet(client, packet)   each packet, duplicates too, before it is handled;
    on_acknowledged(client, outgoing, kind)  PUBREC, PUBACK, PUBCOMP for a message of ours;
    on_lost(client)             the connection is gone, for whatever reason."""

    def __init__(self, client_id="", version=5, clean=True, keep_alive=0, session_expiry=None,
                 properties=None, will=None, username=None, password=None, window=None,
                 on_message=None, on_packet=None, on_acknowledged=None, on_lost=None):
        self.client_id, self.version, self.clean = client_id, version, clean
        self.keep_alive, self.will = keep_alive, will
        self.username, self.password, self.window = username, password, window
        self.properties = dict(properties or {})
        if session_expiry is None and not clean:
            session_expiry = FOREVER
        if version == 5 and session_expiry is not None:
            self.properties["session_expiry"] = session_expiry
        self.on_message, self.on_packet = on_message, on_packet
        self.on_acknowledged, self.on_lost = on_acknowledged, on_lost
        self.session, self.messages = Session(), []
        self.acknowledge = True                # False: received messages are not answered
        self.connack = self.disconnected = None
        self._wire = self._connack_future = self._ping_timer = None
        self._send_quota = 65535
        self._arrived = asyncio.Event()

    # -- connection --------------------------------------------------------------------------
    @property
    def connected(self):
        return self._wire is not None and self.connack is not None

    async def connect(self, host, port, tls=None, server_hostname=None, timeout=30, clean=None,
                      take_over=False):
        """Connects, waits for CONNACK and sends again what was not acknowledged. With `take_over`
        an older connection is left for the server to end; nothing is heard from it any more."""
        loop = asyncio.get_running_loop()
        if self._wire is not None:
            old = self._wire
            if not take_over:
                self.abort()
            self._on_lost(old)
        self.connack = self.disconnected = None
        self._connack_future = loop.create_future()
        if tls is not None and server_hostname is None:
            server_hostname = "localhost" if host in ("127.0.0.1", "::1") else host
        try:
            _, wire = await asyncio.wait_for(loop.create_connection(
                lambda: _Wire(self), host, port, ssl=tls,
                server_hostname=server_hostname if tls else None), timeout)
            if wire.closed.done():
                raise Lost()
            self._wire = wire
            wire.send(codec.connect(self.client_id, self.version,
                                    self.clean if clean is None else clean, self.keep_alive,
                                    self.properties, self.will, self.username, self.password))
            packet = await asyncio.wait_for(self._connack_future, timeout)
        except BaseException:
            self.abort()
            raise
        if packet.reason:
            self.abort()
            raise Refused(packet)
        return packet

    async def disconnect(self, reason=0, properties=None):
        wire = self._wire
        if wire is None:
            return
        wire.send(codec.disconnect(self.version, reason, properties))
        wire.flush()
        wire.transport.close()
        await wire.closed

    def abort(self):
        """Closes the socket at once, without DISCONNECT."""
        if self._wire is not None and self._wire.transport is not None:
            self._wire.transport.abort()

    async def wait_lost(self, timeout=30):
        """Waits until the server closes; the reason of its DISCONNECT, None without one."""
        if self._wire is not None:
            await asyncio.wait_for(asyncio.shield(self._wire.closed), timeout)
        return self.disconnected.reason if self.disconnected else None

    def _on_lost(self, wire):
        if wire is not self._wire:             # an older connection, or one given up
            return
        self._wire, reason = None, self.disconnected.reason if self.disconnected else None
        if self._ping_timer is not None:
            self._ping_timer.cancel()
            self._ping_timer = None
        waiting = list(self.session.requests.values()) + [self._connack_future]
        self.session.requests.clear()
        for future in waiting:
            if future is not None and not future.done():
                future.set_exception(Lost(reason))
                future.exception()             # nobody need be waiting
        if self.on_lost:
            self.on_lost(self)

    def _ping(self):
        if self._wire is not None:
            self._wire.send(codec.PING)
            loop = asyncio.get_running_loop()
            self._ping_timer = loop.call_later(self.keep_alive * 0.6, self._ping)

    # -- requests ------------------------------------------------------------------------------
    async def subscribe(self, filters, qos=0, properties=None, timeout=30, **options):
        """`filters`: a filter, or a list of filters or of pairs (filter, options byte).
        Options by name: no_local, retain_as_published (flags), retain_handling (0, 1, 2)."""
        byte = qos | options.get("no_local", 0) << 2 | options.get("retain_as_published", 0) << 3
        byte |= options.get("retain_handling", 0) << 4
        if isinstance(filters, str):
            filters = [filters]
        pairs = [(f, byte) if isinstance(f, str) else f for f in filters]
        return await self._request(
            lambda number: codec.subscribe(number, pairs, self.version, properties), timeout)

    async def unsubscribe(self, filters, timeout=30):
        filters = [filters] if isinstance(filters, str) else filters
        return await self._request(
            lambda number: codec.unsubscribe(number, filters, self.version), timeout)

    async def _request(self, make, timeout):
        if self._wire is None:
            raise Lost()
        number = self.session.next_id()
        future = asyncio.get_running_loop().create_future()
        self.session.requests[number] = future
        self._wire.send(make(number))
        return await asyncio.wait_for(future, timeout)

    # -- sending -------------------------------------------------------------------------------
    def publish(self, topic, payload=b"", qos=0, retain=False, properties=None, tag=None):
        """Sends at once if connected and the window allows, else when it can; an Outgoing."""
        if isinstance(payload, str):
            payload = payload.encode()
        message = Outgoing(topic, payload, qos, retain, properties, tag)
        if qos == 0:
            if self.connected:
                self._send_publish(message)
            message.finish(0)
        else:
            self.session.waiting.append(message)
            self._send_waiting()
        return message

    def send_raw(self, data):
        self._wire.send(data)

    @property
    def unacknowledged(self):
        return len(self.session.in_flight) + len(self.session.waiting)

    def _send_publish(self, message):
        self._wire.send(codec.publish(message.topic, message.payload, self.version, message.qos,
                                      message.retain, message.sent_count > 0, message.packet_id,
                                      message.properties))
        message.sent_count += 1

    def _send_waiting(self):
        session = self.session
        while session.waiting and self.connected and len(session.in_flight) < self._send_quota:
            message = session.waiting.popleft()
            message.packet_id, message.state = session.next_id(), "publish"
            session.in_flight[message.packet_id] = message
            self._send_publish(message)

    def _resume(self):
        """What was not acknowledged goes again in its order [MQTT-4.4.0-1], [MQTT-4.6.0-1]."""
        for message in self.session.in_flight.values():
            if message.state == "publish":
                self._send_publish(message)
            else:
                self._wire.send(codec.acknowledgement(PUBREL, message.packet_id, 0, self.version))

    # -- receiving -----------------------------------------------------------------------------
    def _on_frame(self, wire, first, body):
        if wire is not self._wire:
            return
        packet = codec.decode(first, body, self.version)
        if self.on_packet:
            self.on_packet(self, packet)
        kind = packet.kind
        if kind == PUBLISH:
            self._on_publish(wire, packet)
        elif kind in (PUBACK, PUBREC, PUBCOMP):
            self._on_acknowledgement(wire, packet)
        elif kind == PUBREL:
            self.session.incoming.discard(packet.packet_id)
            if self.acknowledge:
                wire.send(codec.acknowledgement(PUBCOMP, packet.packet_id, 0, self.version))
        elif kind in (SUBACK, UNSUBACK):
            future = self.session.requests.pop(packet.packet_id, None)
            if future is not None and not future.done():
                future.set_result(packet.reasons)
        elif kind == CONNACK:
            self._on_connack(packet)
        elif kind == DISCONNECT:
            self.disconnected = packet
        elif kind != PINGRESP:
            wire.transport.abort()

    def _on_connack(self, packet):
        if packet.reason == 0:
            self.connack = packet
            # MQTT 3.1 does not say whether there was a session; what we wish decides.
            if not packet.session_present and (self.version > 3 or self.clean):
                for message in self.session.forget():
                    message.finish(None)
            maximum = packet.properties.get("receive_maximum", 65535)
            self._send_quota = min(maximum, self.window or maximum)
            self.keep_alive = packet.properties.get("server_keep_alive", self.keep_alive)
            self.client_id = packet.properties.get("assigned_client_id", self.client_id)
            self._resume()
            self._send_waiting()
            if self.keep_alive:
                loop = asyncio.get_running_loop()
                self._ping_timer = loop.call_later(self.keep_alive * 0.6, self._ping)
        if not self._connack_future.done():
            self._connack_future.set_result(packet)

    def _on_publish(self, wire, packet):
        qos = packet.qos
        if qos == 2:
            known = packet.packet_id in self.session.incoming
            self.session.incoming.add(packet.packet_id)
            if not known:
                self._deliver(packet)
            if self.acknowledge:
                wire.send(codec.acknowledgement(PUBREC, packet.packet_id, 0, self.version))
            return
        self._deliver(packet)
        if qos == 1 and self.acknowledge:
            wire.send(codec.acknowledgement(PUBACK, packet.packet_id, 0, self.version))

    def _deliver(self, packet):
        if self.on_message:
            self.on_message(self, packet)
        else:
            self.messages.append(packet)
            self._arrived.set()

    async def next_message(self, timeout=10):
        """The oldest message not yet taken (only without on_message)."""
        async def wait():
            while not self.messages:
                self._arrived.clear()
                await self._arrived.wait()
            return self.messages.pop(0)
        return await asyncio.wait_for(wait(), timeout)

    def _on_acknowledgement(self, wire, packet):
        in_flight, number, kind = self.session.in_flight, packet.packet_id, packet.kind
        message = in_flight.get(number)
        if message is None:
            if kind == PUBREC:                 # ours by an older life; 0x92 in MQTT 5
                reason = 0x92 if self.version == 5 else 0
                wire.send(codec.acknowledgement(PUBREL, number, reason, self.version))
            return
        if kind == PUBREC and message.qos == 2 and packet.reason < 0x80:
            message.state = "release"
            if self.on_acknowledged:
                self.on_acknowledged(self, message, PUBREC)
            wire.send(codec.acknowledgement(PUBREL, number, 0, self.version))
            return
        del in_flight[number]
        message.finish(packet.reason)
        if self.on_acknowledged:
            self.on_acknowledged(self, message, kind)
        self._send_waiting()


class RawConnection:
    """A socket that sends whatever it is told and reads packets one at a time."""

    def __init__(self, reader, writer, version):
        self.reader, self.writer, self.version = reader, writer, version
        self._frames, self._ready = codec.Frames(), collections.deque()

    @classmethod
    async def open(cls, host, port, tls=None, version=5, server_hostname="localhost"):
        reader, writer = await asyncio.open_connection(
            host, port, ssl=tls, server_hostname=server_hostname if tls else None)
        return cls(reader, writer, version)

    def send(self, data):
        self.writer.write(data)

    async def read_packet(self, timeout=10):
        """The next packet; None when the server closed."""
        while not self._ready:
            try:
                data = await asyncio.wait_for(self.reader.read(65536), timeout)
            except (ConnectionError, asyncio.IncompleteReadError):
                return None
            if not data:
                return None
            self._ready.extend(self._frames.feed(data))
        first, body = self._ready.popleft()
        return codec.decode(first, body, self.version)

    async def close(self):
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except (ConnectionError, OSError):
            pass
