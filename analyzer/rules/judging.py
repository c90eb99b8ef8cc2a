"""Holds handshakes, frames and endings against the rules, and tells the observer of each that was broken.

The stages call it where a handshake is whole and where something is unusual. What can't be judged, because bytes or
the handshake are missing, is not judged.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from analyzer import limits
from analyzer.records import NO_TIME, Close, Connection, Frame, Half, Judge, Message, Observer, Packet, Side, Violation
from analyzer.rules import ending, frames, handshake, http2
from analyzer.rules.catalog import MUST, NOTE, RULES
from analyzer.upgrade.heads import ACCEPT, CONNECTION, EXTENSIONS, HOST, KEY, PROTOCOL, UPGRADE, VERSION

if TYPE_CHECKING:
    import cython

DEFLATE = "permessage-deflate"
EARLY_LOOK = 32  # bytes sent before the answer that are shown
BROWSERS = "Mozilla/"  # how the User-Agent of every browser begins
TOLD_BY = ("request", "syn")  # how the client was told where its frames' mask bits did not tell it


class Rules:
    """The rules over all connections of a run.

    told: the observer wants each broken rule, not only how many. latest: the latest time of a request.
    """

    def __init__(self, packet: Packet, observer: Observer, told: bool = True) -> None:
        self.packet = packet
        self.observer = observer
        self.told = told
        self.frames = FrameJudge(self)
        self.connecting: dict[Any, list[Connection]] = {}
        self.latest: cython.longlong = NO_TIME
        self.keys: dict[str, int] = {}  # the connection that used it; before its answer -1 - that
        self.asked: Any = None
        self.asked_findings: Any = ()
        self.answered: Any = None
        self.answered_findings: Any = ()

    def judge_of(self, connection: Connection) -> Judge | None:
        """Who judges its frames; None where these may not be frames."""
        if connection.client_basis == "port":
            return None
        if connection.violations < 0:
            connection.violations = 0
        return self.frames

    def request(self, connection: Connection, line: bytes, fields: Any) -> None:
        """A whole upgrade request: its first line and its fields (upgrade.heads)."""
        if connection.violations < 0:
            connection.violations = 0
        key: str | None = fields[KEY]
        findings: Any = self.request_findings(fields)
        if not (line.startswith(b"GET ") and line.endswith(b" HTTP/1.1\r") and fields[HOST]):
            findings = (*handshake.request_line(line, fields[HOST]), *findings)
        if key is None or not handshake.is_key(key):
            findings += tuple(handshake.request_key(key))
        if findings:
            self.tell(connection.client, findings)
        known = _key_at(connection, key)
        before: Any = self.keys.get(known)
        if before is None and key is not None:
            if len(self.keys) >= limits.KEYS_COMPARED:
                self.keys.clear()
            self.keys[known] = -1 - connection.number
        elif before is not None and before >= 0 and connection.recognised >= self.latest:
            # else a proxy hands it on, while its own client waits; or handed it on, and this waited for its secrets
            self.tell(connection.client, [("H3", NOTE, "a new key", f"{key}, as in connection {before}")])
        self.latest = max(self.latest, connection.recognised)
        who: Any = None
        if connection.origin is not None and (connection.user_agent or "").startswith(BROWSERS):
            who = _browser(connection)
            self._begin(connection, who)
        connection.asked = (key, fields[VERSION], bool(findings) and _any_must(findings), who)

    def _begin(self, connection: Connection, who: Any) -> None:
        """H9: a browser begins to connect."""
        begun = self.connecting.setdefault(who, [])
        if waiting := sum(map(_waits, begun)):
            found = f"{waiting} more of this address and User-Agent wait for their answers"
            self.tell(connection.client, [("H9", NOTE, "one connection being opened to a server at a time", found)])
        begun.append(connection)

    def _answered(self, connection: Connection) -> Any:
        """What its answer is judged by; no more is waited for it."""
        asked: Any = connection.asked
        connection.asked = None
        if asked is not None and asked[3] is not None:
            self.connecting[asked[3]].remove(connection)
            if not self.connecting[asked[3]]:
                del self.connecting[asked[3]]
        return asked

    def connect(self, connection: Connection, fields: http2.Fields, allowed: bool | None) -> None:
        """A whole extended CONNECT (RFC 8441 4). allowed: the server's SETTINGS had said so, None where that is not
        known."""
        if connection.violations < 0:
            connection.violations = 0
        version = _text(fields, b"sec-websocket-version")
        findings = (*http2.request(fields, allowed), *handshake.offer(version, connection.offered_subprotocols))
        self.tell(connection.client, findings)
        connection.asked = (None, version, _any_must(findings), None)

    def accept(self, connection: Connection, fields: http2.Fields) -> None:
        """A whole answer, final, to the CONNECT judged before."""
        asked: Any = self._answered(connection)
        if asked is None:
            return
        if connection.opening == "refused":
            self.tell(connection.server, handshake.refusal(asked[1], _text(fields, b"sec-websocket-version")))
            return
        choice = (connection.offered_subprotocols, connection.extensions, connection.offered_extensions)
        findings = (*http2.head(fields), *handshake.choice(connection.subprotocol, *choice))
        if asked[2]:
            findings += (("H10", MUST, "an HTTP error in answer to a request that breaks a rule", "2xx"),)
        self.tell(connection.server, findings)

    def interim(self, connection: Connection, status: int) -> None:
        """An answer below 200 over HTTP/2."""
        self.tell(connection.server, http2.interim(status))

    def request_findings(self, fields: Any) -> Any:
        """What is wrong with a request's fields, the key aside: for those of the request before it is known already."""
        last: Any = self.asked
        upgrade, connection, version, protocol = fields[UPGRADE], fields[CONNECTION], fields[VERSION], fields[PROTOCOL]
        if last is not None and upgrade is last[0] and connection is last[1]:
            if version is last[2] and protocol is last[3]:
                return self.asked_findings
        self.asked = (upgrade, connection, version, protocol)
        self.asked_findings = handshake.request_fields(upgrade, connection, version, protocol)
        return self.asked_findings

    def early(self, connection: Connection, sent: bytes, packet: cython.longlong, file: cython.int) -> None:
        """The client sent these bytes, by that packet, after its request and before the answer; those of packets that
        waited for their secrets may have come later."""
        later: cython.bint = file == self.packet.file and packet >= self.packet.number
        if sent and not later and not connection.server.half.lost_bytes:
            found = sent[:EARLY_LOOK].decode("utf-8", "backslashreplace")
            self.tell(connection.client, [("H8", MUST, "nothing before the answer", found)])

    def answer(self, connection: Connection, fields: Any) -> None:
        """A whole answer, final, to the request judged before."""
        asked: Any = self._answered(connection)
        if asked is None:  # without the request nothing of the answer can be judged
            return
        key, version, broken, _ = asked
        known = _key_at(connection, key)
        if self.keys.get(known) == -1 - connection.number:
            self.keys[known] = connection.number
        if connection.http_status != 101:
            self.tell(connection.server, handshake.refusal(version, fields[VERSION]))
            return
        findings: Any = self.answer_findings(connection, fields)
        if key is not None and fields[ACCEPT] != (expected := handshake.accept_of(key)):
            findings += (("H5", MUST, expected, handshake.found_in(fields[ACCEPT])),)
        if broken:
            findings += (("H10", MUST, "an HTTP error in answer to a request that breaks a rule", "101"),)
        if findings:
            self.tell(connection.server, findings)

    def answer_findings(self, asked: Connection, fields: Any) -> Any:
        """What is wrong with a 101's fields, the accepted key aside: see request_findings."""
        last: Any = self.answered
        upgrade, connection, protocol, extensions = (
            fields[UPGRADE], fields[CONNECTION], fields[PROTOCOL], fields[EXTENSIONS],
        )  # fmt: skip
        if last is not None and upgrade is last[0] and connection is last[1] and protocol is last[2]:
            if extensions is last[4] and asked.offered_subprotocols is last[3] and asked.offered_extensions is last[5]:
                return self.answered_findings
        last = (upgrade, connection, protocol, asked.offered_subprotocols, extensions, asked.offered_extensions)
        self.answered = last
        self.answered_findings = handshake.answer_fields(*last)
        return self.answered_findings

    def connection(self, connection: Connection) -> None:
        """Nothing more comes of the connection."""
        if connection.asked is not None:
            self._answered(connection)
        client: Side = connection.client
        server: Side = connection.server
        if connection.violations < 0 or _is_usual(client, server):
            return
        if not ending.all_seen(client) or not ending.all_seen(server):
            return
        for side in (client, server):
            owed = ending.pings(side)
            if owed is not None:
                self.tell(side.peer, [owed[1]], owed[0], None)
        if client.closes or server.closes:
            self._closing(connection)

    def _closing(self, connection: Connection) -> None:
        """C3 and C5."""
        one, other = ending.first_close(connection.client), ending.first_close(connection.server)
        until = _first_end(connection)
        if one is None or other is None:
            close = one or other
            if close is not None and not close.after_peer_fin and not close.after_peer_reset:
                self._tell_of(close, close.sender.peer, ending.unanswered(close, until))
            return
        if connection.http == "2":
            return  # the end of a stream closes no TCP connection (RFC 8441 5)
        later = one if one.time > other.time else other
        self._tell_of(later, connection.server, ending.server_closes(connection, later, until))

    def _tell_of(self, close: Close, sender: Side, finding: frames.Finding | None) -> None:
        if finding is not None:
            self.tell(sender, [finding], close.time, close)

    def tell(
        self, sender: Side, findings: Iterable[frames.Finding], time: int | None = None, close: Close | None = None
    ) -> None:
        """Count broken rules, and tell the observer of those that are kept. Shown by the packet in hand, or at `time`
        by the packet of `close` (none: by no packet that is known)."""
        connection = sender.connection
        for rule, severity, expected, found in findings:
            connection.violations += 1
            breach = severity == MUST and connection.ending == NO_TIME
            if connection.violations > limits.VIOLATIONS_KEPT or not (breach or self.told):
                continue
            violation = Violation(sender, rule, severity, expected, found[: limits.FOUND_TEXT])
            if breach:
                _note_breach(sender, violation)
            violation.section = RULES[rule].section
            if time is None:
                violation.time, violation.packet = self.packet.time, self.packet.number
                violation.file = self.packet.file
            else:
                violation.time = time
                if close is not None:
                    violation.packet, violation.file = close.packet, close.file
            self.observer.violation(violation)


class FrameJudge(Judge):
    """What is unusual in the frames of any side. Frames that were found again by the end of the stream alone may be
    none, and are not judged."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def frame(self, frame: Frame, in_message: bool, framing_known: bool) -> None:
        side = frame.sender
        if side is None or side.weak_resyncs:
            return
        connection = side.connection
        findings: list[frames.Finding] = []
        if connection.client_basis in TOLD_BY:
            findings += frames.masking(frame, side.is_client)
        if _extensions_known(connection):
            findings += frames.reserved_bits(frame, side.deflate)
        for check in (frames.opcode, frames.length, frames.control):
            findings += check(frame)
        if framing_known:
            findings += frames.fragmentation(frame, in_message)
        findings += frames.data_after_close(frame, bool(side.closes))
        self._rules.tell(side, findings)

    def key(self, side: Side, found: str) -> bool:
        if side.connection.opening != "handshake":
            return False  # bytes that repeat themselves look like frames with one key
        if not side.weak_resyncs:
            self._rules.tell(side, [("F5", MUST, "a key that can't be foreseen", found)])
        return True

    def message(self, message: Message, inflated: bool) -> None:
        if not message.sender.weak_resyncs:
            self._rules.tell(message.sender, frames.content(message, inflated))

    def distance(self, message: Message) -> None:
        if not message.sender.weak_resyncs:
            self._rules.tell(message.sender, frames.distance(message.sender.window_bits))

    def close(self, close: Close, number: int) -> None:
        if not close.sender.weak_resyncs:
            self._rules.tell(close.sender, frames.close_body(close))
            self._rules.tell(close.sender, frames.close_code(close, close.sender.is_client))
            self._rules.tell(close.sender, frames.close_again(number))


def _is_usual(client: Side, server: Side) -> cython.bint:
    """Both Closes and TCP closed soon, or no Close, and every Ping answered: nothing to judge."""
    half: Half | None = server.half
    one: Close
    other: Close
    first: cython.longlong
    if client.outstanding_pings or server.outstanding_pings:
        return False
    if not client.closes or not server.closes:
        return not client.closes and not server.closes
    one = client.closes[0]
    other = server.closes[0]
    if half is None or not half.finished:
        return False
    first = min(one.time, other.time)
    if half.fin_time == NO_TIME or first == NO_TIME:
        return half.fin_time == NO_TIME
    return half.fin_time - first < ending.SERVER_CLOSE_DUE


def _waits(connection: Connection) -> bool:
    """Its client has acknowledged nothing that is not captured: that may be the answer."""
    asking: Half = connection.client.half
    answering: Half = connection.server.half
    beyond: cython.longlong = asking.acknowledgment
    beyond = (beyond - answering.next) % (1 << 32)
    missing = asking.acknowledges and 0 < beyond < 1 << 31
    return not missing and answering.lost_bytes == 0


def _browser(connection: Connection) -> Any:
    """Who connects to whom, as far as it can be told, at which point of capture."""
    flow = connection.flow
    low, high = (flow.low_high, flow.low_low), (flow.high_high, flow.high_low)
    ends = (low, high) if connection.client.half is flow.low else (high, low)
    return flow.point, *ends, connection.user_agent


def _key_at(connection: Connection, key: str | None) -> str:
    """The key, and the point of capture: at another point it is seen again."""
    point: cython.int = connection.flow.point
    return f"{point} {key}" if point else key or ""


def _text(fields: http2.Fields, name: bytes) -> str | None:
    value = fields.get(name)
    return None if value is None else value.decode("latin-1")


def _note_breach(sender: Side, violation: Violation) -> None:
    """Keep what the other side may close for."""
    if sender.breaches is None:
        sender.breaches = []
    if len(sender.breaches) == limits.BREACHES_KEPT:
        sender.breaches.pop()
    sender.breaches.append(violation)


def _any_must(findings: Iterable[frames.Finding]) -> bool:
    return any(severity == MUST for _, severity, _, _ in findings)


def _extensions_known(connection: Connection) -> bool:
    """What the reserved bits mean is known: the answer was seen, and agreed to nothing else than is read here."""
    if connection.http_status < 0 or connection.opening != "handshake":
        return False
    names = (part.partition(";")[0].strip().lower() for part in (connection.extensions or "").split(","))
    return all(name in ("", DEFLATE) for name in names)


def _first_end(connection: Connection) -> int:
    """The time of the first FIN or RST (HTTP/2: of the stream's end), else how far the capture goes."""
    if connection.http == "2" and connection.end_time != NO_TIME:
        return int(connection.end_time)
    halves = (connection.client.half, connection.server.half)
    times: list[int] = [time for half in halves for time in (half.fin_time, half.reset_time) if time != NO_TIME]
    until: int = connection.flow.watched_until
    return min(times) if times else until
