"""Heartbeats of applications: which messages they are, whether they were answered, what an end is laid to."""

from __future__ import annotations

import io
import zlib
from typing import Any

import pytest
from conversation import KEY, TEXT, frame
from hosts import ACK, ANSWER, FIN, REQUEST, RST, SECOND, SYN, Hosts
from invariants import analyzed
from mutations import written

import analyzer
from analyzer import limits
from analyzer.catalogs import catalogs, read
from analyzer.heartbeats import Beats

BEATING = [catalog.file for catalog in catalogs() if catalog.heartbeats]
PHOENIX = {"path": "/socket/websocket?vsn=2.0.0"}
BEAT, REPLY = (
    '[null,"%d","phoenix","heartbeat",{}]',
    '[null,"%d","phoenix","phx_reply",{"status":"ok","response":{}}]',
)
PUSHER = {"path": "/app/key?protocol=7"}
PING, PONG = '{"event":"pusher:ping","data":{}}', '{"event":"pusher:pong","data":{}}'
HELLO = '{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":41250}}'


class Talk:
    """One WebSocket of a service; times in seconds since the one before."""

    def __init__(
        self, host: str = "example.org", path: str = "/ws", subprotocol: str | None = None, deflate: bool = False
    ) -> None:
        self.hosts = Hosts()
        extra = f"Sec-WebSocket-Protocol: {subprotocol}\r\n".encode() if subprotocol else b""
        extra += b"Sec-WebSocket-Extensions: permessage-deflate\r\n" if deflate else b""
        request = REQUEST.replace(b"/odd", path.encode()).replace(b"example.org", host.encode())
        self.hosts.say("client", flags=SYN).say("server", flags=SYN | ACK).say("client", flags=ACK)
        self.hosts.say("client", request[:-2] + extra + b"\r\n").say("server", ANSWER[:-2] + extra + b"\r\n")

    def say(self, who: str, text: str | bytes, after: float = 0.1, opcode: int = TEXT, rsv: int = 0) -> Talk:
        """One message, acknowledged at once."""
        self.hosts.time += round(after * SECOND)
        payload = text.encode("latin-1") if isinstance(text, str) else text
        self.hosts.say(who, frame(opcode, payload, rsv=rsv, key=KEY if who == "client" else None))
        self.hosts.say("server" if who == "client" else "client", flags=ACK)
        return self

    def close(self, who: str, code: int, reason: str = "", after: float = 0.1) -> Talk:
        """A Close, its echo, and FIN of both."""
        body = code.to_bytes(2, "big") + reason.encode()
        self.say(who, body, after, 8).say("server" if who == "client" else "client", body[:2], 0.001, 8)
        return self.fin(who)

    def fin(self, who: str, after: float = 0.0) -> Talk:
        self.hosts.time += round(after * SECOND)
        self.hosts.say(who, flags=FIN | ACK).say("server" if who == "client" else "client", flags=FIN | ACK)
        return self

    def result(self) -> Any:
        return analyzer.analyze(io.BytesIO(written(self.hosts.packets)))

    def row(self) -> Any:
        """The connection."""
        return self.result().connections.iloc[0]


def beaten(number: int = 4, answers: bool = True, every: float = 2.0) -> Talk:
    """A Phoenix client that beats every two seconds."""
    talk = Talk(**PHOENIX)
    for each in range(number):
        talk.say("client", BEAT % each, every)
        if answers:
            talk.say("server", REPLY % each, 0.004)
    return talk


@pytest.mark.parametrize("file", BEATING)
def test_each_service_is_followed_and_its_heartbeats_are_counted_and_paired(file: str) -> None:
    data = read(file)
    for example in data["examples"]:
        for entry in data["heartbeats"]:
            for beat, *answers in entry["examples"]:
                handshake = {name: example[name] for name in ("host", "path", "subprotocol") if name in example}
                spoken = [side for side in ("server", "client") if side in example]
                # without such a path the first messages are not looked at: see heartbeats.PATHS
                if spoken and "id=" not in handshake.get("path", ""):
                    handshake["path"] = "/ws?id=7"
                talk = Talk(**handshake)
                for side in spoken:
                    talk.say(side, example[side])
                by = "server" if entry["sent_by"] == "server" else "client"
                for _ in range(3):
                    talk.say(by, beat, 5)
                    for answer in answers:
                        talk.say("client" if by == "server" else "server", answer, 0.01)
                row = talk.say("client", "something else", 5).row()
                assert row[f"{by}_heartbeats"] == 3
                assert row[f"{'client' if by == 'server' else 'server'}_heartbeats"] == 0
                assert 5 <= row[f"{by}_heartbeat_period"].total_seconds() < 5.1
                assert row["unanswered_heartbeats"] == 0
                assert talk.say(by, beat).say("client", "x", 5).row()["unanswered_heartbeats"] == bool(answers)


def test_only_heartbeats_that_had_time_for_their_answer_are_missed_however_many_wait() -> None:
    beats = Beats()
    for number in range(limits.PING_TIMES + 6):
        beats.beat((number * SECOND, number, 0), True)
    assert beats.missed((limits.PING_TIMES + 2) * SECOND) == limits.PING_TIMES + 3


def test_a_stranger_is_not_followed_and_has_no_heartbeats() -> None:
    for talk in (Talk(), Talk(path="/ws?id=7"), Talk(path="/live?protocol=7")):
        row = talk.say("client", BEAT % 1).say("server", REPLY % 1).say("client", PING).say("server", PONG).row()
        assert row[["client_heartbeats", "server_heartbeats", "unanswered_heartbeats"]].isna().all()


def test_a_service_known_by_its_first_message_is_followed_from_there_on() -> None:
    talk = Talk(path="/?v=10&encoding=json").say("server", HELLO).say("client", '{"op":2,"d":{}}')
    row = talk.say("client", '{"op":1,"d":null}').say("server", '{"op":11}').row()
    assert (row["client_heartbeats"], row["unanswered_heartbeats"]) == (1, 0)
    late = Talk(path="/?v=10&encoding=json").say("server", "{}").say("server", HELLO).say("client", '{"op":1,"d":1}')
    assert late.row().isna()["client_heartbeats"]


def test_heartbeats_are_seen_in_pieces_compressed_and_where_every_frame_is_asked_for() -> None:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    talk = Talk(**PHOENIX, deflate=True)
    for each in range(2):
        squeezed = deflater.compress((BEAT % each).encode()) + deflater.flush(zlib.Z_SYNC_FLUSH)
        talk.say("client", squeezed[:-4], rsv=4).say("server", REPLY % each)
    whole = frame(TEXT, (BEAT % 9).encode(), key=KEY)
    talk.hosts.say("client", whole[:9]).say("client", whole[9:])
    talk.say("client", "x", 5)
    assert (talk.row()["client_heartbeats"], talk.row()["unanswered_heartbeats"]) == (3, 1)
    every = analyzed(written(talk.hosts.packets))
    assert every.connections["client_heartbeats"].tolist() == [3]


def test_an_answer_counts_for_all_heartbeats_before_it() -> None:
    talk = Talk(**PHOENIX).say("client", BEAT % 1).say("client", BEAT % 2).say("server", REPLY % 2)
    assert talk.say("client", "x", 5).row()["unanswered_heartbeats"] == 0


def test_a_client_that_waited_for_its_answer_missed_the_heartbeat() -> None:
    row = beaten().say("client", BEAT % 9, 2).close("client", 1000, "heartbeat timeout", 2).row()
    assert (row["cause"], row["cause_basis"], row["cause_by"]) == ("heartbeat missed", "observed", "client")
    assert "the client's heartbeat (packet " in row["evidence"] and "no answer for 2.00" in row["evidence"]
    unsaid = beaten().say("client", BEAT % 9, 2).close("client", 1000, "", 2).row()
    assert (unsaid["cause"], unsaid["cause_basis"]) == ("heartbeat missed", "inferred")
    assert beaten().say("client", BEAT % 9, 2).fin("client", 3).row()["cause"] == "heartbeat missed"


def test_a_close_on_a_heartbeats_heels_is_no_missed_one() -> None:
    assert beaten().say("client", BEAT % 9, 2).close("client", 1000, "", 0.5).row()["cause"] == "clean close"
    assert beaten().close("client", 1000, "", 1).row()["cause"] == "clean close"


def test_a_service_that_never_answers_is_not_blamed_for_it_while_it_talks() -> None:
    talk = beaten(answers=False)
    assert talk.say("server", "news", 0.5).close("client", 1000, "", 1).row()["cause"] == "clean close"


def test_a_1000_for_a_missing_answer_is_not_true() -> None:
    closes = beaten().say("client", BEAT % 9, 2).close("client", 1000, "heartbeat timeout", 2).result().closes
    assert closes["verdict"].tolist()[0] == "contradicted"
    assert "no answer for" in closes["evidence"].tolist()[0]


def test_a_client_whose_heartbeats_stopped_is_named() -> None:
    row = beaten().fin("server", 9).row()
    assert (row["cause"], row["cause_basis"], row["cause_by"]) == ("heartbeat missed", "inferred", "server")
    assert "last heartbeat" in row["evidence"] and "every 2.00" in row["evidence"]
    assert beaten().fin("server", 3.5).row()["cause"] == "dropped"
    assert beaten(2).fin("server", 9).row()["cause"] == "dropped"
    assert beaten().say("client", "still here", 9).fin("server", 1).row()["cause"] == "dropped"


def test_where_bytes_of_the_other_side_are_missing_no_answer_is_missed() -> None:
    talk = beaten().say("client", BEAT % 9, 2)
    talk.hosts.next["server"] += 70
    talk.say("server", "after", 0.1)
    row = talk.close("client", 1000, "", 3).row()
    assert row["cause"] != "heartbeat missed" and row.isna()["unanswered_heartbeats"]


@pytest.mark.parametrize(
    ("answered", "verdict", "part"),
    [(True, "contradicted", "every heartbeat of the server had its answer"), (False, "supported", "no answer for 3.0")],
)
def test_pushers_4201_is_true_if_its_ping_had_no_pong(answered: bool, verdict: str, part: str) -> None:
    talk = Talk(**PUSHER).say("client", "hello").say("server", PING)
    if answered:
        talk.say("client", PONG)
    closes = talk.close("server", 4201, "Pong reply not received", 3).result().closes
    assert closes["verdict"].tolist()[0] == verdict
    assert part in closes["evidence"].tolist()[0]


def test_a_pong_that_the_server_had_not_received_proves_nothing() -> None:
    talk = Talk(**PUSHER).say("server", PING)
    talk.hosts.packet("client", talk.hosts.next["client"], frame(TEXT, PONG.encode(), key=KEY))
    talk.hosts.time += 3 * SECOND
    talk.hosts.say("server", frame(8, b"\x10\x69")).say("server", flags=RST | ACK)
    assert talk.result().closes["verdict"].tolist() == ["unverifiable"]


def test_centrifugos_no_pong_and_discords_4009_by_what_was_seen() -> None:
    talk = Talk(subprotocol="centrifuge-json").say("client", '{"id":1,"connect":{}}').say("server", "{}")
    assert talk.close("server", 3012, "no pong", 8).result().closes["verdict"].tolist()[0] == "supported"
    talk = Talk(host="gateway.discord.gg").say("server", HELLO)
    for each in range(4):
        talk.say("client", f'{{"op":1,"d":{each}}}', 2).say("server", '{"op":11}', 0.01)
    gone = talk.close("server", 4009, "Session timed out.", 5).result().closes
    assert "contradicted" not in gone["verdict"].tolist()
