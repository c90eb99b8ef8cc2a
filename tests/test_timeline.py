"""The story of one connection: events of its frames and of TCP in order, each with the packet that shows it."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

from conversation import KEY, TEXT, frame
from hosts import ACK, FIN, RST, SECOND, Hosts
from mutations import written

import analyzer

OPENED = [(None, "first packet", 1), ("server", "opened", None)]
WINDOW_AT = slice(48, 50)  # of an Ethernet frame with IPv4 and TCP, both without options


def told(result: Any, number: int = 0) -> list[tuple[Any, ...]]:
    """(sender, event, packet) of a timeline, None where there is none."""
    table = result.connection(number).timeline()[["sender", "event", "packet"]].astype(object)
    return list(table.where(table.notna(), None).itertuples(index=False, name=None))


def test_repeats_that_nothing_answered_stand_between_the_frames_and_the_end() -> None:
    hosts = Hosts().open().say("client", frame(TEXT, b"ask", key=KEY))
    at, text = hosts.next["server"], frame(TEXT, b"never acknowledged")
    hosts.say("server", text)
    for _ in range(4):
        hosts.time += SECOND
        hosts.packet("server", at, text)
    result = hosts.say("server", flags=RST | ACK).result()
    repeats = [("server", "retransmission", None), ("server", "retransmission", 11)]
    assert told(result) == [*OPENED, ("client", "text", 6), ("server", "text", 7), *repeats, ("server", "rst", 12)]
    table = result.connection(0).timeline()
    assert (table["offset"].dt.total_seconds().iloc[4:6] // 1).tolist() == [1, 4]
    assert table["text"].iloc[4] == "the first of 4 that nothing answered"


def test_a_closed_window_stands_where_it_was_closed() -> None:
    hosts = Hosts().open().say("server", frame(TEXT, b"before")).say("client", flags=ACK)
    shut = hosts.packets[-1]
    hosts.packets[-1] = replace(shut, data=shut.data[: WINDOW_AT.start] + b"\0\0" + shut.data[WINDOW_AT.stop :])
    hosts.time += 7 * SECOND
    result = hosts.say("server", frame(TEXT, b"after")).say("server", flags=RST | ACK).result()
    shown = [("server", "text", 6), ("client", "zero window", 7), ("server", "text", 8), ("server", "rst", 9)]
    assert told(result) == OPENED + shown


def test_the_packet_of_an_end_is_told_only_where_it_is_known() -> None:
    hosts = Hosts().open().say("server", flags=FIN | ACK).say("client", flags=FIN | ACK).say("server", flags=ACK)
    assert told(hosts.result()) == [*OPENED, ("server", "fin", None), (None, "last packet", 8)]
    hosts = Hosts().open().say("client", flags=RST | ACK).packet("server", hosts.next["server"], flags=ACK)
    assert told(hosts.result())[2:] == [("client", "rst", 6), (None, "last packet", 7)]


def test_probes_are_told_of_the_tables_that_an_analysis_builds_by_default(root: Path) -> None:
    shown = told(analyzer.analyze(root / "sample_pcaps" / "peer-vanished.pcap"))
    assert shown[-3:] == [("server", "probe", None), ("server", "probe", 344), ("server", "rst", 369)]


def test_packets_are_told_with_their_file_where_there_are_several(tmp_path: Path) -> None:
    hosts = Hosts().open().say("client", frame(TEXT, b"x")).close()
    names = [str(tmp_path / name) for name in ("a.pcap", "b.pcap")]
    for name, packets in zip(names, (hosts.packets[:6], hosts.packets[6:]), strict=True):
        Path(name).write_bytes(written(packets))
    story = str(analyzer.analyze(*names).connection(0))
    assert f'The client closed first: Close 1000 Normal Closure "bye" ({names[1]}#1).' in story
    assert f"F1 (must), by the client, {names[0]}#6: " in story
    alone = str(analyzer.analyze(io.BytesIO(written(hosts.packets))).connection(0))
    assert '"bye" (packet 7).' in alone
    assert "F1 (must), by the client, packet 6: " in alone
