"""Joins frames into messages (RFC 6455 5.4), inflates them (RFC 7692), checks text, reads Close, Ping and Pong.

Text is checked where it lies. What must be unmasked, inflated or kept goes through the libraries that do it best:
`websockets` for unmasking, `zlib` for DEFLATE, `bytes.decode` for what was inflated.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

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
from analyzer.room import Room
from analyzer.utf8 import after

if TYPE_CHECKING:
    import cython

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
CONTROL_MOST = 125  # payload bytes of a control frame (RFC 6455 5.5)
WHOLE_TEXT, WHOLE_BINARY = 0x81, 0x82  # first bytes of messages of one frame
SMALL_MESSAGE, FEW_PINGS = 2048, 16  # bytes gathered, and Pings, that every open connection may take
PING_COST = 250  # bytes of memory for an unanswered Ping
IN_PLACE = 64  # bytes to unmask: calling the libraries costs as much as looking at so many
IGNORED, DATA = -1, 100  # what becomes of a payload, beside the control opcodes

LOW_32 = (1 << 32) - 1
WINDOW = 32768  # bytes that DEFLATE may refer back to (RFC 1951)
WINDOW_PIECE = 64
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
        room: Room,
    ) -> None:
        self.packet = packet
        self.side = side
        self.frame = frame
        self.message = Message()
        self.message.sender = side
        side.message = self.message
        self.observer = observer
        self.room = room
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
        self.text = 0  # what the text so far leaves open, see utf8.after
        self.gathers = self.weighed = False
        self.inflater: Any = None
        self.strict: Any = None  # inflates within the agreed window alone, while that can be told
        self.checks_window = True
        self.gathered: bytearray | None = None
        self.control = b""
        self.control_whole = True
        self.judge: Any = side.judge
        self.framing_known = side.connection.opening == "handshake"
        self.last_key = self.last_step = 0
        self.keys = 0
        self.key_told = self.keeps_start = False
        self.pulse: Any = side.connection.pulse
        self.beat_limit = limits.HEARTBEAT
        self.start = b""  # of the message in hand, in clear, where it is kept
        self.apply_mask: Any = None  # loaded when it is needed: that takes as long as reading 100 000 packets

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
        if not self.unobserved or self.in_message or masked != side.is_client or side.closes is not None:
            return False
        if self.number == 0 or (self.pulse is not None and size <= self.beat_limit):  # its beginning is kept
            return False
        if first == WHOLE_TEXT:
            if after(0, self.packet, start, stop, key, 0) != 0:
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
        step: cython.longlong = (key - self.last_key) & LOW_32
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
        self.text = 0
        if message.fault is not None:
            message.fault = None
        self.keeps_start = (message.number == 0 or self.pulse is not None) and not message.compressed
        if self.keeps_start:
            self.start = b""
        self.gathers = message.compressed or self.keep_payloads
        if self.gathers:
            self.gathered = bytearray()

    def payload(self, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> None:
        size: cython.longlong = stop - start
        if self.kind == DATA:
            if self.keeps_start:
                self._keep_start(start, stop)
            if self.gathers and self.body < self.compressed_limit:
                assert self.gathered is not None
                self.gathered += self._unmasked(start, stop)
                if len(self.gathered) > SMALL_MESSAGE:
                    self.weighed = True
                    self.room.weigh(self, len(self.gathered), MessageReader.give_way)
            if self.checks_text:
                self._check_text(start, stop)
            self.body += size
        elif self.kind != IGNORED and self.control_whole and len(self.control) < limits.CONTROL_PAYLOAD:
            self.control += self._unmasked(start, stop)
        self.position += size

    def give_way(self) -> None:
        """Too much is kept in all: this message is not gathered any further."""
        self.gathers = False
        self.gathered = None

    def missing(self, size: cython.longlong) -> None:
        self.position += size
        if self.kind == DATA:
            self.body += size
            self.message_whole = False
            self.checks_text = False
            self.gathers = self.keeps_start = False
        else:
            self.control_whole = False

    def _unmasked(self, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> bytes:
        """The payload bytes in clear (RFC 6455 5.3)."""
        data: cython.const[cython.uchar][::1] = self.packet.data
        size: cython.Py_ssize_t = stop - start
        masked: cython.bint = self.frame.masked
        if size <= IN_PLACE:
            return self._unmasked_in_place(start, size)
        piece: bytes = bytes(data[start:stop])
        if not masked:
            return piece
        if self.apply_mask is None:
            from websockets.frames import apply_mask  # type: ignore[attr-defined]  # the C form where it is built

            self.apply_mask = apply_mask
        key: bytes = self.frame.masking_key.to_bytes(4, "big")
        turn: cython.int = self.position & 3
        clear: bytes = self.apply_mask(piece, key[turn:] + key[:turn])
        return clear

    def _unmasked_in_place(self, start: cython.Py_ssize_t, size: cython.Py_ssize_t) -> bytes:
        """The same for a few bytes."""
        data: cython.const[cython.uchar][::1] = self.packet.data
        clear: bytearray = bytearray(size)
        key: cython.uint = self.frame.masking_key if self.frame.masked else 0
        shift: cython.int = 24 - 8 * (self.position & 3)
        index: cython.Py_ssize_t
        for index in range(size):
            clear[index] = data[start + index] ^ (key >> shift & 255)
            shift = shift - 8 if shift else 24
        return bytes(clear)

    def _keep_start(self, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> None:
        """Keep the beginning of the message, if it is the side's first one for good."""
        self.start += self._unmasked(start, min(stop, start + limits.FIRST_MESSAGE - len(self.start)))
        self.keeps_start = len(self.start) < limits.FIRST_MESSAGE
        if self.message.number == 0:
            self.side.first = self.start

    def _tell_pulse(self, size: cython.longlong) -> None:
        """A message that may be a heartbeat of the application, or tell which one it is."""
        frame: Frame = self.frame
        pulse: Any = self.pulse
        if (size > self.beat_limit or size < 0) and self.number > 0:
            return
        end: cython.longlong = self.side.source.transport_offset(frame.finish - 1) + 1
        place = (frame.time, frame.packet, frame.file)
        if not pulse.message(self.side, self.number, self.start, place, end):
            self.pulse = None

    def _check_text(self, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> None:
        """Go on checking that the whole message is UTF-8 (RFC 6455 5.6, 8.1)."""
        before: cython.int = self.text
        self.text = after(before, self.packet, start, stop, self.frame.masking_key, self.position & 3)
        if self.text < 0:
            self.checks_text = False
            self._tell_fault(before, start, stop)

    def _tell_fault(self, state: cython.int, start: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> None:
        """Find the byte at which the text is no longer UTF-8; state: what the text before leaves open."""
        index: cython.Py_ssize_t
        turn: cython.longlong
        for index in range(start, stop):
            turn = (self.position + index - start) & 3
            state = after(state, self.packet, index, index + 1, self.frame.masking_key, turn)
            if state < 0:
                self.message.fault = bad_byte(self._unmasked(start, stop), index - start, self.body)
                return

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
        self._end_message()
        message.end = self.frame.time
        message.payload = None
        message.valid = -1
        if message.compressed:
            size = self._inflate()
        else:
            if self.text < 0 or (self.text and self.checks_text):
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
            if self.pulse is not None and self.message_whole:
                self._tell_pulse(size)
        if self.observe_messages:
            self.observer.message(message)
        self.number += 1

    def _end_message(self) -> None:
        self.in_message = False
        if self.weighed:
            self.weighed = False
            self.room.weigh(self, 0, MessageReader.give_way)

    def _inflate(self) -> cython.longlong:
        """Inflate the gathered message (RFC 7692 7.2.2); its size, MISSING where it can't be told."""
        gathered, self.gathered = self.gathered, None
        if not self.message_whole or gathered is None or self.body > self.compressed_limit:
            self._lose_context()
            return MISSING
        if self.inflater is None or not self.side.takeover:
            self.inflater = zlib.decompressobj(-15)
        data: bytes = bytes(gathered) + TAIL
        try:
            text = self.inflater.decompress(data, self.inflated_limit)
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
        if self.checks_window and self.judge is not None and self._reaches_too_far(data):
            self.judge.distance(self.message)
        self.start = text[: limits.FIRST_MESSAGE]
        if self.message.number == 0:
            self.side.first = self.start
        self.message.valid = 1
        if self.message.opcode == TEXT and (fault := fault_of(text)) is not None:
            self.message.valid = 0
            self.message.fault = fault
        if self.keep_payloads:
            self.message.payload = text
        return len(text)

    def _reaches_too_far(self, data: bytes) -> cython.bint:
        """Whether a compressed message refers back beyond the agreed window (RFC 7692 7.1.2), but for WINDOW_PIECE
        bytes that are let pass; told once of a side."""
        side: Side = self.side
        self.checks_window = side.window_bits < 15 and not side.context_lost
        if not self.checks_window:
            return False
        if self.strict is None or not side.takeover:
            self.strict = zlib.decompressobj(-side.window_bits)
        strict: Any = self.strict
        try:
            while True:
                piece: bytes = strict.decompress(data, WINDOW_PIECE)
                data = strict.unconsumed_tail
                if len(piece) < WINDOW_PIECE and not data:
                    break
        except zlib.error:
            self.checks_window = False
            return True
        self.checks_window = not strict.eof
        return False

    def _lose_context(self) -> None:
        """What later messages may refer back to is not known: those that refer to nothing before themselves, or before
        others that were inflated since, can still be inflated. DEFLATE itself notices the rest (RFC 1951 2: no distance
        goes beyond what there is)."""
        self.inflater = None
        self.side.context_lost = self.side.takeover

    def _abandon_message(self) -> None:
        """The message under way never became complete."""
        message: Message = self.message
        self._end_message()
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
        if self.side.outstanding_pings:
            self.room.weigh(self.side, 0, _forget_pings)
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
        close.size = frame.length
        close.cut = len(body) < close.size
        if len(body) >= 2:
            close.code = int.from_bytes(body[:2], "big")
            close.reason = body[2:]
        elif frame.length:
            close.code = MISSING
        close.time, close.packet, close.file = frame.time, frame.packet, frame.file
        close.begin = side.source.transport_offset(frame.begin)
        close.end = side.source.transport_offset(frame.finish - 1) + 1
        if half is not None:
            theirs = peer.half
            close.after_peer_fin = theirs.finished  # not its END_STREAM: who no longer reads sends RST_STREAM
            close.after_peer_reset = theirs.was_reset or peer.source.was_reset
            if half.acknowledges and theirs.known:
                close.acknowledged = theirs.place_of(half.acknowledged_in(self.packet))
        if _may_be_about_peer(close):
            close.heard = heard_by(side, close.acknowledged)
        if side.closes is None:
            side.closes = [close]  # of one item: most sides send one, and thousands of connections wait with it
            self.observer.close(close)
        elif len(side.closes) < limits.CLOSES_KEPT:
            side.closes.append(close)
            self.observer.close(close)
        side.closes_seen += 1
        if self.judge is not None and not (side.closes_seen == 1 and _is_usual(close)):
            self.judge.close(close, side.closes_seen)
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
        if self.control_whole and len(self.control) <= CONTROL_MOST:
            side.outstanding_pings.append((self.frame.time, self.control, self.frame.packet, self.frame.file))
            if len(side.outstanding_pings) > FEW_PINGS:
                self.room.weigh(side, PING_COST * len(side.outstanding_pings), _forget_pings)

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
                if pings[index][0] != NO_TIME and self.frame.time != NO_TIME:
                    _note_round_trip(peer, self.frame.time - pings[index][0])
                    offset = self.side.source.transport_offset(self.frame.finish - 1) + 1
                    ping, pong = pings[index], (self.frame.time, self.frame.packet, self.frame.file, offset)
                    peer.answered = (ping[0], ping[2], ping[3], *pong)
                weighed: cython.bint = len(pings) > FEW_PINGS
                del pings[: index + 1]
                if weighed:
                    left: cython.Py_ssize_t = len(pings) if len(pings) > FEW_PINGS else 0
                    self.room.weigh(peer, PING_COST * left, _forget_pings)
                peer.unanswered_pings = 0
                return


def _note_round_trip(side: Side, time: cython.longlong) -> None:
    """A Ping was answered after so long. Of many, every second, fourth ... is kept, for their median."""
    trips: list[int] | None = side.round_trips
    if trips is None:
        trips = side.round_trips = []
    if side.round_trips_seen % side.round_trips_apart == 0:
        if len(trips) == limits.ROUND_TRIPS:
            del trips[1::2]
            side.round_trips_apart *= 2
        if side.round_trips_seen % side.round_trips_apart == 0:
            trips.append(time)
    side.round_trips_seen += 1
    side.longest_round_trip = max(side.longest_round_trip, time)


def _forget_pings(side: Side) -> None:
    """Too much is kept in all: which Pings these were is let go, so no Pong answers them."""
    if side.outstanding_pings:
        side.unanswered_pings += len(side.outstanding_pings)
        side.outstanding_pings.clear()


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
