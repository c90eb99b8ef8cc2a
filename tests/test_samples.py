"""The sample captures are small, listed, and show each close code and each way of ending."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import dpkt
import pandas as pd
import pytest

import analyzer

SIZE_LIMIT = 5 << 20
CODES = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3003, 4000, 4999}
OUTCOMES = {"refused", "clean", "unanswered-close", "dropped", "open"}
SAW = {1000, 1005, 1006}


def _packets(path: Path) -> int:
    """Packet records in the file, counted by dpkt."""
    opened = gzip.open(path) if path.suffix == ".gz" else path.open("rb")
    with opened as file:
        return sum(1 for _ in dpkt.pcap.UniversalReader(file))


@pytest.fixture(scope="module")
def results(samples: list[Any]) -> dict[str, Any]:
    return {sample.name: analyzer.analyze(*sample.paths) for sample in samples}


@pytest.fixture(scope="module")
def connections(results: dict[str, Any]) -> pd.DataFrame:
    return pd.concat([result.connections for result in results.values()], ignore_index=True)


def test_every_file_is_listed_in_the_readme_and_expected_by_one_sample(root: Path, samples: list[Any]) -> None:
    folder = root / "sample_pcaps"
    captures = {path.name for path in folder.iterdir() if ".pcap" in path.name}
    listed = (folder / "README.md").read_text(encoding="utf-8")
    assert sorted(name for name in captures if f"`{name}`" not in listed) == []
    named = [path.name for sample in samples for path in sample.paths]
    assert sorted(named) == sorted(captures)


def test_the_folder_stays_small(root: Path) -> None:
    assert sum(path.stat().st_size for path in (root / "sample_pcaps").iterdir()) < SIZE_LIMIT


def test_each_code_that_may_be_sent_is_shown_from_each_side(results: dict[str, Any]) -> None:
    closes = pd.concat([result.closes for result in results.values()])
    for side in ("client", "server"):
        assert set(closes.loc[closes["sender"] == side, "code"].dropna()) >= CODES


def test_each_way_of_ending_is_shown(connections: pd.DataFrame) -> None:
    assert set(connections["outcome"].dropna()) >= OUTCOMES
    assert set(connections["transport_end"].dropna()) >= {"fin", "rst"}
    assert set(connections["close_initiator"].dropna()) >= {"client", "server", "both"}
    assert set(connections["client_saw"].dropna()) >= SAW


def test_the_ledger_accounts_for_every_packet(sample: Any) -> None:
    ledger = analyzer.analyze(*sample.paths).ledger
    assert ledger.loc[ledger["unit"] == "packet", "count"].sum() == sum(map(_packets, sample.paths))


def test_the_counters_of_a_connection_equal_its_rows_in_the_other_tables(sample: Any) -> None:
    result = analyzer.analyze(*sample.paths, tables=("connections", "frames", "closes"))
    rows = result.connections
    for side in ("client", "server"):
        frames = result.frames[result.frames["sender"] == side]
        count = frames.groupby("connection").size().reindex(rows.index, fill_value=0)
        assert (rows[f"{side}_frames"] == count).all()
        wire = frames.groupby("connection")["length"].sum().reindex(rows.index, fill_value=0)
        exact = rows[f"{side}_exact"].fillna(False).astype(bool)
        assert (rows[f"{side}_wire_bytes"] == wire)[exact].all()
        first = result.closes[result.closes["sender"] == side].groupby("connection")["code"].first()
        pd.testing.assert_series_equal(rows[f"{side}_code"], first.reindex(rows.index), check_names=False)
