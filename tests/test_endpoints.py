"""Samples against what the endpoints themselves reported: their own codes, counts and bytes, not a parser's."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pandas as pd

import analyzer

NOT_OPENED = {"refused", "unanswered", "encrypted"}


def _endpoint(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def _pairs(expected: list[dict[str, Any]], rows: pd.DataFrame) -> tuple[list[tuple[dict[str, Any], Any]], list[Any]]:
    """Each expected connection with its row (same endpoints; then same path; then order of time), and the rows left."""
    pools: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in rows.sort_values("start", kind="stable").itertuples():
        key = _endpoint(row.client_ip, row.client_port), _endpoint(row.server_ip, row.server_port)
        pools[key].append(row)
    pairs = []
    for connection in expected:
        pool = pools[connection["client"], connection["server"]]
        by_path = (row for row in pool if not pd.isna(row.path) and row.path == connection.get("path"))
        row = next(by_path, pool[0] if pool else None)
        if row is not None:
            pool.remove(row)
        pairs.append((connection, row))
    return pairs, [row for pool in pools.values() for row in pool]


def _seen(row: Any, field: str) -> Any:
    """What the row says in the endpoint's terms; None where it says nothing."""
    if field.endswith("_sent_close"):
        return not pd.isna(getattr(row, field.replace("_sent", "")))
    value = getattr(row, field)
    return None if pd.isna(value) else value


def test_the_rows_say_what_the_endpoints_reported(reported_sample: Any) -> None:
    rows = analyzer.analyze(*reported_sample.paths).connections
    pairs, _ = _pairs(reported_sample.facts["connections"], rows)
    differences = []
    for connection, row in pairs:
        name = f"{connection['client']} -> {connection['server']} {connection.get('path', '')}"
        if row is None:
            differences.append(f"{name}: no row")
            continue
        for field, expected in connection.items():
            if field in ("client", "server") or expected is None:
                continue
            seen = _seen(row, field)
            if seen != expected:
                differences.append(f"{name}: {field} is {seen!r}, the endpoint said {expected!r}")
    assert not differences, "\n".join(differences)


def test_no_row_is_a_connection_that_no_endpoint_knows(reported_sample: Any) -> None:
    rows = analyzer.analyze(*reported_sample.paths).connections
    _, surplus = _pairs(reported_sample.facts["connections"], rows)
    if not reported_sample.facts.get("others"):
        assert [row for row in surplus if row.opening not in NOT_OPENED] == []
