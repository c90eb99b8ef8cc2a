"""Recordings whose true causes are known by construction: every one is named rightly, and none is made up."""

from __future__ import annotations

from pathlib import Path

import pytest
from causes import MAPPING, Verdict, captures_of, verdicts

import analyzer

HERE = Path(__file__).resolve().parent
FOLDERS = (HERE / "data" / "causes", HERE.parent / "sample_pcaps")
MADE_OF_MANY = {"idle timer", "lifetime timer", "server stopped", "server shutdown", "idle expiry", "other leg"}


def labelled() -> list[Path]:
    return [file for folder in FOLDERS for file in sorted(folder.glob("*.cause.json"))]


@pytest.fixture(scope="module")
def found() -> list[Verdict]:
    return [each for folder in FOLDERS for each in verdicts(folder)]


def test_every_cause_is_named_rightly(found: list[Verdict]) -> None:
    assert len(found) > 250
    assert [each for each in found if each.cause != "right"] == []


def test_no_timer_and_no_agent_is_named_wrongly(found: list[Verdict]) -> None:
    assert [each for each in found if "wrong" in (each.seconds, each.clock, each.agent)] == []


def test_every_verdict_is_right(found: list[Verdict]) -> None:
    assert len([each for each in found if each.code]) > 100
    assert [each for each in found if each.code not in ("right", "")] == []


def test_the_rows_of_one_websocket_are_joined_and_no_others(found: list[Verdict]) -> None:
    assert len([each for each in found if each.places]) > 150
    assert [each for each in found if each.places not in ("right", "")] == []


def test_an_acknowledgement_of_a_proxy_says_nothing_of_the_client() -> None:
    files = captures_of(HERE / "data" / "causes" / "proxy-client-vanished.cause.json")
    connections = analyzer.analyze(*files, tables=("connections",)).connections
    behind = connections[connections["cause"] == "keepalive timeout"]
    assert len(behind) == 8 and behind["evidence"].str.contains("TCP acknowledged it: the proxy's").all()
    assert not connections["evidence"].str.contains("host is alive").any()


def test_equal_jobs_of_clients_are_no_timer(found: list[Verdict]) -> None:
    said = {each.said for each in found if each.capture.startswith("trap-same-length-jobs")}
    assert said == {"clean close"}


def test_every_finding_has_its_basis_and_evidence() -> None:
    for labels in labelled():
        connections = analyzer.analyze(*captures_of(labels), tables=("connections",)).connections
        assert connections["cause"].notna().all()
        assert connections["cause_basis"].notna().all()
        assert (connections["evidence"].str.len() > 10).all()
        assert not connections["evidence"].str.contains("\n").any()


def test_ordinary_ends_of_the_samples_are_not_laid_to_timers_or_events(samples: list[object]) -> None:
    for sample in samples:
        connections = analyzer.analyze(*sample.paths, tables=("connections",)).connections  # type: ignore[attr-defined]
        clean = connections[(connections["outcome"] == "clean") & (connections["client_code"] == 1000)]
        assert not set(clean["cause"].dropna()) & MADE_OF_MANY, sample


def test_the_mapping_speaks_the_vocabulary() -> None:
    from analyzer.diagnosis.vocabulary import CAUSES

    assert {word for words in MAPPING.values() for word in words} <= set(CAUSES)
