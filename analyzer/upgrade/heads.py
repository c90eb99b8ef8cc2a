"""Heads of HTTP/1.1 messages (RFC 9112): what first bytes are, where a head ends, the fields that matter of it."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

from analyzer.upgrade import headers, prefaces

if TYPE_CHECKING:
    import cython

# what first bytes are
UNDECIDED, REQUEST, ANSWER, PROXY_HEADER_1, PROXY_HEADER_2, SOCKS_5, TLS, HTTP_2, SSH, OTHER = range(10)
KIND_NAMES = ("", "http", "http", "proxy protocol", "proxy protocol", "socks 5", "tls", "http2 preface", "ssh", "other")
BEGINNINGS = (
    (b"HTTP/1.", ANSWER),
    (b"PROXY ", PROXY_HEADER_1),
    (b"\r\n\r\n\0\r\nQUIT\n", PROXY_HEADER_2),
    (b"PRI * HTTP/2", HTTP_2),
    (b"SSH-", SSH),
)
PREFACE_OF = {
    PROXY_HEADER_1: prefaces.PROXY_1,
    PROXY_HEADER_2: prefaces.PROXY_2,
    SOCKS_5: prefaces.SOCKS_GREETING,
}

# header fields that are read, and two kinds of lines beside
HOST, UPGRADE, ORIGIN, USER_AGENT, PROTOCOL, EXTENSIONS, KEY = range(7)
X_FORWARDED_FOR, FORWARDED, LENGTH, ENCODING, CONNECTION, VERSION, ACCEPT, FIELDS = range(7, 15)
OTHER_FIELD, FOLDED = -1, -2
FIELD_NAMES = {
    b"host": HOST,
    b"upgrade": UPGRADE,
    b"origin": ORIGIN,
    b"user-agent": USER_AGENT,
    b"sec-websocket-protocol": PROTOCOL,
    b"sec-websocket-extensions": EXTENSIONS,
    b"sec-websocket-key": KEY,
    b"x-forwarded-for": X_FORWARDED_FOR,
    b"forwarded": FORWARDED,
    b"content-length": LENGTH,
    b"transfer-encoding": ENCODING,
    b"connection": CONNECTION,
    b"sec-websocket-version": VERSION,
    b"sec-websocket-accept": ACCEPT,
}
CHANGING = {b"sec-websocket-key", b"sec-websocket-accept", b"date", b"cookie", b"set-cookie", b"etag", b"x-request-id"}
UNUSED = (OTHER_FIELD, "")
METHOD_LIMIT = 32
LINE_FEED, RETURN = 10, 13
LINES_ALIKE, LONG = 32, 1 << 30
LINE_LIMIT, LINES_KEPT = 256, 2048  # header lines remembered with what they say: most recur in every handshake


def look(text: bytes) -> cython.int:
    """What the bytes that begin a direction are; UNDECIDED when they are too few to tell."""
    size: cython.Py_ssize_t = len(text)
    first: cython.int = text[0]
    if 0x14 <= first <= 0x17:  # the content types of TLS records (RFC 8446 5.1)
        return TLS if size == 1 or text[1] == 3 else OTHER
    if first == 5:
        return UNDECIDED if size == 1 else SOCKS_5 if text[1] > 0 else OTHER
    if first != 13 and not 65 <= first <= 90:
        return OTHER
    if text.startswith(b"HTTP/1."):
        return ANSWER
    if text.startswith(b"GET "):
        return line_kind(text)
    for beginning, kind in BEGINNINGS:
        if text.startswith(beginning):
            return kind
        if size < 12 and beginning.startswith(text):
            return UNDECIDED
    method_end: cython.Py_ssize_t = text.find(b" ", 0, METHOD_LIMIT)
    method: bytes = text[:METHOD_LIMIT] if method_end < 0 else text[:method_end]
    if not method.replace(b"-", b"").replace(b"_", b"").isalpha():
        return OTHER
    if method_end < 0:
        return UNDECIDED if size < METHOD_LIMIT else OTHER
    return line_kind(text)


def holds_record(text: bytes) -> cython.bint:
    """Does an encrypted record of TLS 1.2 or 1.3 seem to begin somewhere in the text?"""
    at: cython.Py_ssize_t = text.find(b"\x17\x03\x03")
    return at >= 0 and (at + 3 >= len(text) or text[at + 3] <= 0x48)


def line_kind(text: bytes) -> cython.int:
    """REQUEST, unless its first line is there and names no version of HTTP/1."""
    line_end: cython.Py_ssize_t = text.find(b"\n")
    if line_end >= 0 and text.find(b" HTTP/1.", 0, line_end) < 0:
        return OTHER
    return REQUEST


def head_end(text: bytes, start: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Where a head ends: after its first empty line, CRLF or bare LF (RFC 9112 2.2); -1 while it has none."""
    at: cython.Py_ssize_t
    size: cython.Py_ssize_t = len(text)
    for at in range(start, size - 1):
        if text[at] == LINE_FEED:
            if text[at + 1] == LINE_FEED:
                return at + 2
            if text[at + 1] == RETURN and at + 2 < size and text[at + 2] == LINE_FEED:
                return at + 3
    return -1


def first_line(head: bytes) -> bytes:
    """A head's first line, without its line feed."""
    return head[: head.find(b"\n")]


def status_of(line: bytes) -> cython.int:
    """The status code of a status line (RFC 9112 4), 0 when it has none."""
    words: list[bytes] = line.split(None, 2)
    if len(words) < 2 or len(words[1]) != 3 or not words[1].isdigit():
        return 0
    return int(words[1])


class FieldLines:
    """Reads field lines, and remembers usual ones: a bounded memory for speed that never changes a result.

    Heads of one kind are alike, so a line is first compared with the one in its place in the head before: `begins`,
    `names` (bytes up to its value; LONG where a line is not to be taken for another with the same name), `slots` and
    `values` tell of the first `count` lines of that one.
    """

    def __init__(self) -> None:
        self.lines: dict[bytes, tuple[int, str]] = {}
        self.before = b""
        self.count = 0
        self.begins = array("q", bytes(8 * LINES_ALIKE))
        self.names = array("q", bytes(8 * LINES_ALIKE))
        self.slots = array("i", bytes(4 * LINES_ALIKE))
        self.values: list[str] = [""] * LINES_ALIKE
        self.slot = OTHER_FIELD
        self.name = LONG
        self.value = ""

    def fields(self, head: bytes) -> list[str | None]:
        """The fields that matter of a head's lines after its first: equal names joined, folds undone (RFC 9112 5)."""
        found: list[str | None] = [None] * FIELDS
        size: cython.Py_ssize_t = len(head)
        at: cython.Py_ssize_t = head.find(b"\n") + 1 or size
        line: cython.Py_ssize_t = 0
        slot: cython.int
        last: cython.int = OTHER_FIELD
        while at < size:
            at = self.take(head, at, line)
            line += 1
            slot = self.slot
            if slot == FOLDED:
                if last >= 0:
                    found[last] = f"{found[last]} {self.value}"
                continue
            last = slot
            if slot >= 0:
                found[slot] = self.value if found[slot] is None else f"{found[slot]}, {self.value}"
        self.before = head
        self.count = min(line, LINES_ALIKE)
        return found

    def take(self, head: bytes, start: cython.Py_ssize_t, line: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Read a line into `slot` and `value`; where the next one begins. line: its place in the head."""
        before: bytes = self.before
        size: cython.Py_ssize_t = len(head)
        at: cython.Py_ssize_t = start
        old: cython.Py_ssize_t = self.begins[line] if line < self.count else len(before)
        until: cython.Py_ssize_t = min(size, len(before) - old + start)
        while at < until and head[at] == before[old] and head[at] != LINE_FEED:
            at += 1
            old += 1
        alike: cython.bint = line < self.count and at - start >= self.names[line]
        if at < until and head[at] == before[old]:
            self.slot, self.value = self.slots[line], self.values[line]
        else:
            while at < size and head[at] != LINE_FEED:
                at += 1
            if alike and (self.slots[line] < 0 or self.slots[line] == KEY or self.slots[line] == ACCEPT):
                self.slot = self.slots[line]
                self.value = headers.text_of(head[start + self.names[line] : at].strip()) if self.slot >= 0 else ""
            else:
                self.look_up(head[start:at])
                if line < LINES_ALIKE:
                    self.names[line] = self.name
        if line < LINES_ALIKE:
            self.begins[line] = start
            self.slots[line] = self.slot
            self.values[line] = self.value
        return at + 1

    def look_up(self, line: bytes) -> None:
        """Read a line that is not as the one before it."""
        known: Any = self.lines.get(line)
        if known is None:
            known = self.field(line)
        self.slot, self.value = known
        self.name = line.find(b":") + 1 or LONG
        if self.slot == FOLDED:
            self.name = LONG

    def field(self, line: bytes) -> Any:
        """One field line as (which field, its value)."""
        if line.startswith((b" ", b"\t")):
            return (FOLDED, headers.text_of(line.strip()))
        name, _, value = line.partition(b":")
        name = name.strip().lower()
        slot: cython.int = FIELD_NAMES.get(name, OTHER_FIELD)
        known: Any = UNUSED if slot < 0 else (slot, headers.text_of(value.strip()))
        if len(line) <= LINE_LIMIT and name not in CHANGING:
            if len(self.lines) >= LINES_KEPT:
                self.lines.clear()
            self.lines[line] = known
        return known
