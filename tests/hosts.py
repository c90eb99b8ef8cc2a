"""A client and a server whose packets go into a capture: odd ones are told exactly, the others in order."""

from __future__ import annotations

import struct
from typing import Any

from conversation import CLOSE, KEY, frame
from invariants import analyzed
from mutations import Captured, written

FIN, SYN, RST, PUSH, ACK = 1, 2, 4, 8, 16
SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
REQUEST = (
    b"GET /odd HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
BYE = b"\x03\xe8bye"


class Hosts:
    """A client and a server whose packets go into a capture, a millisecond apart."""

    def __init__(self, port: int = 40000, addresses: bytes = b"\x0a\0\0\x01\x0a\0\0\x02") -> None:
        self.packets: list[Captured] = []
        self.port, self.addresses = port, addresses
        self.next = {"client": 1000, "server": 0xFFFFFFF0}
        self.time = START

    def packet(self, who: str, sequence: int, data: bytes = b"", flags: int = ACK, ttl: int = 64) -> Hosts:
        """A packet exactly so; its checksums are left to the network card."""
        peer = "server" if who == "client" else "client"
        addresses, source, destination = self.addresses, self.port, 80
        if who == "server":
            addresses, source, destination = addresses[4:] + addresses[:4], destination, source
        acknowledgment = self.next[peer] if flags & ACK else 0
        tcp = struct.pack("!HHII", source, destination, sequence % 2**32, acknowledgment % 2**32)
        tcp += struct.pack("!BBHHH", 0x50, flags, 502, 0, 0)
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 40 + len(data), 1, 0x4000, ttl, 6, 0) + addresses
        content = bytes(12) + b"\x08\0" + ip + tcp + data
        self.time += SECOND // 1000
        self.packets.append(Captured(self.time, content, len(content)))
        return self

    def say(self, who: str, data: bytes = b"", flags: int = ACK | PUSH, ttl: int = 64) -> Hosts:
        """The next bytes of a side, in order."""
        self.packet(who, self.next[who], data, flags, ttl)
        self.next[who] = (self.next[who] + len(data) + (flags & SYN > 0) + (flags & FIN > 0)) % 2**32
        return self

    def open(self) -> Hosts:
        """The handshakes of TCP and of the WebSocket."""
        self.say("client", flags=SYN).say("server", flags=SYN | ACK).say("client", flags=ACK)
        return self.say("client", REQUEST).say("server", ANSWER)

    def close(self) -> Hosts:
        """Both Closes and both FINs."""
        self.say("client", frame(CLOSE, BYE, key=KEY)).say("server", frame(CLOSE, BYE))
        return self.say("server", flags=FIN | ACK).say("client", flags=FIN | ACK).say("server", flags=ACK)

    def result(self) -> Any:
        """The analysis of all packets so far."""
        result = analyzed(written(self.packets))
        assert result is not None and result._account.packets == len(self.packets)
        return result

    def row(self) -> Any:
        """The only connection."""
        rows = self.result().connections
        assert len(rows) == 1
        return rows.iloc[0]
