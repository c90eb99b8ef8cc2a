"""Heads of HTTP/1.1 messages (RFC 9112): what first bytes are, where a head ends, the fields that matter of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer import limits
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
USUAL_END = b" HTTP/1.1\r"  # of a request line; seen at once, where a search takes long
LINE_FEED, RETURN = 10, 13
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
    if line_end >= len(USUAL_END) and text.startswith(USUAL_END, line_end - len(USUAL_END)):
        return REQUEST
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


class Form:
    """How heads of one kind look: the same lines, but for the values of some.

    names: of each line the name with its colon, or all of it; lines: those of the last head that was read line by line;
    varying: numbers of those that differ from head to head. The head after its first line is pieces[0], a value,
    pieces[1], another value ...; sizes: bytes of a value's name; slots: its field; found: the fields that stay.
    """

    def __init__(self, names: tuple[bytes, ...], lines: list[bytes], varying: set[int], known: list[Any]):
        self.names = names
        self.lines = lines
        self.varying = varying
        self.pieces: list[bytes] = []
        self.sizes: list[int] = []
        self.slots: list[int] = []
        self.found: list[str | None] = [None] * FIELDS
        piece = b""
        for number, (slot, value) in enumerate(known):
            if number in varying:
                self.pieces.append(piece + names[number])
                self.sizes.append(len(names[number]))
                self.slots.append(slot)
                piece = b"\n"
                continue
            piece += lines[number] + b"\n"
            if slot >= 0:
                self.found[slot] = value
        self.pieces.append(piece)


class FieldLines:
    """Reads field lines, and remembers usual ones: a bounded memory for speed that never changes a result.

    lines: what a line says; forms: how whole heads look, those met last first.
    """

    def __init__(self) -> None:
        self.lines: dict[bytes, tuple[int, str]] = {}
        self.forms: list[Form] = []

    def fields(self, head: bytes) -> list[str | None]:
        """The fields that matter of a head's lines after its first: equal names joined, folds undone (RFC 9112 5)."""
        start: cython.Py_ssize_t = head.find(b"\n") + 1 or len(head)
        form: Form
        index: cython.Py_ssize_t
        found: Any
        for index in range(len(self.forms)):
            form = self.forms[index]
            found = self.filled(form, head, start)
            if found is not None:
                if index > 0:
                    del self.forms[index]
                    self.forms.insert(0, form)
                return found  # type: ignore[no-any-return]
        return self.read(head[start:])

    def filled(self, form: Form, head: bytes, start: cython.Py_ssize_t) -> Any:
        """The fields of a head of this form, None if it is of another. What varies is a value up to the end of its
        line, so all lines are those that reading them one by one would find."""
        at: cython.Py_ssize_t = start
        end: cython.Py_ssize_t
        index: cython.Py_ssize_t
        slot: cython.Py_ssize_t
        size: cython.Py_ssize_t
        piece: bytes = form.pieces[0]
        found: list[str | None] = form.found
        if not head.startswith(piece, at):
            return None
        found = list(found)
        at += len(piece)
        for index in range(len(form.slots)):
            end = head.find(b"\n", at)
            piece = form.pieces[index + 1]
            if end < 0 or not head.startswith(piece, end):
                return None
            slot = form.slots[index]
            if slot == KEY or slot == ACCEPT:
                found[slot] = headers.text_of(head[at:end].strip())
            elif slot >= 0:
                size = form.sizes[index]
                found[slot] = self.known(head[at - size : end])[1]
            at = end + len(piece)
        return found if at == len(head) else None

    def read(self, text: bytes) -> list[str | None]:
        """Read the lines one by one."""
        found: list[str | None] = [None] * FIELDS
        lines: list[bytes] = text.split(b"\n")
        whole: bool = text.endswith(b"\n")
        if whole or not text:
            lines.pop()
        known = [self.known(line) for line in lines]
        alone = True  # every field has one line of its own
        last = OTHER_FIELD
        for slot, value in known:
            if slot == FOLDED:
                alone = False
                if last >= 0:
                    found[last] = f"{found[last]} {value}"
                continue
            last = slot
            if slot >= 0:
                alone = alone and found[slot] is None
                found[slot] = value if found[slot] is None else f"{found[slot]}, {value}"
        if alone and whole:
            self.remember(lines, known)
        return found

    def remember(self, lines: Any, known: Any) -> None:
        """Keep the form of a head that was read line by line."""
        form: Form
        names = tuple([line[: line.find(b":") + 1] or line for line in lines])
        varying = {number for number, (slot, _) in enumerate(known) if slot in (KEY, ACCEPT)}
        for form in self.forms:
            if form.names == names:
                varying |= form.varying
                varying |= {number for number, line in enumerate(lines) if line != form.lines[number]}
                self.forms.remove(form)
                break
        self.forms.insert(0, Form(names, lines, varying, known))
        del self.forms[limits.HEAD_FORMS :]

    def known(self, line: bytes) -> Any:
        """One field line as (which field, its value)."""
        known: Any = self.lines.get(line)
        return self.field(line) if known is None else known

    def field(self, line: bytes) -> Any:
        """A line that is not known yet."""
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
