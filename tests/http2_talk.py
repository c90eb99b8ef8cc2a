"""An HTTP/2 conversation made by hand (RFC 9113), as the packets of one TCP connection, and what the analysis says."""

from __future__ import annotations

import struct
from typing import Any

import hpack
from conversation import CLOSE, KEY, frame

import analyzer

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY = 1, 4, 8, 32
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FIN, SYN, RST, ACK = 1, 2, 4, 16
CLIENT, SERVER = b"\x0a\0\0\1", b"\x0a\0\0\2"


def h2(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"", length: int | None = None) -> bytes:
    """One HTTP/2 frame."""
    length = len(payload) if length is None else length
    return length.to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def settings(*pairs: tuple[int, int]) -> bytes:
    return h2(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def data(stream: int, payload: bytes, end: bool = False, padding: int | None = None) -> bytes:
    flags = END_STREAM if end else 0
    if padding is not None:
        flags, payload = flags | PADDED, bytes([padding]) + payload + bytes(padding)
    return h2(DATA, flags, stream, payload)


def goaway(last: int, code: int = 0) -> bytes:
    return h2(GOAWAY, 0, 0, struct.pack(">II", last, code))


def reset(stream: int, code: int = 8) -> bytes:
    return h2(RST_STREAM, 0, stream, struct.pack(">I", code))


def masked(opcode: int, payload: bytes = b"", **options: Any) -> bytes:
    return frame(opcode, payload, key=KEY, **options)


def close(code: int, reason: bytes = b"") -> bytes:
    return struct.pack(">H", code) + reason


class Talk:
    """Packets of one connection. A side that sends has seen, and acknowledges, all that came before it.

    step: bytes of payload in a packet, 0: all that is sent at once.
    """

    def __init__(self, step: int = 0, opened: bool = True, pause: int = 1000) -> None:
        self.step, self.pause = step, pause
        self.packets: list[tuple[int, bytes]] = []
        self.time = 1_700_000_000_000_000_000
        self.next = {True: 1000, False: 900_000}
        self.bytes = 0
        self.encoders = {True: hpack.Encoder(), False: hpack.Encoder()}
        if opened:
            self.packet(True, SYN)
            self.packet(False, SYN | ACK)

    def packet(self, client: bool, flags: int, payload: bytes = b"", captured: bool = True) -> None:
        """One packet; captured: the capture has it."""
        ports, ends = ((40000, 80), CLIENT + SERVER) if client else ((80, 40000), SERVER + CLIENT)
        tcp = struct.pack(">HHIIBBHHH", *ports, self.next[client], self.next[not client], 80, flags, 9000, 0, 0)
        ip = struct.pack(">BBHHHBBH", 69, 0, 40 + len(payload), 0, 0, 64, 6, 0) + ends
        self.next[client] += len(payload) + (1 if flags & (SYN | FIN) else 0)
        self.time += self.pause
        if captured:
            self.bytes += len(payload)
            self.packets.append((self.time, bytes(12) + b"\x08\0" + ip + tcp + payload))

    def say(self, client: bool, payload: bytes, captured: bool = True) -> Talk:
        step = self.step or len(payload)
        for at in range(0, len(payload), step):
            self.packet(client, ACK, payload[at : at + step], captured)
        return self

    def client(self, *frames: bytes) -> Talk:
        return self.say(True, b"".join(frames))

    def server(self, *frames: bytes) -> Talk:
        return self.say(False, b"".join(frames))

    def lose(self, client: bool, payload: bytes) -> Talk:
        """The sender says it and the peer has it, but the capture does not."""
        self.say(client, payload, captured=False)
        self.packet(not client, ACK)
        return self

    def block(self, client: bool, fields: list[tuple[str, str]]) -> bytes:
        return self.encoders[client].encode(fields)

    def hello(self) -> Talk:
        """Prefaces and SETTINGS of both sides."""
        self.client(PREFACE, settings((4, 65536)))
        self.server(settings((8, 1)), h2(SETTINGS, 1))
        return self.client(h2(SETTINGS, 1))

    def request(self, path: str, *more: tuple[str, str]) -> list[tuple[str, str]]:
        start = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":path", path)]
        return [*start, (":authority", "example.org"), ("sec-websocket-version", "13"), *more]

    def ask(self, stream: int, path: str, *more: tuple[str, str]) -> bytes:
        """The HEADERS of an extended CONNECT."""
        return h2(HEADERS, END_HEADERS, stream, self.block(True, self.request(path, *more)))

    def answer(self, stream: int, status: int = 200, *more: tuple[str, str], end: bool = False) -> bytes:
        flags = END_HEADERS | (END_STREAM if end else 0)
        return h2(HEADERS, flags, stream, self.block(False, [(":status", str(status)), *more]))

    def open(self, stream: int, path: str, *agreed: tuple[str, str]) -> Talk:
        """CONNECT and 200."""
        self.client(self.ask(stream, path, *agreed))
        return self.server(self.answer(stream, 200, *agreed))

    def end(self, flags: int = FIN) -> Talk:
        """FIN of both sides, or the client's RST."""
        self.packet(True, flags | ACK)
        if flags & FIN:
            self.packet(False, FIN | ACK)
            self.packet(True, ACK)
        return self

    def analyze(self, **options: Any) -> Any:
        """The analysis; every byte is in one cell of the ledger."""
        return analyzed(self.packets, **options)


def goodbye(talk: Talk, stream: int, code: int = 1000) -> Talk:
    """Both Closes, both END_STREAMs."""
    talk.client(data(stream, masked(CLOSE, close(code)), end=True))
    return talk.server(data(stream, frame(CLOSE, close(code)), end=True))


def analyzed(packets: list[tuple[int, bytes]], **options: Any) -> Any:
    result = analyzer.analyze([(time / 1e9, packet) for time, packet in packets], **options)
    counts = result.ledger.set_index(["unit", "kind"])["count"]
    assert ("byte", "unaccounted") not in counts.index or counts["byte", "unaccounted"] == 0
    return result
