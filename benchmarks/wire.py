"""What the workloads put on the wire: packets into a pcap file, WebSocket frames, TLS records.

Ethernet, IPv4 and TCP are as Linux hosts send them (timestamps option, a right IP checksum); the TCP checksum
is 0, as a capture on a sender with checksum offloading may show it.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

FLUSH_EVERY = 1 << 14  # packets kept before they are written
START = 1_700_000_000_000_000  # microseconds since 1970

FIN, SYN, PUSH, ACK = 0x01, 0x02, 0x08, 0x10
SEGMENT = 1448  # payload of a full-size segment: 1500 - IP 20 - TCP 20 - timestamps 12
HEADERS = 14 + 20 + 32

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
RSV1 = 0x40  # "this message is compressed", RFC 7692 section 6
CHANGE_CIPHER = b"\x14\x03\x03\x00\x01\x01"

FILE_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
RECORD = struct.Struct("<IIII")
PACKET = struct.Struct(">16sHHIH12sIIHHIIII")  # Ethernet to the end of the timestamps option
TIMESTAMPS = 0x0101080A  # NOP, NOP, kind 8, length 10


@dataclass
class Truth:
    """What a workload holds: for checking what a tool says about it."""

    kind: str
    packets: int = 0
    bytes: int = 0
    connections: int = 0
    messages: int = 0
    closes: int = 0


class Side:
    """One end of a connection: what its next packet's headers say."""

    def __init__(self, source: bytes, destination: bytes, ports: bytes, sequence: int) -> None:
        """Addresses are 4 bytes each, `ports` source and destination as on the wire."""
        local = b"\x02\x00"  # locally administered MAC addresses
        self.ethernet = local + destination + local + source + b"\x08\x00\x45\x00"
        self.route = source + destination + ports
        self.checksum = 0x4500 + 0x4000 + 0x4006 + sum(struct.unpack(">4H", source + destination))
        self.sequence = sequence
        self.stamp = 0


class Connection:
    """The two sides of one TCP connection."""

    def __init__(self, index: int, server: int, port: int, draw: random.Random) -> None:
        """Client `index` has an address and port no other index has."""
        client_ip = (10 << 24 | 1 << 16 | 1) + index // 28_000
        server_ip = (192 << 24 | 2 << 8) + server  # 192.0.2.0/24, RFC 5737
        source, destination = client_ip.to_bytes(4, "big"), server_ip.to_bytes(4, "big")
        client_port = 32_768 + index % 28_000
        self.client = Side(source, destination, struct.pack(">HH", client_port, port), draw.getrandbits(32))
        self.server = Side(destination, source, struct.pack(">HH", port, client_port), draw.getrandbits(32))


class Capture:
    """A pcap file being written: microsecond times, Ethernet."""

    def __init__(self, output: BinaryIO, truth: Truth, seed: int) -> None:
        """Write the file header to `output`, count into `truth`, draw everything from `seed`."""
        self.output = output
        self.truth = truth
        self.draw = random.Random(seed)
        self.clock = START
        self.connections = 0
        self.parts = [FILE_HEADER]

    def connect(self, server: int = 10, port: int = 80) -> Connection:
        """The next client's connection; nothing is sent yet."""
        self.connections += 1
        return Connection(self.connections - 1, server, port, self.draw)

    def send(self, sender: Side, receiver: Side, payload: bytes = b"", flags: int = ACK, options: bytes = b"") -> None:
        """Write one packet; `options` are TCP options after the timestamps."""
        truth = self.truth
        number = truth.packets
        truth.packets = number + 1
        self.clock = clock = self.clock + 3 + (number & 7)
        size = HEADERS + len(options) + len(payload)
        length = size - 14
        identifier = number & 0xFFFF
        checksum = sender.checksum + length + identifier
        checksum = (checksum & 0xFFFF) + (checksum >> 16)
        checksum = 0xFFFF ^ ((checksum & 0xFFFF) + (checksum >> 16))
        sender.stamp = clock // 1000 & 0xFFFFFFFF
        self.parts += (
            RECORD.pack(clock // 1_000_000, clock % 1_000_000, size, size),
            PACKET.pack(
                sender.ethernet,
                length,
                identifier,
                0x40004006,  # don't fragment; TTL 64, TCP
                checksum,
                sender.route,
                sender.sequence,
                receiver.sequence if flags & ACK else 0,
                0x8000 + (len(options) << 10) + flags,
                502,
                0,  # checksum and urgent pointer
                TIMESTAMPS,
                sender.stamp,
                receiver.stamp,
            ),
            options,
            payload,
        )
        sender.sequence = sender.sequence + len(payload) + (1 if flags & (SYN | FIN) else 0) & 0xFFFFFFFF
        truth.bytes += size
        if not truth.packets % FLUSH_EVERY:
            self.flush()

    def flush(self) -> None:
        """Write what is kept."""
        self.output.write(b"".join(self.parts))
        self.parts = []


# WebSocket frames, RFC 6455 section 5


def frame(opcode: int, payload: bytes, rsv: int = 0) -> bytes:
    """One unmasked final frame."""
    return bytes((0x80 | rsv | opcode,)) + length_field(len(payload), 0) + payload


def masked_frame(opcode: int, payload: bytes, key: bytes, rsv: int = 0) -> bytes:
    """One final frame as a client sends it."""
    size = len(payload)
    stream = int.from_bytes((key * (size // 4 + 1))[:size], "little")
    masked = (int.from_bytes(payload, "little") ^ stream).to_bytes(size, "little")
    return bytes((0x80 | rsv | opcode,)) + length_field(size, 0x80) + key + masked


def length_field(size: int, mask_bit: int) -> bytes:
    """The shortest length field for `size`."""
    if size < 126:
        return bytes((mask_bit | size,))
    if size < 65_536:
        return struct.pack(">BH", mask_bit | 126, size)
    return struct.pack(">BQ", mask_bit | 127, size)


# TLS 1.3, RFC 8446


def tls_record(kind: int, body: bytes) -> bytes:
    """One TLS record, RFC 8446 section 5.1."""
    return struct.pack(">BHH", kind, 0x0303, len(body)) + body


def tls_hello(kind: int, body: bytes, extensions: Iterable[tuple[int, bytes]]) -> bytes:
    """A record with a ClientHello or ServerHello, RFC 8446 section 4.1."""
    packed = b"".join(struct.pack(">HH", number, len(content)) + content for number, content in extensions)
    body += struct.pack(">H", len(packed)) + packed
    return tls_record(22, bytes((kind,)) + len(body).to_bytes(3, "big") + body)


def client_hello(draw: random.Random) -> bytes:
    """A ClientHello with the usual extensions."""
    name = b"cdn%d.example.com" % draw.randrange(10, 100)
    ciphers = b"\x00\x06\x13\x01\x13\x02\x13\x03"
    fixed = b"\x03\x03" + draw.randbytes(32) + b"\x20" + draw.randbytes(32) + ciphers + b"\x01\x00"
    extensions = (
        (0, struct.pack(">HBH", len(name) + 3, 0, len(name)) + name),
        (10, b"\x00\x02\x00\x1d"),
        (13, b"\x00\x04\x04\x03\x08\x04"),
        (43, b"\x02\x03\x04"),
        (51, b"\x00\x24\x00\x1d\x00\x20" + draw.randbytes(32)),
    )
    return tls_hello(1, fixed, extensions)


def server_hello(draw: random.Random) -> bytes:
    """A ServerHello and its encrypted flight."""
    fixed = b"\x03\x03" + draw.randbytes(32) + b"\x20" + draw.randbytes(32) + b"\x13\x01\x00"
    hello = tls_hello(2, fixed, ((43, b"\x03\x04"), (51, b"\x00\x1d\x00\x20" + draw.randbytes(32))))
    return hello + CHANGE_CIPHER + tls_record(23, draw.randbytes(900))
