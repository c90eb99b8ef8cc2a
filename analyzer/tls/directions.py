"""One direction of a TLS connection: its records found in ordered bytes, opened, and given on as plain bytes.

Nothing goes on that was not authenticated. What can't be opened is a gap in the plain bytes; reading goes on at the
next record that opens.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from analyzer.records import Half, Packet, Source
from analyzer.tls import hellos
from analyzer.tls.ciphers import Opened, Opener, Tls13
from analyzer.tls.keys import next_secret
from analyzer.tls.plaintext import Plaintext
from analyzer.tls.waiting import READY, Waiting

if TYPE_CHECKING:
    from analyzer.tls.connection import Layer

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23  # RFC 8446 5.1, RFC 5246 6.2.1
CLIENT_HELLO, SERVER_HELLO, END_OF_EARLY_DATA, ENCRYPTED_EXTENSIONS, FINISHED, KEY_UPDATE = 1, 2, 5, 8, 20, 24
HEADER = 5
LONGEST = 16384 + 2048  # body of a record (RFC 5246 6.2.3)
SMALLEST = 22  # a record of TLS 1.3 with an empty content, as good as
RECORD_START = re.compile(rb"[\x14-\x17]\x03[\x00-\x04]")
EARLY, SHAKING, RUNNING = range(3)  # phases of TLS 1.3
EVERYTHING = 1 << 62


class Direction(Waiting):
    """Reads the records of one direction.

    source: gives the plain bytes. opener: opens the records now, those with `sequence` next; queue: (phase, opener) of
    those that follow in TLS 1.3; next_opener: for after ChangeCipherSpec, before TLS 1.3; opaque: that came without
    keys. slack: how many records may have been missed since the last that opened. good_end: where that one ended.
    pending: bytes of a record that is not whole, `needed` with those it waits for; to_pass: bytes of a record with a
    hole, to pass over; searching: the next record is still to be found. finished: so is what is read. framing,
    undecrypted, beside: bytes to account for. watch: who reads on where there are no keys.
    """

    def __init__(self, layer: Layer, packet: Packet, carrier: Source, half: Half) -> None:
        super().__init__(layer, packet, carrier, half)
        self.source = Plaintext(carrier)
        self.peer: Direction = None  # type: ignore[assignment]  # set by the layer
        self.opener: Opener | None = None
        self.next_opener: Opener | None = None
        self.queue: list[tuple[int, Opener]] = []
        self.phase = SHAKING
        self.sequence = self.slack = self.to_pass = self.passed_over = self.undecrypted = self.beside = 0
        self.pending = bytearray()
        self.needed = HEADER
        self.messages = hellos.Messages()
        self.good_end = carrier.offset
        self.searching = self.opaque = self.said_hello = self.cut = self.failed = self.finished = False
        self.watch: Any = None

    def finish(self, how: int) -> None:
        """See Waiting."""
        self.finished = True
        self.undecrypted += len(self.pending)
        self.framing -= len(self.pending)
        hole = self.carrier.offset - len(self.pending) - self.good_end
        self.pending.clear()
        if self.failed and hole > 0:
            self._give_gap(max(1, hole - SMALLEST))
        if self.source.reader is not None:
            self.source.reader.end(how)
        self.account()
        self.layer.over(how)

    def let_go(self) -> None:
        """Nothing of this direction is wanted any more."""
        left = len(self.pending) + sum(len(piece.chunk) for piece in self.held or ())
        self.undecrypted += left
        self.framing -= left
        self.pending.clear()
        self.held = None
        self.carrier.reader = None
        self.carrier.skip = EVERYTHING
        self.account()

    def part(self) -> None:
        """The flow is over: leave no ring of records behind."""
        self.source.reader = None
        self.layer = self.peer = self.watch = None  # type: ignore[assignment]

    def account(self) -> None:
        """See Waiting."""
        self.layer.account("TLS framing", self.framing)
        self.layer.account("undecrypted", self.undecrypted)
        self.layer.account("before the upgrade", self.beside)
        self.framing = self.undecrypted = self.beside = 0

    def _drop(self, size: int) -> None:
        """Bytes that can't be read as records."""
        self.undecrypted += size
        self.framing -= size

    # finding records

    def take(self, chunk: bytes, offset: int) -> None:
        """See Waiting."""
        if self.pending:
            offset -= len(self.pending)
            self.pending += chunk
            if len(self.pending) < self.needed:
                return
            chunk = bytes(self.pending)
            self.pending.clear()
        at = self._walk(chunk, offset)
        if at < len(chunk):
            self.pending += chunk[at:]

    def _walk(self, text: bytes, offset: int) -> int:
        """Read the records in `text`; where what is left over begins."""
        at, size = self._walk_steadily(text, offset), len(text)
        while at < size and self.carrier.reader is self:
            if self.to_pass:
                passed = min(self.to_pass, size - at)
                self.to_pass -= passed
                self._drop(passed)
                at += passed
                continue
            if self.layer.waits(self, text[at]):
                return self.wait(text, at, offset)
            if self.carrier.reader is not self:  # what had waited, and is read by now, told that
                break
            if self.searching:
                at = self._search(text, at, offset)
                if self.searching:
                    return at
                continue
            if size - at < HEADER:
                self.needed = HEADER
                return at
            length = text[at + 3] << 8 | text[at + 4]
            if not RECORD_START.match(text, at) or length > LONGEST:
                self.searching = self.failed = True
                self.slack += 1
                continue
            stop = at + HEADER + length
            if stop > size:
                self.needed = HEADER + length
                return at
            if not self._record(text[at : at + HEADER], text[at + HEADER : stop], offset + at, offset + stop):
                if self.layer.puts_off(self):
                    return self.wait(text, at, offset)
                self._refused(text[at + HEADER : stop])
            at = stop
        if at < size:
            self.leave(text[at:])
        return size

    def leave(self, rest: bytes) -> None:
        """See Waiting."""
        reader: Any = self.carrier.reader
        if reader is None:
            self._drop(len(rest))
        else:
            self.framing -= len(rest)
            reader.take(rest, self.packet.time)
        self.account()

    def _walk_steadily(self, text: bytes, offset: int) -> int:
        """The usual case alone, for speed: application data, the next in sequence. Where anything else begins."""
        at, size = 0, len(text)
        if self.phase == EARLY or self.searching or self.to_pass or self.layer.state != READY:
            return 0
        while size - at >= HEADER and text[at] == APPLICATION_DATA and self.opener is not None:
            stop = at + HEADER + (text[at + 3] << 8 | text[at + 4])
            if stop > size:
                break
            opened = self.opener.open(text[at : at + HEADER], text[at + HEADER : stop], self.sequence)
            if opened is None or opened[0] != APPLICATION_DATA:
                break
            self.sequence += 1
            self.slack = 0
            self.good_end = offset + stop
            at = stop
            if opened[2]:
                self._deliver(opened[1], opened[2], offset + stop)
                if self.carrier.reader is not self:
                    break
        return at

    def _refused(self, body: bytes) -> None:
        """A record did not open."""
        self.failed = True
        self.slack += 1
        self._drop(HEADER + len(body))
        if hasattr(self.opener, "pass_over"):
            self.opener.pass_over(body)  # type: ignore[union-attr]
        self.layer.failed(self)

    def _search(self, text: bytes, at: int, offset: int) -> int:
        """Look for the next record that opens; where to go on from."""
        size = len(text)
        while True:
            found = RECORD_START.search(text, at)
            begin = max(at, size - 2) if found is None else found.start()
            self._drop(begin - at)
            at = begin
            if size - at < HEADER:
                self.needed = HEADER
                return at
            length = text[at + 3] << 8 | text[at + 4]
            stop = at + HEADER + length
            if length <= LONGEST and stop > size:
                self.needed = stop - at
                return at
            header, body = text[at : at + HEADER], text[at + HEADER : stop]
            if length <= LONGEST and self._record(header, body, offset + at, offset + stop):
                self.searching = False
                return stop
            if self.layer.puts_off(self):
                return self.wait(text, at, offset)
            self._drop(1)
            at += 1

    def miss(self, size: int, cut: bool) -> None:
        """See Waiting."""
        self.cut = cut
        self.failed = True
        self.slack += size // SMALLEST + 1
        self.messages.clear()
        left = max(0, self.needed - len(self.pending)) if len(self.pending) >= HEADER else 0
        if self.to_pass >= size:
            self.to_pass -= size
        elif left >= size and not self.searching:
            self.to_pass = left - size
        else:
            self.to_pass = 0
            self.searching = True
        self._drop(len(self.pending))
        self.pending.clear()
        self.layer.missed()

    # reading records

    def _record(self, header: bytes, body: bytes, begin: int, end: int) -> bool:
        """Read one record; False if it can't be one, or does not open."""
        kind = header[0]
        if self.is_protected(kind):
            opened = self._open(header, body)
            if opened is None:
                return False
            self._note_hole(begin)
            self._content(opened, begin, end)
        elif self.searching and not self._is_plain(kind, body):
            return False
        else:
            self._content((kind, body, len(body)), begin, end)
        self.good_end = end
        return True

    def is_protected(self, kind: int) -> bool:
        """Whether a record of this kind is encrypted here (RFC 8446 5.2: then all say they are application data)."""
        if kind == APPLICATION_DATA:
            return True
        if self.layer.is_tls13:
            return False
        return self.opener is not None or self.opaque or (self.next_opener is not None and self.failed and kind != 20)

    def _is_plain(self, kind: int, body: bytes) -> bool:
        """Is a stretch of bytes found in a search, which nothing authenticates, surely a record?"""
        if kind == CHANGE_CIPHER_SPEC:
            return body == b"\1"
        hello = kind == HANDSHAKE and body[:1] in (b"\1", b"\2") and len(body) >= 38
        return hello and int.from_bytes(body[1:4], "big") + 4 == len(body)

    def _content(self, opened: Opened, begin: int, end: int) -> None:
        kind, data, size = opened
        if kind == APPLICATION_DATA:
            if size:
                self._deliver(data, size, end)
        elif kind == HANDSHAKE:
            self._handshake(data[:size])
        elif kind == ALERT and size >= 2:
            self.layer.alert(self, data[1])
        elif kind == CHANGE_CIPHER_SPEC and not self.layer.is_tls13:
            self.change_cipher()

    def _note_hole(self, begin: int) -> None:
        """A record that opens begins here: tell of what was missed since the last record that opened."""
        if self.passed_over and begin > self.good_end and self.layer.begun:
            overhead = self.opener.overhead if self.opener is not None else 0
            self._give_gap(max(1, begin - self.good_end - self.passed_over * (HEADER + overhead)))
        self.passed_over = 0

    def _give_gap(self, size: int) -> None:
        source = self.source
        passed = min(source.skip, size)
        source.skip -= passed
        source.offset += passed
        if size > passed:
            if source.reader is not None:
                source.reader.gap(size - passed, self.cut)
            source.offset += size - passed

    def _deliver(self, data: bytes, size: int, end: int) -> None:
        """Hand the first `size` bytes of data to the reader, as the source's next ones."""
        source, packet, layer = self.source, self.packet, self.layer
        source.places.append((source.offset, end - 1))
        self.framing -= size
        at = min(source.skip, size)
        source.skip -= at
        source.offset += at
        self.beside += at
        if at == size:
            return
        before = packet.data
        packet.data = data
        try:
            if not layer.begun:
                layer.begin(at, size)
            if source.reader is None:
                self.beside += size - at
            else:
                source.reader.data(at, size)
        finally:
            packet.data = before
        source.offset += size - at
        if source.reader is None and self.peer.source.reader is None:
            layer.let_go()

    # opening records

    def _open(self, header: bytes, body: bytes) -> Opened | None:
        if self.opener is not None:
            opened = self.opener.open(header, body, self.sequence)
            if opened is not None:
                self.sequence += 1
                self.slack = 0
                return opened
        return self._open_otherwise(header, body)

    def _open_otherwise(self, header: bytes, body: bytes) -> Opened | None:
        """A record that is not simply the next one: some were missed, keys changed, or the keys are not known yet."""
        if self.opener is None and not self.queue and self.next_opener is None:
            return self.layer.find_secret(self, header, body)
        if self.opener is not None and self.slack:
            opened = self._search_sequence(self.opener, header, body, self.sequence + 1, self.slack)
            if opened is not None:
                return opened
        for index, (phase, opener) in enumerate(self.queue):
            opened = self._search_sequence(opener, header, body, 0, self.slack + 1)
            if opened is not None:
                self.phase = phase
                self.queue = self.queue[index + 1 :]
                return opened
        if self.next_opener is not None and self.slack:
            opened = self._search_sequence(self.next_opener, header, body, 0, self.slack + 1)
            if opened is not None:
                self.next_opener = None
                return opened
        return self._open_updated(header, body)

    def _open_updated(self, header: bytes, body: bytes) -> Opened | None:
        """The same, after a KeyUpdate that was missed."""
        if not isinstance(self.opener, Tls13) or self.phase != RUNNING or not self.slack:
            return None
        return self._search_sequence(self._updated(self.opener), header, body, 0, self.slack + 1)

    def _search_sequence(self, opener: Opener, header: bytes, body: bytes, first: int, count: int) -> Opened | None:
        for sequence in range(first, first + self.layer.allow(count)):
            opened = opener.open(header, body, sequence)
            if opened is not None:
                if opener is self.opener:
                    self.passed_over = sequence - self.sequence
                else:  # of the keys before nobody knows how many more there were
                    carried_data = self.phase != SHAKING or not self.layer.is_tls13
                    self.passed_over = sequence + (self.opener is not None and carried_data)
                self.use(opener, sequence + 1)
                return opened
        return None

    def use(self, opener: Opener, sequence: int = 0) -> None:
        """Open what comes with this opener."""
        self.opener = opener
        self.sequence = sequence
        self.slack = 0

    def _advance(self) -> None:
        """TLS 1.3: what follows is under the next keys (RFC 8446 4.4.4, 4.5)."""
        if self.queue:
            self.phase, opener = self.queue.pop(0)
            self.use(opener)

    def change_cipher(self) -> None:
        """What follows is under the keys that were agreed (RFC 5246 7.1)."""
        if self.next_opener is not None:
            self.use(self.next_opener)
            self.next_opener = None
            self.opaque = False
        else:
            self.opaque = True
            self.opener = None

    def _updated(self, opener: Tls13) -> Tls13:
        return Tls13(opener.suite, next_secret(opener.suite.hash, opener.secret))

    # handshake messages

    def _handshake(self, data: bytes) -> None:
        for kind, body in self.messages.add(data):
            with suppress(hellos.Malformed):
                self._message(kind, body)

    def _message(self, kind: int, body: bytes) -> None:
        layer: Any = self.layer
        if kind == CLIENT_HELLO:
            layer.client_hello(self, hellos.client_hello(body))
        elif kind == SERVER_HELLO:
            layer.server_hello(self, hellos.server_hello(body))
        elif not layer.is_tls13:
            return
        elif kind == ENCRYPTED_EXTENSIONS:
            layer.encrypted_extensions(hellos.extensions_of(body))
        elif (kind == FINISHED and self.phase == SHAKING) or (kind == END_OF_EARLY_DATA and self.phase == EARLY):
            self._advance()
        elif kind == KEY_UPDATE and isinstance(self.opener, Tls13) and self.phase == RUNNING:
            self.use(self._updated(self.opener))
