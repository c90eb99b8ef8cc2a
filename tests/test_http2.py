"""WebSockets over HTTP/2: conversations made by hand, as packets, whole and in pieces, damaged and joined late."""

from __future__ import annotations

import random
import zlib
from itertools import pairwise
from typing import Any

import hpack
import pandas as pd
import pytest
from conversation import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame
from http2_talk import CONTINUATION as MORE_HEADERS
from http2_talk import (
    DATA,
    END_HEADERS,
    END_STREAM,
    FIN,
    HEADERS,
    PADDED,
    PREFACE,
    PUSH_PROMISE,
    RST,
    RST_STREAM,
    SETTINGS,
    WITH_PRIORITY,
    Talk,
    analyzed,
    close,
    data,
    goaway,
    goodbye,
    h2,
    masked,
    reset,
    settings,
)
from mutations import Captured, written

import analyzer
from analyzer import limits
from analyzer.cli import main

DEFLATE = ("sec-websocket-extensions", "permessage-deflate")
STEPS = pytest.mark.parametrize("step", [0, 1, 7, 300])


def row(talk: Talk, stream: int = 1) -> Any:
    rows = talk.analyze().connections
    return rows[rows["http_stream"] == stream].iloc[0]


@STEPS
def test_a_websocket_is_a_row_with_its_stream_and_what_its_connect_says(step):
    asked = [("origin", "https://example.org"), ("user-agent", "t/1"), ("sec-websocket-protocol", "chat")]
    talk = Talk(step).hello()
    talk.open(1, "/chat?a=1", *asked)
    talk.client(data(1, masked(TEXT, b"hello")))
    talk.server(data(1, frame(TEXT, b"hi") + frame(BINARY, b"\0" * 300)))
    found = row(goodbye(talk, 1, 1001).end())
    assert found[["http", "http_stream", "opening", "http_status"]].tolist() == ["2", 1, "handshake", 200]
    assert found[["host", "path", "origin"]].tolist() == ["example.org", "/chat?a=1", "https://example.org"]
    assert found[["user_agent", "subprotocol"]].tolist() == ["t/1", "chat"]
    assert found[["client_ip", "client_port", "server_port"]].tolist() == ["10.0.0.1", 40000, 80]
    assert found[["client_messages", "server_messages", "client_bytes", "server_bytes"]].tolist() == [1, 2, 5, 302]
    assert found[["client_code", "server_code", "client_saw", "server_saw"]].tolist() == [1001] * 4
    assert found[["transport_end", "transport_end_by", "outcome"]].tolist() == ["stream-end", "client", "clean"]
    assert found["close_initiator"] == "client"
    assert found["complete"] and found["client_exact"] and found["server_exact"]


def test_the_row_begins_with_its_connect_and_ends_with_its_stream():
    talk = Talk().hello()
    for _ in range(5):
        talk.client(h2(6, 0, 0, bytes(8)))
    asked = talk.time + 1000
    talk.open(1, "/")
    opened = talk.time
    goodbye(talk, 1)
    ended = talk.time
    talk.client(h2(6, 0, 0, bytes(8))).end()
    found = row(talk)
    assert [found[name].value for name in ("start", "opened", "end")] == [asked, opened, ended]


@STEPS
def test_two_compressed_streams_interleaved_keep_their_contexts_apart(step):
    talk = Talk(step).hello()
    texts = {stream: [f"stream {stream} says {n} and again {n}".encode() for n in range(6)] for stream in (1, 3)}
    packers = {stream: zlib.compressobj(wbits=-15) for stream in texts}
    for stream in texts:
        talk.open(stream, f"/{stream}", DEFLATE)
    for pair in zip(*texts.values(), strict=True):
        pieces = []
        for stream, text in zip(texts, pair, strict=True):
            packer = packers[stream]
            packed = (packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
            whole = masked(TEXT, packed, rsv=4)
            pieces += [data(stream, whole[:3], padding=0), data(4 - stream, b""), data(stream, whole[3:], padding=9)]
        talk.client(*pieces)
    for stream in texts:
        goodbye(talk, stream)
    result = talk.end().analyze()
    assert result.connections["extensions"].tolist() == ["permessage-deflate"] * 2
    for number, wanted in enumerate(texts.values()):
        messages = result.connection(number).payloads()
        assert messages["payload"].tolist() == wanted and messages["valid"].all()


@STEPS
def test_a_frame_may_span_data_frames_and_a_data_frame_hold_many(step):
    talk = Talk(step).hello().open(1, "/")
    whole = masked(TEXT, b"a" * 500)
    talk.client(*(data(1, whole[at : at + 2]) for at in range(0, len(whole), 2)))
    talk.server(data(1, b"".join(frame(TEXT, b"x") for _ in range(50)), padding=255), data(1, b""), h2(SETTINGS, 1))
    talk.server(data(1, frame(PING, b"p")))
    talk.client(data(1, masked(PONG, b"p")))
    found = row(goodbye(talk, 1).end())
    assert found[["client_messages", "client_bytes", "server_messages", "server_pings"]].tolist() == [1, 500, 50, 1]
    assert found[["unanswered_pings", "outcome", "client_saw", "server_saw"]].tolist() == [0, "clean", 1000, 1000]


@STEPS
def test_headers_in_pieces_with_padding_and_priority(step):
    talk = Talk(step).hello()
    block = talk.block(True, talk.request("/pieces", ("x-long", "y" * 400)))
    first = bytes([20]) + bytes(5) + block[:30] + bytes(20)
    talk.client(
        h2(HEADERS, PADDED | WITH_PRIORITY, 1, first),
        *(h2(MORE_HEADERS, 0, 1, block[at : at + 50]) for at in range(30, len(block), 50)),
        h2(MORE_HEADERS, END_HEADERS, 1, b""),
    )
    pushed = talk.block(False, [(":method", "GET"), (":path", "/pushed"), ("x-only-here", "1")])
    talk.server(h2(PUSH_PROMISE, PADDED | END_HEADERS, 1, b"\3" + b"\0\0\0\2" + pushed + bytes(3)))
    talk.server(talk.answer(1, 100), talk.answer(1, 200))
    goodbye(talk, 1)
    talk.open(3, "/after")
    rows = goodbye(talk, 3).end().analyze().connections
    assert rows["path"].tolist() == ["/pieces", "/after"]
    assert rows["http_status"].tolist() == [200, 200]
    assert rows["outcome"].tolist() == ["clean", "clean"]


def test_a_refused_connect_has_its_status_and_its_body_is_no_frames():
    talk = Talk().hello()
    talk.client(talk.ask(1, "/no"), data(1, masked(TEXT, b"too early")))
    talk.server(talk.answer(1, 403), data(1, b"\x81\x02no", end=True))
    found = row(talk.end())
    assert found[["opening", "http_status", "outcome"]].tolist() == ["refused", 403, "refused"]
    assert found[["client_frames", "server_frames", "client_saw"]].tolist() == [0, 0, 1006]
    assert pd.isna(found["opened"])


def test_frames_sent_before_the_answer_are_the_websockets():
    talk = Talk().hello()
    talk.client(talk.ask(1, "/"), data(1, masked(TEXT, b"early")))
    sent = talk.time
    talk.server(talk.answer(1))
    result = goodbye(talk, 1).end().analyze()
    assert result.connections["client_messages"].tolist() == [1]
    assert result.frames["time"].iloc[0].value == sent


@STEPS
def test_an_answer_and_what_follows_it_may_stand_before_their_connect(step):
    talk = Talk(step).hello()
    asked = len(talk.packets)
    talk.client(talk.ask(1, "/", DEFLATE))
    answered = len(talk.packets)
    talk.server(talk.answer(1, 200, DEFLATE), data(1, frame(TEXT, b"hi") + frame(CLOSE, close(1012)), end=True))
    closed = len(talk.packets)
    talk.client(data(1, masked(CLOSE, close(1012)), end=True)).end()
    hello, ask, answer, rest = (talk.packets[a:b] for a, b in pairwise((0, asked, answered, closed, None)))
    columns = ["opening", "http_status", "extensions", "server_messages", "client_code", "server_code", "outcome"]
    columns += ["opened", "close_initiator", "client_saw", "server_saw", "complete", "server_close"]
    found, wanted = analyzed(hello + answer + ask + rest).connections[columns], talk.analyze().connections[columns]
    assert wanted["outcome"].tolist() == ["clean"]
    pd.testing.assert_frame_equal(found, wanted)


def test_what_answers_bytes_of_the_client_that_never_come_is_read_all_the_same():
    talk = Talk().hello().open(1, "/")
    for _ in range(50):
        talk.say(True, data(1, masked(TEXT, b"more")), captured=False)
        talk.server(data(1, frame(BINARY, bytes(10_000))))
    found = row(talk)
    assert found[["client_messages", "server_messages", "server_bytes"]].tolist() == [0, 50, 500_000]
    assert found[["client_exact", "server_exact"]].tolist() == [False, True]


def test_rst_stream_ends_one_stream_and_leaves_the_others():
    talk = Talk().hello().open(1, "/a").open(3, "/b").open(5, "/c")
    talk.client(reset(1)).server(reset(3, 2))
    talk.server(data(1, frame(TEXT, b"under way")))
    goodbye(talk, 5)
    rows = talk.end(RST).analyze().connections.set_index("http_stream")
    assert rows["transport_end"].tolist() == ["stream-reset", "stream-reset", "stream-end"]
    assert rows["transport_end_by"].tolist() == ["client", "server", "client"]
    assert rows["outcome"].tolist() == ["dropped", "dropped", "clean"]
    assert rows["client_saw"].tolist() == [1006, 1006, 1000]
    assert rows.loc[1, "server_messages"] == 1


def test_end_stream_then_rst_stream_ended_with_end_stream():
    talk = Talk().hello().open(1, "/")
    talk.server(data(1, frame(CLOSE, close(1012, b"restart")), end=True))
    talk.client(data(1, masked(CLOSE, close(1012)))).client(reset(1))
    found = row(talk.end())
    assert found[["transport_end", "transport_end_by", "outcome"]].tolist() == ["stream-end", "server", "clean"]
    assert found[["client_saw", "server_saw", "client_reason", "server_reason"]].tolist() == [1012, 1012, "", "restart"]


def test_the_error_code_of_rst_stream_is_told_with_its_packet():
    talk = Talk().hello().open(1, "/a").open(3, "/b").open(5, "/c")
    talk.client(reset(1, 8)).server(reset(3, 2)).server(h2(RST_STREAM, 0, 5, b"\0"))
    rows = talk.end().analyze().connections.set_index("http_stream")
    assert rows["stream_error"].tolist() == ["client: CANCEL", "server: INTERNAL_ERROR", pd.NA]
    packet = len(talk.packets) - 6 + 1
    assert rows.loc[1, "evidence"] == f"RST_STREAM CANCEL by the client (packet {packet}) on stream 1, no Close"
    assert rows.loc[5, "evidence"] == f"RST_STREAM by the server (packet {packet + 2}) on stream 5, no Close"


@pytest.mark.parametrize(
    ("by_client", "code", "later", "cause"),
    [(False, 1, 2, "reset"), (False, 0, 2, "dropped"), (True, 8, 2, "dropped"), (False, 1, 900, "dropped")],
)
def test_end_stream_and_then_an_error_by_the_same_side_is_a_reset(by_client, code, later, cause):
    talk = Talk().hello().open(1, "/a")
    talk.server(data(1, b"", end=True))
    talk.time += later * 1_000_000
    talk.say(by_client, reset(1, code))
    found = row(talk.end())
    assert found[["transport_end", "transport_end_by"]].tolist() == ["stream-end", "server"]
    assert found[["cause", "cause_by"]].tolist() == [cause, "server"]
    last, name, side = len(talk.packets) - 3, ("NO_ERROR", "PROTOCOL_ERROR")[code & 1], ("server", "client")[by_client]
    name = "CANCEL" if by_client else name
    assert found["stream_error"] == f"{side}: {name}"
    assert f"END_STREAM by the server (packet {last - 1}), RST_STREAM {name} by the {side} " in found["evidence"]
    assert f"later (packet {last}) on stream 1, no Close" in found["evidence"]


def test_goaway_is_named_where_it_came_before_the_end_of_tcp_or_ended_a_stream():
    talk = Talk().hello().open(1, "/a").open(3, "/b")
    talk.server(goaway(2**31 - 1)).server(goaway(1, 11))
    rows = talk.end(RST).analyze().connections.set_index("http_stream")
    said = f"GOAWAY ENHANCE_YOUR_CALM by the server (packet {len(talk.packets) - 1})"
    assert said in rows.loc[1, "evidence"] and rows.loc[1, "transport_end"] == "rst"
    assert rows.loc[3, "evidence"].startswith(f"{said} on stream 3, no Close")
    assert rows["stream_error"].tolist() == [pd.NA, "server: ENHANCE_YOUR_CALM"]


def test_goaway_ends_the_streams_above_its_last_id():
    talk = Talk().hello().open(1, "/a").open(3, "/b")
    talk.client(talk.ask(5, "/c")).server(goaway(2**31 - 1)).server(goaway(1))
    talk.client(talk.ask(7, "/late"))
    goodbye(talk, 1)
    rows = talk.end().analyze().connections.set_index("http_stream")
    assert rows["transport_end"].tolist() == ["stream-end", "goaway", "goaway", "goaway"]
    assert rows["transport_end_by"].tolist() == ["client", "server", "server", "server"]
    assert rows["outcome"].tolist() == ["clean", "dropped", "no-answer", "no-answer"]


def test_goaway_of_the_client_ends_no_stream_of_its_own():
    talk = Talk().hello().open(1, "/a")
    talk.client(goaway(0))
    assert row(goodbye(talk, 1).end())["transport_end"] == "stream-end"


@pytest.mark.parametrize(("flags", "how"), [(FIN, "fin"), (RST, "rst")])
def test_the_end_of_tcp_ends_all_streams(flags, how):
    talk = Talk().hello().open(1, "/a").open(3, "/b")
    goodbye(talk, 1)
    rows = talk.end(flags).analyze().connections.set_index("http_stream")
    assert rows["transport_end"].tolist() == ["stream-end", how]
    assert rows["outcome"].tolist() == ["clean", "dropped"]
    assert rows["end"].iloc[0] < rows["end"].iloc[1]


def test_a_stream_still_open_at_the_end_of_the_capture_is_open():
    rows = Talk().hello().open(1, "/a").analyze().connections
    assert rows["outcome"].tolist() == ["open"] and rows["transport_end"].isna().all()


def test_a_stream_that_ended_is_concluded_while_its_connection_goes_on():
    talk = Talk(pause=1_000_000_000).hello()
    for stream in range(1, 41, 2):
        goodbye(talk.open(stream, f"/{stream}"), stream)
    rows = talk.end().analyze().connections
    assert rows["path"].tolist() == [f"/{stream}" for stream in range(1, 41, 2)]
    assert rows["outcome"].eq("clean").all() and rows["server_saw"].eq(1000).all() and rows["complete"].all()
    assert rows["last_packet"].is_monotonic_increasing and rows["last_packet"].iloc[0] < len(talk.packets) // 2


@pytest.mark.parametrize(("more", "told"), [(0, False), (1, True)])
def test_more_closes_of_a_stream_than_are_kept_are_said_to_be(more, told):
    talk = Talk().hello().open(1, "/a")
    for _ in range(limits.CLOSES_KEPT + more - 1):
        talk.server(data(1, frame(CLOSE, b"\x03\xe8")))
    result = goodbye(talk, 1).end().analyze()
    assert result.closes["sender"].eq("server").sum() == limits.CLOSES_KEPT
    assert any("Close frames" in str(problem) for problem in result.problems) == told


def test_other_streams_are_passed_over():
    talk = Talk(500).hello()
    talk.client(h2(HEADERS, END_HEADERS | END_STREAM, 1, talk.block(True, [(":method", "GET"), (":path", "/big")])))
    talk.server(h2(HEADERS, END_HEADERS, 1, talk.block(False, [(":status", "200")])))
    talk.open(3, "/")
    for _ in range(10):
        talk.server(data(1, bytes(5000)), data(3, frame(TEXT, b"x")))
    result = goodbye(talk, 3).end().analyze()
    assert result.connections["server_messages"].tolist() == [10]
    counts = result.ledger.set_index(["unit", "kind"])["count"]
    assert counts["byte", "before the upgrade"] == 50_000


@STEPS
def test_h2c_upgrade(step):
    talk = Talk(step)
    talk.client(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n")
    talk.client(b"HTTP2-Settings: AA\r\n\r\n")
    talk.server(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + settings((8, 1)))
    talk.client(PREFACE, settings())
    talk.server(h2(HEADERS, END_HEADERS, 1, talk.block(False, [(":status", "200")])), data(1, b"page", end=True))
    talk.open(3, "/ws").client(data(3, masked(TEXT, b"hello")))
    rows = goodbye(talk, 3).end().analyze().connections
    assert rows["http_stream"].tolist() == [3] and rows["path"].tolist() == ["/ws"]
    assert rows["client_messages"].tolist() == [1] and rows["outcome"].tolist() == ["clean"]


def test_the_servers_settings_may_come_first():
    talk = Talk()
    talk.server(settings((8, 1))).client(PREFACE[:10]).server(h2(SETTINGS, 1)).client(PREFACE[10:], settings())
    assert row(goodbye(talk.open(1, "/"), 1).end())["outcome"] == "clean"


def test_a_table_as_large_as_browsers_announce():
    talk = Talk().hello()
    for encoder in talk.encoders.values():
        encoder.header_table_size = 65536
    talk.open(1, "/a", *((f"x-{n}", "v" * 100) for n in range(200)))
    talk.open(3, "/b", *((f"x-{n}", "v" * 100) for n in range(200)), ("origin", "https://o"))
    goodbye(goodbye(talk, 1), 3)
    rows = talk.end().analyze().connections
    assert rows["path"].tolist() == ["/a", "/b"] and rows["origin"].iloc[1] == "https://o"
    assert rows["outcome"].tolist() == ["clean", "clean"]


def some_fields(draw: random.Random) -> list[tuple[str, str]]:
    return [(f"x-{draw.randrange(30)}", "v" * draw.randrange(40) + str(draw.randrange(9))) for _ in range(8)]


@pytest.mark.parametrize("seed", range(30))
def test_joined_in_the_middle_no_header_value_is_ever_wrong(seed):
    draw = random.Random(seed)
    talk = Talk(opened=False).hello()
    truth = {}
    for stream in range(1, 41, 2):
        origin, path = f"https://{draw.randrange(6)}", f"/{draw.randrange(6)}"
        agent, protocol = f"agent {draw.randrange(4)}", f"p{draw.randrange(4)}"
        truth[stream] = {"origin": origin, "path": path, "user_agent": agent, "offered_subprotocols": protocol}
        truth[stream] |= {"host": "example.org", "http_status": 200, "subprotocol": protocol}
        fields = [("origin", origin), ("user-agent", agent), ("sec-websocket-protocol", protocol), *some_fields(draw)]
        talk.client(talk.ask(stream, path, *fields), data(stream, masked(TEXT, b"hello")))
        talk.server(talk.answer(stream, 200, ("sec-websocket-protocol", protocol), *some_fields(draw)))
        talk.server(data(stream, frame(TEXT, b"hi")))
        goodbye(talk, stream)
    packets = talk.end().packets
    found = 0
    for begin in range(1, len(packets) - 20, 7):
        rows = analyzed(packets[begin:]).connections
        for told in rows[rows["opening"] != "midstream"].to_dict("records"):
            for name, value in truth[told["http_stream"]].items():
                assert pd.isna(told[name]) or told[name] == value
                found += not pd.isna(told[name])
    assert found > 100


def test_a_gap_inside_one_frame_is_carried_over():
    talk = Talk().hello().open(1, "/a").open(3, "/b")
    whole = data(1, masked(BINARY, bytes(3000)))
    talk.client(whole[:500]).lose(True, whole[500:1500]).client(whole[1500:])
    talk.client(data(3, masked(TEXT, b"fine")))
    rows = goodbye(goodbye(talk, 1), 3).end().analyze().connections
    assert rows["client_messages"].tolist() == [1, 1] and rows["outcome"].tolist() == ["clean", "clean"]
    assert rows["client_exact"].tolist() == [False, True] and not rows["complete"].any()
    assert rows["lost_bytes"].tolist() == [1000, 1000]


def test_after_a_gap_over_frames_reading_goes_on_at_the_next_frames_and_says_so():
    talk = Talk().hello().open(1, "/a")
    talk.lose(True, data(1, masked(TEXT, b"lost")) + talk.ask(3, "/b", ("x-new", "1")))
    talk.server(talk.answer(3))
    talk.client(h2(6, 0, 0, bytes(8)), data(1, masked(TEXT, b"seen")))
    talk.client(talk.ask(5, "/c", ("x-new", "1"), ("origin", "https://o"))).server(talk.answer(5))
    goodbye(talk, 5)
    rows = talk.end().analyze().connections.set_index("http_stream")
    assert rows["client_exact"].to_dict()[1] is False
    for stream, told in rows.iterrows():
        assert pd.isna(told["path"]) or told["path"] == {1: "/a", 3: "/b", 5: "/c"}[stream]


def test_an_answer_that_was_lost_is_told_by_the_frames_that_follow():
    talk = Talk().hello()
    talk.client(talk.ask(1, "/a")).lose(False, talk.answer(1)).client(h2(6, 0, 0, bytes(8)))
    talk.server(data(1, frame(TEXT, b"hi")), h2(6, 1, 0, bytes(8)))
    goodbye(talk, 1)
    found = row(talk.end())
    assert found[["opening", "server_messages", "client_code"]].tolist() == ["handshake", 1, 1000]
    assert pd.isna(found["http_status"]) and pd.isna(found["opened"])


def test_only_the_clients_direction_captured():
    talk = Talk().hello().open(1, "/a").client(data(1, masked(TEXT, b"hello")))
    goodbye(talk, 1).end()
    ours = [pair for pair in talk.packets if pair[1][26:30] == b"\x0a\0\0\1"]
    rows = analyzed(ours).connections
    assert rows["client_messages"].tolist() == [1] and rows["client_code"].tolist() == [1000]
    assert rows["path"].tolist() == ["/a"] and rows["outcome"].tolist() == ["unknown"]


def test_padding_longer_than_its_frame_and_other_nonsense_is_read_past():
    talk = Talk().hello().open(1, "/")
    talk.client(h2(DATA, PADDED, 1, b"\xff\x81\x80"), h2(DATA, PADDED, 1, b""), h2(HEADERS, PADDED, 9, b"\xff"))
    talk.client(h2(3, 0, 1, b"\0"), h2(7, 0, 0, b"\0"), h2(99, 255, 7, b"junk"), h2(MORE_HEADERS, 4, 5, b"stray"))
    talk.analyze()


def busy() -> Talk:
    """A conversation with a bit of everything."""
    talk = Talk(400).hello().open(1, "/a", DEFLATE).open(3, "/b")
    talk.client(talk.ask(5, "/no")).server(talk.answer(5, 404, end=True))
    for n in range(5):
        talk.client(data(1, masked(TEXT, b"text" * n), padding=n), data(3, masked(PING, b"p")))
        talk.server(data(3, frame(PONG, b"p") + frame(TEXT, b"x" * 300, fin=False)), data(3, frame(CONTINUATION, b"y")))
    return goodbye(talk.client(reset(3)), 1).server(goaway(1)).end()


@pytest.mark.parametrize("seed", range(60))
def test_random_damage_never_raises_and_the_ledger_holds(seed):
    draw = random.Random(seed)
    talk = busy()
    packets = []
    for time, packet in talk.packets:
        if draw.random() < 0.05:
            continue
        damaged = bytearray(packet)
        for _ in range(draw.randrange(4) if len(packet) > 54 else 0):
            damaged[draw.randrange(54, len(packet))] = draw.randrange(256)
        packets.append((time, bytes(damaged)))
    result = analyzed(packets, tables=("connections", "frames", "messages", "closes", "ledger"))
    counts = result.ledger[result.ledger["unit"] == "byte"].set_index("kind")["count"]
    apart = counts.reindex(["lost", "cut by snaplen", "conflicting", "truncated record"], fill_value=0)
    if len(result.connections):
        assert counts.sum() - apart.sum() == sum(len(packet) - 54 for _, packet in packets)


@pytest.mark.parametrize("seed", range(20))
def test_random_header_blocks_never_raise(seed):
    draw = random.Random(seed)
    talk = Talk().hello().open(1, "/")
    for stream in range(3, 63, 2):
        talk.client(h2(HEADERS, END_HEADERS, stream, draw.randbytes(draw.randrange(60))))
        talk.client(talk.ask(stream + 100, "/x"))
    rows = talk.analyze().connections
    assert set(rows["path"].dropna()) <= {"/", "/x"}


def test_the_decoder_for_a_connection_already_begun_knows_what_it_does_not_know():
    from analyzer.upgrade.http2 import decoder

    encoder, before = hpack.Encoder(), [(b"x-old", b"1"), (b":path", b"/old")]
    encoder.encode(before)
    found = decoder(True).decode(encoder.encode([*before, (b"x-new", b"2")]), raw=True)
    assert [tuple(field) for field in found] == [(b"?", b"?"), (b"?", b"?"), (b"x-new", b"2")]


def test_a_tunnel_or_a_proxy_header_may_stand_before_the_preface():
    talk = Talk().client(b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n").hello().open(1, "/a")
    found = row(goodbye(talk, 1).end())
    assert found[["path", "forwarded_for", "outcome"]].tolist() == ["/a", "192.0.2.7:1", "clean"]


ANSWERED = "server", "H10", "must"


class TestRules:
    def rules(self, talk: Talk) -> list[tuple[str, str, str]]:
        found = talk.end().analyze(tables=("violations",)).violations
        return list(found[["sender", "rule", "severity"]].itertuples(index=False, name=None))

    def asked(self, fields: list[tuple[str, str]], *answered: tuple[str, str]) -> list[tuple[str, str, str]]:
        talk = Talk().hello()
        talk.client(h2(HEADERS, END_HEADERS, 1, talk.block(True, fields)))
        return self.rules(talk.server(talk.answer(1, 200, *answered)))

    def test_a_legal_one_breaks_none(self) -> None:
        offered = ("sec-websocket-protocol", "a, b"), ("sec-websocket-extensions", "permessage-deflate")
        fields = Talk().request("/", *offered)
        chosen = ("sec-websocket-protocol", "b"), ("sec-websocket-extensions", "permessage-deflate")
        assert self.asked(fields, *chosen) == []

    def test_x1_the_servers_settings_come_first(self) -> None:
        for first in ((), (settings((8, 0)),), (settings((4, 1), (8, 1)),)):
            talk = Talk().client(PREFACE, settings())
            if first:
                talk.server(*first)
            found = self.rules(talk.open(1, "/").server(settings((8, 1))))
            assert found == ([] if len(first) and first[0].endswith(b"\1") else [("client", "X1", "must"), ANSWERED])

    def test_x1_is_not_judged_where_settings_may_be_missing(self) -> None:
        talk = Talk().client(PREFACE, settings()).lose(False, settings((8, 1)))
        assert self.rules(talk.client(h2(SETTINGS, 1)).open(1, "/")) == []
        talk = Talk(opened=False).client(h2(SETTINGS, 1), h2(SETTINGS, 1), h2(SETTINGS, 1))
        talk.server(h2(SETTINGS, 1), h2(SETTINGS, 1), h2(SETTINGS, 1))
        assert self.rules(talk.open(1, "/")) == []

    @pytest.mark.parametrize(
        ("name", "value"),
        [(":method", "GET"), (":scheme", None), (":path", None), ("upgrade", "websocket"), ("connection", "upgrade")],
    )
    def test_x2_what_the_connect_holds(self, name: str, value: str | None) -> None:
        fields: dict[str, Any] = {**dict(Talk().request("/")), name: value}
        found = self.asked([(name, value) for name, value in fields.items() if value is not None])
        assert found == [("client", "X2", "must"), ANSWERED]

    def test_key_and_accept_are_not_used_and_harm_nothing(self) -> None:
        request = Talk().request("/", ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="))
        assert self.asked(request, ("sec-websocket-accept", "x")) == []

    def test_x2_what_the_answer_holds(self) -> None:
        request = Talk().request("/")
        assert self.asked(request, ("upgrade", "websocket")) == [("server", "X2", "must")]
        talk = Talk().hello()
        talk.client(talk.ask(1, "/")).server(talk.answer(1, 101))
        assert self.rules(talk) == [("server", "X2", "must")]

    def test_rules_of_the_handshake_hold_over_http2_too(self) -> None:
        old = [each if each[0] != "sec-websocket-version" else (each[0], "8") for each in Talk().request("/")]
        assert [rule for _, rule, _ in self.asked(old)] == ["H4", "H10"]
        request = Talk().request("/")
        assert self.asked(request, ("sec-websocket-protocol", "a")) == [("server", "H6", "must")]
        assert self.asked(request, ("sec-websocket-extensions", "x")) == [("server", "H7", "must")]

    def test_h8_frames_before_the_answer(self) -> None:
        talk = Talk().hello()
        talk.client(talk.ask(1, "/"), data(1, masked(1, b"hello"))).server(talk.answer(1))
        assert self.rules(talk) == [("client", "H8", "must")]


def older(step: int = 0) -> Talk:
    """A connection that was there before the capture: two WebSockets and a stream like gRPC's."""
    talk = Talk(step, opened=False)
    talk.client(h2(6, 0, 0, bytes(8)))
    talk.server(h2(6, 1, 0, bytes(8)), h2(6, 0, 0, bytes(8)), h2(6, 1, 0, bytes(8)))
    for number in range(12):
        talk.client(data(1, masked(TEXT, b"question %d" % number)), data(5, b"\0\0\0\0\x0a" + b"\x0a\x08abcdefgh"))
        talk.server(data(1, frame(TEXT, b"answer %d" % number)), data(5, b"\0\0\0\0\x04" + b"\x08\x01\x10\x02"))
        talk.client(data(3, masked(PONG, b"%d" % number))).server(data(3, frame(PING, b"%d" % number)))
    return talk


@pytest.mark.parametrize("step", [0, 300])
def test_a_websocket_whose_stream_was_open_before_the_capture_is_told_by_its_frames(step):
    talk = older(step)
    goodbye(talk, 1, 4001)
    talk.server(reset(3))
    rows = talk.end().analyze(tables=("connections", "frames", "ledger")).connections
    assert sorted(rows["http_stream"]) == [1, 3]
    first, second = (rows[rows["http_stream"] == number].iloc[0] for number in (1, 3))
    assert (first.opening, first.http, first.outcome, first.client_basis) == ("midstream", "2", "clean", "masks")
    assert (first.client_code, first.server_code, first.client_messages, first.server_messages) == (4001, 4001, 12, 12)
    assert rows[["host", "path", "http_status", "origin", "opened", "subprotocol"]].isna().all(axis=None)
    assert (second.outcome, second.transport_end, second.client_frames) == ("dropped", "stream-reset", 12)


def test_a_stream_that_began_within_the_capture_and_asked_for_something_else_is_not_searched():
    talk = older()
    fields = [(":method", "POST"), (":path", "/rpc"), (":scheme", "https")]
    talk.client(h2(HEADERS, END_HEADERS, 7, talk.block(True, fields)))
    for number in range(12):
        talk.client(data(7, masked(TEXT, b"question %d" % number)), data(9, masked(TEXT, b"question %d" % number)))
        talk.server(data(7, frame(TEXT, b"answer %d" % number)), data(9, frame(TEXT, b"answer %d" % number)))
    assert set(talk.end().analyze().connections["http_stream"]) == {1, 3}


def chat(talk: Talk, stream: int, count: int = 6) -> Talk:
    for number in range(count):
        talk.client(data(stream, masked(TEXT, b"question %d" % number)))
        talk.server(data(stream, frame(TEXT, b"answer %d" % number)))
    return talk


def unsaid(fields: list[tuple[str, str]], status: int = 200) -> list[Any]:
    """Rows of a capture that begins when every field that stream 3 asks with stands in tables already."""
    talk = Talk().hello()
    talk.client(h2(HEADERS, END_HEADERS, 1, talk.block(True, fields)))
    talk.server(talk.answer(1, status), h2(6, 0, 0, bytes(8))).client(reset(1))
    begin = len(talk.packets)
    talk.client(h2(6, 1, 0, bytes(8)), h2(6, 0, 0, bytes(8)), h2(6, 0, 0, bytes(8)))
    talk.client(h2(HEADERS, END_HEADERS, 3, talk.block(True, fields))).server(talk.answer(3, status))
    asked = talk.time
    goodbye(chat(talk, 3), 3, 4001)
    talk.end()
    rows = analyzed(talk.packets[begin:]).connections
    return [(row, asked) for row in rows.itertuples()]


def test_a_connect_that_refers_to_what_the_capture_lacks_is_told_by_its_frames():
    ((row, asked),) = unsaid(Talk().request("/chat", ("origin", "https://example.org")))
    assert (row.opening, row.http, row.http_stream, row.http_status) == ("midstream", "2", 3, 200)
    assert (row.client_code, row.server_code, row.outcome) == (4001, 4001, "clean")
    assert (row.client_messages, row.server_messages) == (6, 6)
    for name, value in (("path", "/chat"), ("host", "example.org"), ("origin", "https://example.org")):
        assert pd.isna(getattr(row, name)) or getattr(row, name) == value
    assert pd.isna(row.path) and row.start.value == asked - 1000


def test_a_request_that_is_no_connect_or_was_refused_is_not_searched():
    post = [(":method", "POST"), (":path", "/rpc"), (":scheme", "https"), ("x-some", "thing")]
    assert unsaid(post) == []
    assert unsaid(Talk().request("/chat"), status=404) == []


def test_a_capture_that_begins_with_a_data_frame_larger_than_a_piece():
    talk = Talk(16384, opened=False).server(data(1, frame(BINARY, bytes(16380))))
    (row,) = goodbye(chat(talk, 1), 1).end().analyze().connections.itertuples()
    assert (row.http, row.http_stream, row.opening, row.outcome) == ("2", 1, "midstream", "clean")


def test_an_answer_that_stands_before_its_connect_is_counted():
    talk = Talk(opened=False)
    talk.server(settings((8, 1)), data(1, frame(TEXT, b"too early")))
    rows = talk.client(talk.ask(1, "/late"), data(1, masked(TEXT, b"a question"))).analyze().connections
    assert list(rows["path"]) == ["/late"]


def test_the_extract_of_a_stream_that_ended_long_before_its_connection_reads_the_same(tmp_path):
    talk = Talk().hello()
    for stream in (1, 3, 5):
        goodbye(talk.open(stream, "/same/path"), stream)
        talk.time += 60_000_000_000
    talk.end()
    whole, part = tmp_path / "whole.pcap", tmp_path / "part.pcapng"
    whole.write_bytes(written([Captured(time, packet, len(packet)) for time, packet in talk.packets]))
    rows = analyzer.analyze(whole).connections
    assert rows["http_stream"].tolist() == [1, 3, 5]
    for number, row in rows.iterrows():
        assert row["last_packet"] < len(talk.packets) or number == 2
        assert main(["extract", str(whole), str(number), "-o", str(part)]) == 0
        found = analyzer.analyze(part).connections
        read = found[found["http_stream"] == row["http_stream"]].iloc[0]
        same = ["path", "host", "opening", "outcome", "client_code", "server_code", "client_saw", "server_saw"]
        same += ["start", "opened", "end", "client_frames", "server_frames", "transport_end", "violations"]
        assert read[same].tolist() == row[same].tolist()
