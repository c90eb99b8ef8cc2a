"""Close codes for people: the registry, and what one code means in it and in the catalogs of applications."""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.catalogs import catalogs
from analyzer.closecodes import ADVICE, CloseCode, registry
from analyzer.outputs.escaping import visible
from analyzer.outputs.words import Line


def everything() -> Iterator[Line]:
    """The registry with every code's meaning, then the catalogs by name."""
    yield [("Registered close codes", "bold"), ("  (* never in a Close frame: told by a library to its user)", "dim")]
    for code in registry():
        mark = " " if code.on_wire else "*"
        yield [(f"  {int(code):>5}{mark} {code.name:<28}", ""), (code.meaning, "dim")]
    yield []
    yield [("Catalogs of applications", "bold"), ("  (wsclose codes CODE shows what each makes of a code)", "dim")]
    width = max(len(visible(catalog.name)) for catalog in catalogs())
    for catalog in catalogs():
        yield [(f"  {visible(catalog.name):<{width}}", ""), (f"  {len(catalog.codes)} codes, {catalog.source}", "dim")]


def one(number: int) -> Iterator[Line]:
    """One code: what the registry or its range says, and every catalog's own meaning. ValueError outside 0-65535."""
    code = CloseCode(number)
    yield [(f"{int(code)} {code.name}", "bold")]
    yield [(f"  {code.meaning}", "")]
    for label, value in (
        ("in a Close frame", "allowed" if code.on_wire else "never allowed"),
        ("sent by", code.sent_by),
        ("range", code.range),
        ("reconnecting", ADVICE[code.advice]),
        ("reference", code.reference),
        ("note", code.note),
    ):
        if value:
            yield [(f"  {label + ':':<18}", "dim"), (str(value), "")]
    for catalog in catalogs():
        if entry := catalog.code(number):
            text = ": ".join(part for part in (entry.name, entry.meaning) if part)
            yield [(f"  {catalog.name}:  ", "cyan"), (text, "")]
