"""Writes the documentation's tables from the data that they describe: python docs/make_tables.py"""

from pathlib import Path

from analyzer.catalogs import Catalog, CatalogCode, CatalogRange, catalogs, read
from analyzer.closecodes import ADVICE, CloseCode, registry
from analyzer.columns import Column
from analyzer.diagnosis.devices import devices
from analyzer.diagnosis.vocabulary import CAUSES
from analyzer.rules.catalog import RULES
from analyzer.schema import TABLES

RANGE_STARTS = (0, 1000, 3000, 4000, 5000)

INTRODUCTION = """# Close codes

Written by `python docs/make_tables.py` from the data files in `analyzer/catalogs`; change those, not this page.

In Python: `analyzer.CloseCode(1012).advice`. In a shell: `wsclose codes 1012`.
"""

VERDICTS_HEAD = ("code", "supported", "contradicted")
VERDICTS_ROWS = (
    (
        "1000, 1001",
        "both sides closed, and neither a timer nor an unanswered Ping made it; 1001: others were closed with it, new "
        "connections were refused (RST to SYN) within a minute, or a browser sent it",
        "sent at the mark of a timer that many connections show, or for a missing Pong or heartbeat; its reason speaks "
        "of a timeout or (1000) a failure",
    ),
    ("no code", "it claims nothing", ""),
    (
        "1002",
        "the other side broke a rule ([rules](rules.md))",
        "all that the other side sent was seen, and broke none",
    ),
    (
        "1003",
        "the other side's last message is of another kind than all before",
        "it had sent no data, or none of the kind that the reason complains of",
    ),
    (
        "1007",
        "a byte that is not UTF-8, or DEFLATE data that can't be inflated",
        "every message can be read, and the reason speaks of nothing else",
    ),
    ("1008", "never: only its sender knows its policy; the nearest features are named", ""),
    (
        "1009",
        "the largest message is above a usual limit and above those taken elsewhere",
        "the other side had sent no message",
    ),
    (
        "1010",
        "extensions were asked for and not granted",
        "none was asked for, or all were granted, or a server sent it",
    ),
    (
        "1011",
        "a Ping was waiting for its Pong",
        "its reason speaks of a Ping, whose Pong the sender had acknowledged in time",
    ),
    ("1012", "many connections were closed at once, or new ones were refused (RST to SYN) within a minute", "never"),
    (
        "1013",
        "upgrades or connections were refused, a receive window was closed, or as many others were open each time",
        "never",
    ),
    ("1014", "the leg behind the gateway had ended before", ""),
    ("3000-4999", "the application's catalog says what is then to be seen, and it is", "it is not"),
    ("1005, 1006, 1015, unassigned", "", "they must not be sent (rule C4)"),
)

VERDICTS = """## Is the code true?

`closes.verdict` holds what a code says against what the packets show; `closes.evidence` names the packets. Bytes that
are missing, a capture that begins after the handshake, or an extension that is not read here leave it `unverifiable`.
"""

ANSWERS = """1012 and 1013 are never contradicted by what goes on at the same address: behind a balancer one of several
servers may restart, or be full, while the others serve on, and a limit may be one user's. A client that comes back at
once after either did not follow the advice (`reconnects.followed`); that makes the code no less true.

An answer to the other side's Close is `supported` if it repeats the code, or has none. Another one from 1002 to 1014
claims something of its own and is judged as if it came first: 1002 in answer to a Close that may be sent, of a side
that broke no rule, is `contradicted`. 1000, 1001 and private codes in answer to another code are `unverifiable`: RFC
6455 5.5.1 says only what is typical, and libraries of good standing answer 1000 to whatever comes, or what their
application had asked for at the same moment. A code that is contradicted names no cause: `connections.cause` is then
`unfounded code`, or what the end was laid to.
"""

CATALOGS = """## Application catalogs

The same number means different things to different services, so a catalog is chosen by the agreed subprotocol, the
host, the first messages or the path, never by a code. Each is one file; a new file is a new catalog. Some know the
heartbeats of their application too: small messages by which a side shows that it is there, or asks whether the other
one is. They are counted (`connections.client_heartbeats`, `server_heartbeats`, their periods, `unanswered_heartbeats`)
and weighed in `cause` and `verdict`.
"""

COLUMNS = """# Tables and columns

Written by `python docs/make_tables.py` from `analyzer/schema.py`; change that, not this page.

In Python each table is a DataFrame of the result (`analyzer.analyze(...).connections`); in a shell it is a command
(`wsclose connections FILE`). Columns stand in this order. Missing is `<NA>`, or `NaT` for a time, never 0, -1 or empty
text. Times are UTC with nanoseconds. `client_` and `server_` before a count mean: sent by that side. `packet` is the
number within its file, from 1, as Wireshark counts; columns that name a file exist when there is more than one.
"""


CAUSES_PAGE = """# Causes

The vocabulary and the timers are written by `python docs/make_tables.py` from `analyzer/diagnosis`; change those.

`connections.cause` says why a connection ended, in one of the words below, the first that fits. `cause_basis` says
whether the packets themselves show it (`observed`) or it is the likeliest explanation (`inferred`); `evidence` names
the packets and figures. `cause_by` is who made the end happen: where both legs of a proxy were captured, `proxy` is
told from `server`. `cause_timer` is the time that ran out, `cause_clock` what it ran from, `cause_device` whose
default it is. Where nothing is known, the weak words are used: `dropped`, `reset`, `capture ended`, `not enough bytes`.

A timer is claimed only for many connections: at least four of one service, ended by the same side with the same code,
whose readings of one clock lie within 50 ms or 1 % (up to 0.3 s early, as nginx fires), at different moments, so many
more than beside them that chance (all windows and clocks tried are counted) is below 1 in 10 000, and with no other
connection of the service that outlived it. Of several clocks that fit, the one that varies least counts; where an idle
clock and the lifetime fit alike, it is only inferred. A time spread by a tenth to either side is inferred of ten
connections or more, if the other kind of clock, age or silence, scatters twice as widely, and the ends more than what
was read. Clients that close with a code of their own run no timer: equal jobs take equal time; nor does a server that
closes at once after the result of what a client asked for. The clock `client messages` runs on behind Pings and Pongs.
One connection alone, at the value of a known device, is at most inferred.

A reset is a middlebox's if its TTL is not that of the side's other packets. The column `same_as` joins the rows that
are one WebSocket: its TCP connection seen at several points of capture (same addresses and initial sequence number, or
behind an address translation same number and key), and its legs at proxies: they carry the same Sec-WebSocket-Key and
open within each other; where a proxy makes a new key, they have the same path, open within each other, the back one
names the front one's client (X-Forwarded-For, Forwarded, PROXY) or, from HTTP/2 to HTTP/1.1, comes from the front one's
server, and no other two fit. Rows at another point of capture count once in timers and events. A Close that one place
shows and the other surely lacks is `close lost` there, and where it was sent too if TCP never got it through.
"""

MEASURED = "## Held against recordings"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def registered() -> str:
    """The registered codes, and Empty."""
    head = ("code", "name", "meaning", "on the wire", "sent by", "advice", "note", "reference")
    return table(
        head,
        [
            (
                str(code),
                code.name,
                code.meaning,
                "yes" if code.on_wire else "never",
                code.sent_by,
                code.advice,
                code.note,
                code.reference,
            )
            for code in (CloseCode.Empty, *registry())
        ],
    )


def ranges() -> str:
    """What every other number means."""
    lasts = (*(start - 1 for start in RANGE_STARTS[1:]), 65535)
    unregistered = [CloseCode(last) for last in lasts]
    return table(
        ("codes", "range", "meaning", "on the wire"),
        [
            (f"{first}-{last}", last.range, last.meaning, "yes" if last.on_wire else "never")
            for first, last in zip(RANGE_STARTS, unregistered, strict=True)
        ],
    )


def catalog_section(catalog: Catalog) -> str:
    """One catalog."""
    note = f"{catalog.note}\n" if catalog.note else ""
    rows: list[tuple[str, CatalogCode | CatalogRange]] = [(str(entry.code), entry) for entry in catalog.codes]
    rows += [(f"other {rule.first}-{rule.last}", rule) for rule in catalog.ranges]
    codes = table(
        ("code", "name", "meaning", "sent by", "retry"),
        [(code, entry.name, entry.meaning, entry.sent_by, entry.retry) for code, entry in rows],
    )
    beats = heartbeats(catalog)
    parts = [f"### {catalog.name}\n", f"`{catalog.file}`. Source: {catalog.source}.\n", *([note] if note else [])]
    return "\n".join([*parts, *([codes] if rows else []), *([beats] if beats else [])])


def heartbeats(catalog: Catalog) -> str:
    """How its heartbeats look, by examples; "" if it has none."""
    rows = []
    for entry in read(catalog.file).get("heartbeats", ()):
        beat, *answers = (f"`{ascii(text)[1:-1]}`" for text in entry["examples"][0])
        rows.append((beat, entry["sent_by"], answers[0] if answers else "none", entry["source"]))
    return table(("heartbeat", "sent by", "answer", "source"), rows) if rows else ""


def close_codes() -> str:
    """The page docs/close-codes.md."""
    advice = table(("advice, retry", "what it asks of a client"), list(ADVICE.items()))
    codes = [INTRODUCTION, registered(), "## Every other number\n", ranges(), "## Words for advice\n", advice]
    codes += [VERDICTS, table(VERDICTS_HEAD, list(VERDICTS_ROWS)), ANSWERS]
    return "\n".join([*codes, CATALOGS, *(catalog_section(catalog) for catalog in catalogs())])


RULES_PAGE = """# Rules

Written by `python docs/make_tables.py` from `analyzer/rules/catalog.py`; change that, not this page.

The rules of RFC 6455 and RFC 7692 that can be checked from outside. Each breach is a row of the table `violations`
(`result.violations`, `wsclose violations FILE`), and reading goes on. A rule that can't be judged, because bytes or the
handshake are missing, is not judged; no row then says nothing. Sections are of RFC 6455 where no other is named.

Severity is that of a plain breach. Milder ones say so in their row: a code that is only unassigned (`should`), 1010
from a server, unused bits in a key, a key that was used before (`note`). R1 is judged between
connections: its row is of the one that came too soon, and not counted in its column `violations`; what a close code
asks of a client is judged in the table `reconnects`. Not judged, as nothing outside shows it: whether a client without
an Origin is a browser; and whether a refusal was for the Origin, which should be answered 403 (H10). Any other status
may have another reason (credentials, the path, load, a malformed request), also where the Origin is another host's:
that is how pages use services of others, and no row is better than one against a server that did right.
"""


def rules() -> str:
    """The page docs/rules.md."""
    rows = [(rule.id, rule.section, rule.severity, rule.says) for rule in RULES.values()]
    return "\n".join([RULES_PAGE, table(("rule", "section", "severity", "says"), rows)])


def values(column: Column) -> str:
    """The words of a category, in their order."""
    return ", ".join(f"`{word}`" for word in column.categories)


def columns() -> str:
    """The page docs/columns.md."""
    sections = [COLUMNS]
    for each in TABLES.values():
        rows = [(f"`{column.name}`", column.dtype, column.meaning, values(column)) for column in each.columns]
        sections.append(f"## {each.name}\n\n{each.meaning}\n\n{table(('column', 'type', 'meaning', 'values'), rows)}")
    return "\n".join(sections)


def causes() -> str:
    """The page docs/causes.md: the vocabulary, the timers, and what was measured as it stands there."""
    words = table(("cause", "meaning"), [(f"`{word}`", meaning) for word, meaning in CAUSES.items()])
    rows = [(f"{device.seconds:g}", device.clock, device.name, device.source) for device in devices()]
    timers = table(("seconds", "clock", "device", "source"), rows)
    page = Path(__file__).with_name("causes.md")
    measured = page.read_text("utf-8").partition(MEASURED)[2] if page.exists() else "\n"
    return "\n".join([CAUSES_PAGE, words, "## Default timers\n", timers, MEASURED]) + measured


if __name__ == "__main__":
    Path(__file__).with_name("causes.md").write_text(causes(), "utf-8")
    Path(__file__).with_name("columns.md").write_text(columns(), "utf-8")
    Path(__file__).with_name("close-codes.md").write_text(close_codes(), "utf-8")
    Path(__file__).with_name("rules.md").write_text(rules(), "utf-8")
