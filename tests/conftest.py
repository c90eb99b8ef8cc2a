"""Says which form of the hot modules is under test, refuses stale ones, and hands out the sample captures."""

from __future__ import annotations

import importlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import analyzer

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "sample_pcaps"
PACKAGE = Path(analyzer.__file__).resolve().parent


@dataclass(frozen=True)
class Sample:
    """A capture of one or more files. facts: what the endpoints themselves reported about it, where they did."""

    name: str
    paths: tuple[Path, ...]
    facts: dict[str, Any] | None = None


def _samples() -> list[Sample]:
    samples = []
    for file in sorted(SAMPLES.glob("*.expected.json")):
        facts = json.loads(file.read_text(encoding="utf-8"))
        paths = tuple(SAMPLES / name for name in facts["captures"])
        samples.append(Sample(file.name.removesuffix(".expected.json"), paths, facts))
    for file in sorted(SAMPLES.glob("*.cause.json")):
        name = file.name.removesuffix(".cause.json")
        captures = json.loads(file.read_text(encoding="utf-8"))["capture"]
        names = [captures] if isinstance(captures, str) else captures
        samples.append(Sample(name, tuple(SAMPLES / each for each in names)))
    return samples


def _forms() -> dict[str, Path]:
    """Each hot module (those with a .pxd) and the file that Python loads for it."""
    forms = {}
    for declarations in sorted(PACKAGE.rglob("*.pxd")):
        name = ".".join((PACKAGE.name, *declarations.relative_to(PACKAGE).with_suffix("").parts))
        forms[name] = Path(str(importlib.import_module(name).__file__))
    return forms


def _stale(name: str, compiled: Path) -> list[str]:
    """The sources that are newer than the compiled module made of them."""
    stem = PACKAGE.joinpath(*name.split(".")[1:])
    sources = {stem.with_suffix(".py"), stem.with_suffix(".pxd")}
    if "analyzer.records" in stem.with_suffix(".pxd").read_text(encoding="utf-8"):
        sources.add(PACKAGE / "records.pxd")
    return sorted(source.name for source in sources if source.stat().st_mtime > compiled.stat().st_mtime)


def pytest_sessionstart(session: pytest.Session) -> None:
    forms = _forms()
    compiled = {name: file for name, file in forms.items() if file.suffix != ".py"}
    plain = sorted(set(forms) - set(compiled))
    mixed = f" (source: {', '.join(plain)})" if compiled and plain else ""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"hot modules: {'compiled' if compiled else 'source'}{mixed}")
    for name, file in compiled.items():
        if PACKAGE.parent == ROOT and (newer := _stale(name, file)):
            pytest.exit(f"{file.name} is older than {', '.join(newer)}: run `make build`", returncode=3)
    if os.environ.get("ANALYZER_EXPECT") == "compiled" and plain:
        pytest.exit(f"ANALYZER_EXPECT=compiled, but these run from source: {', '.join(plain)}", returncode=3)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for fixture in {"sample", "reported_sample"} & set(metafunc.fixturenames):
        samples = [sample for sample in _samples() if fixture == "sample" or sample.facts is not None]
        metafunc.parametrize(fixture, samples, ids=[sample.name for sample in samples])


@pytest.fixture(scope="session")
def samples() -> list[Sample]:
    """Every sample capture."""
    return _samples()


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder that holds the tests, the samples and the documents."""
    return ROOT


@pytest.fixture(scope="session")
def package() -> Path:
    """The folder of the package under test: in the checkout, or installed from a wheel."""
    return PACKAGE


@pytest.fixture(scope="session")
def hot_modules() -> dict[str, Path]:
    """Each hot module and the file that Python loaded for it."""
    return _forms()
