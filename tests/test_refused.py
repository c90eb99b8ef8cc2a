"""TCP connections that a service refused: what counts as one, and what an end is laid to because of them."""

from __future__ import annotations

import io
from typing import Any

import pytest
from conversation import CLOSE, KEY, frame
from hosts import ACK, FIN, RST, SECOND, SYN, Hosts
from mutations import Captured, written

import analyzer
from analyzer import limits


def refused(at: float, port: int = 41000, flags: int = RST | ACK, **addresses: Any) -> list[Captured]:
    """A SYN and its answer, so many seconds after the beginning."""
    hosts = Hosts(port, **addresses)
    hosts.time += round(at * SECOND)
    return hosts.say("client", flags=SYN).say("server", flags=flags).packets


def dropped(port: int = 40000, at: float = 2, **addresses: Any) -> list[Captured]:
    """A WebSocket that the server ends without a Close."""
    hosts = Hosts(port, **addresses).open()
    hosts.time += round(at * SECOND)
    return hosts.say("server", flags=FIN | ACK).say("client", flags=FIN | ACK).packets


def analysed(*packets: list[Captured]) -> Any:
    every = sorted((each for part in packets for each in part), key=lambda packet: packet.time)
    return analyzer.analyze(io.BytesIO(written(every)))


def causes(*packets: list[Captured]) -> list[str]:
    return analysed(*packets).connections["cause"].tolist()


def test_a_server_that_ends_a_connection_and_then_refuses_new_ones_had_stopped() -> None:
    row = analysed(dropped(), refused(3), refused(4, 41001)).connections.iloc[0]
    assert (row["cause"], row["cause_basis"], row["cause_by"]) == ("server stopped", "inferred", "server")
    assert "2 connections were refused (RST to SYN) from 0.9" in row["evidence"]


@pytest.mark.parametrize(
    "more",
    [
        [],
        [refused(1)],  # before
        [refused(30)],  # much later
        [refused(3, flags=SYN | ACK)],  # taken
        [refused(3, flags=RST)],  # answers no SYN
        [refused(3, addresses=b"\x0a\0\0\x01\x0a\0\0\x03")],  # another service
    ],
)
def test_without_refusals_soon_after_it_nothing_is_known(more: list[list[Captured]]) -> None:
    assert causes(dropped(), *more) == ["dropped"]


def test_a_server_that_serves_on_had_not_stopped() -> None:
    assert causes(dropped(), dropped(40001, 9), refused(3)) == ["dropped", "dropped"]
    fresh = [Captured(packet.time + 5 * SECOND // 2, packet.data, packet.wire_length) for packet in dropped(40002, 9)]
    assert "server stopped" not in causes(dropped(), fresh, refused(4))


def test_a_connection_that_was_open_and_reset_was_not_refused() -> None:
    hosts = Hosts(41000)
    hosts.time += 3 * SECOND
    reset = hosts.say("client", flags=SYN).say("server", flags=SYN | ACK).say("server", flags=RST | ACK).packets
    assert causes(dropped(), reset) == ["dropped"]


def test_a_close_before_it_speaks_for_itself() -> None:
    hosts = Hosts().open()
    hosts.time += 2 * SECOND
    hosts.say("server", frame(CLOSE, b"\x03\xf4")).say("client", frame(CLOSE, b"\x03\xf4", key=KEY))
    packets = hosts.say("server", flags=FIN | ACK).say("client", flags=FIN | ACK).packets
    result = analysed(packets, refused(3))
    assert result.connections["cause"].tolist() == ["server restart"]
    assert result.closes["verdict"].tolist()[0] == "supported"
    assert "1 connection was refused (RST to SYN) 0.9" in result.closes["evidence"].tolist()[0]


def test_what_is_kept_of_refusals_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REFUSALS", 2)
    many = [refused(3 + each / 10, 41000 + each) for each in range(9)]
    result = analysed(dropped(), *many)
    assert "2 connections were refused" in result.connections.iloc[0]["evidence"]
    assert any("7 more refused TCP connections are no evidence" in problem.what for problem in result.problems)
    monkeypatch.setattr(limits, "REFUSED", 1)
    elsewhere = refused(1, addresses=b"\x0a\0\0\x01\x0a\0\0\x03")
    result = analysed(elsewhere, dropped(), refused(3))
    assert result.connections["cause"].tolist() == ["dropped"]
    assert any("1 more refused TCP connections are no evidence" in problem.what for problem in result.problems)


def test_refusals_within_the_bounds_are_no_problem() -> None:
    assert not analysed(dropped(), refused(3)).problems
