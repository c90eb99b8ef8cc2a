"""Makes the benchmark captures: `python benchmarks/workloads.py feed 2000000 out.pcap`.

Every workload is the same for the same arguments, holds exactly the number of packets asked for, and is
written as it is made. A connection's life is a generator that yields wherever another connection may come
in between; `interleave` mixes the lives.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from content import Deflated, Material, Small
from wire import (
    ACK,
    BINARY,
    CHANGE_CIPHER,
    CLOSE,
    FIN,
    PING,
    PONG,
    PUSH,
    SEGMENT,
    SYN,
    TEXT,
    Capture,
    Connection,
    Side,
    Truth,
    client_hello,
    frame,
    masked_frame,
    server_hello,
    tls_record,
)

SEED = 6455
OPENING = 7  # SYN, SYN+ACK, ACK, GET, ACK, 101, ACK
CLOSING = 5  # Close, Close, FIN, FIN, ACK
TCP_CLOSING = 3
SMALLEST = 1000  # packets: below, the shares of a workload make no sense

ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
SERVER_ENDINGS = (
    (1000, b""),
    (1000, b"done"),
    (1001, b"server going away"),
    (1011, b"upstream timed out"),
    (1012, b"restarting"),
    (4001, b"session expired"),
)
CLIENT_ENDINGS = ((1000, b""), (1000, b"bye"), (1001, b""))

Life = Iterator[None]


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
    by_client = draw.random() < 0.3
    code, reason = draw.choice(CLIENT_ENDINGS if by_client else SERVER_ENDINGS)
    payload = code.to_bytes(2, "big")
    if by_client:
        capture.send(client, server, masked_frame(CLOSE, payload + reason, draw.randbytes(4)), PUSH | ACK)
        yield
        capture.send(server, client, frame(CLOSE, payload), PUSH | ACK)
    else:
        capture.send(server, client, frame(CLOSE, payload + reason), PUSH | ACK)
        yield
        capture.send(client, server, masked_frame(CLOSE, payload, draw.randbytes(4)), PUSH | ACK)
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
        if 65_539 < total - header < 65_546:  # not the size of any frame whose length field is the shortest
            total = 1000
        size -= total
        body = total - header - (4 if total - header <= 65_539 else 10)
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


def syn_flood(capture: Capture, packets: int) -> None:
    """Every packet is the SYN of a connection of its own."""
    for _ in range(packets):
        connection = capture.connect()
        capture.send(connection.client, connection.server, flags=SYN)


def half_open(capture: Capture, packets: int) -> None:
    """Connections that are opened and then silent, three packets each."""
    for part in shares(packets, packets // 3):
        connection = capture.connect()
        for _ in open_tcp(capture, connection):
            pass
        for _ in range(part - 3):
            capture.send(connection.client, connection.server)


def one_byte(capture: Capture, packets: int) -> None:
    """Connections that are opened, of which one byte comes that may begin a request, four packets each."""
    for part in shares(packets, packets // 4):
        connection = capture.connect()
        for _ in open_tcp(capture, connection):
            pass
        for _ in range(part - 3):
            capture.send(connection.client, connection.server, b"G", PUSH | ACK)


def joined_late(capture: Capture, packets: int) -> None:
    """Connections that began before the capture, of which it has one packet with 500 bytes each."""
    for _ in range(packets):
        connection = capture.connect()
        capture.send(connection.server, connection.client, capture.draw.randbytes(500), PUSH | ACK)


def holes(capture: Capture, packets: int) -> None:
    """1 000 WebSockets (fewer where there are not so many packets) on which every second segment is missing."""
    count = min(1000, packets // 40)
    connections = []
    for _ in range(count):
        connection = capture.connect()
        for _ in open_websocket(capture, connection):
            pass
        connections.append(connection)
    data = frame(BINARY, capture.draw.randbytes(SEGMENT - 4))
    for index in range(packets - OPENING * count):
        connection = connections[index % count]
        connection.server.sequence = connection.server.sequence + SEGMENT & 0xFFFFFFFF
        capture.send(connection.server, connection.client, data, PUSH | ACK)


HOSTILE: dict[str, Callable[[Capture, int], None]] = {
    "syn-flood": syn_flood,
    "half-open": half_open,
    "one-byte": one_byte,
    "joined-late": joined_late,
    "holes": holes,
}
"""What is measured for its memory, not for speed beside other tools."""

KINDS: dict[str, Callable[[Capture, int], None]] = {
    "feed": feed,
    "bulk": bulk,
    "many": many,
    "mixed": mixed,
    "masked": masked,
    "deflate": deflate,
}


def make(kind: str, packets: int, path: str | Path) -> Truth:
    """Write the workload `kind` of exactly `packets` packets (at least `SMALLEST`), and say what is in it."""
    if packets < SMALLEST:
        raise ValueError(f"a workload has at least {SMALLEST} packets, not {packets}")
    truth = Truth(kind)
    with open(path, "wb") as output:
        capture = Capture(output, truth, SEED)
        (KINDS | HOSTILE)[kind](capture, packets)
        capture.flush()
    return truth


def main() -> None:
    """Make one workload and print what it holds as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kind", choices=[*KINDS, *HOSTILE])
    parser.add_argument("packets", type=int)
    parser.add_argument("path")
    arguments = parser.parse_args()
    print(json.dumps(asdict(make(arguments.kind, arguments.packets, arguments.path))))


if __name__ == "__main__":
    main()
