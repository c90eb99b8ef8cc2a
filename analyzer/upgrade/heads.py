"""Heads of HTTP/1.1 messages (RFC 9112): what first bytes are, where a head ends, the fields that matter of it."""

from __future__ import annotations

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
X_FORWARDED_FOR, FORWARDED, LENGTH, ENCODING, ACCEPT, FIELDS = range(7, 13)
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
    b"sec-websocket-accept": ACCEPT,
}
CHANGING = {b"sec-websocket-key", b"sec-websocket-accept", b"date", b"cookie", b"set-cookie", b"etag", b"x-request-id"}
UNUSED = (OTHER_FIELD, "")
METHOD_LIMIT = 32
LINE_LIMIT, LINES_KEPT = 256, 2048  # header lines remembered with what they say: most recur in every handshake


def look(text: bytes) -> cython.int:
    """What the bytes that begin a direction are; UNDECIDED when they are too few to tell."""
    size: cython.Py_ssize_t = len(text)
    first: cython.int = text[0]
    if first == 0x16:
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


def line_kind(text: bytes) -> cython.int:
    """REQUEST, unless its first line is there and names no version of HTTP/1."""
    line_end: cython.Py_ssize_t = text.find(b"\n")
    if line_end >= 0 and text.find(b" HTTP/1.", 0, line_end) < 0:
        return OTHER
    return REQUEST


def head_end(text: Any, start: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Where a head ends: after its first empty line, CRLF or bare LF (RFC 9112 2.2); -1 while it has none."""
    strict: cython.Py_ssize_t = text.find(b"\n\r\n", start)
    bare: cython.Py_ssize_t
    if strict < 0:
        bare = text.find(b"\n\n", start)
        return -1 if bare < 0 else bare + 2
    bare = text.find(b"\n\n", start, strict)
    return strict + 3 if bare < 0 else bare + 2


def status_of(line: bytes) -> cython.int:
    """The status code of a status line (RFC 9112 4), 0 when it has none."""
    words: list[bytes] = line.split(None, 2)
    if len(words) < 2 or len(words[1]) != 3 or not words[1].isdigit():
        return 0
    return int(words[1])


class FieldLines:
    """Reads field lines, and remembers the usual ones: a bounded memory for speed that never changes a result."""

    def __init__(self) -> None:
        self.lines: dict[bytes, tuple[int, str]] = {}

    def fields(self, lines: Any) -> Any:
        """The fields that matter of a head's lines after its first: equal names joined, folds undone (RFC 9112 5)."""
        found: list[str | None] = [None] * FIELDS
        index: cython.Py_ssize_t
        slot: cython.int
        last: cython.int = OTHER_FIELD
        for index in range(1, len(lines)):
            line: bytes = lines[index]
            known: Any = self.lines.get(line)
            if known is None:
                known = self.field(line)
            slot, value = known
            if slot == FOLDED:
                if last >= 0:
                    found[last] = f"{found[last]} {value}"
                continue
            last = slot
            if slot >= 0:
                found[slot] = value if found[slot] is None else f"{found[slot]}, {value}"
        return found

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
