"""Bytes of MQTT 3.1.1 and 5.0 for the tests: encodes what a client sends, decodes what a server sends.

Written for these tests alone and on purpose apart from the server's own codec, so that one mistake
cannot hide in both. It does not validate: tests that need a malformed packet write it by hand.
"""
import struct

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(8, 16)
NAMES = ("", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE",
         "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH")

# MQTT 5.0 section 2.2.2.2: identifier -> (name, type).
PROPERTIES = {
    0x01: ("payload_format", "byte"), 0x02: ("message_expiry", "four"),
    0x03: ("content_type", "string"), 0x08: ("response_topic", "string"),
    0x09: ("correlation_data", "binary"), 0x0B: ("subscription_identifier", "variable"),
    0x11: ("session_expiry", "four"), 0x12: ("assigned_client_id", "string"),
    0x13: ("server_keep_alive", "two"), 0x15: ("authentication_method", "string"),
    0x16: ("authentication_data", "binary"), 0x17: ("request_problem", "byte"),
    0x18: ("will_delay", "four"), 0x19: ("request_response", "byte"),
    0x1A: ("response_information", "string"), 0x1C: ("server_reference", "string"),
    0x1F: ("reason_string", "string"), 0x21: ("receive_maximum", "two"),
    0x22: ("topic_alias_maximum", "two"), 0x23: ("topic_alias", "two"),
    0x24: ("maximum_qos", "byte"), 0x25: ("retain_available", "byte"),
    0x26: ("user_property", "pair"), 0x27: ("maximum_packet_size", "four"),
    0x28: ("wildcard_available", "byte"), 0x29: ("subscription_identifier_available", "byte"),
    0x2A: ("shared_available", "byte"),
}
PROPERTY_IDS = {name: (number, kind) for number, (name, kind) in PROPERTIES.items()}
REPEATED = {"user_property", "subscription_identifier"}


def variable(number):
    """Variable byte integer [MQTT-1.5.5-1]."""
    out = bytearray()
    while True:
        number, digit = number >> 7, number & 0x7F
        out.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(out)


def read_variable(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def binary(value):
    raw = value.encode() if isinstance(value, str) else bytes(value)
    return struct.pack(">H", len(raw)) + raw


def frame(first, body):
    return bytes([first]) + variable(len(body)) + body


def encode_properties(values):
    """A dictionary name -> value (a list of values for user_property: pairs) with its length before."""
    out = bytearray()
    for name, value in (values or {}).items():
        number, kind = PROPERTY_IDS[name]
        several = value if name in REPEATED and isinstance(value, list) else [value]
        for one in several:
            out.append(number)
            if kind == "byte":
                out.append(one)
            elif kind == "two":
                out += struct.pack(">H", one)
            elif kind == "four":
                out += struct.pack(">I", one)
            elif kind == "variable":
                out += variable(one)
            elif kind == "pair":
                out += binary(one[0]) + binary(one[1])
            else:
                out += binary(one)
    return variable(len(out)) + bytes(out)


def read_binary(data, at):
    length = int.from_bytes(data[at:at + 2], "big")
    return bytes(data[at + 2:at + 2 + length]), at + 2 + length


def _read_value(kind, data, at):
    if kind == "byte":
        return data[at], at + 1
    if kind == "two":
        return int.from_bytes(data[at:at + 2], "big"), at + 2
    if kind == "four":
        return int.from_bytes(data[at:at + 4], "big"), at + 4
    if kind == "variable":
        return read_variable(data, at)
    if kind == "pair":
        key, at = read_binary(data, at)
        value, at = read_binary(data, at)
        return (key.decode(), value.decode()), at
    raw, at = read_binary(data, at)
    return (raw.decode() if kind == "string" else raw), at


def read_properties(data, at):
    length, at = read_variable(data, at)
    end, values = at + length, {}
    while at < end:
        name, kind = PROPERTIES[data[at]]
        value, at = _read_value(kind, data, at + 1)
        if name in REPEATED:
            values.setdefault(name, []).append(value)
        else:
            values[name] = value
    return values, end


def connect(client_id, version=5, clean=True, keep_alive=0, properties=None, will=None,
            username=None, password=None):
    """`will`: a dictionary topic, payload, qos, retain, properties."""
    flags = 0x02 if clean else 0
    tail = binary(client_id)
    if will is not None:
        flags |= 0x04 | will.get("qos", 0) << 3 | (0x20 if will.get("retain") else 0)
        if version == 5:
            tail += encode_properties(will.get("properties"))
        tail += binary(will["topic"]) + binary(will.get("payload", b""))
    if username is not None:
        flags |= 0x80
        tail += binary(username)
    if password is not None:
        flags |= 0x40
        tail += binary(password)
    name = binary("MQIsdp" if version == 3 else "MQTT")
    head = name + struct.pack(">BBH", version, flags, keep_alive)
    if version == 5:
        head += encode_properties(properties)
    return frame(CONNECT << 4, head + tail)


def publish(topic, payload, version=5, qos=0, retain=False, dup=False, packet_id=0,
            properties=None):
    raw_topic = topic.encode() if isinstance(topic, str) else topic
    parts = [struct.pack(">H", len(raw_topic)), raw_topic]
    if qos:
        parts.append(struct.pack(">H", packet_id))
    if version == 5:
        parts.append(encode_properties(properties) if properties else b"\0")
    parts.append(payload)
    body = b"".join(parts)
    return frame(PUBLISH << 4 | (8 if dup else 0) | qos << 1 | (1 if retain else 0), body)


def acknowledgement(kind, packet_id, reason=0, version=5, properties=None):
    """PUBACK, PUBREC, PUBREL or PUBCOMP; the short form when there is nothing to say."""
    first = kind << 4 | (2 if kind == PUBREL else 0)
    if version == 5 and (reason or properties):
        extra = encode_properties(properties) if properties else b""
        return frame(first, struct.pack(">HB", packet_id, reason) + extra)
    return struct.pack(">BBH", first, 2, packet_id)


def subscribe(packet_id, filters, version=5, properties=None):
    """`filters`: pairs (filter, options byte)."""
    head = struct.pack(">H", packet_id) + (encode_properties(properties) if version == 5 else b"")
    return frame(SUBSCRIBE << 4 | 2, head + b"".join(binary(f) + bytes([o]) for f, o in filters))


def unsubscribe(packet_id, filters, version=5):
    head = struct.pack(">H", packet_id) + (b"\0" if version == 5 else b"")
    return frame(UNSUBSCRIBE << 4 | 2, head + b"".join(binary(f) for f in filters))


def disconnect(version=5, reason=0, properties=None):
    if version == 5 and (reason or properties):
        return frame(DISCONNECT << 4, bytes([reason]) + encode_properties(properties))
    return b"\xe0\0"


PING = b"\xc0\0"


class Packet:
    """What a server sent. Fields that its kind does not have keep their defaults."""
    __slots__ = ("kind", "flags", "topic", "payload", "packet_id", "reason", "reasons",
                 "properties", "session_present")

    def __init__(self, kind, flags):
        self.kind, self.flags = kind, flags
        self.topic, self.payload, self.packet_id = "", b"", 0
        self.reason, self.reasons, self.properties, self.session_present = 0, (), {}, False

    @property
    def qos(self):
        return self.flags >> 1 & 3

    @property
    def retain(self):
        return bool(self.flags & 1)

    @property
    def dup(self):
        return bool(self.flags & 8)

    def __repr__(self):
        return (f"<{NAMES[self.kind]} flags={self.flags:#x} id={self.packet_id} "
                f"reason={self.reason:#x} {self.reasons} {self.topic!r} "
                f"present={self.session_present} {len(self.payload)} bytes {self.properties}>")


def decode(first, body, version=5):
    packet = Packet(first >> 4, first & 0x0F)
    kind = packet.kind
    if kind == PUBLISH:
        length = int.from_bytes(body[:2], "big")
        at = 2 + length
        packet.topic = body[2:at].decode()
        if first & 6:
            packet.packet_id = int.from_bytes(body[at:at + 2], "big")
            at += 2
        if version == 5:
            packet.properties, at = read_properties(body, at)
        packet.payload = bytes(body[at:])
    elif kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
        packet.packet_id = int.from_bytes(body[:2], "big")
        if len(body) > 2:
            packet.reason = body[2]
        if len(body) > 3:
            packet.properties, _ = read_properties(body, 3)
    elif kind == CONNACK:
        packet.session_present, packet.reason = bool(body[0] & 1), body[1]
        if version == 5 and len(body) > 2:
            packet.properties, _ = read_properties(body, 2)
    elif kind in (SUBACK, UNSUBACK):
        packet.packet_id, at = int.from_bytes(body[:2], "big"), 2
        if version == 5:
            packet.properties, at = read_properties(body, at)
        packet.reasons = tuple(body[at:])
    elif kind in (DISCONNECT, AUTH) and body:
        packet.reason = body[0]
        if len(body) > 1:
            packet.properties, _ = read_properties(body, 1)
    return packet


class Frames:
    """Cuts bytes in any pieces into frames."""
    __slots__ = ("rest",)

    def __init__(self):
        self.rest = b""

    def feed(self, data):
        """A list of (first byte, body) of the frames that are complete now."""
        if self.rest:
            data = self.rest + data
        found, at, end = [], 0, len(data)
        while end - at >= 2:
            length, start = data[at + 1], at + 2
            if length >= 0x80:
                if end - at < 5 and not any(byte < 0x80 for byte in data[at + 1:end]):
                    break
                length, start = read_variable(data, at + 1)
            if start + length > end:
                break
            found.append((data[at], data[start:start + length]))
            at = start + length
        self.rest = data[at:]
        return found
