"""Compiled or plain, whole or in crumbs: the same bytes give the same tables, byte for byte.

Run as a script, it prints as JSON what this interpreter makes of the captures named on the command line.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import analyzer

TABLES = ("connections", "closes", "frames", "messages", "violations", "reconnects", "ledger")
MUTANTS_PER_SAMPLE = 12
MUTATED_AT_MOST = 64 << 10
SEED = 6455


def _tables(source: Any) -> dict[str, str]:
    """Every table as text, or the error that the source gave."""
    try:
        result = analyzer.analyze(*source if isinstance(source, list) else [source], tables=TABLES)
        tables = {name: getattr(result, name) for name in TABLES}
    except Exception as error:  # whatever one form raises, the other must raise
        return {"error": f"{type(error).__name__}: {error}"}
    return {name: f"{table.dtypes.to_dict()}\n{table.to_csv(na_rep='<NA>')}" for name, table in tables.items()}


def _plainly(sources: list[list[str]]) -> list[dict[str, str]]:
    """The tables of each source by the uncompiled modules, in another process."""
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps(sources),
        env={**os.environ, "ANALYZER_PURE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    tables: list[dict[str, str]] = json.loads(done.stdout)
    return tables


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" else content


def _mutated(content: bytes, chance: random.Random) -> bytes:
    """A capture with a few bytes overwritten, or a piece of it lost, repeated or cut off."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        at, size = chance.randrange(len(data)), chance.randint(1, 64)
        match chance.randrange(6):
            case 0 | 1 | 2:
                data[at] = chance.randrange(256)
            case 3:
                del data[at : at + size]
            case 4:
                data[at:at] = data[at : at + size]
            case _:
                data[at : at + size] = chance.randbytes(size)
    if chance.random() < 0.1:
        del data[chance.randrange(1, len(data)) :]
    return bytes(data)


class Crumbs(io.RawIOBase):
    """A file that hands out a few bytes a read, as a slow pipe does."""

    def __init__(self, content: bytes, sizes: list[int]) -> None:
        self._content, self._sizes, self._at, self._reads = content, sizes, 0, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = min(self._sizes[self._reads % len(self._sizes)], len(buffer), len(self._content) - self._at)
        buffer[:size] = self._content[self._at : self._at + size]
        self._at += size
        self._reads += 1
        return size


@pytest.fixture(scope="module")
def compiled(hot_modules: dict[str, Path]) -> None:
    if not all(file.suffix != ".py" for file in hot_modules.values()):
        pytest.skip("the hot modules run from source here, so there are no two forms to compare")


@pytest.mark.usefixtures("compiled")
def test_compiled_and_plain_give_the_same_tables_on_every_sample(samples: list[Any]) -> None:
    sources = [[str(path) for path in sample.paths] for sample in samples]
    for sample, source, plain in zip(samples, sources, _plainly(sources), strict=True):
        for name, table in _tables(source).items():
            assert table == plain.get(name), f"{sample.name}: {name}"


@pytest.mark.usefixtures("compiled")
def test_compiled_and_plain_give_the_same_tables_on_mutated_samples(samples: list[Any], tmp_path: Path) -> None:
    chance = random.Random(SEED)
    sources = []
    for sample in samples:
        content = _content(sample.paths[0])
        if len(content) > MUTATED_AT_MOST:
            continue
        for number in range(MUTANTS_PER_SAMPLE):
            mutant = tmp_path / f"{sample.name}-{number}.pcap"
            mutant.write_bytes(_mutated(content, chance))
            sources.append([str(mutant)])
    assert len(sources) > 100
    for source, plain in zip(sources, _plainly(sources), strict=True):
        for name, table in _tables(source).items():
            assert table == plain.get(name), f"{Path(source[0]).name}: {name}"


@pytest.mark.parametrize("sizes", [[1], [7, 1, 4099, 13, 2]], ids=["one byte a read", "odd sizes"])
def test_a_capture_read_in_crumbs_gives_the_same_tables(sample: Any, sizes: list[int]) -> None:
    content = _content(sample.paths[0])
    assert _tables(Crumbs(content, sizes)) == _tables(io.BytesIO(content))


if __name__ == "__main__":
    json.dump([_tables(source) for source in json.load(sys.stdin)], sys.stdout)
