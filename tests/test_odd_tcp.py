"""TCP that is not as a textbook has it, from packets to rows: the account is whole and the row is right."""

from __future__ import annotations

import io
from itertools import chain
from typing import Any

import pandas as pd
import pytest
from conversation import CLOSE, KEY, TEXT, frame
from hosts import ACK, ANSWER, BYE, FIN, REQUEST, RST, SECOND, SYN, Hosts
from invariants import ALL_TABLES, analyzed, holds
from mutations import Captured, fragmented, written

import analyzer
from analyzer.records import Packet, Segment
from analyzer.room import Room
from analyzer.streams import Streams


def _count(result: Any, unit: str, kind: str) -> int:
    ledger = result.ledger
    return int(ledger.loc[(ledger["unit"] == unit) & (ledger["kind"] == kind), "count"].sum())


def test_of_one_direction_only_what_that_side_sent_is_known() -> None:
    hosts = Hosts().open().close()
    for who, source in (("client", 1), ("server", 2)):
        packets = [packet for packet in hosts.packets if packet.data[29] == source]
        result = analyzed(written(packets))
        assert result is not None and len(result.connections) == 1
        row, peer = result.connections.iloc[0], "server" if who == "client" else "client"
        assert row[f"{who}_code"] == 1000 and row[f"{who}_frames"] == 1
        assert pd.isna(row[f"{peer}_code"]) and row[f"{peer}_frames"] == 0


def test_where_segments_overlap_with_other_bytes_the_first_copy_counts_and_the_others_are_told() -> None:
    hosts = Hosts().open()
    at = hosts.next["server"]
    first, other = frame(TEXT, b"first copy"), frame(TEXT, b"other copy")
    hosts.packet("server", at + 4, first[4:]).packet("server", at, other).packet("server", at, other)
    hosts.next["server"] = at + len(first)
    result = hosts.close().result()
    assert _count(result, "byte", "conflicting") > 0
    assert _count(result, "byte", "duplicate") == len(first) - 4 + len(first)
    assert result.connections.iloc[0]["server_messages"] == 1 and result.connections.iloc[0]["server_code"] == 1000


def test_a_flood_of_syns_gives_no_row_and_every_packet_is_other_tcp() -> None:
    packets = []
    for port in range(1, 3000):
        packets += Hosts(port).packet("client", port * 7, flags=SYN).packets
    result = analyzed(written(packets))
    assert result is not None and result.connections.empty
    assert _count(result, "packet", "other TCP") == len(packets)


def test_every_packet_twice_is_the_same_connection() -> None:
    hosts = Hosts().open().close()
    row = hosts.row()
    hosts.packets = [packet for packet in hosts.packets for _ in range(2)]
    twice = hosts.row()
    same = ["client_code", "server_code", "client_frames", "server_frames", "outcome", "complete", "lost_bytes"]
    assert list(twice[same]) == list(row[same])
    assert row["outcome"] == "clean"


def test_files_whose_packets_are_minutes_apart_are_read_by_their_times_whatever_their_order() -> None:
    hosts = Hosts().open()
    cut = len(hosts.packets)
    hosts.time += 600 * SECOND
    hosts.close()
    early, late = written(hosts.packets[:cut]), written(hosts.packets[cut:])
    for files in ((early, late), (late, early)):
        result = analyzed(*files)
        assert result is not None
        assert list(result.connections["outcome"]) == ["clean"] and result.connections.iloc[0]["complete"]


def test_packets_that_stand_minutes_late_in_the_file_still_fill_their_place() -> None:
    hosts = Hosts().open()
    at = hosts.next["client"]
    hosts.say("client", frame(TEXT, b"one", key=KEY))
    late = hosts.packets.pop()
    hosts.time += 20 * SECOND
    hosts.say("client", frame(TEXT, b"two", key=KEY)).packets.append(late)
    assert hosts.next["client"] > at
    row = hosts.close().row()
    assert row["client_messages"] == 2 and row["lost_bytes"] == 0 and row["outcome"] == "clean"


def test_a_clock_that_jumps_back_changes_no_code_or_count() -> None:
    hosts = Hosts().open()
    hosts.time -= 3600 * SECOND
    row = hosts.close().row()
    assert row["outcome"] == "clean" and row["client_code"] == 1000 and row["lost_bytes"] == 0


def test_checksums_that_the_network_card_fills_in_and_lengths_of_zero_do_not_matter() -> None:
    hosts = Hosts().open().say("client", frame(TEXT, b"x" * 100, key=KEY))
    last = hosts.packets[-1]
    data = last.data[:16] + b"\0\0" + last.data[18:]  # total length 0: segmentation left to the card
    hosts.packets[-1] = Captured(last.time, data, len(data))
    row = hosts.close().row()
    assert row["client_messages"] == 1 and row["outcome"] == "clean"


def test_a_simultaneous_open_is_one_connection() -> None:
    hosts = Hosts()
    client, server = hosts.next["client"], hosts.next["server"]
    hosts.packet("client", client, flags=SYN).packet("server", server, flags=SYN)
    hosts.next = {"client": client + 1, "server": (server + 1) % 2**32}
    hosts.packet("client", client, flags=SYN | ACK).packet("server", server, flags=SYN | ACK)
    row = hosts.say("client", REQUEST).say("server", ANSWER).close().row()
    assert row["outcome"] == "clean" and row["client_port"] == 40000 and row["complete"]


def test_data_after_a_fin_is_counted_and_read_by_nobody() -> None:
    hosts = Hosts().open().say("server", flags=FIN | ACK)
    result = hosts.say("server", frame(TEXT, b"too late")).result()
    assert _count(result, "byte", "after the end") == 10
    assert result.connections.iloc[0]["server_messages"] == 0


def test_a_request_to_a_server_that_had_finished_is_unanswered_and_what_follows_it_counted() -> None:
    hosts = Hosts().say("client", flags=SYN).say("server", flags=SYN | ACK).say("server", flags=FIN | ACK)
    result = hosts.say("client", REQUEST).say("client", b"more").result()
    assert list(result.connections["opening"]) == ["unanswered"]
    assert _count(result, "byte", "before the upgrade") == len(b"more")


@pytest.mark.parametrize("finished", [True, False])
def test_frames_do_not_prove_an_answer_of_which_the_client_acknowledged_nothing(finished: bool) -> None:
    hosts = Hosts().say("client", flags=SYN).say("server", flags=SYN | ACK).say("client", flags=ACK)
    if finished:
        hosts.say("server", flags=FIN | ACK)
    hosts.say("client", REQUEST + frame(TEXT, b"hello", key=KEY)).say("client", frame(CLOSE, BYE, key=KEY))
    row = hosts.say("client", flags=FIN | ACK).row()
    assert row["opening"] == "unanswered" and row["outcome"] == "no-answer"
    assert pd.isna(row["transport_end"]) is not finished and (not finished or row["transport_end_by"] == "server")


@pytest.mark.parametrize("captured", [True, False])
def test_frames_prove_an_answer_that_the_client_acknowledged(captured: bool) -> None:
    hosts = Hosts().say("client", flags=SYN).say("server", flags=SYN | ACK).say("client", flags=ACK)
    if captured:
        hosts.say("server", flags=ACK)
    hosts.say("client", REQUEST)
    hosts.next["server"] += len(ANSWER)
    hosts.say("client", frame(TEXT, b"hello", key=KEY)).say("client", frame(CLOSE, BYE, key=KEY))
    result = hosts.say("client", flags=FIN | ACK).result()
    row = result.connections.iloc[0]
    assert row["opening"] == "handshake" and row["client_code"] == 1000 and row["client_messages"] == 1
    assert _count(result, "byte", "lost") == len(ANSWER)


def test_a_fin_before_the_first_payload_ends_the_connection_when_it_came() -> None:
    hosts = Hosts().say("client", flags=SYN).say("server", flags=SYN | ACK).say("server", flags=FIN | ACK)
    finished = hosts.time
    row = hosts.say("client", REQUEST).say("client", flags=RST | ACK).row()
    assert row["transport_end"] == "fin" and row["transport_end_by"] == "server"
    assert row["opening"] == "unanswered" and row["end"].value == hosts.time > finished


@pytest.mark.parametrize("early", [True, False])
def test_a_fin_that_came_before_its_data_ends_what_came_before_it(early: bool) -> None:
    hosts = Hosts().open().say("server", frame(TEXT, b"hello"))
    hosts.say("server", flags=FIN | ACK).say("client", flags=FIN | ACK)
    if early:
        hosts.packets.insert(3, hosts.packets.pop(6))
    row = hosts.row()
    assert row["server_messages"] == 1 and row["transport_end_by"] == "server" and row["complete"]


def test_a_segment_in_fragments_that_is_sent_again_is_one_retransmission() -> None:
    hosts = Hosts().open().say("client", frame(TEXT, b"x" * 100, key=KEY))
    size = len(hosts.packets[-1].data) - 54
    for _ in range(2):
        hosts.packet("client", hosts.next["client"] - size, frame(TEXT, b"x" * 100, key=KEY))
    hosts.say("server", frame(TEXT, b"y")).close()
    for packets in (hosts.packets, list(chain(*fragmented(hosts.packets)))):
        row = analyzed(written(packets)).connections.iloc[0]
        assert row["retransmissions"] == 2 and row["client_messages"] == 1


def _lose(hosts: Hosts, who: str, size: int) -> None:
    """Bytes that a side sends and the capture lacks."""
    hosts.next[who] = (hosts.next[who] + size) % 2**32


def test_a_close_whose_reason_was_lost_was_sent_when_it_began() -> None:
    hosts = Hosts().open().say("client", frame(TEXT, b"hello", key=KEY))
    close = frame(CLOSE, b"\x0f\xa2" + b"r" * 40, key=KEY)
    hosts.say("client", close[:8])
    sent = hosts.time
    _lose(hosts, "client", len(close) - 8)
    answer = frame(CLOSE, b"\x0f\xa2" + b"r" * 40)
    hosts.say("server", answer[:4])
    _lose(hosts, "server", len(answer) - 4)
    row = hosts.say("server", flags=FIN | ACK).say("client", flags=FIN | ACK).say("server", flags=ACK).row()
    assert row["client_close"].value == sent and row["close_initiator"] == "client"
    assert row["client_saw"] == row["server_saw"] == 4002 and row["outcome"] == "clean"


def test_holes_of_both_directions_are_given_up_in_the_order_of_the_capture() -> None:
    hosts = Hosts().say("client", flags=SYN).say("server", flags=SYN | ACK).say("client", flags=ACK)
    for who, head in (("client", REQUEST), ("server", ANSWER)):
        hosts.say(who, head[:16])
        _lose(hosts, who, len(head) - 32)
        hosts.say(who, head[-16:])
    for text in (b"what the client says", b"once more and again", b"until that is enough"):
        hosts.say("client", frame(TEXT, text, key=KEY)).say("server", frame(TEXT, text))
    row = hosts.close().row()
    assert row["client_messages"] == 3 and row["client_code"] == 1000 and row["outcome"] == "clean"


def test_a_close_found_behind_a_lost_answer_was_received_before_the_reset_that_acknowledged_it() -> None:
    hosts = Hosts().say("client", flags=SYN).say("server", flags=SYN | ACK).say("client", REQUEST)
    _lose(hosts, "server", len(ANSWER))
    hosts.say("client", frame(TEXT, b"hello", key=KEY))
    _lose(hosts, "server", len(frame(CLOSE, BYE)))
    hosts.say("client", frame(CLOSE, BYE, key=KEY))
    row = hosts.say("server", flags=RST | ACK).row()
    assert row["client_code"] == row["server_saw"] == 1000


@pytest.mark.parametrize("lost", [True, False])
def test_a_code_is_not_contradicted_by_what_was_received_before_it_and_is_not_captured(lost: bool) -> None:
    hosts = Hosts().open()
    if lost:
        _lose(hosts, "server", len(frame(TEXT, b"of any size")))
    hosts.say("client", frame(CLOSE, b"\x03\xf1", key=KEY)).say("server", frame(CLOSE, b"\x03\xf1"))
    result = hosts.say("server", flags=FIN | ACK).say("client", flags=FIN | ACK).result()
    assert result.closes.iloc[0]["verdict"] == ("unverifiable" if lost else "contradicted")


def test_what_the_client_is_told_of_a_request_without_an_answer_is_known_at_the_end() -> None:
    hosts = Hosts().say("client", flags=SYN).say("server", flags=SYN | ACK).say("client", REQUEST)
    assert pd.isna(hosts.row()["client_saw"])
    assert hosts.say("server", flags=RST | ACK).row()["client_saw"] == 1006


def test_packets_in_another_order_break_no_rule_and_make_no_other_initiator() -> None:
    hosts = Hosts().open()
    answer = hosts.packets.pop()
    hosts.say("client", frame(TEXT, b"hello", key=KEY))
    hosts.packets.append(answer)
    hosts.say("server", frame(CLOSE, BYE))
    close = hosts.packets.pop()
    hosts.say("client", frame(CLOSE, BYE, key=KEY))
    hosts.packets.append(close)
    result = hosts.say("server", flags=FIN | ACK).say("client", flags=FIN | ACK).result()
    assert result.connections.iloc[0]["close_initiator"] == "server"
    assert set(result.violations["rule"]) <= {"F5"}  # one masking key for all frames


@pytest.mark.parametrize("held", [True, False])
def test_a_close_that_came_late_had_acknowledged_what_its_own_segment_says(held: bool) -> None:
    hosts = Hosts().open().say("client", frame(CLOSE, BYE, key=KEY))
    close = hosts.packets.pop()
    hosts.say("server", frame(CLOSE, BYE)).say("client", flags=ACK)
    if held:  # it stands behind bytes that come later still
        hosts = Hosts().open().say("client", frame(TEXT, b"hello", key=KEY))
        text = hosts.packets.pop()
        hosts.say("client", frame(CLOSE, BYE, key=KEY))
        close = hosts.packets.pop()
        hosts.say("server", frame(CLOSE, BYE)).say("client", flags=ACK)
        hosts.packets += [close, text]
    else:
        hosts.packets.append(close)
    row = hosts.say("server", flags=FIN | ACK).say("client", flags=FIN | ACK).row()
    assert row["close_initiator"] == "client" and row["client_code"] == 1000


@pytest.mark.parametrize("lost", [True, False])
def test_a_server_that_may_echo_1010_is_not_blamed_for_it(lost: bool) -> None:
    hosts, needed = Hosts().open(), (1010).to_bytes(2, "big")
    hosts.say("client", frame(TEXT, b"x" * 50, key=KEY))
    if lost:
        _lose(hosts, "client", 8)
    result = hosts.say("server", frame(CLOSE, needed)).say("client", flags=FIN | ACK).result()
    assert ("C4" in set(result.violations["rule"])) is not lost


class Flows:
    """Stands where the upgrade stage does, wants nothing, keeps the flows."""

    def __init__(self) -> None:
        self.flows: list[Any] = []

    def begin(self, flow: Any, low: Any, high: Any, start: int, stop: int) -> bool:
        from analyzer.records import Connection, Reader

        flow.connections = [Connection()]
        low.reader, high.reader = Reader(), Reader()
        self.flows.append(flow)
        return True


@pytest.mark.parametrize("forged", [True, False])
def test_the_time_to_live_of_a_reset_stands_beside_that_of_its_sender(forged: bool) -> None:
    packet, segment, flows = Packet(), Segment(), Flows()
    streams = Streams(packet, segment, flows, lambda flow: None, 1, Room(1 << 40))
    segment.version, segment.source_low, segment.destination_low = 4, 2, 1
    segment.source_port, segment.destination_port = 80, 40000
    for flags, time_to_live, data in ((ACK, 52, b"x"), (ACK, 52, b"y"), (RST, 243 if forged else 52, b"")):
        packet.data, packet.time, packet.number = data or b" ", packet.number, packet.number + 1
        segment.flags, segment.time_to_live = flags, time_to_live
        segment.start, segment.stop, segment.length = 0, len(data), len(data)
        streams.segment()
        segment.sequence += len(data)
    half = flows.flows[0].high
    assert half.time_to_live == 52 and half.was_reset
    assert (half.reset_time_to_live != half.time_to_live) is forged


def test_an_address_that_talks_to_itself_does_not_break_the_account() -> None:
    hosts = Hosts(80).open().close()
    itself = b"\x0a\0\0\x01\x0a\0\0\x01"
    packets = [
        Captured(packet.time, packet.data[:26] + itself + packet.data[34:], packet.wire_length)
        for packet in hosts.packets
    ]
    holds(analyzer.analyze(io.BytesIO(written(packets)), tables=ALL_TABLES))


def test_the_same_ports_again_within_a_second_are_another_connection() -> None:
    hosts = Hosts().open().close()
    hosts.next = {"client": 900_000, "server": 77}
    rows = hosts.open().close().result().connections
    assert list(rows["outcome"]) == ["clean", "clean"] and rows["complete"].all()
