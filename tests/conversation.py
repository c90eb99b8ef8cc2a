"""Helpers of the frame and message tests: builds frames (RFC 6455 5.2), feeds them to the two stages in any pieces."""

from __future__ import annotations

import struct

from analyzer.frames import FrameReader
from analyzer.messages import MessageReader
from analyzer.records import END_CAPTURE, Connection, Flow, Frame, Half, Observer, Packet
from analyzer.room import Room

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
KEY = b"\x11\x92\x33\xf4"


def frame(opcode, payload=b"", fin=True, rsv=0, key=None, length=None):
    """The bytes of one frame; masked when a key is given; `length` declares another length than the payload's."""
    length = len(payload) if length is None else length
    first, mask = (fin << 7) | (rsv << 4) | opcode, 0x80 if key else 0
    if length < 126:
        head = struct.pack("!BB", first, mask | length)
    elif length < 65536:
        head = struct.pack("!BBH", first, mask | 126, length)
    else:
        head = struct.pack("!BBQ", first, mask | 127, length)
    if key:
        payload = bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))
    return head + (key or b"") + payload


class Seen(Observer):
    """Keeps what it is told, as plain tuples."""

    def __init__(self):
        self.frames, self.messages, self.closes = [], [], []

    def frame(self, frame):
        sender = "client" if frame.sender.is_client else "server"
        self.frames.append(
            (sender, frame.opcode, frame.fin, frame.rsv, frame.masked, frame.length, frame.captured,
             frame.stream_offset, frame.message)
        )

    def message(self, message):
        self.messages.append(
            (message.opcode, message.frames, message.wire_bytes, message.bytes, message.valid, message.payload)
        )

    def close(self, close):
        self.closes.append(("client" if close.sender.is_client else "server", close.code, close.reason))


class Talk:
    """One WebSocket connection, past its handshake."""

    def __init__(self, deflate=False, takeover=True, payloads=True, judge=None):
        self.packet, self.seen, self.connection, self.flow = Packet(), Seen(), Connection(), Flow()
        tables, self.room = frozenset(("frames", "messages")), Room(1 << 40)
        for side, half in ((self.connection.client, self.flow.low), (self.connection.server, self.flow.high)):
            side.source = side.half = half
            side.deflate, side.takeover, side.judge = deflate, takeover, judge
            half.known = True
            record = Frame()
            reader = MessageReader(self.packet, side, record, self.seen, tables, payloads, self.room)
            half.reader = FrameReader(self.packet, half, side, record, reader, self.room)
        self.client, self.server = self.connection.client, self.connection.server

    def say(self, who, data, step=0, time=None):
        """Feed bytes of one side, `step` at a time (0: whole), each piece in a packet of its own."""
        half: Half = self.flow.low if who == "client" else self.flow.high
        for at in range(0, len(data), step or max(len(data), 1)):
            piece = data[at : at + (step or len(data))]
            self.packet.number += 1
            self.packet.time = time if time is not None else self.packet.number * 1000
            self.packet.data = b"before" + piece + b"behind"
            half.next = (half.next + len(piece)) % 2**32
            half.reader.data(6, 6 + len(piece))
            half.offset += len(piece)

    def lose(self, who, size):
        half = self.flow.low if who == "client" else self.flow.high
        half.next = (half.next + size) % 2**32
        half.reader.gap(size, False)
        half.offset += size

    def end(self):
        for half in (self.flow.low, self.flow.high):
            half.reader.end(END_CAPTURE)
