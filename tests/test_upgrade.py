"""The upgrade stage: a flow's bytes in, rows and frame readers out; whole, byte by byte, with junk and gaps."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from analyzer import limits
from analyzer.records import END_CAPTURE, END_FIN, MISSING, NO_TIME, Connection, Flow, Half, Packet, Reader
from analyzer.room import Room
from analyzer.upgrade import headers
from analyzer.upgrade.heads import FieldLines
from analyzer.upgrade.http1 import Openings

REQUEST = (
    b"GET /chat?room=1 HTTP/1.1\r\nHost: example.org:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nOrigin: http://example.org\r\n"
    b"User-Agent: tester/1.0\r\nSec-WebSocket-Protocol: chat, superchat\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)
ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_max_window_bits=10\r\n\r\n"
)
GET = b"GET /page HTTP/1.1\r\nHost: example.org\r\n\r\n"
MASKED = b"\x81\x82abcd\x09\x0b"
SERVED = b"\x81\x02hi"


class Frames(Reader):
    """Stands where the frame reader would: keeps bytes with their packet and offset, gaps and the end."""

    def __init__(self, conversation: Conversation, half: Half) -> None:
        self.conversation = conversation
        self.half = half
        self.bytes = b""
        self.chunks: list[tuple[bytes, int, int]] = []
        self.gaps: list[tuple[int, int, bool]] = []
        self.how: int | None = None

    def data(self, start: int, stop: int) -> None:
        packet = self.conversation.packet
        chunk = bytes(packet.data[start:stop])
        self.bytes += chunk
        self.chunks.append((chunk, packet.number, self.half.offset))

    def gap(self, size: int, cut: bool) -> None:
        self.gaps.append((len(self.bytes), size, cut))

    def end(self, how: int) -> None:
        self.how = how


class Conversation:
    """A flow and what a source does with its readers. `low` is the client's half unless a test says otherwise."""

    def __init__(self, step: int = 0) -> None:
        self.packet = Packet()
        self.flow = Flow()
        self.flow.low.syn = self.flow.high.syn = True
        self.rows: list[Connection] = []
        self.accepted: list[Connection] = []
        self.openings = Openings(self.packet, self.accept, self.rows.append, Room(1 << 40))
        self.step = step
        self.handed = {True: 0, False: 0}
        self.position = {True: 0, False: 0}
        self.frames: dict[bool, Frames] = {}
        self.begun: bool | None = None

    def accept(self, connection: Connection) -> None:
        self.accepted.append(connection)
        for client, side in ((True, connection.client), (False, connection.server)):
            self.frames[client] = Frames(self, side.half)
            side.source.reader = self.frames[client]

    def half(self, client: bool) -> Half:
        return self.flow.low if client else self.flow.high

    def client(self, data: bytes) -> Conversation:
        return self.send(True, data)

    def server(self, data: bytes) -> Conversation:
        return self.send(False, data)

    def send(self, client: bool, data: bytes) -> Conversation:
        size = self.step or len(data) or 1
        for at in range(0, len(data), size):
            self.deliver(client, data[at : at + size])
        return self

    def deliver(self, client: bool, chunk: bytes) -> None:
        packet, half = self.packet, self.half(client)
        packet.number += 1
        packet.time = packet.number * 1000
        packet.data = b"##" + chunk + b"####"
        half.captured_bytes += len(chunk)
        passed = min(half.skip, len(chunk))
        half.skip -= passed
        half.skipped_bytes += passed
        half.offset = self.position[client] + passed
        self.position[client] += len(chunk)
        if self.begun is None:
            self.begun = self.openings.begin(self.flow, self.flow.low, self.flow.high, 2, 2 + len(chunk))
        if passed < len(chunk) and half.reader is not None:
            self.handed[client] += len(chunk) - passed
            half.reader.data(2 + passed, 2 + len(chunk))

    def gap(self, client: bool, size: int, cut: bool = False) -> Conversation:
        half = self.half(client)
        passed = min(half.skip, size)
        half.skip -= passed
        self.position[client] += size
        if passed < size and half.reader is not None:
            half.reader.gap(size - passed, cut)
        return self

    def end(self, how: int = END_CAPTURE) -> Conversation:
        for half in (self.flow.low, self.flow.high):
            if half.reader is not None:
                half.reader.end(how)
        return self


@pytest.fixture(params=[0, 1, 2, 3, 7, 100], ids=lambda step: f"chunks of {step or 'any size'}")
def talk(request: pytest.FixtureRequest) -> Iterator[Conversation]:
    """A conversation cut into pieces; at its end every byte handed over must be in exactly one count."""
    conversation = Conversation(step=request.param)
    yield conversation
    conversation.end()
    check_bytes(conversation)


def check_bytes(talk: Conversation) -> None:
    opening, rows = talk.flow.opening, talk.flow.connections or []
    if opening is None and not rows:
        return
    counted = {True: 0, False: 0}
    for client in (True, False):
        half = talk.half(client)
        if opening is not None:
            counted[client] = (opening.low if client else opening.high).other_bytes
        for row in rows:
            for side, head in ((row.client, row.handshake_bytes_client), (row.server, row.handshake_bytes_server)):
                counted[client] += head + side.over_limit_bytes if side.half is half else 0
        counted[client] += sum(len(frames.bytes) for frames in talk.frames.values() if frames.half is half)
    if opening is not None:
        assert counted == talk.handed
    else:  # both directions are frames: the flow knows of the other bytes
        other = (talk.flow.layer_bytes or {}).get("before the upgrade", 0)
        assert sum(counted.values()) + other == sum(talk.handed.values())


def only(talk: Conversation) -> Connection:
    assert len(talk.rows) == 1
    assert talk.flow.connections == talk.rows
    return talk.rows[0]


class TestHandshake:
    def test_a_handshake_fills_every_column_and_hands_the_frames_over(self, talk: Conversation) -> None:
        talk.client(REQUEST)
        row = only(talk)
        assert (row.opening, row.http, row.client_basis) == ("unanswered", "1.1", "request")
        assert row.recognised == talk.packet.time
        assert row.http_status == MISSING and row.opened == NO_TIME
        talk.server(ANSWER)
        assert talk.accepted == [row]
        assert (row.opening, row.http_status, row.opened) == ("handshake", 101, talk.packet.time)
        assert (row.host, row.path, row.origin) == ("example.org:8080", "/chat?room=1", "http://example.org")
        assert (row.user_agent, row.offered_subprotocols) == ("tester/1.0", "chat, superchat")
        assert row.offered_extensions == "permessage-deflate; client_max_window_bits"
        assert row.subprotocol == "chat"
        assert row.extensions == "permessage-deflate; client_no_context_takeover; server_max_window_bits=10"
        assert (row.client.deflate, row.client.takeover, row.client.window_bits) == (True, False, 15)
        assert (row.server.deflate, row.server.takeover, row.server.window_bits) == (True, True, 10)
        assert (row.handshake_bytes_client, row.handshake_bytes_server) == (len(REQUEST), len(ANSWER))
        assert row.client.half is row.client.source is talk.flow.low
        assert row.server.half is talk.flow.high and row.flow is talk.flow
        talk.client(MASKED).server(SERVED)
        assert (talk.frames[True].bytes, talk.frames[False].bytes) == (MASKED, SERVED)
        assert talk.frames[True].chunks[0][2] == len(REQUEST)

    def test_frames_glued_to_the_101_go_to_the_frame_reader_with_their_offset(self, talk: Conversation) -> None:
        talk.client(REQUEST).server(ANSWER + SERVED)
        assert talk.frames[False].bytes == SERVED
        assert talk.frames[False].chunks[0][2] == len(ANSWER)

    def test_frames_sent_before_the_answer_are_replayed_as_their_own_packets(self, talk: Conversation) -> None:
        talk.client(REQUEST + MASKED)
        packets = talk.packet.number
        talk.client(MASKED)
        talk.server(ANSWER)
        assert talk.frames[True].bytes == MASKED * 2
        assert all(number < talk.packet.number for _, number, _ in talk.frames[True].chunks)
        assert talk.frames[True].chunks[0][1] <= packets
        assert talk.frames[True].chunks[0][2] == len(REQUEST)
        assert bytes(talk.packet.data).endswith(ANSWER[-1:] + b"####")

    def test_bare_line_feeds_folds_odd_case_and_doubled_fields_are_read(self, talk: Conversation) -> None:
        talk.client(
            b"GET http://h.example/a?b HTTP/1.1\nUPGRADE:\tfoo, WebSocket\nhost :h.example\n"
            b"Sec-WebSocket-Protocol: a\nsec-websocket-protocol: b,\n c\nUser-Agent: caf\xe9\nOrigin: \xc3\xa9\n\n"
        )
        row = only(talk)
        assert (row.path, row.host, row.offered_subprotocols) == ("/a?b", "h.example", "a, b, c")
        assert (row.user_agent, row.origin) == ("café", "é")
        talk.server(b"HTTP/1.1 101\nSec-WebSocket-Extensions: a\nSec-WebSocket-Extensions: permessage-deflate\n\n")
        assert row.extensions == "a, permessage-deflate"
        assert row.client.deflate and row.server.deflate

    def test_a_101_counts_even_when_it_says_nothing_right(self, talk: Conversation) -> None:
        talk.client(REQUEST).server(b"HTTP/1.1 101 x\r\nUpgrade: nonsense\r\n\r\n" + SERVED)
        assert only(talk).opening == "handshake"
        assert talk.frames[False].bytes == SERVED

    def test_a_key_alone_makes_an_upgrade_request(self, talk: Conversation) -> None:
        talk.client(b"GET / HTTP/1.1\r\nSec-WebSocket-Key: x\r\n\r\n")
        assert only(talk).path == "/"

    def test_a_forwarded_client_is_named_by_the_nearest_to_it(self, talk: Conversation) -> None:
        head = REQUEST[:-2] + b"Forwarded: for=192.0.2.60\r\n"
        talk.client(b"PROXY TCP4 192.0.2.1 198.51.100.7 51000 443\r\n" + head + b"\r\n")
        assert only(talk).forwarded_for == "for=192.0.2.60"
        other = Conversation().client(head + b"X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n")
        assert only(other).forwarded_for == "192.0.2.9, 10.0.0.1"


class TestAnswers:
    def test_a_refusal_keeps_its_status_and_a_second_try_is_another_row(self, talk: Conversation) -> None:
        talk.client(REQUEST + REQUEST.replace(b"/chat", b"/again"))
        talk.server(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nno!\n")
        first, second = talk.rows
        assert (first.opening, first.http_status) == ("refused", 401)
        assert (second.opening, second.path) == ("unanswered", "/again?room=1")
        talk.server(ANSWER + SERVED)
        assert (second.opening, second.http_status) == ("handshake", 101)
        assert talk.accepted == [second]
        assert talk.frames[False].bytes == SERVED

    def test_interim_answers_are_not_the_answer(self, talk: Conversation) -> None:
        talk.client(REQUEST)
        talk.server(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ANSWER)
        assert only(talk).http_status == 101

    def test_a_refusal_until_the_connection_closes_ends_reading(self, talk: Conversation) -> None:
        talk.client(REQUEST).server(b"HTTP/1.0 403 Forbidden\r\n\r\nHTTP/1.1 101 no\r\n\r\n")
        row = only(talk)
        assert (row.opening, row.http_status) == ("refused", 403)
        assert not talk.accepted and talk.flow.high.reader is None

    def test_an_upgrade_that_is_never_answered_stays_unanswered(self, talk: Conversation) -> None:
        talk.client(REQUEST + MASKED)
        talk.server(b"HTTP/1.1 10")
        talk.end(END_FIN)
        assert only(talk).opening == "unanswered"

    def test_an_answer_that_is_not_http_ends_reading(self, talk: Conversation) -> None:
        talk.client(REQUEST).server(b"\x15\x03\x01 nonsense")
        assert only(talk).opening == "unanswered"
        assert talk.flow.high.reader is None


class TestRequestsBefore:
    def test_requests_before_the_upgrade_are_matched_in_order(self, talk: Conversation) -> None:
        talk.client(GET + b"HEAD /x HTTP/1.1\r\n\r\n" + b"POST /p HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /")
        talk.client(b"\r\n" + REQUEST)
        talk.server(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nHTTP/1.1 101 decoy\r\n")
        talk.server(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
        talk.server(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9999\r\n\r\n" + ANSWER + SERVED)
        row = only(talk)
        assert row.http_status == 101
        assert talk.frames[False].bytes == SERVED

    def test_chunked_bodies_are_stepped_over(self, talk: Conversation) -> None:
        chunks = b"5;x=y\r\nGET /\r\n1A\r\n" + b"H" * 26 + b"\r\n0\r\nTrailer: x\r\n\r\n"
        talk.client(b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n" + chunks + REQUEST)
        talk.server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n" + chunks)
        talk.server(ANSWER + SERVED)
        assert only(talk).http_status == 101
        assert talk.frames[False].bytes == SERVED

    def test_a_long_body_passes_unread(self) -> None:
        talk = Conversation().client(GET).server(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(500))
        assert talk.flow.high.skip == 999_500
        handed = talk.handed[False]
        talk.server(bytes(999_500))
        assert talk.handed[False] == handed
        assert only(talk.client(REQUEST).server(ANSWER)).opening == "handshake"

    def test_a_flow_of_plain_http_leaves_nothing_behind(self) -> None:
        talk = Conversation().client(GET).server(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
        assert talk.flow.opening is None and talk.flow.connections is None
        assert talk.flow.low.reader is None and talk.flow.high.reader is None
        assert talk.flow.low.skip == talk.flow.high.skip == 1 << 62

    def test_an_upgrade_to_another_protocol_ends_reading(self, talk: Conversation) -> None:
        talk.client(b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n").server(b"HTTP/1.1 101 x\r\nUpgrade: h2c\r\n\r\n\0\0\0")
        assert talk.flow.opening is None and not talk.rows


PREFACES = [
    (b"PROXY TCP4 192.0.2.1 198.51.100.7 51000 443\r\n", "192.0.2.1:51000"),
    (b"PROXY TCP6 2001:db8::1 ::1 51000 443\r\n", "[2001:db8::1]:51000"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00", None),
    (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0f" + b"\xc0\0\2\1\xc6\x33\x64\7\xc7\x38\1\xbb\x04\0\0", "192.0.2.1:51000"),
]


class TestTunnels:
    @pytest.mark.parametrize(("preface", "source"), PREFACES)
    def test_a_proxy_header_tells_where_the_client_is(
        self, talk: Conversation, preface: bytes, source: str | None
    ) -> None:
        talk.client(preface + REQUEST).server(ANSWER)
        assert (only(talk).forwarded_for, only(talk).opening) == (source, "handshake")
        assert talk.openings.kinds == {"proxy protocol": 1, "http": 1}

    def test_the_innermost_proxy_header_counts(self, talk: Conversation) -> None:
        talk.client(PREFACES[4][0] + PREFACES[1][0] + PREFACES[2][0] + REQUEST)
        assert only(talk).forwarded_for == "[2001:db8::1]:51000"

    def test_a_connect_tunnel_is_opened(self, talk: Conversation) -> None:
        talk.client(GET).server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        talk.client(b"CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n" + PREFACES[0][0] + REQUEST)
        assert not talk.rows
        talk.server(b"HTTP/1.1 200 Connection established\r\n\r\n" + ANSWER + SERVED)
        assert (only(talk).opening, only(talk).forwarded_for) == ("handshake", "192.0.2.1:51000")
        assert talk.frames[False].bytes == SERVED

    def test_a_refused_connect_is_a_request_like_others(self, talk: Conversation) -> None:
        talk.client(b"CONNECT h:80 HTTP/1.1\r\n\r\n" + REQUEST)
        talk.server(b"HTTP/1.1 407 x\r\nContent-Length: 2\r\n\r\nno" + ANSWER)
        assert only(talk).http_status == 101

    def test_what_is_not_http_in_a_tunnel_is_let_go_and_counted(self, talk: Conversation) -> None:
        talk.client(b"CONNECT h:443 HTTP/1.1\r\n\r\n").server(b"HTTP/1.1 200 OK\r\n\r\n")
        talk.client(b"\x16\x03\x01\x00\x05hello")
        assert talk.flow.opening is None and talk.flow.low.skip > 1 << 61
        assert talk.openings.kinds == {"http": 1, "tls": 1}

    @pytest.mark.parametrize("password", [True, False])
    def test_a_socks_tunnel_is_opened(self, talk: Conversation, password: bool) -> None:
        talk.client(b"\x05\x02\x00\x02").server(b"\x05\x02" if password else b"\x05\x00")
        if password:
            talk.client(b"\x01\x03abc\x04word").server(b"\x01\x00")
        talk.client(b"\x05\x01\x00\x03\x07example\x00\x50").server(b"\x05\x00\x00\x01\0\0\0\0\0\0")
        talk.client(REQUEST).server(ANSWER + SERVED)
        assert only(talk).opening == "handshake"
        assert talk.frames[False].bytes == SERVED

    def test_a_refused_socks_request_ends_reading(self, talk: Conversation) -> None:
        talk.client(b"\x05\x01\x00").server(b"\x05\x00").client(b"\x05\x01\x00\x01\0\0\0\0\0\x50")
        talk.server(b"\x05\x05\x00\x01\0\0\0\0\0\0")
        assert talk.flow.opening is None


class TestAnswerFirst:
    def test_a_101_without_its_request_opens_a_row_that_a_late_request_completes(self, talk: Conversation) -> None:
        talk.server(ANSWER + SERVED)
        row = only(talk)
        assert (row.client_basis, row.path, row.opening) == ("syn", None, "handshake")
        assert row.client.half is talk.flow.low
        talk.client(PREFACES[0][0] + GET + REQUEST + MASKED)
        assert only(talk) is row
        assert (row.client_basis, row.path, row.forwarded_for) == ("request", "/chat?room=1", "192.0.2.1:51000")
        assert row.handshake_bytes_client == len(REQUEST)
        assert (talk.frames[True].bytes, talk.frames[False].bytes) == (MASKED, SERVED)
        assert talk.frames[True].chunks[0][2] == len(PREFACES[0][0] + GET + REQUEST)
        assert talk.flow.low.reader is talk.frames[True]

    def test_frames_of_the_client_go_on_when_no_request_comes(self, talk: Conversation) -> None:
        talk.server(ANSWER).client(MASKED)
        assert talk.frames[True].bytes == MASKED
        talk.end(END_FIN)
        assert (talk.frames[True].how, talk.frames[False].how) == (END_FIN, END_FIN)

    def test_the_end_reaches_the_frames_when_the_client_is_not_captured(self, talk: Conversation) -> None:
        talk.server(ANSWER).end(END_CAPTURE)
        assert talk.frames[True].how == END_CAPTURE

    def test_a_refusal_before_its_request_is_matched(self, talk: Conversation) -> None:
        talk.server(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").client(REQUEST)
        assert (only(talk).opening, only(talk).http_status) == ("refused", 403)


class TestMissingBytes:
    def test_the_next_request_is_found_after_a_gap(self, talk: Conversation) -> None:
        talk.step = 0
        talk.client(GET).gap(True, 300).client(b"...rest of something").client(REQUEST)
        talk.server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + ANSWER)
        row = only(talk)
        assert (row.path, row.client_basis) == ("/chat?room=1", "request")

    def test_a_request_cut_short_still_tells_what_it_told(self) -> None:
        talk = Conversation().client(REQUEST[:70]).gap(True, 200, cut=True)
        assert not talk.rows
        talk.server(ANSWER).client(MASKED)
        row = only(talk)
        assert (row.host, row.path, row.client_basis) == ("example.org:8080", "/chat?room=1", "request")
        assert talk.frames[True].bytes == MASKED
        check_bytes(talk)

    def test_a_request_cut_after_its_upgrade_field_is_a_row(self) -> None:
        talk = Conversation().client(REQUEST[:150]).gap(True, 200, cut=True)
        assert only(talk).path == "/chat?room=1"
        talk.server(ANSWER).client(MASKED)
        assert talk.frames[True].bytes == MASKED and only(talk).opening == "handshake"

    def test_a_request_line_cut_short_tells_no_path(self) -> None:
        talk = Conversation().client(REQUEST[:12]).gap(True, 400, cut=True).server(ANSWER)
        assert (only(talk).path, only(talk).opening) == (None, "handshake")

    def test_an_answer_cut_after_its_status_opens_the_connection_with_a_gap(self) -> None:
        talk = Conversation().client(REQUEST).server(ANSWER[:40]).gap(False, 160, cut=True).server(SERVED)
        assert (only(talk).opening, only(talk).http_status) == ("handshake", 101)
        assert talk.frames[False].gaps == [(0, 160, True)]
        assert talk.frames[False].bytes == SERVED
        check_bytes(talk.end())

    @pytest.mark.parametrize("offered", [True, False])
    @pytest.mark.parametrize("cut", ["answer", "request and answer", "nothing"])
    def test_compression_that_a_lost_answer_may_have_agreed_to_is_told_by_the_frames(
        self, offered: bool, cut: str
    ) -> None:
        request = REQUEST if offered else REQUEST[: REQUEST.index(b"Sec-WebSocket-Ext")] + b"\r\n"
        talk = Conversation()
        if "request" in cut:
            talk.client(request[:120]).gap(True, len(request) - 120, cut=True)
        else:
            talk.client(request)
        if "answer" in cut:
            talk.server(ANSWER[:40]).gap(False, len(ANSWER) - 40, cut=True)
        else:
            talk.server(ANSWER)
        side = only(talk).client
        assert side.deflate is (cut != "answer" or offered)
        assert side.context_lost is (side.deflate and cut != "nothing")

    def test_a_refusal_cut_after_its_status_keeps_it(self) -> None:
        talk = Conversation().client(REQUEST).server(b"HTTP/1.1 503 Ser").gap(False, 160, cut=True)
        assert (only(talk).opening, only(talk).http_status) == ("refused", 503)

    def test_frames_of_the_client_prove_an_answer_that_was_lost(self) -> None:
        talk = Conversation().client(REQUEST).gap(False, 190).server(SERVED)
        assert only(talk).opening == "unanswered"
        talk.client(MASKED)
        row = only(talk)
        assert (row.opening, row.http_status, row.opened) == ("handshake", MISSING, NO_TIME)
        assert talk.frames[True].bytes == MASKED
        assert (talk.frames[False].gaps, talk.frames[False].bytes) == ([(0, 190, False)], SERVED)

    def test_an_answer_after_a_lost_one_is_read(self) -> None:
        talk = Conversation().client(REQUEST).gap(False, 25).server(ANSWER + SERVED)
        assert only(talk).http_status == 101 and talk.frames[False].bytes == SERVED
        check_bytes(talk)

    @pytest.mark.parametrize("lost", [0, 190])
    def test_frames_open_a_connection_whose_answer_was_lost_not_one_that_had_none(
        self, talk: Conversation, lost: int
    ) -> None:
        talk.client(REQUEST + MASKED)
        client, server = talk.flow.low, talk.flow.high
        client.reader.end(END_FIN)
        assert only(talk).opening == "unanswered"
        if lost:  # all of what the server said: the client acknowledged it
            talk.gap(False, lost)
            assert (talk.frames[True].bytes, talk.frames[True].how) == (MASKED, END_FIN)
            assert talk.flow.opening is None, "both directions are frames: nothing more is asked of who read heads"
        server.reader.end(END_FIN)
        assert only(talk).opening == ("handshake" if lost else "unanswered")

    def test_an_end_in_place_of_a_late_request_hands_over_for_good(self, talk: Conversation) -> None:
        talk.server(ANSWER + SERVED)
        assert talk.flow.opening is not None
        talk.flow.low.reader.end(END_FIN)
        assert talk.frames[True].how == END_FIN
        assert talk.flow.opening is None

    def test_more_than_may_be_held_becomes_a_gap(self) -> None:
        talk = Conversation().client(REQUEST)
        chunk = bytes(100_000)
        for _ in range(20):
            talk.client(chunk)
        talk.server(ANSWER)
        frames = talk.frames[True]
        assert len(frames.bytes) <= limits.HELD_BEFORE_ANSWER
        assert frames.gaps == [(len(frames.bytes), 2_000_000 - len(frames.bytes), False)]
        assert only(talk).client.over_limit_bytes == frames.gaps[0][1]
        talk.client(MASKED)
        check_bytes(talk)


class TestOthers:
    @pytest.mark.parametrize(
        ("first", "kind"),
        [
            (b"\x16\x03\x01\x02\x00", "tls"),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http2 preface"),
            (b"SSH-2.0-OpenSSH_9.2 x\r\n", "ssh"),
            (b"220 mail.example\r\n", "other"),
            (b"EHLO mail.example\r\n", "other"),
            (b"\x00\x01\x02", "other"),
            (b"\x05\x00\x0b\x03", "other"),
            (b"NICKNAME\r\n", "other"),
            (b"\xff" * 2000, "other"),
        ],
    )
    def test_what_cannot_become_http_is_refused_and_counted(self, first: bytes, kind: str) -> None:
        talk = Conversation().client(first)
        assert talk.begun is False and talk.flow.opening is None and talk.flow.low.reader is None
        assert talk.openings.kinds == {kind: 1}

    @pytest.mark.parametrize("size", [1, 1000, 70_000])
    def test_a_head_that_never_ends_is_given_up(self, size: int) -> None:
        talk = Conversation(step=size).client(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 12_000)
        assert talk.flow.opening is None
        assert talk.openings.kinds == {"http": 1, "header block too long": 1}

    def test_no_bytes_raise_and_none_is_counted_twice(self) -> None:
        random_ = random.Random(5)
        parts = [REQUEST, ANSWER, GET, MASKED, SERVED, b"\x05\x01\x00", b"\r\n\r\n"]
        parts += [preface for preface, _ in PREFACES]
        parts += [b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"]
        parts += [b"HTTP/1.1 404\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"]
        for _ in range(3000):
            talk = Conversation(step=random_.choice([0, 0, 1, 5, 40]))
            for _ in range(random_.randrange(1, 8)):
                part = bytearray(random_.choice(parts))
                for _ in range(random_.choice([0, 0, 0, 1, 3])):
                    part[random_.randrange(len(part))] = random_.randrange(256)
                client = random_.random() < 0.5
                talk.send(client, bytes(part))
                if random_.random() < 0.15:
                    talk.gap(random_.random() < 0.5, random_.randrange(1, 50), random_.random() < 0.5)
            talk.end(random_.choice([END_FIN, END_CAPTURE]))
            if len(talk.accepted) <= 1:
                check_bytes(talk)


class TestFieldValues:
    @pytest.mark.parametrize(
        ("extensions", "agreed"),
        [
            ("permessage-deflate", (True, True, 15, 15)),
            ("Permessage-Deflate ; SERVER_no_context_takeover", (True, False, 15, 15)),
            ('permessage-deflate; client_max_window_bits="9"; server_max_window_bits=8', (True, True, 9, 8)),
            ("permessage-deflate; client_max_window_bits; server_max_window_bits=99", (True, True, 15, 15)),
            ("x, permessage-deflate; client_no_context_takeover, permessage-deflate", (False, True, 15, 15)),
            ("x-webkit-deflate-frame", None),
            ("", None),
        ],
    )
    def test_the_parameters_of_permessage_deflate_are_read(
        self, extensions: str, agreed: tuple[bool, bool, int, int] | None
    ) -> None:
        assert headers.deflate_of(extensions) == agreed

    @pytest.mark.parametrize(
        ("target", "path"),
        [
            ("http://h/a?b", "/a?b"),
            ("ws://h:80", "/"),
            ("http://h?q=/", "/?q=/"),
            ("*", "*"),
            ("a://b", "/"),
            ("?u=http://x/y", "?u=http://x/y"),
        ],
    )
    def test_only_the_absolute_form_of_a_target_is_reduced(self, target: str, path: str) -> None:
        assert headers.path_of(target) == path

    @pytest.mark.parametrize(
        ("length", "encoding", "body"),
        [
            ("5", None, 5),
            ("5, 5", None, 5),
            ("-5", None, headers.UNTIL_CLOSE),
            ("9" * 30, None, headers.UNTIL_CLOSE),
            ("\u0665", None, headers.UNTIL_CLOSE),
            ("5", "chunked", headers.CHUNKED),
            ("5", "gzip", headers.UNTIL_CLOSE),
            (None, None, headers.UNTIL_CLOSE),
        ],
    )
    def test_a_bodys_length_is_told_by_its_fields(self, length: str | None, encoding: str | None, body: int) -> None:
        assert headers.body_length(length, encoding, headers.UNTIL_CLOSE) == body


def test_a_head_reads_the_same_whatever_head_was_read_before():
    rng = random.Random(7)
    names = [b"Host", b"Upgrade", b"Cookie", b"Sec-WebSocket-Key", b"Sec-WebSocket-Accept", b"host", b"Origin", b""]
    values = [b"", b"a", b"ab", b" a ", b"\xff", b"x" * 300]
    ends = [b"\r\n", b"\n"]
    shared = FieldLines()
    for _ in range(3000):
        begins = [rng.choice([rng.choice(names) + b": ", b" ", b"\t"]) for _ in range(rng.randrange(5))]
        lines = [begin + rng.choice(values) for begin in begins]
        lines += [b"X-Other: 1"] * rng.choice([0, 0, 40])
        head = b"".join(line + rng.choice(ends) for line in [b"GET / HTTP/1.1", *lines, b""])
        assert shared.fields(head) == FieldLines().fields(head)


def test_heads_of_one_form_read_the_same_as_each_alone():
    """The lines of a service's heads are alike but for some values; then one is cut, folded, or has a line more."""
    rng = random.Random(9112)
    names = [b"Host", b"Upgrade", b"Cookie", b"Sec-WebSocket-Key", b"X-Forwarded-For", b"host", b"X-Other", b"Origin"]
    values = [b"", b"a", b" b ", b"\xff", b"c: d", b"\r", b"x" * 300]
    ends = [b"\r\n", b"\r\n", b"\n"]
    for _ in range(300):
        chosen = rng.sample(names, rng.randrange(1, len(names)))
        usual = [(name + b":", rng.choice(values), rng.choice(ends)) for name in chosen]
        shared = FieldLines()
        for _ in range(12):
            lines = [name + (rng.choice(values) if rng.random() < 0.3 else value) + end for name, value, end in usual]
            if rng.random() < 0.2:
                other = rng.choice([b" folded\r\n", b"Cookie: e\n", b"\n", b"odd\n"])
                lines.insert(rng.randrange(len(lines) + 1), other)
            head = b"".join([b"GET / HTTP/1.1\r\n", *lines, rng.choice([b"\r\n", b"\n", b"", b"Origin: cu"])])
            head = head if rng.random() < 0.9 else head[: rng.randrange(len(head) + 1)]
            assert shared.fields(head) == FieldLines().fields(head), head
