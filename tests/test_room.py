"""What all connections together keep is bounded: what waited longest gives way, nothing is wrong by it, and the result
says so."""

from __future__ import annotations

import random
import zlib
from typing import Any

import pytest
from conversation import BINARY, CLOSE, KEY, PING, PONG, TEXT, Talk, frame
from hosts import ACK, ANSWER, FIN, REQUEST, SYN, Hosts
from invariants import analyzed
from mutations import Captured, written
from test_tls_files import Pipe, pcapng

import analyzer
from analyzer import limits
from analyzer.room import Room

DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
KEEPER = 300  # what a room adds for knowing of a keeper


def in_turns(*conversations: Hosts) -> bytes:
    """A capture of conversations that go on at once."""
    packets: list[Captured] = [packet for each in conversations for packet in each.packets]
    return written(sorted(packets, key=lambda packet: packet.time))


def is_told(result: Any, words: str = "what waited longest was let go") -> bool:
    return any(words in str(problem) for problem in result.problems)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEPT_IN_ALL_BYTES", 1 << 16)


def test_the_longest_kept_gives_way_first_and_only_as_much_as_is_needed() -> None:
    room, gone = Room(10 * KEEPER), []
    for name, cost in (("a", 3 * KEEPER), ("b", 4 * KEEPER), ("a", 4 * KEEPER)):
        room.weigh(name, cost, gone.append)
        assert not room.full
    room.weigh("c", 5 * KEEPER, gone.append)
    assert room.full
    room.make_way()
    assert (gone, room.full, room.taken, room.given_way) == (["a", "b"], False, 6 * KEEPER, 2)
    room.weigh("c", 0, gone.append)
    assert room.taken == 0


def test_what_gives_way_in_part_may_be_asked_again() -> None:
    room, kept = Room(2 * KEEPER), [9]

    def give_way(keeper: str) -> None:
        kept[0] -= 1
        room.weigh(keeper, kept[0] * KEEPER, give_way)

    room.weigh("a", 9 * KEEPER, give_way)
    room.make_way()
    assert kept == [1] and room.given_way == 8


@pytest.mark.usefixtures("small")
def test_gaps_without_end_on_many_connections() -> None:
    conversations = []
    for port in range(1, 21):
        hosts, chance = Hosts(port).open(), random.Random(port)
        for _ in range(30):
            hosts.next["server"] += 5000
            hosts.say("server", chance.randbytes(1000)).say("client")
        hosts.next["server"] += 5000
        for _ in range(5):
            hosts.say("server", frame(TEXT, b"found again, beyond doubt")).say("client")
        conversations.append(hosts.say("server", frame(CLOSE, b"\x0f\xa0")).say("server", flags=FIN | ACK))
    result = analyzed(in_turns(*conversations))
    assert result is not None and is_told(result)
    assert result.connections["server_code"].tolist() == [4000] * 20
    assert (result.connections["server_frames"] >= 4).all() and not result.connections["server_exact"].any()


@pytest.mark.usefixtures("small")
def test_a_websocket_without_handshake_is_found_among_flows_that_are_none() -> None:
    conversations = []
    for port in range(1, 201):
        hosts, chance = Hosts(port), random.Random(port)
        conversations.append(hosts.say("client", chance.randbytes(700)).say("server", chance.randbytes(700)))
    talk = Hosts(300).say("server", random.Random(0).randbytes(300))
    talk.time += 90 * 1_000_000
    for number in range(8):
        talk.say("client", frame(TEXT, b"a question of some length %d" % number, key=KEY))
        talk.say("server", frame(TEXT, b"an answer of some length %d" % number))
    result = analyzed(in_turns(*conversations, talk))
    assert result is not None and is_told(result)
    assert result.connections["client_port"].tolist() == [300]


@pytest.mark.usefixtures("small")
def test_what_clients_send_before_the_answer() -> None:
    conversations = []
    for port in range(1, 21):
        hosts = Hosts(port).say("client", flags=SYN).say("server", flags=SYN | ACK).say("client", REQUEST)
        for _ in range(10):
            hosts.say("client", frame(BINARY, bytes(1000), key=KEY))
        hosts.time += 20_000_000
        conversations.append(hosts.say("server", ANSWER).say("server", frame(CLOSE, b"\x0f\xa0")))
    result = analyzed(in_turns(*conversations))
    assert result is not None and is_told(result)
    assert result.connections["server_code"].tolist() == [4000] * 20
    ledger = result.ledger.set_index("kind")["count"]
    assert ledger["over a limit"] > 0 and (~result.connections["client_exact"]).sum() > 0


@pytest.mark.usefixtures("small")
def test_heads_that_never_end() -> None:
    conversations = []
    for port in range(1, 41):
        hosts = Hosts(port).say("client", flags=SYN).say("server", flags=SYN | ACK).say("client", REQUEST[:-2])
        for _ in range(5):
            hosts.say("client", b"X-Padding: " + b"y" * 1000 + b"\r\n")
        conversations.append(hosts)
    result = analyzed(in_turns(*conversations))
    assert result is not None and is_told(result)


@pytest.mark.usefixtures("small")
def test_compressed_messages_under_way() -> None:
    text = random.Random(1).randbytes(8000)
    deflater = zlib.compressobj(wbits=-15)
    body = (deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
    conversations = []
    for port in range(1, 21):
        hosts = Hosts(port).say("client", flags=SYN).say("server", flags=SYN | ACK)
        hosts.say("client", REQUEST[:-2] + DEFLATE).say("server", ANSWER[:-2] + DEFLATE)
        whole = frame(BINARY, body, rsv=4)
        hosts.say("server", whole[:7000])
        hosts.time += 20_000_000
        conversations.append(hosts.say("server", whole[7000:]))
    result = analyzed(in_turns(*conversations))
    assert result is not None and is_told(result)
    assert (result.connections["server_messages"] == 1).all()
    sizes = result.messages["bytes"]
    assert sizes.isna().any() and set(sizes.dropna()) == {8000}


@pytest.mark.usefixtures("small")
def test_pings_without_answer() -> None:
    conversations = []
    for port in range(1, 41):
        hosts = Hosts(port).open()
        for number in range(25):
            hosts.say("server", frame(PING, b"%d" % number))
        conversations.append(hosts.say("client", frame(PONG, b"24", key=KEY)))
    result = analyzed(in_turns(*conversations))
    assert result is not None and is_told(result)
    assert (result.connections["server_pings"] == 25).all()


def test_round_trips_beyond_those_that_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ROUND_TRIPS", 16)
    hosts = Hosts().open()
    for number in range(100):
        hosts.say("server", frame(PING, b"%d" % number))
        hosts.time += 1_000_000 * (number if number != 70 else 1000)
        hosts.say("client", frame(PONG, b"%d" % number, key=KEY))
    row = hosts.row()
    assert row["ping_rtt_max"].total_seconds() == pytest.approx(1.001)
    assert row["ping_rtt_median"].total_seconds() == pytest.approx(0.05, abs=0.01)


@pytest.mark.usefixtures("small")
def test_ciphertext_that_waits_for_its_secrets() -> None:
    result = analyzer.analyze(Pipe(pcapng("t13_16k", 19)))
    assert is_told(result) and "unaccounted" not in set(result.ledger["kind"])


def test_flows_that_never_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SILENT_FLOWS", 50)
    talk = Hosts(60_000).open()
    silent = []
    for port in range(1, 1001):
        hosts = Hosts(port)
        hosts.time += port * 1_000_000
        silent.append(hosts.say("client", flags=SYN).say("server", flags=SYN | ACK))
    talk.time += 2_000_000_000
    result = analyzed(in_turns(talk.close(), *silent))
    assert result is not None and is_told(result, "were forgotten before their end")
    ledger = result.ledger.set_index("kind")["count"]
    assert ledger["other TCP"] == 2000 and ledger["WebSocket"] == len(talk.packets)
    assert result.connections["client_code"].tolist() == [1000] and result.connections["complete"].all()


def test_pings_that_still_wait_after_a_pong_still_weigh() -> None:
    talk = Talk()
    for number in range(48):
        talk.say("server", frame(PING, bytes((number,))))
    every = talk.room.taken - KEEPER
    talk.say("client", frame(PONG, bytes((11,)), key=KEY))
    assert talk.room.taken == every * 36 // 48 + KEEPER
    talk.say("client", frame(PONG, bytes((46,)), key=KEY))
    assert talk.room.taken == 0
