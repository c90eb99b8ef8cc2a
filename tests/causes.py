"""Holds the causes against recordings whose true causes are known: python tests/causes.py FOLDER [--markdown]

FOLDER has NAME.pcap and NAME.cause.json side by side. For every true cause it counts the connections that were named
rightly, wrongly and not at all, and of the timers, clocks, agents, verdicts (of a side's first Close) and places (the
rows that are one WebSocket) that the recordings tell how many were right; where there is a NAME.reconnects.json, of the
reconnects too. `capture` may name several files, of several points of capture: `file` then tells which one shows the
connection, as `stream` tells of HTTP/2.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

import analyzer

MAPPING = json.loads(Path(__file__).with_name("causes.json").read_text("utf-8"))
"""True cause (as the recordings call it) -> the words of our vocabulary that name it."""

SAYS_NOTHING = {"not enough bytes", "capture ended", "dropped"}
WORDS = ("right", "wrong", "none")
TIMERS = ("timer_s", "close_timeout_s", "ping_timeout_s")
CLOCKS = {
    "idle": {"idle"},
    "lifetime": {"lifetime"},
    "since open": {"lifetime"},
    "ping": {"ping"},
    "after Close": {"after Close"},
    "since last client message": {"client idle", "client messages"},
    "after pusher:ping": {"idle", "server idle"},  # the server's last message
}
"""A clock, as the recordings call it -> the words of ours that name it; other clocks have no word."""
BY_CLIENT_ALONE = "client->server messages"  # what re-arms an idle timer that the server's messages may re-arm too
SLACK = 0.05
EARLY = 0.3


class Verdict(NamedTuple):
    """One connection. cause, seconds, clock, agent, code, places: right, wrong, none (nothing said), "" (nothing to be
    said); of a code that is called unverifiable nothing is said."""

    capture: str
    truth: str
    said: str
    cause: str
    seconds: str
    clock: str
    agent: str
    code: str
    places: str
    evidence: str


def verdicts(folder: Path) -> Iterator[Verdict]:
    """One for each labelled connection that is a row, and one for each that should be and is not."""
    for labels in sorted(folder.glob("*.cause.json")):
        truth = json.loads(labels.read_text("utf-8"))
        result = analyzer.analyze(*captures_of(labels))
        connections, closes = result.connections, result.closes
        rows = [_row(label, connections) for label in truth["connections"]]
        places = _places(truth["connections"], rows)
        for label, row in zip(truth["connections"], rows, strict=True):
            if row is not None:
                own = closes[closes["connection"] == row.Index]
                yield verdict(labels.name, label, row, own, places.get(row.Index, ""))
            elif not MAPPING[label["cause"]]:
                continue
            else:
                yield Verdict(labels.name, label["cause"], "no row", "none", "", "", "", "", "", "")


def captures_of(labels: Path) -> list[Path]:
    """The files that were recorded at once."""
    names = json.loads(labels.read_text("utf-8"))["capture"]
    return [labels.with_name(name) for name in ([names] if isinstance(names, str) else names)]


def _row(label: dict[str, Any], connections: Any) -> Any:
    """The row of a labelled connection, if there is one."""
    host, _, port = label["client"].rpartition(":")
    mine = (connections["client_ip"] == host) & (connections["client_port"] == int(port))
    mine &= connections["server_port"] == int(label["server"].rpartition(":")[2])
    if "stream" in label:
        mine &= (connections["http_stream"] == label["stream"]).fillna(False)
    if "file" in label:
        mine &= connections["first_file"].astype(str).str.endswith(label["file"])
    return next(connections[mine].itertuples(), None)


def _places(labels: list[dict[str, Any]], rows: list[Any]) -> dict[int, str]:
    """By row, whether it was joined with all rows of the same WebSocket (`pair`), and with no other one."""
    known = [(label, row) for label, row in zip(labels, rows, strict=True) if row is not None]
    pairs = {row.Index: label["pair"] for label, row in known if "pair" in label}
    first = {row.Index: row.Index if pd.isna(row.same_as) else int(row.same_as) for _, row in known}
    wanted, found = _groups(pairs), _groups(first)
    words = {}
    for row, pair in pairs.items():
        other = {row for row in found[first[row]] if row in pairs}
        words[row] = "right" if other == wanted[pair] else "none" if other < wanted[pair] else "wrong"
    return {row: word for row, word in words.items() if word != "right" or len(wanted[pairs[row]]) > 1}


def _groups(names: dict[int, Any]) -> dict[Any, set[int]]:
    """The rows of every name."""
    groups: dict[Any, set[int]] = {}
    for row, name in names.items():
        groups.setdefault(name, set()).add(row)
    return groups


def verdict(capture: str, label: dict[str, Any], row: Any, closes: Any, places: str) -> Verdict:
    """What is right and wrong about one row."""
    right = row.cause in MAPPING[label["cause"]]
    cause = "right" if right else "none" if row.cause in SAYS_NOTHING else "wrong"
    by = None if row.cause_by != row.cause_by else row.cause_by
    wanted = label["by"]
    agent = "" if wanted == "none" else "none" if by is None else "right" if by == wanted else "wrong"
    code, evidence = _codes(label, closes)
    evidence = evidence or str(row.evidence)
    of_timer = _seconds(label, row), _clock(label, row)
    return Verdict(capture, label["cause"], str(row.cause), cause, *of_timer, agent, code, places, evidence)


def _codes(label: dict[str, Any], closes: Any) -> tuple[str, str]:
    """The verdicts on both sides' codes, as one word; the evidence of one that is not right."""
    words = {}
    for side, wanted in label.get("verdicts", {}).items():
        own = closes[closes["sender"] == side]
        said = "no row" if own.empty else str(own["verdict"].iloc[0])
        word = "right" if said == wanted else "none" if said in ("unverifiable", "no row") else "wrong"
        words[word] = said if own.empty else f"{own['code'].iloc[0]} {said}: {own['evidence'].iloc[0]}"
    word = next((each for each in ("wrong", "none", "right") if each in words), "")
    return word, words.get(word, "") if word != "right" else ""


def _seconds(label: dict[str, Any], row: Any) -> str:
    figures = label["figures"]
    wanted = next((figures[name] for name in TIMERS if name in figures), None)
    if wanted is None or label["cause"].startswith("clean"):
        return ""
    if row.cause_timer != row.cause_timer:
        return "none"
    said = row.cause_timer.total_seconds()
    jitter = figures.get("jitter_s", 0)
    return "right" if wanted - EARLY - jitter <= said <= wanted + jitter + max(SLACK, wanted / 50) else "wrong"


def _clock(label: dict[str, Any], row: Any) -> str:
    figures = label["figures"]
    wanted = CLOCKS.get(figures.get("clock", ""))
    if wanted is None or label["cause"].startswith("clean"):
        return ""
    if figures.get("rearmed_by") == BY_CLIENT_ALONE and "idle" in wanted:
        wanted = wanted | {"client idle"}
    if row.cause_clock != row.cause_clock:
        return "none"
    return "right" if row.cause_clock in wanted else "wrong"


def reconnects(folder: Path) -> Iterator[tuple[str, Counter[str]]]:
    """For each recording that tells them how many were found rightly, wrongly and not at all. Clients that look alike
    are paired in order of time, and said to be: then right is that this one ended, and that one came."""
    for labels in sorted(folder.glob("*.reconnects.json")):
        truth = json.loads(labels.read_text("utf-8"))
        result = analyzer.analyze(*captures_of(labels))
        names = {number: f"{row.client_ip}:{row.client_port}" for number, row in result.connections.iterrows()}
        found = [(names[row.connection], names[row.next_connection], row) for row in result.reconnects.itertuples()]
        yield labels.name, Counter(_reconnect(label, found) for label in truth["reconnects"])


def _reconnect(label: dict[str, Any], found: list[tuple[str, str, Any]]) -> str:
    ended = next((each for each in found if each[0] == label["before"]), None)
    came = next((each for each in found if each[1] == label["after"]), None)
    if ended is None or came is None:
        return "none"
    if ended[2].ambiguous and came[2].ambiguous:
        return "right"
    delay = ended[2].delay.total_seconds()
    return "right" if ended is came and abs(delay - label["delay_s"]) <= SLACK else "wrong"


def table(found: list[Verdict], markdown: bool) -> list[str]:
    """The counts for every true cause, then the sums."""
    head = ("true cause", "connections", "right", "wrong", "not at all")
    head += ("timer: r/w/n", "clock: r/w/n", "by: r/w/n", "code: r/w/n", "places: r/w/n")
    rows = [head]
    for truth in sorted({each.truth for each in found}):
        rows.append(_line(truth, [each for each in found if each.truth == truth]))
    rows.append(_line("all", found))
    return _aligned(rows, markdown)


def _aligned(rows: list[tuple[str, ...]], markdown: bool) -> list[str]:
    head = rows[0]
    if markdown:
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return [lines[0], "|" + " --- |" * len(head), *lines[1:]]
    widths = [max(len(row[place]) for row in rows) for place in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _line(name: str, found: list[Verdict]) -> tuple[str, ...]:
    causes = Counter(each.cause for each in found)
    sides = [Counter(getattr(each, what) for each in found) for what in ("seconds", "clock", "agent", "code", "places")]
    parts = ["/".join(str(side[word]) for word in WORDS) for side in sides]
    parts = [part if part != "0/0/0" else "" for part in parts]
    return (name, str(len(found)), *(str(causes[word]) for word in WORDS), *parts)


def main(folder: str, *options: str) -> int:
    """Print the table and every way of being wrong; the number of wrong causes decides the exit status."""
    found = list(verdicts(Path(folder)))
    markdown = "--markdown" in options
    print("\n".join(table(found, markdown)))
    counts = [(name, *(str(count[word]) for word in WORDS)) for name, count in reconnects(Path(folder))]
    if counts:
        print("", *_aligned([("reconnects of", "right", "wrong", "not at all"), *counts], markdown), sep="\n")
    wrong = [each for each in found if "wrong" in each or "none" in (each.cause, each.code, each.places)]
    for (capture, truth, said), number in Counter((each.capture, each.truth, each.said) for each in wrong).items():
        example = next(each for each in wrong if (each.capture, each.truth, each.said) == (capture, truth, said))
        print(f"{capture}: {number} x {truth!r}: {said!r} {example[3:9]}: {example.evidence}", file=sys.stderr)
    return int(any(each.cause == "wrong" for each in found))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
