"""Gives every connection its cause: own causes first, then what many have in common, then what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from analyzer.diagnosis import beating, closing, common, elsewhere, handshakes, transport
from analyzer.diagnosis.addresses import service_text
from analyzer.diagnosis.events import events_of
from analyzer.diagnosis.facts import (
    BOTH,
    CLEAN,
    CLIENT,
    DROPPED,
    ENCRYPTED,
    FIELDS,
    HANDSHAKE,
    MIDSTREAM,
    NO_CLOSE,
    NOBODY,
    SERVER,
    SIDE_NAMES,
    UNKNOWN,
    Facts,
)
from analyzer.diagnosis.finding import Case, Cause, Expiry, Finding, Scene, seconds
from analyzer.diagnosis.gathering import Gathered, Numbering
from analyzer.diagnosis.neighbours import Neighbours
from analyzer.diagnosis.places import Places, places_of
from analyzer.diagnosis.timers import timers_of
from analyzer.diagnosis.verdicts.judging import judge
from analyzer.diagnosis.verdicts.verdict import Sent, Verdict
from analyzer.diagnosis.vocabulary import INFERRED, OBSERVED
from analyzer.records import END_RST, MISSING, NO_TIME

Numbers = Any  # numpy arrays of int64

REASON = Sent._fields.index("reason")
PLAIN_END = Finding("clean close", OBSERVED, None, "")
"""Of a connection that ended as it should."""
FOUND = Finding._fields
INITIATOR = FIELDS.index("initiator")
CLOSES = tuple(
    tuple(FIELDS.index(f"{side}_{what}") for what in ("code", "reason", "packet", "file"))
    for side in ("server", "client")
)
"""What the evidence of a plain end is made of: of the server, of the client."""

OWN: tuple[Cause, ...] = (
    handshakes.insecure,
    handshakes.refused,
    handshakes.unanswered,
    handshakes.rejected,
    elsewhere.close_lost,
    elsewhere.close_not_delivered,
    transport.zero_window,
    transport.vanished,
    transport.idle_expiry,
    closing.keepalive,
    closing.restart,
    closing.explained,
    closing.catalogued,
)
"""What one connection shows by itself, in order: the first that fits. None of these is a timer's doing."""

SHARED: tuple[Cause, ...] = (beating.missed, common.other_leg, common.event, common.timer)
REST: tuple[Cause, ...] = (
    common.stopped,
    closing.close_timeout,
    transport.middlebox_reset,
    common.proxy_timer,
    common.timer_alone,
    beating.stopped,
    closing.coded,
    transport.reset,
    transport.dropped,
    transport.capture_ended,
)


class Conclusions:
    """The findings of all connections, in the order in which they were gathered: numbers, most of which stand for
    texts. The evidence of a plain end, -1 - row, is made when it is asked for."""

    def __init__(self, gathered: Gathered, scene: Scene) -> None:
        self._found: dict[str, Numbers] = {}
        self._rows = gathered.rows
        self._scene = scene
        self._words = Numbering()
        self._evidence: list[str] = []
        self._plain_texts: dict[tuple[bool, int, int], str] = {}

    def numbers_of(self, field: str, rows: Any) -> Numbers:
        """The numbers of a field of Finding in these rows."""
        return self._found[field][rows].astype(np.int64)

    def value_of(self, field: str) -> Callable[[int], Any] | None:
        """What makes the value of a field's number; None where it is the number."""
        if field in ("nanoseconds", "same_as"):
            return None
        return self._evidence_of if field == "evidence" else list(self._words).__getitem__

    def take(self, columns: Mapping[str, Numbers], plain: Numbers, findings: dict[int, Finding]) -> None:
        """Keep the findings of all rows: those given, and those of plain ends."""
        words, by_client = self._words, columns["initiator"] == CLIENT
        code: Numbers = np.where(by_client, columns["client_code"], columns["server_code"])
        left = np.where(by_client, words["client navigation"], words["going away"])
        plainly: tuple[Numbers, ...] = (
            np.where(code == 1001, left, words["clean close"]),
            words[OBSERVED],
            np.where(by_client, words["client"], words["server"]),
            -1 - np.arange(len(plain)),
            MISSING,
            words[None],
            words[None],
            MISSING,
        )
        rest = np.flatnonzero(~plain).tolist()
        for row in rest if len(findings) < len(rest) else ():
            if row not in findings:
                findings[row] = _nothing(self._scene, row)
        rows = list(findings)
        columns_found = zip(*map(self._numbered, findings.values()), strict=True) if rows else ((),) * len(FOUND)
        for field, values, others in zip(FOUND, plainly, columns_found, strict=True):
            numbers = np.full(len(plain), values, np.int64 if self.value_of(field) is None else np.int32)
            numbers[rows] = others
            self._found[field] = numbers

    def _numbered(self, finding: Finding) -> tuple[int, ...]:
        """A finding in numbers."""
        words = self._words
        self._evidence.append(finding.evidence)
        return (
            words[finding.cause],
            words[finding.basis],
            words[finding.agent],
            len(self._evidence) - 1,
            finding.nanoseconds,
            words[finding.clock],
            words[finding.device],
            MISSING,
        )

    def add(self, missed: dict[int, str], places: Places) -> None:
        """Add what other places show: to the evidence of rows, and which row is the first of the same WebSocket."""
        evidence = self._found["evidence"]
        for row, text in missed.items():
            self._evidence.append(f"{self._evidence_of(int(evidence[row]))}; {text}")
            evidence[row] = len(self._evidence) - 1
        if places.same_as:
            self._found["same_as"][list(places.same_as)] = list(places.same_as.values())

    def _evidence_of(self, number: int) -> str:
        """The evidence, by its number."""
        if number >= 0:
            return self._evidence[number]
        get, row = self._rows.get, -1 - number
        by_client = get(row, INITIATOR) == CLIENT
        code, reason, packet, file = CLOSES[by_client]
        shape = by_client, get(row, code), get(row, reason)
        text = self._plain_texts.get(shape)
        if text is None:
            text = self._plain_texts[shape] = self._plain_text(*shape)
        where = f"{self._scene.files[get(row, file)]}#" if len(self._scene.files) > 1 else "packet "
        return f"{text} ({where}{get(row, packet)}) and was answered"

    def _plain_text(self, by_client: bool, code: int, reason: int) -> str:
        """Who sent what."""
        what = f"Close {code}" if code else "an empty Close"
        text = f' "{self._scene.texts[reason]}"' if self._scene.texts[reason] else ""
        return f"the {'client' if by_client else 'server'} sent {what}{text}"


def places_in(gathered: Gathered) -> Places:
    """Which rows are one WebSocket seen at several places."""
    return places_of(Columns(gathered))


class Columns(dict[str, Numbers]):
    """The facts of all connections, column by column, each unpacked when it is asked for."""

    def __init__(self, gathered: Gathered) -> None:
        self._rows = gathered.rows

    def __missing__(self, name: str) -> Numbers:
        place = Facts._fields.index(name)
        every = np.arange(self._rows.count)
        self[name] = column = np.frombuffer(self._rows.gather(place, every), np.int64)
        return column


class Diagnosis:
    """What is concluded of all connections that were gathered. files: names, by index; refused: see streams.Streams."""

    def __init__(
        self, gathered: Gathered, files: Sequence[str], places: Places, refused: Mapping[tuple[int, ...], Sequence[int]]
    ) -> None:
        self._columns = Columns(gathered)
        rows, width = gathered.rows, len(Facts._fields)
        self._scene = Scene(
            [text or "" for text in gathered.texts.values],
            [service_text(*key) for key in gathered.services],
            files,
            lambda row: Facts._make(rows.row(row, width)),
            gathered.details,
            Neighbours(self._columns, gathered.details),
            places=places,
            refused=_refused(gathered, refused),
        )
        self._gathered, self._places = gathered, places
        self._plain = _plain(self._columns, self._scene)
        self._found, self._missed = _findings(self._columns, self._scene, self._plain)

    def findings(self) -> Conclusions:
        """The findings of all connections."""
        conclusions = Conclusions(self._gathered, self._scene)
        conclusions.take(self._columns, self._plain, self._found)
        conclusions.add(self._missed, self._places)
        return conclusions

    def verdicts(self) -> Iterator[Verdict]:
        """The verdict on every Close, in the order in which they were gathered."""
        row_of = {number: row for row, number in enumerate(self._columns["number"].tolist())}
        closes = self._gathered.closes
        for place in range(closes.count):
            values: list[Any] = closes.row(place, len(Sent._fields))
            row = row_of[values[0]]
            sent = Sent(*values)
            sent = sent._replace(reason=self._scene.texts[values[REASON]])
            case = Case(row, self._scene.facts(row), self._scene)
            yield judge(case, sent, self._found.get(row, PLAIN_END))


def _findings(
    columns: dict[str, Numbers], scene: Scene, plain: Numbers
) -> tuple[dict[int, Finding], dict[int, str]]:
    """The findings of all connections but those that ended as they should, by row; and of those whose Close another
    place lacks what that adds to the evidence."""
    closer = _closers(columns)
    rows = np.flatnonzero(~plain).tolist()
    scene.expiries = _expiries(columns, scene, np.flatnonzero(~plain & (columns["end_how"] == END_RST)).tolist())
    findings: dict[int, Finding] = {}
    _apply(OWN, scene, rows, findings)
    _share(scene, columns, closer, findings)
    together = (np.array(scene.timer_of) >= 0) | (np.array(scene.event_of) >= 0)
    rows += np.flatnonzero(together & plain).tolist()
    _apply((*SHARED, _too_little, *REST), scene, [row for row in rows if row not in findings], findings)
    missed = {}
    linked: frozenset[int] = frozenset() if scene.places is None else scene.places.linked
    for case in _cases(scene, (row for row in rows if row in linked)):
        for each in elsewhere.missed_closes(case):
            missed[each.there] = elsewhere.not_delivered(each, case)
    return findings, missed


def _cases(scene: Scene, rows: Iterable[int]) -> Iterator[Case]:
    """The cases of rows, one at a time: all at once would take as much memory as everything else."""
    return (Case(row, scene.facts(row), scene) for row in rows)


def _apply(causes: Iterable[Cause], scene: Scene, rows: Iterable[int], findings: dict[int, Finding]) -> None:
    """The first cause that fits, for every row."""
    causes = tuple(causes)
    for case in _cases(scene, rows):
        row = case.row
        if _unseen(case):
            findings[row] = _not_enough(case)
            continue
        for cause in causes:
            finding = cause(case)
            if finding is not None:
                findings[row] = finding
                break


def _closers(columns: dict[str, Numbers]) -> Numbers:
    """finding.closer_of for all."""
    initiator, client, server = columns["initiator"], columns["client_code"], columns["server_code"]
    crossed = np.where(np.isin(server, (1000, 0)) & ~np.isin(client, (1000, 0)), CLIENT, SERVER)
    closer = np.where(initiator == BOTH, crossed, initiator)
    return np.where((closer == NOBODY) | (columns["outcome"] == DROPPED), columns["end_by"], closer)


def _plain(columns: dict[str, Numbers], scene: Scene) -> Numbers:
    """Both Closes, an ordinary code and no reason that says more, nothing waiting for an answer: as it should be."""
    client_first = columns["initiator"] == CLIENT
    code: Numbers = np.where(client_first, columns["client_code"], columns["server_code"])
    reason = np.where(client_first, columns["client_reason"], columns["server_reason"])
    ping: Numbers = np.where(client_first, columns["client_ping"], columns["server_ping"])
    beat: Numbers = np.where(client_first, columns["client_beat"], columns["server_beat"])
    telling = [number for number, text in enumerate(scene.texts) if closing.HEARTBEAT.search(text)]
    telling += [number for number, text in enumerate(scene.texts) if closing.KEEPALIVE.search(text)]
    ordinary: Numbers = np.isin(code, (1000, 0, 1001)) & (columns["opening"] <= MIDSTREAM)
    ordinary &= columns["initiator"] != BOTH
    return ordinary & (columns["outcome"] == CLEAN) & ~np.isin(reason, telling) & (ping == beat) & (ping == NO_TIME)


def _share(scene: Scene, columns: dict[str, Numbers], closer: Numbers, findings: dict[int, Finding]) -> None:
    """Find timers and events among the connections that no cause of their own explains."""
    free = np.ones(len(closer), bool)
    free[list(findings)] = False
    free &= (columns["opened"] != NO_TIME) & (columns["opening"] == HANDSHAKE)
    by_client = (closer == CLIENT) & (columns["client_code"] != NO_CLOSE)
    places = scene.places
    assert places is not None
    passed_on = np.zeros(len(free), bool)
    code: Numbers = np.where(closer == CLIENT, columns["client_code"], columns["server_code"])
    silent = code == NO_CLOSE
    for row in np.flatnonzero(free & ((places.front_of >= 0) | (places.back_of >= 0)) & silent).tolist():
        passed_on[row] = common.passed_on(Case(row, scene.facts(row), scene)) is not None
    eligible, stoppable = free & ~by_client & ~passed_on, _stoppable(columns, findings)
    once = np.flatnonzero(places.copy_of < 0)
    seen = columns if len(once) == len(free) else {name: columns[name][once] for name in Facts._fields}
    scene.timers, timer_of = timers_of(seen, closer[once], eligible[once])
    scene.events, event_of = events_of(seen, closer[once], stoppable[once])
    for number in range(len(scene.events)):  # one moment, and yet each at the same reading of a clock
        rows = event_of == number
        if int(np.count_nonzero(timer_of[rows] >= 0)) * 2 > int(np.count_nonzero(rows)):
            event_of[rows] = -1
        else:
            timer_of[rows] = -1
    scene.timer_of = _at_all_points(timer_of, places, once, eligible).tolist()
    scene.event_of = _at_all_points(event_of, places, once, stoppable).tolist()
    services, counts = np.unique(seen["service"][seen["opened"] != NO_TIME], return_counts=True)
    scene.opened = dict(zip(services.tolist(), counts.tolist(), strict=True))


def _at_all_points(member: Numbers, places: Places, once: Numbers, eligible: Numbers) -> Numbers:
    """What a connection is a member of, for its rows at other points too. member: of the rows `once`."""
    everywhere = np.full(len(places.copy_of), -1, np.int32)
    everywhere[once] = member
    copies = np.flatnonzero((places.copy_of >= 0) & eligible)
    everywhere[copies] = everywhere[places.copy_of[copies]]
    return everywhere


def _stoppable(columns: dict[str, Numbers], findings: dict[int, Finding]) -> Numbers:
    """Connections that a stopping server may have ended: unexplained, or told of a restart."""
    free: Numbers = columns["opened"] != NO_TIME
    free[[row for row, finding in findings.items() if finding.cause != "server restart"]] = False
    return free


def _expiries(columns: dict[str, Numbers], scene: Scene, reset: Iterable[int]) -> dict[int, Expiry]:
    """Services before which a device forgets idle connections, with what was seen of it. reset: rows that an RST
    ended."""
    fatal: dict[int, list[int]] = {}
    cut = np.zeros(len(columns["number"]), bool)
    for case in _cases(scene, reset):
        silence = transport.fatal_silence(case)
        if silence:
            cut[case.row] = True
            if scene.places is None or scene.places.copy_of[case.row] < 0:
                fatal.setdefault(case.facts.service, []).append(silence)
    found = {}
    for service, silences in fatal.items():
        lived = columns["survived"][(columns["service"] == service) & ~cut]
        before = [scene.details[row].survived for row in np.flatnonzero(cut).tolist()]
        found[service] = Expiry(len(silences), min(silences), max([0, *lived.tolist(), *before]))
    return found


def _unseen(case: Case) -> bool:
    """Encrypted, and nobody has the keys."""
    return case.facts.opening == ENCRYPTED


def _not_enough(case: Case) -> Finding:
    last = f"({case.packet(case.facts.last_packet)} is the last)"
    if case.facts.opening == ENCRYPTED:
        return Finding("not enough bytes", INFERRED, None, f"encrypted, no keys {last}{_guessed(case)}")
    return Finding("not enough bytes", OBSERVED, None, f"{_missing(case)} {last}")


def _missing(case: Case) -> str:
    """What the capture lacks."""
    tails = case.tail(CLIENT), case.tail(SERVER)
    for side, tail, peer in ((CLIENT, tails[0], tails[1]), (SERVER, tails[1], tails[0])):
        if tail is not None and peer is not None and tail.packets and not peer.packets:
            return f"only the {SIDE_NAMES[side]}'s packets were captured"
    return "bytes that would tell are not in the capture"


def _guessed(case: Case) -> str:
    """What the lengths of encrypted records look like."""
    secured = None if case.details is None else case.details.secured
    if secured is None:
        return ""
    text = "; its record lengths look like a WebSocket's"
    if secured.initiator is not None:
        text += f", closed by the {secured.initiator} with a reason of {secured.reason_length} bytes"
    if secured.ping_period != MISSING:
        text += f", with a Ping every {seconds(secured.ping_period)}"
    return text


def _too_little(case: Case) -> Finding | None:
    return _not_enough(case) if case.facts.outcome == UNKNOWN else None


def _nothing(scene: Scene, row: int) -> Finding:
    return _not_enough(Case(row, scene.facts(row), scene))


def _refused(gathered: Gathered, refused: Mapping[tuple[int, ...], Sequence[int]]) -> dict[int, list[int]]:
    """When connections to each service were refused, sorted; each once, whatever points of capture saw it."""
    seen: dict[tuple[int, ...], Sequence[int]] = {}
    for (_, *pair), times in refused.items():
        ends = tuple(pair)
        seen[ends] = max(seen.get(ends, ()), times, key=len)
    found: dict[int, list[int]] = {}
    for ends, times in seen.items():
        if (service := gathered.services.get(ends[:4])) is not None:
            found.setdefault(service, []).extend(times)
    return {service: sorted(times) for service, times in found.items()}
