"""Every input of the fuzzers' corpus, replayed in this run's form: seeds, and what once was found."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

FUZZ = Path(__file__).resolve().parents[1] / "fuzz"
CORPUS = sorted(path for path in (FUZZ / "corpus").glob("*/*"))


@pytest.fixture(scope="module")
def targets() -> Any:
    """The module of the fuzzers' targets."""
    specification = importlib.util.spec_from_file_location("fuzz_targets", FUZZ / "targets.py")
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", CORPUS, ids=[f"{path.parent.name}/{path.name}" for path in CORPUS])
def test_what_holds_holds_on_the_corpus(path: Path, targets: Any) -> None:
    targets.TARGETS[path.parent.name](path.read_bytes())


def test_every_target_has_a_corpus_and_all_is_small(targets: Any) -> None:
    assert {path.parent.name for path in CORPUS} == set(targets.TARGETS)
    assert sum(path.stat().st_size for path in CORPUS) < 1 << 20
