"""What holds of every analysis, whatever was read: one function for the tests and the fuzzers."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import analyzer
from analyzer.columns import CATEGORY, TEXT
from analyzer.result import Result
from analyzer.schema import TABLES

ALL_TABLES = tuple(TABLES)
IN_NO_SUM = ("conflicting", "lost", "cut by snaplen", "truncated record")
"""Kinds of bytes that stand beside the sum: never captured, counted in another cell too, or of no packet."""


def analyzed(*contents: bytes, **options: Any) -> Result | None:
    """The analysis of captures in memory, after `holds`; None if none is a capture. Any other exception is a defect."""
    try:
        result = analyzer.analyze(*map(io.BytesIO, contents), tables=ALL_TABLES, **options)
    except analyzer.CannotRead:
        return None
    holds(result)
    return result


def holds(result: Result) -> None:
    """Every packet and byte is in one cell of the ledger, every table is as the schema says, rows belong together."""
    counts = {(unit, kind): int(count) for unit, kind, count in _rows(result.ledger, "unit", "kind", "count")}
    ledger_holds(counts, result._account.packets, result._account.payload_bytes)
    for name in ALL_TABLES:
        schema_holds(name, getattr(result, name), len(result.files))
    connections = result.connections
    assert list(connections.index) == list(range(len(connections))), "connections are numbered from 0 without a hole"
    for name in ("closes", "frames", "messages"):
        assert getattr(result, name)["connection"].isin(connections.index).all(), f"{name} of no connection"
    for side in ("client", "server"):
        told = int(connections[f"{side}_frames"].sum())
        assert told == int((result.frames["sender"] == side).sum()), f"frames of the {side}s and their number"
    assert (result.frames["captured"] <= result.frames["length"]).all(), "more captured than there was"


def ledger_holds(counts: Mapping[tuple[str, str], int], packets: int, payload_bytes: int) -> None:
    """counts: by unit and kind; packets: read; payload_bytes: captured of TCP flows with a WebSocket."""
    assert ("byte", "unaccounted") not in counts, counts
    assert min(counts.values(), default=0) >= 0, counts
    assert sum(count for (unit, _), count in counts.items() if unit == "packet") == packets, (counts, packets)
    assert byte_sum(counts) == payload_bytes, (counts, payload_bytes)


def byte_sum(counts: Mapping[tuple[str, str], int]) -> int:
    """Captured payload bytes of WebSocket flows, as the ledger's cells sum up."""
    return sum(count for (unit, kind), count in counts.items() if unit == "byte" and kind not in IN_NO_SUM)


def schema_holds(name: str, table: Any, files: int) -> None:
    """The table has the schema's columns in its order, with its dtypes, and no negative count."""
    schema = TABLES[name]
    columns = [column for column in schema.columns_for(files) if column.name != schema.index]
    assert list(table.columns) == [column.name for column in columns], name
    for column in columns:
        dtype = table[column.name].dtype
        assert str(dtype).startswith(column.dtype), f"{name}.{column.name} is {dtype}"
        if column.dtype == CATEGORY and not column.names_file:
            assert list(dtype.categories) == column.categories, f"{name}.{column.name}"
        if column.dtype in ("Int64", "UInt64"):
            assert not (table[column.name] < 0).any(), f"{name}.{column.name} is negative"
        if column.dtype == TEXT:
            assert all(isinstance(value, str) for value in table[column.name].dropna()), f"{name}.{column.name}"


def _rows(table: Any, *columns: str) -> Any:
    return zip(*(table[name] for name in columns), strict=True)
