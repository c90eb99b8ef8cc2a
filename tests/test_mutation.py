"""Samples that something happened to on their way into a file: nothing is lost from the account, and what only
repeats or swaps packets changes no code, reason or count."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pandas as pd
import pytest
from invariants import analyzed
from mutations import Captured, cut, doubled, flipped, fragmented, lying, read, reordered, secrets, written

SEEDS = 12
LARGEST = 110_000
CLOSE_COLUMNS = ["sender", "code", "name", "reason", "reason_bytes", "legal"]
KEY = ["client_ip", "client_port", "server_ip", "server_port", "path"]
COLUMNS = [
    *KEY,
    *("transport", "opening", "http_status", "subprotocol", "extensions", "lost_bytes"),
    *(
        f"{side}_{what}"
        for side in ("client", "server")
        for what in ("frames", "messages", "bytes", "wire_bytes", "exact", "code", "reason", "pings")
    ),
]
CONCLUDED = ["outcome", "transport_end", "transport_end_by", "close_initiator", "client_saw", "server_saw"]
"""What the order of the packets may change: a Close after the peer's RST is one that nobody received."""


@pytest.fixture(scope="module")
def small(samples: list[Any]) -> list[Any]:
    """The smaller samples of one file."""
    return [sample for sample in samples if len(sample.paths) == 1 and sample.paths[0].stat().st_size < LARGEST]


@pytest.fixture(scope="module")
def clean(small: list[Any]) -> dict[str, tuple[list[Captured], int]]:
    """Their packets and link types."""
    return {sample.name: read(sample.paths[0]) for sample in small}


@pytest.fixture(scope="module", autouse=True)
def keylog(small: list[Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The secrets that some of them hold beside their packets, in the file that browsers would write."""
    path = tmp_path_factory.mktemp("secrets") / "keylog.txt"
    path.write_bytes(b"".join(secrets(sample.paths[0]) for sample in small))
    assert path.stat().st_size > 1000
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSLKEYLOGFILE", str(path))
        yield


def _what_was_said(content: bytes, columns: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The connections, of these columns, and the closes, without times and numbers of packets."""
    result = analyzed(content)
    assert result is not None
    rows = result.connections.sort_values([*KEY, "start"])
    place = {number: order for order, number in enumerate(rows.index)}
    closes = result.closes.assign(place=result.closes["connection"].map(place))
    closes = closes.sort_values(["place", "sender"], kind="stable")[["place", *CLOSE_COLUMNS]]
    return rows[columns].reset_index(drop=True), closes.reset_index(drop=True)


def _same(mutant: bytes, original: bytes, columns: list[str], name: str) -> None:
    for found, wanted in zip(_what_was_said(mutant, columns), _what_was_said(original, columns), strict=True):
        pd.testing.assert_frame_equal(found, wanted, obj=name)


def test_the_secrets_open_what_is_encrypted(clean: Any) -> None:
    for name, (packets, link_type) in clean.items():
        rows, _ = _what_was_said(written(packets, link_type), ["transport"])
        assert not name.startswith("wss") or set(rows["transport"]) - {"tcp"} == {"tls"}


@pytest.mark.parametrize("share", [1.0, 0.3], ids=["every packet", "some packets"])
def test_copies_of_packets_change_no_code_reason_or_count(clean: Any, share: float) -> None:
    for seed, (name, (packets, link_type)) in enumerate(clean.items()):
        mutant = doubled(packets, random.Random(seed), share)
        _same(written(mutant, link_type), written(packets, link_type), [*COLUMNS, *CONCLUDED], name)


def test_fragments_of_packets_change_no_code_reason_or_count(clean: Any) -> None:
    parted = 0
    for name, (packets, link_type) in clean.items():
        pieces = fragmented(packets)
        parted += sum(map(len, pieces)) - len(pieces)
        _same(written(list(chain(*pieces)), link_type), written(packets, link_type), [*COLUMNS, *CONCLUDED], name)
    assert parted > 1000


@pytest.mark.parametrize("seed", range(3))
def test_packets_swapped_within_a_few_places_change_no_code_reason_or_count(clean: Any, seed: int) -> None:
    for number, (name, (packets, link_type)) in enumerate(clean.items()):
        mutant = reordered(packets, random.Random(100 * seed + number))
        _same(written(mutant, link_type), written(packets, link_type), COLUMNS, f"{name}, seed {seed}")


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_lost_packets_make_no_tls_handshake_fail_and_no_proxy_end_a_leg(clean: Any, share: float) -> None:
    for name, (packets, link_type) in clean.items():
        for seed in range(10 if name.startswith(("wss", "proxy")) else 0):
            chance = random.Random(seed)
            left = [packet for packet in packets if chance.random() >= share]
            result = analyzed(written(left, link_type))
            assert result is not None
            rows = result.connections
            assert "TLS failure" not in set(rows["cause"]), f"{name}, seed {seed}"
            assert "other leg" not in set(rows["cause"][rows["outcome"] == "unknown"]), f"{name}, seed {seed}"


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_happens_to_packets_all_are_accounted_for(clean: Any, seed: int) -> None:
    for number, (packets, link_type) in enumerate(clean.values()):
        chance = random.Random(1000 * seed + number)
        mutant = packets
        for change in chance.sample((cut, doubled, flipped, lying, reordered), chance.randint(1, 4)):
            mutant = change(mutant, chance)
        result = analyzed(written(mutant, link_type))
        assert result is not None and result._account.packets == len(mutant)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_happens_to_a_file_its_packets_are_accounted_for(samples: list[Any], seed: int) -> None:
    for number, sample in enumerate(samples):
        content = bytearray(sample.paths[0].read_bytes()[:LARGEST])
        chance = random.Random(1000 * seed + number)
        for _ in range(chance.randint(1, 8)):
            at, size = chance.randrange(len(content)), chance.randint(1, 64)
            content[at : at + chance.choice((0, 1, size))] = chance.randbytes(chance.choice((1, size)))
        analyzed(bytes(content))
