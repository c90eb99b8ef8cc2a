"""What a person wants first: what to know, how the WebSockets ended, which need a look, what the capture lacks."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from analyzer.outputs import words
from analyzer.outputs.escaping import visible
from analyzer.outputs.words import Line

if TYPE_CHECKING:
    import pandas as pd

ATTENTION = ("unanswered-close", "dropped", "refused", "no-answer", "unknown")
EXAMPLES = 3
"""Connections shown of each outcome that needs a look."""

CODES = 12
PROBLEMS = 8
BAR = 6

_PROTOCOLS = {
    "tls": "TLS: it can't be read without keys (--keylog); or capture behind the proxy that ends TLS",
    "failed tls": "TLS, and its handshake failed: see the alerts in Wireshark (tls.alert_message)",
    "http": "HTTP without an upgrade to WebSocket",
    "http2 preface": "HTTP/2 in clear, with no WebSocket seen in it",
    "ssh": "SSH",
    "other": "another protocol, or begun before the capture",
}


def lines(result: Any, inputs: Sequence[str], again: str = "") -> list[Line]:
    """The whole summary. again: the options that commands it suggests must repeat."""
    connections = result.connections
    if connections.empty:
        return [*absence(result, inputs), *_damage(result, connections)]
    from analyzer.outputs import findings, returns, untrue  # these need pandas

    return [
        *_head(connections, inputs),
        *findings.lines(connections),
        *returns.lines(connections, result.reconnects),
        *untrue.lines(result.closes, connections),
        *_endings(connections),
        *_codes(connections),
        *_attention(connections, inputs, again),
        *_damage(result, connections),
        *_next(connections, inputs, again),
    ]


def absence(result: Any, inputs: Sequence[str]) -> list[Line]:
    """That there is no WebSocket, and the likely reason."""
    found: list[Line] = [[(f"No WebSocket in {words.files(inputs)}.", "bold")]]
    kinds = {kind: count for (unit, kind), count in result.counts.items() if unit == "packet"}
    outside = kinds.pop("outside time range", 0)
    packets = sum(kinds.values())
    flows = {kind: number for kind, number in result.flow_kinds.items() if number}
    if not packets:
        none = f"None of its {words.counted(outside, 'packet')} is of the time asked for." if outside else ""
        found.append([(f"  {none or 'It holds no packets.'}", "")])
    elif not flows:
        found.append([(f"  {words.counted(packets, 'packet')}, none with TCP payload.", "")])
    for kind, number in sorted(flows.items(), key=lambda item: -item[1]):
        what = _PROTOCOLS.get(kind, visible(kind))
        found.append([(f"  {words.counted(number, 'TCP connection')}: {what}.", "")])
    if cut := _cut(result):
        sentence = f"  Packets are cut short: {words.counted(cut, 'byte')} are missing; record them whole (-s 0)."
        found.append([(sentence, "yellow")])
    return found


def _head(connections: pd.DataFrame, inputs: Sequence[str]) -> Iterator[Line]:
    number = words.counted(len(connections), "WebSocket connection")
    yield [(number, "bold"), (f" in {words.files(inputs)}", "")]
    again = int(connections["same_as"].notna().sum())
    if again:
        number = words.counted(len(connections) - again, "WebSocket")
        yield [(f"{number}: some were captured at several places, with a row for each (column same_as)", "")]
    begin, end = connections["start"].min(), connections["end"].max()
    if not words.is_missing(begin) and not words.is_missing(end):
        yield [(f"{words.moment(begin)} to {words.moment(end)} UTC, {words.elapsed(end - begin)}", "dim")]


def _endings(connections: pd.DataFrame) -> Iterator[Line]:
    yield []
    yield [("How they ended", "bold")]
    counts = Counter(connections["outcome"].astype("string").fillna("unknown"))
    total = sum(counts.values())
    for outcome, meaning in words.OUTCOMES.items():
        if number := counts[outcome]:
            bar = "\u2588" * max(1, round(BAR * number / total))
            yield [
                (f"  {outcome:<17}", words.COLOURS[outcome]),
                (f"{number:>7}  ", ""),
                (f"{bar:<{BAR}}  ", words.COLOURS[outcome]),
                (meaning, "dim"),
            ]


def _codes(connections: pd.DataFrame) -> Iterator[Line]:
    """The codes of the Close frames that came first, by who sent them."""
    counts: Counter[tuple[int, str]] = Counter()
    who = connections["close_initiator"].astype("string")
    for side in ("client", "server"):
        first = (who == side).fillna(False) | (who == "both").fillna(False)
        for number in connections.loc[first, f"{side}_code"].fillna(-1):
            counts[int(number), side] += 1
    if counts:
        yield []
        yield [("Codes of the first Close", "bold"), (" (both sides' where they crossed)", "dim")]
        yield [(f"  {'':<36}{'by client':>11}{'by server':>11}", "dim")]
    totals = Counter({code: counts[code, "client"] + counts[code, "server"] for code, _ in counts})
    for code, _ in totals.most_common(CODES):
        name = "no code (its receiver is told 1005)" if code < 0 else words.code(code)
        numbers = "".join(f"{counts[code, side] if counts[code, side] else '-':>11}" for side in _SIDES)
        yield [(f"  {name:<36}{numbers}", "")]
    if len(totals) > CODES:
        yield [(f"  and {words.counted(len(totals) - CODES, 'more code')}", "dim")]
    opened = ~connections["outcome"].isin(("refused", "no-answer"))
    told = {side: int((connections.loc[opened, f"{side}_saw"] == 1006).fillna(False).sum()) for side in _SIDES}
    if any(told.values()):
        if not counts:
            yield []
        sides = " and ".join(words.counted(number, side) for side, number in told.items() if number)
        yield [(f"  {sides} received no Close, which libraries report as 1006", "")]


_SIDES = ("client", "server")


def _attention(connections: pd.DataFrame, inputs: Sequence[str], again: str) -> Iterator[Line]:
    for outcome in ATTENTION:
        rows = connections[connections["outcome"] == outcome]
        if rows.empty:
            continue
        yield []
        yield [(f"{outcome}", f"bold {words.COLOURS[outcome]}"), (f": {words.OUTCOMES[outcome]}", "")]
        for number, row in rows.head(EXAMPLES).iterrows():
            yield from _example(number, row)
        if len(rows) > EXAMPLES:
            condition = shlex.quote(f'outcome == "{outcome}"')
            command = f"wsclose connections {_shell(inputs)}{again} --where {condition}"
            yield [(f"  and {len(rows) - EXAMPLES} more: ", "dim"), (command, "cyan")]


def _example(number: Any, row: pd.Series[Any]) -> Iterator[Line]:
    ends = " -> ".join(words.endpoint(row[f"{side}_ip"], row[f"{side}_port"]) for side in _SIDES)
    path = "" if words.is_missing(row["path"]) else f"  {visible(str(row['path']))}"
    yield [(f"  #{number}  ", "bold"), (f"{ends}{path}", "")]
    facts = [words.elapsed(row["duration"])]
    if row["outcome"] == "refused" and not words.is_missing(row["http_status"]):
        facts.append(f"HTTP status {row['http_status']}")
    for side in _SIDES:
        if not words.is_missing(row[f"{side}_close"]):
            sent = row[f"{side}_code"]
            facts.append(f"{side} sent {'an empty Close' if words.is_missing(sent) else words.code(sent)}")
    if not words.is_missing(row["transport_end"]):
        by = "" if words.is_missing(row["transport_end_by"]) else f" by {row['transport_end_by']}"
        facts.append(f"{words.TRANSPORT_ENDS.get(str(row['transport_end']), row['transport_end'])}{by}")
    if "cause" in row.index and not words.is_missing(row["cause"]) and row["cause"] != row["outcome"]:
        facts.append(str(row["cause"]))
    facts.append(_packets(row))
    yield [(f"      {', '.join(fact for fact in facts if fact)}", "dim")]


def _packets(row: pd.Series[Any]) -> str:
    first, last = row["first_packet"], row["last_packet"]
    if words.is_missing(first) or words.is_missing(last):
        return ""
    if "first_file" not in row.index:  # there is one file
        return f"packets {first} to {last}"
    first_file, last_file = visible(str(row["first_file"])), visible(str(row["last_file"]))
    return f"packets {first_file}#{first} to {last if first_file == last_file else f'{last_file}#{last}'}"


def _damage(result: Any, connections: pd.DataFrame) -> Iterator[Line]:
    found: list[Line] = [[(f"  {problem_text(problem)}", "")] for problem in result.problems[:PROBLEMS]]
    if len(result.problems) > PROBLEMS:
        found.append([(f"  and {len(result.problems) - PROBLEMS} more", "dim")])
    if not connections.empty:
        found += [[(f"  {text}", "")] for text in _lacking(result, connections)]
    if found:
        yield []
        yield [("What the capture lacks", "bold yellow")]
        yield from found


def _lacking(result: Any, connections: pd.DataFrame) -> Iterator[str]:
    """What of the connections was not captured, or can't be read."""
    lost = connections["lost_bytes"].fillna(0)
    if lost.sum():
        where = words.counted(int((lost > 0).sum()), "connection")
        yield f"{words.counted(int(lost.sum()), 'byte')} were sent but never captured, in {where}"
    if cut := _cut(result):
        yield f"packets are cut short: {words.counted(cut, 'byte')} are missing; record them whole (-s 0)"
    if later := int((connections["opening"] == "midstream").sum()):
        yield f"{words.counted(later, 'connection')} began before the capture: their handshake is not in it"
    for side, peer in (_SIDES, _SIDES[::-1]):
        silent = (connections[f"{side}_frames"] == 0) & ~connections[f"{side}_exact"].fillna(True).astype(bool)
        if number := int((silent & (connections[f"{peer}_frames"] > 0)).fillna(False).sum()):
            yield f"of {words.counted(number, 'connection')} only the {peer}'s frames were captured"
    flow = ["client_ip", "client_port", "server_ip", "server_port", "start"]
    inside = connections["transport"].isin(("tls", "tls-no-keys"))
    if unread := result.flow_kinds.get("tls", 0) - len(connections.loc[inside, flow].drop_duplicates()):
        others = words.counted(unread, "other TLS connection")
        yield f"{others} show no sign of a WebSocket; for some, keys may be missing (--keylog)"
    if unread := int((connections["transport"] == "tls-no-keys").sum()):
        sealed = f"{words.counted(unread, 'connection')} inside TLS could not be decrypted"
        yield f"{sealed}: no key log (--keylog) with their keys was given"


def _cut(result: Any) -> int:
    """Bytes that a snapshot length cut off."""
    return sum(count for (unit, kind), count in result.counts.items() if unit == "byte" and kind.startswith("cut"))


def problem_text(problem: Any) -> str:
    """A problem of the capture in a line: file: what (where)."""
    where = "" if problem.where is None else f" (byte {problem.where})"
    return visible(f"{problem.file}: {problem.what}{where}")


def _next(connections: pd.DataFrame, inputs: Sequence[str], again: str) -> Iterator[Line]:
    if "-" in inputs:  # what came through a pipe is gone
        return
    worst = next((outcome for outcome in ATTENTION if (connections["outcome"] == outcome).any()), None)
    number = connections.index[0] if worst is None else connections.index[connections["outcome"] == worst][0]
    files = _shell(inputs)
    yield []
    yield [("Next", "bold")]
    commands = {
        f"wsclose show {files} {number}{again}": "one connection",
        f"wsclose connections {files}{again} -o connections.csv": "every column",
        f"wsclose extract {files} {number}{again} -o part.pcapng": "for Wireshark",
    }
    width = max(map(len, commands))
    for command, what in commands.items():
        yield [(f"  {command:<{width}}", "cyan"), (f"   {what}", "dim")]


def _shell(inputs: Sequence[str]) -> str:
    named = [visible(shlex.quote(name)) for name in inputs]
    return " ".join(named) if len(named) <= 3 else "FILE..."
