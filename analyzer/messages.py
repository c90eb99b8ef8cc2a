"""Joins frames into messages (RFC 6455 5.4), inflates them (RFC 7692), checks text, reads Close, Ping and Pong.

Short text is checked in place, byte by byte; longer pieces and everything rare go through the libraries that do it
best: `websockets` for unmasking, `bytes.decode` and `codecs` for UTF-8, `zlib` for DEFLATE.
"""

from __future__ import annotations

import codecs
import zlib
from typing import TYPE_CHECKING, Any

from websockets.frames import apply_mask  # type: ignore[attr-defined]  # the C form where it is built

from analyzer import limits
from analyzer.heard import bad_byte, fault_of, heard_by
from analyzer.records import (
    MISSING,
    NO_TIME,
    Close,
    Connection,
    Frame,
    FramePayloadReader,
    Half,
    Message,
    Observer,
    Packet,
    Side,
)

if TYPE_CHECKING:
    import cython

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
CONTROL_MOST = 125  # payload bytes of a control frame (RFC 6455 5.5)
WHOLE_TEXT, WHOLE_BINARY = 0x81, 0x82  # first bytes of messages of one frame
IN_PLACE = 64  # masked bytes: calling the libraries costs as much as looking at so many
IGNORED, DATA = -1, 100  # what becomes of a payload, beside the control opcodes

WRAP, HALF_WRAP = 1 << 32, 1 << 31  # of sequence numbers (RFC 9293 3.4)
WINDOW = 32768  # bytes that DEFLATE may refer back to (RFC 1951)
TAIL = b"\x00\x00\xff\xff"
"""What a sender removes from the end of every compressed message (RFC 7692 7.2.1)."""


class MessageReader(FramePayloadReader):
    """One direction's messages and control frames, told to the observer as they become complete."""

    def __init__(
        self,
        packet: Packet,
        side: Side,
        frame: Frame,
        observer: Observer,
        tables: frozenset[str],
        keep_payloads: cython.bint,
    ) -> None:
        self.packet = packet
        self.side = side
        self.frame = frame
        self.message = Message()
        self.message.sender = side
        side.message = self.message
        self.observer = observer
        self.observe_frames = "frames" in tables
        self.observe_messages = "messages" in tables
        self.keep_payloads = keep_payloads
        self.unobserved = not (self.observe_frames or self.observe_messages or keep_payloads)
        self.number = 0  # of the message in hand, or of the next one
        self.inflated_limit = limits.INFLATED_MESSAGE
        self.compressed_limit = limits.COMPRESSED_MESSAGE
        self.position = 0  # in the payload of the frame, for the masking key
        self.body = 0  # payload bytes of the message so far
        self.kind = IGNORED
        self.in_message = False
        self.message_whole = True
        self.reserved = False
        self.checks_text = False
        self.text_fails = False
        self.gathers = False
        self.character = b""  # the beginning of one that the next bytes complete
        self.inflater: Any = None
        self.gathered: bytearray | None = None
        self.control = b""
        self.control_whole = True
        self.judge: Any = side.judge
        self.framing_known = side.connection.opening == "handshake"
        self.last_key = self.last_step = 0
        self.keys = 0
        self.closes_seen = 0
        self.key_told = self.keeps_first = False

    def whole(
        self,
        first: cython.int,
        masked: cython.bint,
        key: cython.uint,
        start: cython.Py_ssize_t,
        stop: cython.Py_ssize_t,
    ) -> cython.bint:
        """Takes a message of one frame in which nothing is odd, if nobody asks for more than its size."""
        side: Side = self.side
        size: cython.longlong = stop - start
        if not self.unobserved or self.number == 0 or self.in_message or masked != side.is_client or side.closes is not None:
            return False
        if first == WHOLE_TEXT:
            if not self._is_ascii(start, stop, key, 0):
                return False
        elif first != WHOLE_BINARY:
            return False
        if masked and self.judge is not None:
            self._look_at_key(key)
        self.framing_known = True
        message: Message = self.message
        message.opcode = BINARY if first == WHOLE_BINARY else TEXT
        message.packet, message.file, message.end = self.packet.number, self.packet.file, self.packet.time
        message.bytes, message.frames = size, 1
        if first == WHOLE_BINARY:
            side.binaries += 1
        self.number += 1
        side.messages += 1
        if side.bytes >= 0:
            side.bytes += size
        if side.largest < size:
            side.largest = size
        return True

    def begin(self) -> None:
        frame: Frame = self.frame
        opcode: cython.int = frame.opcode
        if self.judge is not None:
            if self._looks_odd():
                self.judge.frame(frame, self.in_message, self.framing_known)
            if frame.masked and self.judge is not None:
                self._look_at_key(frame.masking_key)
        self.position = 0
        frame.message = MISSING
        if opcode <= BINARY:
            self.kind = DATA
            if opcode != CONTINUATION or not self.in_message:
                if self.in_message:
                    self._abandon_message()
                self._begin_message()
            frame.message = self.number
        elif opcode == CLOSE or opcode == PING or opcode == PONG:
            self.kind = opcode
            self.control = b""
            self.control_whole = True
        else:
            self.kind = IGNORED

    def _looks_odd(self) -> cython.bint:
        """Whether the header may break a rule (RFC 6455 5.1 to 5.5): one quick look at every frame."""
        frame: Frame = self.frame
        side: Side = self.side
        opcode: cython.int = frame.opcode
        size: cython.int = frame.header_size - 4 if frame.masked else frame.header_size
        if frame.masked != side.is_client or side.closes is not None:
            return True
        if frame.rsv != 0 and (frame.rsv != 4 or not side.deflate or opcode == CONTINUATION or opcode > BINARY):
            return True
        if opcode > BINARY:
            return opcode < CLOSE or opcode > PONG or not frame.fin or frame.length > CONTROL_MOST or size > 2
        if size > 2 and (frame.length < 126 or (size > 4 and (frame.length < 65536 or frame.length >> 63 != 0))):
            return True
        return (opcode == CONTINUATION) != self.in_message

    def _look_at_key(self, key: cython.longlong) -> None:
        """Masking keys that are zero, the same again, or count (RFC 6455 5.3)."""
        step: cython.longlong = (key - self.last_key) & 0xFFFFFFFF
        if key == 0 or (self.keys > 0 and (step == 0 or (self.keys > 1 and step == self.last_step))):
            if not self.key_told:
                self.key_told = True
                found = "0" if key == 0 else "the same again" if step == 0 else "counting"
                if not self.judge.key(self.side, found):
                    self.judge = None
        self.last_key = key
        self.last_step = step
        if self.keys < 2:
            self.keys += 1

    def _begin_message(self) -> None:
        message: Message = self.message
        frame: Frame = self.frame
        self.in_message = True
        self.message_whole = frame.opcode != CONTINUATION  # a continuation of nothing has lost its beginning
        self.body = 0
        message.end = NO_TIME
        message.number = self.number
        message.opcode = frame.opcode
        message.frames = 0
        message.wire_bytes = 0
        message.compressed = frame.rsv & 4 and self.side.deflate
        self.reserved = frame.rsv != 0 and not message.compressed  # an extension that was not agreed: no one can tell
        self.checks_text = frame.opcode == TEXT and frame.rsv == 0
        self.text_fails = False
        if message.fault is not None:
            message.fault = None
        self.character = b""
        self.keeps_first = message.number == 0 and not message.compressed
        self.gathers = message.compressed or self.keep_payloads
        if self.gathers:
            self.gathered = bytearray()

    def payload(self, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> None:
        size: cython.longlong = stop - start
        if self.kind == DATA:
            if self.keeps_first:
                self._keep_first(start, stop)
            if self.gathers and self.body < self.compressed_limit:
                assert self.gathered is not None
                self.gathered += self._unmasked(start, stop)
            if self.checks_text:
                self._check_text(start, stop)
            self.body += size
        elif self.kind != IGNORED and self.control_whole and len(self.control) < limits.CONTROL_PAYLOAD:
            self.control += self._unmasked(start, stop)
        self.position += size

    def missing(self, size: cython.longlong) -> None:
        self.position += size
        if self.kind == DATA:
            self.body += size
            self.message_whole = False
            self.checks_text = False
            self.gathers = self.keeps_first = False
        else:
            self.control_whole = False

    def _unmasked(self, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> bytes:
        """The payload bytes in clear (RFC 6455 5.3)."""
        data: cython.const[cython.uchar][::1] = self.packet.data
        piece: bytes = bytes(data[start:stop])
        if not self.frame.masked:
            return piece
        key: bytes = self.frame.masking_key.to_bytes(4, "big")
        turn: cython.int = self.position & 3
        return apply_mask(piece, key[turn:] + key[:turn])

    def _keep_first(self, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> None:
        """Keep the beginning of the side's first message."""
        side: Side = self.side
        first: bytes = side.first if side.first is not None else b""
        side.first = first + self._unmasked(start, min(stop, start + limits.FIRST_MESSAGE - len(first)))
        self.keeps_first = len(side.first) < limits.FIRST_MESSAGE

    def _is_ascii(
        self, start: cython.Py_ssize_t, stop: cython.Py_ssize_t, key: cython.uint, position: cython.longlong
    ) -> cython.bint:
        """Whether bytes are ASCII once unmasked: their top bits equal those of the key. position: in the payload."""
        packet: Packet = self.packet
        index: cython.Py_ssize_t
        odd: cython.uint = 0
        byte: cython.uchar
        shift: cython.int
        if key == 0:
            for byte in packet.data[start:stop]:
                odd |= byte
            return odd < 128
        shift = 24 - 8 * (position & 3)
        for index in range(start, stop):
            odd |= packet.data[index] ^ (key >> shift)
            shift = shift - 8 if shift else 24
        return odd & 128 == 0

    def _check_text(self, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> None:
        """Go on checking that the whole message is UTF-8 (RFC 6455 5.6, 8.1)."""
        piece: bytes
        taken: cython.Py_ssize_t
        key: cython.uint = self.frame.masking_key
        in_place: cython.bint = key == 0 or stop - start <= IN_PLACE
        if not self.character and in_place and self._is_ascii(start, stop, key, self.position):
            return
        piece = self._unmasked(start, stop)
        if self.character:
            piece = self.character + piece
        elif piece.isascii():
            return
        try:
            _, taken = codecs.utf_8_decode(piece, "strict", False)
            self.character = piece[taken:]
        except UnicodeDecodeError as error:
            self.text_fails = True
            self.checks_text = False
            self.message.fault = bad_byte(piece, error.start, self.body - len(self.character))

    def complete(self) -> None:
        frame: Frame = self.frame
        message: Message = self.message
        if self.kind == DATA:
            message.frames += 1
            message.wire_bytes += frame.length
            if message.frames == 1:
                message.time = frame.time
                message.packet = frame.packet
                message.file = frame.file
        if self.observe_frames:
            self.observer.frame(frame)
        if self.kind == DATA:
            if frame.fin:
                self._complete_message()
        elif self.kind == CLOSE:
            self._complete_close()
        elif self.kind == PING:
            self._complete_ping()
        elif self.kind == PONG:
            self._complete_pong()

    def _complete_message(self) -> None:
        message: Message = self.message
        side: Side = self.side
        size: cython.longlong = self.body
        self.in_message = False
        message.end = self.frame.time
        message.payload = None
        message.valid = -1
        if message.compressed:
            size = self._inflate()
        else:
            if self.text_fails or (self.character and self.checks_text):
                message.valid = 0
                if message.fault is None:
                    message.fault = f"its {size} bytes end within a character"
            elif self.message_whole and not self.reserved:
                message.valid = 1
            if self.gathered is not None and self.gathers and size <= self.compressed_limit:
                message.payload = bytes(self.gathered)
        message.bytes = size
        self.framing_known = True
        if message.valid == 0 and self.judge is not None:
            self.judge.message(message, size >= 0)
        if message.opcode != CONTINUATION:
            side.messages += 1
            if message.opcode == BINARY:
                side.binaries += 1
            if size < 0 or side.bytes < 0:
                side.bytes = MISSING  # one message of unknown size leaves the sum unknown
            else:
                side.bytes += size
            if side.largest < size:
                side.largest = size
        if self.observe_messages:
            self.observer.message(message)
        self.number += 1

    def _inflate(self) -> cython.longlong:
        """Inflate the gathered message (RFC 7692 7.2.2); its size, MISSING where it can't be told."""
        gathered, self.gathered = self.gathered, None
        if not self.message_whole or gathered is None or self.body > self.compressed_limit:
            self._lose_context()
            return MISSING
        if self.inflater is None or not self.side.takeover:
            self.inflater = zlib.decompressobj(-15)
        try:
            text = self.inflater.decompress(bytes(gathered) + TAIL, self.inflated_limit)
        except zlib.error as error:
            self.message.valid = -1 if self.side.context_lost else 0
            if self.message.valid == 0:
                self.message.fault = str(error).rpartition(": ")[2]
            self._lose_context()
            return MISSING
        if self.inflater.eof:  # a block with BFINAL set ended the stream; the next message needs a new one
            self.inflater = zlib.decompressobj(-15, zdict=text[max(0, len(text) - WINDOW) :])
        elif len(text) >= self.inflated_limit:
            self._lose_context()
            return MISSING
        if self.message.number == 0:
            self.side.first = text[: limits.FIRST_MESSAGE]
        self.message.valid = 1
        if self.message.opcode == TEXT and (fault := fault_of(text)) is not None:
            self.message.valid = 0
            self.message.fault = fault
        if self.keep_payloads:
            self.message.payload = text
        return len(text)

    def _lose_context(self) -> None:
        """What later messages may refer back to is not known: those that refer to nothing before themselves, or before
        others that were inflated since, can still be inflated. DEFLATE itself notices the rest (RFC 1951 2: no distance
        goes beyond what there is)."""
        self.inflater = None
        self.side.context_lost = self.side.takeover

    def _abandon_message(self) -> None:
        """The message under way never became complete."""
        message: Message = self.message
        self.in_message = False
        message.end = NO_TIME
        message.valid = -1
        message.bytes = MISSING
        message.payload = None
        if message.compressed:
            self._lose_context()
        self.gathered = None
        if self.side.largest < self.body:
            self.side.largest = self.body
        if self.observe_messages and message.frames:
            self.observer.message(message)
        self.number += 1

    def give_up(self) -> None:
        if self.in_message:
            if self.kind == DATA and self.frame.length > self.position and self.position >= 0:
                self._count_declared()
            self._abandon_message()
        if self.side.deflate:
            self._lose_context()
        self.kind = IGNORED
        self.framing_known = False
        self.keys = 0

    def _count_declared(self) -> None:
        """The declared length counts for a message that was cut off."""
        length: object = self.frame.length  # 64 bits without a sign: no C sum holds it
        declared = length + self.body - self.position  # type: ignore[operator]
        if declared < 1 << 63:
            self.body = declared

    def _complete_close(self) -> None:
        """RFC 6455 5.5.1: an optional code of two bytes, then a reason."""
        side: Side = self.side
        frame: Frame = self.frame
        connection: Connection = side.connection
        peer: Side = side.peer
        close: Close = Close(side)
        body: bytes = self.control
        half: Half | None = side.half
        theirs: Half
        beyond: cython.longlong
        close.size = frame.length
        close.cut = len(body) < close.size
        if len(body) >= 2:
            close.code = int.from_bytes(body[:2], "big")
            close.reason = body[2:]
        elif frame.length:
            close.code = MISSING
        close.time, close.packet, close.file = frame.time, frame.packet, frame.file
        close.end_lost = frame.end_lost
        close.begin = side.source.transport_offset(frame.begin)
        close.end = side.source.transport_offset(frame.finish - 1) + 1
        if half is not None:
            theirs = peer.half
            close.after_peer_fin = theirs.finished  # not its END_STREAM: who no longer reads sends RST_STREAM
            close.after_peer_reset = theirs.was_reset or peer.source.was_reset
            if half.acknowledges and theirs.known:
                beyond = half.acknowledgment
                beyond = (beyond - theirs.origin - theirs.offset) % WRAP
                if beyond >= HALF_WRAP:
                    beyond -= WRAP
                close.acknowledged = theirs.offset + beyond
        if _may_be_about_peer(close):
            close.heard = heard_by(side, close.acknowledged)
        if side.closes is None:
            side.closes = []
        if len(side.closes) < limits.CLOSES_KEPT:
            side.closes.append(close)
            self.observer.close(close)
        self.closes_seen += 1
        if self.judge is not None and not (self.closes_seen == 1 and _is_usual(close)):
            self.judge.close(close, self.closes_seen)
        connection.begin_ending(frame.time)

    def _complete_ping(self) -> None:
        side: Side = self.side
        side.pings += 1
        if side.ping_times is None:
            side.ping_times = []
        elif len(side.ping_times) == limits.PING_TIMES:
            del side.ping_times[0]
        side.ping_times.append(self.frame.time)
        if side.outstanding_pings is None:
            side.outstanding_pings = []
        if len(side.outstanding_pings) == limits.OUTSTANDING_PINGS:
            del side.outstanding_pings[0]
            side.unanswered_pings += 1
        if self.control_whole:
            side.outstanding_pings.append((self.frame.time, self.control, self.frame.packet, self.frame.file))

    def _complete_pong(self) -> None:
        """A Pong answers the latest Ping with its bytes and all earlier ones of that side (RFC 6455 5.5.3)."""
        peer: Side = self.side.peer
        pings: list[tuple[int, bytes, int, int]] | None = peer.outstanding_pings
        if not pings or not self.control_whole:
            return
        body: bytes = self.control
        index: cython.Py_ssize_t
        for index in range(len(pings) - 1, -1, -1):
            if pings[index][1] == body:
                if peer.round_trips is None:
                    peer.round_trips = []
                if pings[index][0] != NO_TIME and self.frame.time != NO_TIME:
                    peer.round_trips.append(self.frame.time - pings[index][0])
                    offset = self.side.source.transport_offset(self.frame.finish - 1) + 1
                    ping, pong = pings[index], (self.frame.time, self.frame.packet, self.frame.file, offset)
                    peer.answered = (ping[0], ping[2], ping[3], *pong)
                del pings[: index + 1]
                peer.unanswered_pings = 0
                return


def _is_usual(close: Close) -> cython.bint:
    """Nothing in the body needs a closer look (RFC 6455 5.5.1, 7.4)."""
    code: cython.longlong = close.code
    if close.size == 0:
        return True
    if close.size > CONTROL_MOST or close.cut or not close.reason.isascii():
        return False
    return 3000 <= code < 5000 or 1000 <= code <= 1003 or (1007 <= code <= 1014 and code != 1010)


def _may_be_about_peer(close: Close) -> cython.bint:
    """Its code or reason may speak of what the other side did: not an ordinary end, nor an echo."""
    sender: Side = close.sender
    theirs: list[Close] | None = sender.peer.closes
    if sender.closes or (theirs and theirs[0].code == close.code):
        return False
    if close.code == 0 or close.code == 1000 or close.code == 1001:
        return sender.pings > 0 and len(close.reason) > 0
    return True
