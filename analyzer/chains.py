"""Finds where frames (RFC 6455 5.2) begin in bytes whose beginning is missing.

Any two bytes may look like a header, so one is believed only in a chain: each frame's length leads to the next legal
header. What a chain shows is weighed in bits, each halving the chance that other bytes look like it, against the
number of places where one could have begun. Nothing is known of the bytes before: a chain may begin within a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer import limits
from analyzer.records import Half, Moment, Packet, Reader, Source

if TYPE_CHECKING:
    import cython

DEAD, WAITING, FOUND = 0, 1, 2  # what comes of a place where a frame may begin
PLAIN, HOLE, BEGINNING = 0, 1, 2  # what a byte is: inside a segment; not captured; from 2 on: bits by beginning one

HEADERS = 3  # frames in a row that a chain has at least, where the end of the stream does not bear it out
ENOUGH = 22  # bits beyond those of the place: one chain in four million is chance
ENOUGH_AT_END = 17  # a chain that ends where the stream does, its END_BITS among them
OWN = 8  # bits beyond those of the place after which a frame of a chain is itself no chance: the ones before are left
HEADER_BITS, FRAGMENT_BITS, EMPTY_BITS = 6, 3, 1  # of 256 first bytes 7 are legal, and one of two mask bits
FIRST_BEGINNING_BITS, BEGINNING_BITS = 6, 4  # at most, where a segment begins with the frame: it has that many places
END_BITS = 7  # the last length leads to the very end
REGISTERED_BITS, PRIVATE_BITS = 14, 7  # a Close with one of 12 codes, or one of 2000 (RFC 6455 7.4)
TEXT_MASKED_BITS, TEXT_BITS = 12, 4  # at most, for text that is UTF-8
COMPARED, FRAMES_COMPARED = 64, 32  # bytes of a frame, and frames of a chain, that others are compared with
TEXT_LOOKED_AT = 2048  # bytes of a frame's text that are looked at
LIMIT = limits.SEARCHED_BYTES
PIECE_COST, WAITING_COST = 300, 130  # bytes of memory for a piece and its moment, beside its own; for a place

Piece = tuple[int, int, int, Moment | None, bool]  # start, stop, stream offset, its moment (None: missing), cut
Rest = tuple[bytes, int, Moment | None, int, bool]  # content, stream offset, its moment (None: missing), size, cut


def bits(number: cython.Py_ssize_t) -> cython.int:
    """How many binary digits a number has."""
    count: cython.int = 0
    while number > 0:
        number >>= 1
        count += 1
    return count


class Chains:
    """Bytes of one direction after a hole, kept until it is known where frames begin in them.

    masked: the mask bit that its frames have (RFC 6455 5.1), -1 when that is not known; deflate: RSV1 may be set
    (RFC 7692 6). enough: the weight at which a chain is believed, ENOUGH unless more is asked for.
    After FOUND: begins, the place of the first frame; weight, frames, opcodes (bit n: opcode n), masks, text (bits by
    text), borne_out (the chain itself was enough, not the end of the stream).
    """

    def __init__(self, masked: cython.int, deflate: cython.bint) -> None:
        self.masked = masked
        self.deflate = deflate
        self.enough = ENOUGH
        self.content = bytearray()
        self.kinds = bytearray()
        self.pieces: list[Piece] = []
        self.waiting: list[tuple[int, int]] = []  # places whose chains go on beyond what is there, and to where
        self.tried: cython.Py_ssize_t = 0
        self.needed: cython.Py_ssize_t = 0
        self.captured: cython.longlong = 0
        self.begins: cython.Py_ssize_t = -1
        self.weight = self.frames = self.opcodes = self.masks = self.text = 0
        self.borne_out = self.closed = self.fin = self.plain_text = False
        self.state = -1  # of the message in the chain in hand: 1 inside one, 0 between, -1 not known
        self.opcode = self.header = self.length = 0  # of the frame in hand

    def add(
        self,
        data: cython.const[cython.uchar][::1],
        start: cython.Py_ssize_t,
        stop: cython.Py_ssize_t,
        offset: cython.longlong,
        moment: Moment,
    ) -> cython.longlong:
        """Keep data[start:stop], which came at stream offset `offset` in the packet of `moment`.

        Returns how many captured bytes had to be let go to make room.
        """
        at: cython.Py_ssize_t = len(self.content)
        size: cython.Py_ssize_t = stop - start
        if size <= 0:
            return 0
        self.content += bytes(data[start:stop])
        self.kinds += bytes(size)
        self.kinds[at] = BEGINNING + min(FIRST_BEGINNING_BITS, bits(size) - 1)
        self.pieces.append((at, at + size, offset, moment, False))
        self.captured += size
        return self._make_room()

    def missing(self, size: cython.longlong, offset: cython.longlong, cut: cython.bint) -> cython.longlong:
        """`size` bytes at stream offset `offset` are not in the capture. Returns as `add`.

        A hole larger than what is kept ends the search before it, and a new one begins.
        """
        at: cython.Py_ssize_t = len(self.content)
        if size >= LIMIT:
            return self.forget()
        if size <= 0:
            return 0
        self.content += bytes(size)
        self.kinds += b"\x01" * size
        self.pieces.append((at, at + size, offset, None, cut))
        return self._make_room()

    def forget(self) -> cython.longlong:
        """Let everything go; how many captured bytes that was."""
        captured: cython.longlong = self.captured
        self.content = bytearray()
        self.kinds = bytearray()
        self.pieces = []
        self.waiting = []
        self.tried = self.needed = 0
        self.captured = 0
        return captured

    def cost(self) -> cython.longlong:
        """Memory that is taken, in bytes, about: many small pieces cost more than their bytes."""
        size: cython.longlong = len(self.content)
        return 2 * size + PIECE_COST * len(self.pieces) + WAITING_COST * len(self.waiting)

    def _make_room(self) -> cython.longlong:
        """Let the older half go when there is too much: no chain was found that begins in it."""
        size: cython.Py_ssize_t = len(self.content)
        gone: cython.longlong = 0
        cut: cython.Py_ssize_t
        if size <= LIMIT:
            return 0
        cut = size - LIMIT // 2
        kept: list[Piece] = []
        for start, stop, offset, moment, lost in self.pieces:
            if moment is not None:
                gone += max(0, min(stop, cut) - start)
            if stop > cut:
                again = max(start, cut)
                kept.append((again - cut, stop - cut, offset + again - start, moment, lost))
        self.pieces = kept
        del self.content[:cut]
        del self.kinds[:cut]
        self.waiting = [(place - cut, needed - cut) for place, needed in self.waiting if place >= cut]
        self.tried = max(0, self.tried - cut)
        self.captured -= gone
        return gone

    def look(self, ended: cython.bint) -> cython.bint:
        """Is it known where frames begin? ended: no more bytes come, the last frame ends with them."""
        size: cython.Py_ssize_t = len(self.content)
        waiting: list[tuple[int, int]] = self.waiting
        self.waiting = []
        for place, needed in waiting:
            if size < needed and not ended:
                self.waiting.append((place, needed))
            elif self._try(place, ended):
                return True
        while self.tried < size:
            if self._may_begin(self.tried) and self._try(self.tried, ended):
                return True
            self.tried += 1
        self.begins = -1
        return False

    def _try(self, place: cython.Py_ssize_t, ended: cython.bint) -> cython.bint:
        """Follow the chain at a place; True when it is believed."""
        what: cython.int = self.walk(place, ended)
        if what == WAITING:
            self.waiting.append((place, self.needed))
        return what == FOUND

    def _may_begin(self, place: cython.Py_ssize_t) -> cython.bint:
        """A quick look at the first byte: a known opcode, legal reserved bits, and no fragment of a control frame."""
        first: cython.int = self.content[place]
        opcode: cython.int = first & 15
        if self.kinds[place] == HOLE or first & 0x30:
            return False
        if opcode > 2 and (opcode < 8 or opcode > 10 or first & 0x80 == 0):
            return False
        return first & 0x40 == 0 or (self.deflate and (opcode == 1 or opcode == 2))

    def walk(self, place: cython.Py_ssize_t, ended: cython.bint) -> cython.int:
        """Follow the chain that begins at `place`, as far as is needed to believe it: DEAD, WAITING or FOUND."""
        size: cython.Py_ssize_t = len(self.content)
        at: cython.Py_ssize_t = place
        trials: cython.int = bits(place)
        what: cython.int
        own: cython.int
        text: cython.int
        again: cython.bint
        seen: list[bytes] = []
        self.weight = self.frames = self.opcodes = self.text = 0
        self.masks = self.masked
        self.state = -1
        self.closed = False
        self.begins = -1
        self.borne_out = True
        while at < size:
            what = self._header(at, size)
            if what != FOUND:
                return self._wait(place, self.needed, ended) if what == WAITING else DEAD
            self.frames += 1
            self.opcodes |= 1 << self.opcode
            again = self._repeats(at, seen)
            own = 0
            if not again:
                own = HEADER_BITS if self.fin else FRAGMENT_BITS if self.opcode else EMPTY_BITS
            if self.kinds[at] >= BEGINNING:
                own += min(self.kinds[at] - BEGINNING, FIRST_BEGINNING_BITS if at == place else BEGINNING_BITS)
            if size - at - self.header < self.length:
                self._weigh(own, trials, at)
                if self._believed(trials):
                    return FOUND
                return DEAD if self.length > LIMIT else self._wait(place, at + self.header + self.length, ended)
            text = self.text
            what = self._weigh_payload(at + self.header)
            if what < 0:
                return DEAD
            if again:
                self.text = text
                what = 0
            self._weigh(own + what, trials, at)
            if self._believed(trials):
                return FOUND
            at += self.header + self.length
        return self._at_end(place, trials, ended)

    def _repeats(self, at: cython.Py_ssize_t, seen: Any) -> cython.bint:
        """Is this frame one of the chain again? Payload that repeats itself looks like many frames, and proves no more
        than one of them: a client's would not even have one masking key (RFC 6455 5.3)."""
        stop: cython.Py_ssize_t = at + min(self.header + self.length, COMPARED)
        frame: bytes = bytes(self.content[at:stop])
        if frame in seen:
            return True
        if len(seen) < FRAMES_COMPARED:
            seen.append(frame)
        return False

    def _believed(self, trials: cython.int) -> cython.bint:
        return self.frames >= HEADERS and self.weight >= self.enough + trials and self.begins >= 0

    def _header(self, at: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.int:
        """Read the header at a place: FOUND when it is legal there, WAITING for `needed` bytes, or DEAD."""
        content: bytearray = self.content
        index: cython.Py_ssize_t
        second: cython.int
        if not self._may_begin(at):
            return DEAD
        self.needed = at + 2
        if size < self.needed:
            return WAITING
        second = content[at + 1]
        self.fin = content[at] & 0x80 != 0
        self.opcode = content[at] & 15
        self.plain_text = content[at] & 0x4F == 1
        self.header = 2 if second & 127 < 126 else 4 if second & 127 == 126 else 10
        self.header += 4 if second & 128 else 0
        if self.masks < 0:
            self.masks = second >> 7
        if self.masks != second >> 7 or not self._follows(second & 127):
            return DEAD
        self.needed = at + self.header
        if size < self.needed:
            return WAITING
        for index in range(at, self.needed):
            if self.kinds[index] == HOLE:
                return DEAD
        return FOUND if self._measure(at + 2, second & 127) else DEAD

    def _follows(self, length: cython.int) -> cython.bint:
        """May such a frame stand here (RFC 6455 5.4, 5.5)? No data frame comes after a Close (5.5.1)."""
        if self.opcode >= 8:
            return length < 126
        if self.closed or (self.state == 1 and self.opcode != 0) or (self.state == 0 and self.opcode == 0):
            return False
        self.state = 0 if self.fin else 1
        return True

    def _measure(self, at: cython.Py_ssize_t, length: cython.int) -> cython.bint:
        """Read the payload's length: in the fewest bytes (RFC 6455 5.2), and no fragment of nothing: zeros look so."""
        content: bytearray = self.content
        index: cython.Py_ssize_t
        self.length = length
        if length == 126:
            self.length = 256 * content[at] + content[at + 1]
            return self.length >= 126
        if length == 127:
            if content[at] | content[at + 1] | content[at + 2] | content[at + 3]:
                return False  # 4 GiB and more
            self.length = 0
            for index in range(at + 4, at + 8):
                self.length = (self.length << 8) | content[index]
            return self.length >= 65536
        return self.fin or length > 0

    def _weigh(self, own: cython.int, trials: cython.int, at: cython.Py_ssize_t) -> None:
        """Add a frame's bits to the chain's; the first frame that is no chance any more is where frames begin."""
        self.weight += own
        if self.begins < 0 and self.weight >= OWN + trials:
            self.begins = at

    def _wait(self, place: cython.Py_ssize_t, needed: cython.Py_ssize_t, ended: cython.bint) -> cython.int:
        """The chain goes on beyond the bytes that are there."""
        self.needed = needed
        return DEAD if ended or needed - place > LIMIT else WAITING

    def _at_end(self, place: cython.Py_ssize_t, trials: cython.int, ended: cython.bint) -> cython.int:
        """The chain leads to the very end of the bytes that are there."""
        if not ended:
            return self._wait(place, len(self.content) + 1, ended)
        self.weight += END_BITS
        self.borne_out = False
        if self.frames == 0 or self.weight < ENOUGH_AT_END + trials:
            return DEAD
        if self.begins < 0:
            self.begins = place
        return FOUND

    def _weigh_payload(self, start: cython.Py_ssize_t) -> cython.int:
        """The bits that the payload of the frame in hand adds, -1 if it is illegal."""
        own: cython.int = 0
        if self.plain_text:
            own = self._text_bits(self._utf8(start, self.length, start - 4, self.fin))
            if own > 0:
                self.text += own
        elif self.opcode == 8:
            self.closed = True
            own = self._weigh_close(start, self.length)
        return own

    def _text_bits(self, seen: cython.Py_ssize_t) -> cython.int:
        """The bits of text (RFC 6455 5.6). Of masked bytes only the right key makes text; other text may well be the
        payload of a frame whose header is lost."""
        if seen < 0:
            return -1
        return min(TEXT_MASKED_BITS, seen * 3 // 4) if self.masks else min(TEXT_BITS, seen // 4)

    def _utf8(
        self, start: cython.Py_ssize_t, length: cython.Py_ssize_t, key: cython.Py_ssize_t, whole: cython.bint
    ) -> cython.Py_ssize_t:
        """How many bytes from `start` on, unmasked, were found to be UTF-8 (RFC 3629); -1 if they are not.

        key: where the masking key of byte `start` is; whole: no character goes on after the last one.
        """
        content: bytearray = self.content
        index: cython.Py_ssize_t
        byte: cython.int
        more: cython.int = 0  # bytes of the character to come, the next of them between lower and upper
        lower: cython.int = 0x80
        upper: cython.int = 0xBF
        for index in range(length):
            if index == TEXT_LOOKED_AT or self.kinds[start + index] == HOLE:
                return index
            byte = content[start + index]
            if self.masks:
                byte ^= content[key + (index & 3)]
            if more:
                if byte < lower or byte > upper:
                    return -1
                more -= 1
                lower = 0x80
                upper = 0xBF
            elif byte >= 0x80:
                if byte < 0xC2 or byte > 0xF4:
                    return -1
                more = 1 if byte < 0xE0 else 2 if byte < 0xF0 else 3
                if byte == 0xE0:
                    lower = 0xA0
                elif byte == 0xED:
                    upper = 0x9F
                elif byte == 0xF0:
                    lower = 0x90
                elif byte == 0xF4:
                    upper = 0x8F
        return -1 if more and whole else length

    def _weigh_close(self, start: cython.Py_ssize_t, length: cython.Py_ssize_t) -> cython.int:
        """The bits of a Close's body (RFC 6455 5.5.1): a code that may be on the wire, a reason in UTF-8; -1 if not."""
        content: bytearray = self.content
        code: cython.int
        reason: cython.int
        key: cython.Py_ssize_t = start - 4
        if length == 0:
            return 0
        if length == 1:
            return -1
        if self.kinds[start] == HOLE or self.kinds[start + 1] == HOLE:
            return 0
        code = 256 * content[start] + content[start + 1]
        if self.masks:
            code ^= 256 * content[key] + content[key + 1]
        if not (1000 <= code <= 1014 or 3000 <= code <= 4999) or 1004 <= code <= 1006:
            return -1
        reason = self._text_bits(self._reason(start, length))
        if reason < 0:
            return -1
        return reason + (REGISTERED_BITS if code < 3000 else PRIVATE_BITS)

    def _reason(self, start: cython.Py_ssize_t, length: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """How many bytes after the code are UTF-8, -1 if they are not. The masking key is turned by two bytes there."""
        content: bytearray = self.content
        index: cython.Py_ssize_t
        key: cython.Py_ssize_t = start - 4
        reason: bytearray = bytearray()
        for index in range(2, length):
            if self.kinds[start + index] == HOLE:
                return 0
            reason.append(content[start + index] ^ (content[key + (index & 3)] if self.masks else 0))
        try:
            reason.decode()
        except UnicodeDecodeError:
            return -1
        return length - 2

    def before(self) -> cython.longlong:
        """Captured bytes before the place where frames begin."""
        total: cython.longlong = 0
        for start, stop, _, moment, _ in self.pieces:
            if moment is not None and start < self.begins:
                total += min(stop, self.begins) - start
        return total

    def first_offset(self, default: cython.longlong) -> cython.longlong:
        """Stream offset of the first byte that is kept; `default` when there is none."""
        return self.pieces[0][2] if self.pieces else default

    def rest(self) -> list[Rest]:
        """What there is from the place where frames begin."""
        result: list[Rest] = []
        for start, stop, offset, moment, cut in self.pieces:
            if stop <= self.begins:
                continue
            at = max(start, self.begins)
            content = b"" if moment is None else bytes(self.content[at:stop])
            result.append((content, offset + at - start, moment, stop - at, cut))
        return result

    def replay(self, piece: Rest, packet: Packet, source: Source, half: Half) -> None:
        """Hand a piece of the rest to who reads the source now, as it came."""
        content, offset, moment, size, cut = piece
        reader: Reader = source.reader  # type: ignore[assignment]  # whoever replays has put one in place
        data: cython.const[cython.uchar][::1] = packet.data
        before: cython.longlong = source.offset
        now: Moment = Moment(packet, half)
        source.offset = offset
        try:
            if moment is None:
                reader.gap(size, cut)
            else:
                moment.recall(packet, half, True)
                packet.data = content
                reader.data(0, size)
        finally:
            packet.data = data
            source.offset = before
            now.recall(packet, half, True)
