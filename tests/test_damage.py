"""Packets taken out of clean captures at random: whatever is still claimed must be true, and nothing is invented.

Run as a script, it prints how many connections keep their codes when a share of the packets is lost.
"""

from __future__ import annotations

import gzip
import io
import random
import struct
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import mutations
import pandas as pd
import pytest

import analyzer

SAMPLES = Path(__file__).resolve().parents[1] / "sample_pcaps"
NAMES = (
    "browser-chromium-deflate.pcapng",
    "close-unanswered.pcap",
    "close-without-code.pcap",
    "closed-by-client-each-code.pcap",
    "closed-by-server-each-code.pcap",
    "closes-crossing.pcap",
    "dropped-by-reset.pcap",
    "fragmented-messages.pcap.gz",
    "keepalive-healthy.pcap",
    "message-too-big.pcap",
    "server-restart.pcap",
)
SEEDS = 25
SHARES = (0.001, 0.01, 0.05, 0.05, 0.2)
TABLES = ("connections", "closes", "frames", "messages", "ledger")
END_POINTS = ["client_ip", "client_port", "server_ip", "server_port"]
EQUAL = (
    "client_code",
    "client_reason",
    "server_code",
    "server_reason",
    "client_saw",
    "server_saw",
    "close_initiator",
    "http_status",
    "path",
)
COUNTS = ("frames", "messages", "wire_bytes", "pings")


def pieces_of(content: bytes) -> tuple[bytes, list[bytes]]:
    """A capture file as what stands before its packets, and their records."""
    if content[:4] == b"\x0a\x0d\x0d\x0a":
        blocks, at = [], 0
        while at < len(content):
            size = struct.unpack_from("<I", content, at + 4)[0]
            blocks.append(content[at : at + size])
            at += size
        is_packet = [block[:4] == b"\6\0\0\0" for block in blocks]
        head = b"".join(block for block, packet in zip(blocks, is_packet, strict=True) if not packet)
        return head, [block for block, packet in zip(blocks, is_packet, strict=True) if packet]
    order = "<" if content[:1] in (b"\xd4", b"\x4d") else ">"
    records, at = [], 24
    while at < len(content):
        size = 16 + struct.unpack_from(order + "I", content, at + 8)[0]
        records.append(content[at : at + size])
        at += size
    return content[:24], records


@cache
def sample(name: str) -> tuple[bytes, list[bytes]]:
    content = (SAMPLES / name).read_bytes()
    return pieces_of(gzip.decompress(content) if name.endswith(".gz") else content)


def read(head: bytes, records: list[bytes]) -> analyzer.Result:
    return analyzer.analyze(io.BytesIO(head + b"".join(records)), tables=TABLES)


@cache
def clean(name: str) -> analyzer.Result:
    return read(*sample(name))


def damaged(name: str, share: float, seed: int) -> analyzer.Result:
    """The capture without a share of its packets."""
    chance = random.Random(f"{name} {seed}")
    head, records = sample(name)
    return read(head, [record for record in records if chance.random() >= share])


def by_end_points(result: analyzer.Result) -> dict[tuple[Any, ...], Any]:
    """The rows whose four-tuple is theirs alone."""
    rows = result.connections
    rows = rows[~rows.duplicated(END_POINTS, keep=False)]
    return {tuple(row[name] for name in END_POINTS): row for _, row in rows.iterrows()}


def shows_all(row: Any, side: str) -> bool:
    """The end of the side's bytes is in the capture: else nothing could tell of packets missing after the last."""
    end = row["transport_end_by"]
    return not pd.isna(end) and bool(end == side)


def check_row(row: Any, truth: Any) -> None:
    """What a row says holds for the whole capture too."""
    for name in EQUAL:
        if pd.isna(row[name]):
            continue
        sender = "server" if name == "client_saw" else "client"
        unseen = name.endswith("_saw") and (pd.isna(truth[name]) or (row[name] == 1006 and not shows_all(row, sender)))
        if not unseen:
            assert not pd.isna(truth[name]), (name, row[name])
            assert row[name] == truth[name], (name, row[name], truth[name])
    for side in ("client", "server"):
        assert pd.isna(row[f"{side}_close"]) or not pd.isna(truth[f"{side}_close"]), f"{side} Close"
        for name in COUNTS:
            seen, there = row[f"{side}_{name}"], truth[f"{side}_{name}"]
            assert seen <= there, (side, name, seen, there)
            assert seen == there or not row[f"{side}_exact"] or not shows_all(row, side), (side, name, seen, there)
    assert row["outcome"] != "clean" or truth["outcome"] == "clean", truth["outcome"]


def kept(table: pd.DataFrame, rows: pd.DataFrame, columns: list[str]) -> Counter[tuple[Any, ...]]:
    """How often each combination of these columns occurs, by connection."""
    joined = table.merge(rows[END_POINTS], left_on="connection", right_index=True)
    values = joined[[*END_POINTS, *columns]].astype(object).where(joined.notna(), None)
    return Counter(values.itertuples(index=False, name=None))


def check(result: analyzer.Result, truth: analyzer.Result) -> None:
    """Nothing in the result is invented."""
    rows, known = by_end_points(result), by_end_points(truth)
    there = {tuple(row) for row in truth.connections[END_POINTS].itertuples(index=False)}
    for end_points, row in rows.items():
        assert end_points in there, f"{end_points} is no connection"
        if end_points in known:
            check_row(row, known[end_points])
    closes = result.closes
    for name, table, whole_table, columns in (
        ("frames", result.frames, truth.frames, ["sender", "opcode", "fin", "rsv", "length"]),
        ("closes", closes, truth.closes, ["sender"]),
        ("codes", closes[closes["code"].notna()], truth.closes, ["sender", "code"]),
    ):
        invented = kept(table, result.connections, columns) - kept(whole_table, truth.connections, columns)
        assert not invented, f"{name}: {list(invented)[:3]}"
    whole = kept(result.messages[result.messages["valid"].eq(True)], result.connections, ["sender", "type", "bytes"])
    assert not whole - kept(truth.messages, truth.connections, ["sender", "type", "bytes"]), "messages"
    assert "unaccounted" not in set(result.ledger["kind"])


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_is_claimed_of_a_damaged_capture_is_wrong(name: str) -> None:
    for seed in range(SEEDS):
        share = SHARES[seed % len(SHARES)]
        try:
            check(damaged(name, share, seed), clean(name))
        except AssertionError as error:
            raise AssertionError(f"{name} without {share:.1%} of its packets, seed {seed}: {error}") from error


def test_of_first_fragments_alone_something_is_found_and_nothing_is_invented() -> None:
    found = 0
    for name in NAMES:
        packets, link_type = mutations.read(SAMPLES / name)
        firsts = [pieces[0] for pieces in mutations.fragmented(packets)]
        result = analyzer.analyze(io.BytesIO(mutations.written(firsts, link_type)), tables=TABLES)
        check(result, clean(name))
        assert result.ledger.set_index("kind")["count"].get("fragment of an incomplete datagram", 0) == 0
        found += sum(result.connections["lost_bytes"] > 0)
    assert found > 20


def test_http2_inside_tls_that_is_joined_in_the_middle_is_opened_and_nothing_is_invented() -> None:
    name = "wss-http2-firefox.pcapng"
    head, records = sample(name)
    whole = clean(name)
    codes = set(whole.connections["server_code"].dropna())
    midstream = []
    for missing in range(9, len(records), 9):
        result = read(head, records[missing:])
        check(result, whole)
        rows = result.connections
        assert set(rows["transport"]) <= {"tls"}
        assert set(rows["http"].dropna()) <= {"2"}
        midstream += rows.loc[rows["opening"].eq("midstream"), "server_code"].dropna().tolist()
    assert len(midstream) > 5
    assert set(midstream) <= codes


def surviving(share: float, seeds: int) -> tuple[int, int, int]:
    """Close codes of the clean captures; how many are found in damaged ones; how many are wrong."""
    codes = found = wrong = 0
    for name in NAMES:
        truth = by_end_points(clean(name))
        for seed in range(seeds):
            rows = by_end_points(damaged(name, share, seed))
            for end_points, known in truth.items():
                for column in ("client_code", "server_code"):
                    code = rows[end_points][column] if end_points in rows else pd.NA
                    codes += not pd.isna(known[column])
                    found += not pd.isna(known[column]) and code is not pd.NA and code == known[column]
                    wrong += code is not pd.NA and (pd.isna(known[column]) or code != known[column])
    return codes, found, wrong


if __name__ == "__main__":
    for lost in (0.001, 0.01, 0.05):
        expected, right, false = surviving(lost, 20)
        print(f"{lost:.1%} of the packets lost: {right / expected:.2%} of {expected} codes found, {false} wrong")
