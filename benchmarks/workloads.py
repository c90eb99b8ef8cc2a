"""Makes the benchmark captures: `python benchmarks/workloads.py feed 2000000 out.pcap`.

Every workload is the same for the same arguments, holds exactly the number of packets asked for, and is
written as it is made. A connection's life is a generator that yields wherever another connection may come
in between; `interleave` mixes the lives.

Ethernet, IPv4 and TCP are as Linux hosts send them (timestamps option, delayed ACKs, a right IP checksum);
the TCP checksum is 0, as a capture on a sender with checksum offloading may show it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import struct
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

SEED = 6455
START = 1_700_000_000_000_000  # microseconds since 1970
FLUSH_EVERY = 1 << 14  # packets kept before they are written

FIN, SYN, PUSH, ACK = 0x01, 0x02, 0x08, 0x10
SEGMENT = 1448  # payload of a full-size segment: 1500 - IP 20 - TCP 20 - timestamps 12
HEADERS = 14 + 20 + 32
OPENING = 7  # SYN, SYN+ACK, ACK, GET, ACK, 101, ACK
CLOSING = 5  # Close, Close, FIN, FIN, ACK
TCP_CLOSING = 3

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
RSV1 = 0x40  # "this message is compressed", RFC 7692 section 6
ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
ENDINGS = (
    (1000, b""),
    (1000, b"done"),
    (1001, b"server going away"),
    (1001, b""),
    (1011, b"upstream timed out"),
    (4001, b"session expired"),
)

FILE_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
RECORD = struct.Struct("<IIII")
PACKET = struct.Struct(">16sHHIH12sIIHHIIII")  # Ethernet to the end of the timestamps option
TIMESTAMPS = 0x0101080A  # NOP, NOP, kind 8, length 10

Life = Iterator[None]


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

    def __init__(self, mac: bytes, peer_mac: bytes, source: bytes, destination: bytes, ports: bytes, sequence: int) -> None:
        """Addresses are 4 bytes each, `ports` source and destination as on the wire."""
        self.ethernet = peer_mac + mac + b"\x08\x00\x45\x00"
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
        macs = b"\x02\x00" + source, b"\x02\x00" + destination
        self.client = Side(*macs, source, destination, struct.pack(">HH", client_port, port), draw.getrandbits(32))
        self.server = Side(
            *macs[::-1], destination, source, struct.pack(">HH", port, client_port), draw.getrandbits(32)
        )


class Capture:
    """A pcap file being written: microsecond times, Ethernet."""

    def __init__(self, output: BinaryIO, truth: Truth) -> None:
        """Write the file header to `output`, and count into `truth`."""
        self.output = output
        self.truth = truth
        self.draw = random.Random(SEED)
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


# What messages say


def prose(size: int, draw: random.Random) -> bytes:
    """Some `size` bytes of UTF-8, mostly ASCII, a hundredth of the words not."""
    words = ["connection", "closed", "by", "the", "peer", "after", "a", "timeout", "of", "seconds", "{", "}", "id:", "7"]
    words = words * 14 + ["Zürich", "naïve", "日本", "€"]
    text = " ".join(draw.choices(words, k=size // 5)).encode()
    return text[: character_start(text, size)]


def character_start(text: bytes, at: int) -> int:
    """The first place from `at` where a character starts, or the end."""
    while at < len(text) and text[at] & 0xC0 == 0x80:
        at += 1
    return min(at, len(text))


class Material:
    """Payloads that connections take theirs from."""

    def __init__(self, draw: random.Random) -> None:
        """Some megabytes of text and of random bytes, and a thousand small texts of 32 and of 28 bytes."""
        self.text = prose(4_000_000, draw)
        self.noise = draw.randbytes(4_000_000)
        self.ticks = [
            b'{"s":"EURUSD","p":%d.%d,"q":%d}'
            % (draw.randrange(10_000, 99_999), draw.randrange(10), draw.randrange(1, 10))
            for _ in range(1000)
        ]
        self.orders = [b'{"cmd":"subscribe","id":%d}' % draw.randrange(100, 1000) for _ in range(1000)]

    def text_of(self, size: int, draw: random.Random) -> bytes:
        """Valid UTF-8 of exactly `size` bytes."""
        start = character_start(self.text, draw.randrange(len(self.text) - size - 4))
        end = start + size
        while self.text[end] & 0xC0 == 0x80:  # never inside a character: end before it, and fill with spaces
            end -= 1
        return self.text[start:end] + b" " * (start + size - end)

    def noise_of(self, size: int, draw: random.Random) -> bytes:
        """Exactly `size` random bytes."""
        start = draw.randrange(len(self.noise) - size)
        return self.noise[start : start + size]


class Small:
    """Small plain text messages, 100-byte packets in both directions."""

    extension = b""

    def __init__(self, material: Material) -> None:
        """The server's frames are made once; a client's mask differs each time."""
        self.ticks = [frame(TEXT, tick) for tick in material.ticks]
        self.orders = [order.ljust(28) for order in material.orders]

    def from_server(self, index: int, connection: int, draw: random.Random) -> bytes:
        """The frame of the server's message number `index`."""
        return self.ticks[(index * 7 + connection * 31) % 1000]

    def from_client(self, index: int, connection: int, draw: random.Random) -> bytes:
        """The frame of the client's message number `index`."""
        return masked_frame(TEXT, self.orders[(index + connection) % 1000], draw.randbytes(4))


class Deflated:
    """JSON messages compressed with permessage-deflate and context takeover (RFC 7692).

    A connection follows one of `CHANNELS` sequences, each compressed once from its beginning, so that
    neighbouring connections inflate different bytes.
    """

    extension = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
    CHANNELS = 64

    def __init__(self, draw: random.Random) -> None:
        """Messages are made when the first connection of a channel comes to them."""
        self.draw = random.Random(draw.getrandbits(32))
        self.compressors = [zlib.compressobj(6, zlib.DEFLATED, -15) for _ in range(2 * self.CHANNELS)]
        self.payloads: list[list[bytes]] = [[] for _ in self.compressors]

    def from_server(self, index: int, connection: int, draw: random.Random) -> bytes:
        """The frame of the server's message number `index`."""
        return frame(TEXT, self.payload(index, connection % self.CHANNELS), RSV1)

    def from_client(self, index: int, connection: int, draw: random.Random) -> bytes:
        """The frame of the client's message number `index`."""
        payload = self.payload(index, self.CHANNELS + connection % self.CHANNELS)
        return masked_frame(TEXT, payload, draw.randbytes(4), RSV1)

    def payload(self, index: int, channel: int) -> bytes:
        """The compressed payload of message `index`; those before it were asked for earlier."""
        payloads = self.payloads[channel]
        if index == len(payloads):
            compressor = self.compressors[channel]
            compressed = compressor.compress(self.message(index)) + compressor.flush(zlib.Z_SYNC_FLUSH)
            payloads.append(compressed[:-4])  # without 00 00 FF FF, RFC 7692 section 7.2.1
        return payloads[index]

    def message(self, index: int) -> bytes:
        """A JSON text of some 400 bytes."""
        draw = self.draw.randrange
        levels = ",".join(f"[{draw(40000, 42000)}.{draw(100):02},{draw(1, 5000)}]" for _ in range(16))
        head = f'{{"type":"depth","symbol":"BTCUSD","sequence":{index},"time":{1700000000000 + index * 20}'
        return f'{head},"bids":[{levels[: len(levels) // 2].rpartition(",[")[0]}],"asks":[{levels}]}}'.encode()


# Lives of connections


def open_tcp(capture: Capture, connection: Connection) -> Life:
    """The three packets of TCP's handshake."""
    client, server = connection.client, connection.server
    options = b"\x02\x04\x05\xb4\x01\x03\x03\x07"  # MSS 1460, NOP, window scale 7
    capture.send(client, server, flags=SYN, options=options)
    yield
    capture.send(server, client, flags=SYN | ACK, options=options)
    yield
    capture.send(client, server)
    yield


def close_tcp(capture: Capture, connection: Connection) -> Life:
    """The server's FIN, the client's, and the last ACK."""
    client, server = connection.client, connection.server
    capture.send(server, client, flags=FIN | ACK)
    yield
    capture.send(client, server, flags=FIN | ACK)
    yield
    capture.send(server, client)
    yield


def open_websocket(capture: Capture, connection: Connection, extension: bytes = b"") -> Life:
    """TCP's handshake and the upgrade: `OPENING` packets."""
    client, server = connection.client, connection.server
    yield from open_tcp(capture, connection)
    key = b64encode(capture.draw.randbytes(16))
    request = (
        b"GET /stream/v1/ticks?session=%d HTTP/1.1\r\nHost: feed.example.com\r\nConnection: Upgrade\r\n"
        b"Pragma: no-cache\r\nCache-Control: no-cache\r\n"
        b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0\r\n"
        b"Upgrade: websocket\r\nOrigin: http://www.example.com\r\nSec-WebSocket-Version: 13\r\n"
        b"Accept-Encoding: gzip, deflate\r\nAccept-Language: en-GB,en;q=0.9\r\n"
        b"Cookie: session=%s\r\nSec-WebSocket-Key: %s\r\n%s\r\n"
    ) % (capture.draw.getrandbits(31), capture.draw.randbytes(16).hex().encode(), key, extension)
    capture.send(client, server, request, PUSH | ACK)
    yield
    capture.send(server, client)
    yield
    accept = b64encode(hashlib.sha1(key + ACCEPT_GUID).digest())
    answer = (
        b"HTTP/1.1 101 Switching Protocols\r\nServer: nginx/1.26.0\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
        b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n%s\r\n"
    ) % (accept, extension)
    capture.send(server, client, answer, PUSH | ACK)
    yield
    capture.send(client, server)
    capture.truth.connections += 1
    yield


def close_websocket(capture: Capture, connection: Connection) -> Life:
    """A Close from each side and the end of TCP: `CLOSING` packets."""
    client, server, draw = connection.client, connection.server, capture.draw
    code, reason = draw.choice(ENDINGS)
    payload = code.to_bytes(2, "big") + reason
    first, answer = frame(CLOSE, payload), masked_frame(CLOSE, payload[:2], draw.randbytes(4))
    if draw.random() < 0.3:
        first, answer = masked_frame(CLOSE, payload, draw.randbytes(4)), frame(CLOSE, payload[:2])
        client, server = server, client
    capture.send(server, client, first, PUSH | ACK)
    yield
    capture.send(client, server, answer, PUSH | ACK)
    capture.truth.closes += 2
    yield
    yield from close_tcp(capture, connection)


def chat(capture: Capture, number: int, packets: int, messages: Small | Deflated, asking: float = 0.05) -> Life:
    """A WebSocket of `packets` packets on which the server tells, and the client with chance `asking`."""
    connection = capture.connect()
    client, server, draw, truth = connection.client, connection.server, capture.draw, capture.truth
    yield from open_websocket(capture, connection, messages.extension)
    told = asked = unacknowledged = 0
    left = packets - OPENING - CLOSING
    while left:
        chance = draw.random()
        left -= 1
        if unacknowledged == 8:
            capture.send(client, server)
            unacknowledged = 0
        elif chance < asking:
            capture.send(client, server, messages.from_client(asked, number, draw), PUSH | ACK)
            asked += 1
            unacknowledged = 0
        elif chance < asking + 0.01 and left:
            beat = told.to_bytes(4, "big")
            capture.send(server, client, frame(PING, beat), PUSH | ACK)
            yield
            capture.send(client, server, masked_frame(PONG, beat, draw.randbytes(4)), PUSH | ACK)
            left -= 1
            unacknowledged = 0
        else:
            capture.send(server, client, messages.from_server(told, number, draw), PUSH | ACK)
            told += 1
            unacknowledged += 1
        yield
    truth.messages += told + asked
    yield from close_websocket(capture, connection)


def cut(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks' bytes as full-size segments; what is left over comes last."""
    rest = b""
    for chunk in chunks:
        start = 0
        if rest:
            start = SEGMENT - len(rest)
            rest += chunk[:start]
            if len(rest) < SEGMENT:
                continue
            yield rest
        while len(chunk) - start >= SEGMENT:
            yield chunk[start : start + SEGMENT]
            start += SEGMENT
        rest = chunk[start:]
    if rest:
        yield rest


def transfer(capture: Capture, sender: Side, receiver: Side, chunks: Iterable[bytes]) -> Life:
    """Send the chunks as full-size segments, every second one acknowledged (RFC 5681 section 4.2)."""
    for number, segment in enumerate(cut(chunks)):
        capture.send(sender, receiver, segment)
        if number & 1:
            capture.send(receiver, sender)
            yield


def segments_in(packets: int) -> int:
    """The segments for which `transfer` takes `packets` packets, or one less."""
    return (2 * packets + 1) // 3


def large_messages(capture: Capture, material: Material, size: int, masked: bool, text_share: float) -> Iterator[bytes]:
    """Frames of 20 kB to 1 MB, `size` bytes together, frame headers included."""
    draw = capture.draw
    header = 4 if masked else 0
    while size:
        total = draw.randrange(20_000, 1_000_000) if draw.random() < 0.3 else draw.randrange(20_000, 60_000)
        if size < total + 1000:
            total = size
        if 65_539 < total - header < 65_546 or total < 200:  # no shortest length field fits, or too small to split
            total = min(total, 1000)
        size -= total
        body = total - header - (2 if total - header < 128 else 4 if total - header <= 65_539 else 10)
        text = draw.random() < text_share
        payload = (material.text_of if text else material.noise_of)(body, draw)
        capture.truth.messages += 1
        opcode = TEXT if text else BINARY
        yield masked_frame(opcode, payload, draw.randbytes(4)) if masked else frame(opcode, payload)


def haul(capture: Capture, material: Material, packets: int, upload_share: float, text_share: float) -> Life:
    """A WebSocket of `packets` packets that carries large messages, in both directions at once."""
    connection = capture.connect()
    client, server = connection.client, connection.server
    end = capture.truth
    yield from open_websocket(capture, connection)
    left = packets - OPENING - CLOSING
    up = int(left * upload_share)
    lives = []
    for sender, receiver, share in ((client, server, up), (server, client, left - up)):
        segments = segments_in(share)
        left -= segments + segments // 2
        chunks = large_messages(capture, material, segments * SEGMENT, sender is client, text_share)
        lives.append(transfer(capture, sender, receiver, chunks))
    while lives:
        lives = [life for life in lives if next(life, end) is not end]
        yield
    for index in range(left):
        capture.send(server, client, frame(TEXT, material.ticks[index]), PUSH | ACK)
        capture.truth.messages += 1
        yield
    yield from close_websocket(capture, connection)


def web_download(capture: Capture, material: Material, packets: int) -> Life:
    """A file fetched over HTTP."""
    connection = capture.connect(server=20)
    client, server = connection.client, connection.server
    yield from open_tcp(capture, connection)
    request = b"GET /files/%d.bin HTTP/1.1\r\nHost: files.example.com\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n"
    capture.send(client, server, request % capture.draw.getrandbits(20), PUSH | ACK)
    yield
    left = packets - 4 - TCP_CLOSING
    segments = segments_in(left)
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %010d\r\n\r\n"
    size = segments * SEGMENT - len(answer % 0)
    sizes = [min(1_000_000, size - start) for start in range(0, size, 1_000_000)]
    body = (material.noise_of(part, capture.draw) for part in sizes)
    yield from transfer(capture, server, client, (part for parts in ((answer % size,), body) for part in parts))
    yield from finish_download(capture, connection, left - segments - segments // 2)


def tls_download(capture: Capture, material: Material, packets: int) -> Life:
    """What a file fetched over TLS 1.3 looks like: no byte after the hellos means anything."""
    connection = capture.connect(server=30, port=443)
    client, server = connection.client, connection.server
    yield from open_tcp(capture, connection)
    capture.send(client, server, client_hello(capture.draw), PUSH | ACK)
    yield
    capture.send(server, client, server_hello(capture.draw), PUSH | ACK)
    yield
    capture.send(client, server, CHANGE_CIPHER + tls_record(23, capture.draw.randbytes(200)), PUSH | ACK)
    yield
    left = packets - 6 - TCP_CLOSING
    segments = segments_in(left)
    size = segments * SEGMENT
    sizes = [min(16_406, size - start) for start in range(0, size, 16_406)]
    if sizes[-1] < 100:  # too short for a record
        sizes[-2:] = [sizes[-2] - 100, sizes[-1] + 100]
    records = (tls_record(23, material.noise_of(part - 5, capture.draw)) for part in sizes)
    yield from transfer(capture, server, client, records)
    yield from finish_download(capture, connection, left - segments - segments // 2)


def finish_download(capture: Capture, connection: Connection, acknowledgements: int) -> Life:
    """The last acknowledgements and the end of TCP."""
    for _ in range(acknowledgements):
        capture.send(connection.client, connection.server)
    yield from close_tcp(capture, connection)


CHANGE_CIPHER = b"\x14\x03\x03\x00\x01\x01"


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
    fixed = b"\x03\x03" + draw.randbytes(32) + b"\x20" + draw.randbytes(32) + b"\x00\x06\x13\x01\x13\x02\x13\x03\x01\x00"
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


# Workloads


def interleave(lives: Iterable[Life], width: int, draw: random.Random) -> None:
    """Run the lives to their ends, `width` at a time, in random turns."""
    waiting = iter(lives)
    active = [life for _, life in zip(range(width), waiting, strict=False)]
    end = object()
    while active:
        at = int(draw.random() * len(active))
        if next(active[at], end) is end:
            following = next(waiting, None)
            if following is None:
                active[at] = active[-1]
                active.pop()
            else:
                active[at] = following


def shares(packets: int, connections: int) -> list[int]:
    """`packets` in `connections` equal parts, the first ones larger by one where it doesn't divide."""
    share, more = divmod(packets, connections)
    return [share + (index < more) for index in range(connections)]


def feed(capture: Capture, packets: int, deflated: bool = False) -> None:
    """1 000 connections of small messages (fewer where that would leave less than 40 packets to each)."""
    messages = Deflated(capture.draw) if deflated else Small(Material(capture.draw))
    parts = shares(packets, min(1000, packets // 40))
    interleave((chat(capture, index, part, messages) for index, part in enumerate(parts)), 1000, capture.draw)


def deflate(capture: Capture, packets: int) -> None:
    """As `feed`, with larger messages under permessage-deflate."""
    feed(capture, packets, deflated=True)


def many(capture: Capture, packets: int) -> None:
    """Short connections of 19 packets, 1 000 open at any time."""
    messages = Small(Material(capture.draw))
    parts = shares(packets, packets // 19)
    interleave((chat(capture, index, part, messages, 0.4) for index, part in enumerate(parts)), 1000, capture.draw)


def bulk(capture: Capture, packets: int) -> None:
    """50 connections of large messages, binary and text, both ways."""
    material = Material(capture.draw)
    parts = shares(packets, min(50, packets // 200))
    interleave((haul(capture, material, part, 0.35, 0.4) for part in parts), 50, capture.draw)


def masked(capture: Capture, packets: int) -> None:
    """20 connections on which clients send large text."""
    material = Material(capture.draw)
    parts = shares(packets, min(20, packets // 200))
    interleave((haul(capture, material, part, 1.0, 1.0) for part in parts), 20, capture.draw)


def mixed(capture: Capture, packets: int) -> None:
    """A twentieth of the packets belongs to WebSockets, the others to downloads over HTTP and TLS."""
    material = Material(capture.draw)
    messages = Small(material)
    websockets = packets // 20
    chats = shares(websockets, max(1, websockets // 400))
    downloads = shares(packets - websockets, max(2, (packets - websockets) // 2000))
    lives: list[Callable[[], Life]] = []
    for index, part in enumerate(chats):
        lives.append(lambda index=index, part=part: chat(capture, index, part, messages))  # type: ignore[misc]
    for index, part in enumerate(downloads):
        download = tls_download if index % 2 else web_download
        lives.append(lambda part=part, download=download: download(capture, material, part))  # type: ignore[misc]
    capture.draw.shuffle(lives)
    interleave((life() for life in lives), 300, capture.draw)


KINDS: dict[str, Callable[[Capture, int], None]] = {
    "feed": feed,
    "bulk": bulk,
    "many": many,
    "mixed": mixed,
    "masked": masked,
    "deflate": deflate,
}
SMALLEST = 1000  # packets: below, the shares of a workload make no sense


def make(kind: str, packets: int, path: str | Path) -> Truth:
    """Write the workload `kind` of exactly `packets` packets (at least `SMALLEST`), and say what is in it."""
    if packets < SMALLEST:
        raise ValueError(f"a workload has at least {SMALLEST} packets, not {packets}")
    truth = Truth(kind)
    with open(path, "wb") as output:
        capture = Capture(output, truth)
        KINDS[kind](capture, packets)
        capture.flush()
    return truth


def main() -> None:
    """Make one workload and print what it holds as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("packets", type=int)
    parser.add_argument("path")
    arguments = parser.parse_args()
    print(json.dumps(asdict(make(arguments.kind, arguments.packets, arguments.path))))


if __name__ == "__main__":
    main()
