"""WebSockets whose handshake is not in the capture are recognised by their frames; other protocols are not."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from conversation import BINARY, CLOSE, KEY, PING, PONG, TEXT, frame
from hosts import ACK, ANSWER, FIN, REQUEST, RST, SYN, Hosts

import analyzer

Said = list[tuple[bool, bytes]]  # (by the client, bytes of one segment)
JSON = b'{"op":"subscribe","args":["ticker.BTC"]}'
CLIENT, SERVER = (0x0A000001, 40000), (0x0A000002, 8080)


def packet(source: tuple[int, int], target: tuple[int, int], sequence: int, ack: int, flags: int, data: bytes) -> bytes:
    tcp = struct.pack("!HHIIBBHHH", source[1], target[1], sequence, ack, 0x50, flags, 64000, 0, 0) + data
    ip = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, source[0], target[0])
    return b"\2" * 12 + b"\x08\x00" + ip + tcp


def packets(said: Said, only: bool | None = None, syn: bool = False, fin: bool = True) -> Iterator[tuple[float, bytes]]:
    """A conversation as packets; only: of the client alone, of the server alone."""
    numbers = {True: 1000, False: 9000}
    time = 1.0
    steps: list[tuple[bool, bytes, int]] = [(client, data, 24) for client, data in said]
    if syn:
        steps = [(True, b"", 2), (False, b"", 18), *steps]
    if fin:
        steps += [(True, b"", 17), (False, b"", 17), (True, b"", 16)]
    for client, data, flags in steps:
        source, target = (CLIENT, SERVER) if client else (SERVER, CLIENT)
        if only is None or only is client:
            yield time, packet(source, target, numbers[client], numbers[not client], flags, data)
        numbers[client] += len(data) + (flags & 3 > 0)
        time += 0.01


def rows(said: Said, **options: Any) -> Any:
    ports = options.pop("ports", ())
    result = analyzer.analyze(list(packets(said, **options)), tables=("connections",), websocket_ports=ports)
    assert "unaccounted" not in set(result.ledger["kind"])
    return result.connections


def talk(opcode: int = TEXT, size: int = 4, rsv: int = 0, make: Any = lambda number: JSON) -> Said:
    """Messages back and forth, then a close handshake."""
    said = []
    for number in range(size):
        key = struct.pack("!I", 0x5A3C9911 * (number + 3) % 2**32)
        said.append((True, frame(opcode, make(number), rsv=rsv, key=key)))
        said.append((False, frame(opcode, make(number + 100), rsv=rsv)))
    return [*said, (True, frame(CLOSE, b"\x03\xe8bye", key=KEY)), (False, frame(CLOSE, b"\x03\xe8bye"))]


def deflated(number: int) -> bytes:
    compress = zlib.compressobj(9, zlib.DEFLATED, -15)
    return compress.compress(JSON * (1 + number % 3)) + compress.flush(zlib.Z_SYNC_FLUSH)[:-4]


class TestRecognition:
    def check(self, table: Any) -> Any:
        assert len(table) == 1
        row = table.loc[0]
        assert (row["opening"], row["client_basis"], row["client_port"]) == ("midstream", "masks", CLIENT[1])
        assert (row["client_code"], row["server_code"], row["outcome"]) == (1000, 1000, "clean")
        assert not row["client_exact"] and not row["complete"] and row["resyncs"] == 0
        return row

    def test_from_a_frame_boundary(self) -> None:
        row = self.check(rows(talk()))
        assert (row["client_messages"], row["server_messages"], row["client_bytes"]) == (4, 4, 4 * len(JSON))

    def test_when_the_server_speaks_first(self) -> None:
        self.check(rows([(False, frame(PING, b"")), (True, frame(PONG, b"", key=KEY)), *talk()]))

    @pytest.mark.parametrize("start", [1, 2, 5, 20])
    def test_from_the_middle_of_a_frame(self, start: int) -> None:
        said = talk(size=8)
        row = self.check(rows([(True, said[0][1][start:]), (False, said[1][1][start:]), *said[2:]]))
        assert 5 <= row["client_messages"] <= 7 and 4 <= row["server_messages"] <= 7

    def test_byte_by_byte(self) -> None:
        said = [(client, data[at : at + 1]) for client, data in talk() for at in range(len(data))]
        self.check(rows(said))

    def test_compressed(self) -> None:
        row = self.check(rows(talk(rsv=4, make=deflated)))
        assert row["client_messages"] == 4 and row["client_bytes"] == 7 * len(JSON)

    @pytest.mark.parametrize("client", [True, False])
    def test_one_direction(self, client: bool) -> None:
        table = rows(talk(size=8), only=client)
        assert len(table) == 1
        assert table.loc[0, "client_code" if client else "server_code"] == 1000
        assert table.loc[0, "client_port"] == CLIENT[1]

    def test_a_few_frames_of_one_direction_are_not_enough(self) -> None:
        assert len(rows([(False, frame(BINARY, b"\0" * 9))] * 3, only=False)) == 0

    def test_a_lost_handshake_after_the_syn(self) -> None:
        lost = [(True, b"GET / HTTP/1.1\r\n\r\n"), (False, b"HTTP/1.1 101 Switching Protocols\r\n\r\n")]
        content = [item for item in packets([*lost, *talk()], syn=True) if b"HTTP" not in item[1]]
        result = analyzer.analyze(content, tables=("connections",))
        assert list(result.connections["opening"]) == ["midstream"]
        assert list(result.connections["server_code"]) == [1000]

    def test_a_handshake_later_on_the_connection_is_still_read(self) -> None:
        body = random.Random(1).randbytes(3000)
        request = (
            b"GET /late HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        for size in (1, 200):
            said = [(False, body[at : at + 1000]) for at in range(0, 1000 * size, 1000)]
            table = rows([*said, (True, request), (False, answer), *talk()])
            assert list(table["path"]) == ["/late"] and list(table["server_code"]) == [1000]


class TestPort:
    def test_the_port_makes_a_websocket_of_what_is_too_little_to_tell(self) -> None:
        said = [(False, frame(TEXT, b"hi")), (False, frame(CLOSE, b"\x03\xe9"))]
        assert len(rows(said, syn=True)) == 0
        table = rows(said, syn=True, ports=[SERVER[1]])
        assert list(table["client_basis"]) == ["port"] and list(table["server_code"]) == [1001]
        assert table.loc[0, "client_port"] == CLIENT[1] and table.loc[0, "server_messages"] == 1

    def test_http_on_that_port_is_still_http(self) -> None:
        said = [(True, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), (False, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]
        assert len(rows(said, syn=True, ports=[SERVER[1]])) == 0

    def test_no_port_outside_tcp_is_taken(self) -> None:
        with pytest.raises(ValueError, match="no TCP port"):
            analyzer.analyze([], websocket_ports=[70000])


def tls(chance: random.Random) -> Said:
    said = []
    for number in range(30):
        size = chance.randrange(20, 1300)
        said.append((number % 2 == 0, b"\x17\x03\x03" + struct.pack("!H", size) + chance.randbytes(size)))
    return said


def noise(chance: random.Random) -> Said:
    return [(chance.random() < 0.5, chance.randbytes(chance.randrange(1, 1400))) for _ in range(60)]


def http_body(chance: random.Random) -> Said:
    return [(False, chance.randbytes(1400)) for _ in range(30)] + [
        (True, b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"),
        (False, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ]


def http_text(chance: random.Random) -> Said:
    return [(False, bytes(chance.choice(b"<div> class='x'\n\tabc123") for _ in range(1400))) for _ in range(20)]


def ssh(chance: random.Random) -> Said:
    return [(chance.random() < 0.5, chance.randbytes(4 * chance.randrange(9, 60))) for _ in range(80)]


def dns(chance: random.Random) -> Said:
    query = b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01"
    said = []
    for _ in range(20):
        text = chance.randbytes(2) + query
        record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04" + chance.randbytes(4)
        answer = text[:2] + b"\x81\x80" + text[4:] + record
        said += [(True, struct.pack("!H", len(text)) + text), (False, struct.pack("!H", len(answer)) + answer)]
    return said


def smtp(chance: random.Random) -> Said:
    return [(True, b"MAIL FROM:<a@b.example>\r\n"), (False, b"250 2.1.0 Ok\r\n")] * 20


def mysql(chance: random.Random) -> Said:
    said = []
    for number in range(30):
        query = b"\x03SELECT name, price FROM items WHERE id = %d" % chance.randrange(10**6)
        said.append((True, struct.pack("<I", len(query)) + query))
        row = b"".join(bytes([len(word)]) + word for word in (b"name", b"%d" % number, chance.randbytes(8)))
        said.append((False, b"".join(struct.pack("<I", len(row) | place << 24) + row for place in range(1, 6))))
    return said


def mqtt(chance: random.Random) -> Said:
    said = []
    for number in range(40):
        topic = b"sensors/%d/temperature" % number
        subscribe = struct.pack("!HH", number + 1, len(topic)) + topic + b"\x01"
        publish = struct.pack("!H", len(topic)) + topic + chance.randbytes(12)
        said.append((True, b"\x82" + bytes([len(subscribe)]) + subscribe))
        said.append((False, b"\x90\x03" + struct.pack("!HB", number + 1, 1)))
        said += [(False, b"\x30" + bytes([len(publish)]) + publish)]
    return said + [(True, b"\xc0\x00"), (False, b"\xd0\x00")] * 5


def redis(chance: random.Random) -> Said:
    command = b"*3\r\n$3\r\nSET\r\n$5\r\nkey%02d\r\n$9\r\nvalue-xyz\r\n" % chance.randrange(99)
    return [(True, command), (False, b"+OK\r\n")] * 30


def http2(chance: random.Random) -> Said:
    def one(kind: int, flags: int, stream: int, data: bytes) -> bytes:
        return struct.pack("!I", len(data))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + data

    said = []
    for stream in range(1, 40, 2):
        said.append((True, one(1, 5, stream, b"\x82\x86\x84\x41\x8a" + chance.randbytes(20))))
        head = one(1, 4, stream, b"\x88" + chance.randbytes(9))
        said.append((False, head + one(0, 1, stream, chance.randbytes(700))))
        said.append((True, one(8, 0, 0, b"\0\0\x10\0") + one(6, 0, 0, bytes(8))))
    return said


def bittorrent(chance: random.Random) -> Said:
    said = []
    for number in range(40):
        said.append((True, struct.pack("!IBIII", 13, 6, number, number * 16384, 16384)))
        said.append((False, struct.pack("!IBII", 1009, 7, number, 0) + chance.randbytes(1000)))
    return said + [(True, struct.pack("!IBI", 5, 4, number)) for number in range(40)]


def postgres(chance: random.Random) -> Said:
    said = []
    for number in range(30):
        query = b"SELECT * FROM t WHERE id = %d\0" % number
        row = struct.pack("!HI", 1, 8) + chance.randbytes(8)
        said.append((True, b"Q" + struct.pack("!I", len(query) + 4) + query))
        said.append((False, (b"D" + struct.pack("!I", len(row) + 4) + row) * 5 + b"C\0\0\0\x0bSELECT\0Z\0\0\0\5I"))
    return said


def rtp_like(chance: random.Random) -> Said:
    """Frames of media with a first byte that looks like FIN and a continuation, as RFC 4571 carries RTP."""
    said = []
    for number in range(60):
        media = struct.pack("!BBHII", 0x80, 0x60, number, number * 160, 7) + chance.randbytes(160)
        said.append((number % 2 == 0, struct.pack("!H", len(media)) + media))
    return said


OTHERS = (tls, noise, http_body, http_text, ssh, dns, smtp, mysql, mqtt, redis, http2, bittorrent, postgres, rtp_like)


class TestEnding:
    def test_what_came_after_a_request_is_counted_though_the_server_had_ended_before_it(self) -> None:
        hosts = Hosts().say("server", frame(TEXT, b"hello")).say("server", flags=FIN | ACK)
        result = hosts.say("client", REQUEST).say("client", frame(TEXT, b"to nobody", key=KEY)).result()
        assert list(result.connections["opening"]) == ["unanswered"]

    @pytest.mark.parametrize("flags", [RST | ACK, FIN | ACK])
    def test_frames_all_behind_a_hole_are_looked_at_when_the_flow_ends(self, flags: int) -> None:
        hosts = Hosts().say("client", flags=SYN).say("server", flags=SYN | ACK).say("client", flags=ACK)
        for who in ("client", "server"):
            hosts.next[who] += 200  # the handshake
        for number in range(8):
            hosts.say("client", frame(TEXT, b"a question of some length %d" % number, key=KEY))
            hosts.say("server", frame(TEXT, b"an answer of some length %d" % number))
        hosts.say("client", frame(CLOSE, b"\x0f\xa0", key=KEY)).say("server", flags=flags)
        row = (hosts if flags & RST else hosts.say("client", flags=flags)).row()
        assert (row["opening"], row["client_code"]) == ("midstream", 4000)
        assert (row["client_frames"], row["server_frames"]) == (9, 8)
        assert row["transport_end"] == ("rst" if flags & RST else "fin") and row["transport_end_by"] == "server"


    @pytest.mark.parametrize("deflated", [False, True])
    @pytest.mark.parametrize("port", [40, 40000])
    def test_an_answer_that_was_lost_is_told_by_what_came_after_it(self, port: int, deflated: bool) -> None:
        offer = b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n" if deflated else b"\r\n"
        hosts = Hosts(port).say("client", flags=SYN).say("server", flags=SYN | ACK).say("client", REQUEST[:-2] + offer)
        hosts.next["server"] += len(ANSWER[:-2] + offer)
        bodies = [b"some words, number %d" % number for number in range(6)]
        if deflated:
            deflater = zlib.compressobj(wbits=-15)
            bodies = [(deflater.compress(body) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4] for body in bodies]
        for body in bodies:
            hosts.say("client", frame(TEXT, body, rsv=4 * deflated, key=KEY))
            hosts.say("server", frame(TEXT, body, rsv=4 * deflated))
        row = hosts.close().row()
        assert (row["opening"], row["client_code"], row["server_code"]) == ("handshake", 1000, 1000)
        assert (row["client_messages"], row["server_messages"], row["outcome"]) == (6, 6, "clean")
        assert row["client_bytes"] == 6 * len(b"some words, number 0")


class TestOtherProtocols:
    @pytest.mark.parametrize("make", OTHERS, ids=lambda make: str(make.__name__))
    def test_another_protocol_is_no_websocket_wherever_the_capture_begins(self, make: Any) -> None:
        for seed in range(12):
            chance = random.Random(f"{make.__name__} {seed}")
            said = make(chance)
            said[0] = (said[0][0], said[0][1][chance.randrange(len(said[0][1])) :])
            for only in (None, True, False):
                if only is None or any(client is only for client, _ in said):
                    assert len(rows(said, only=only, fin=seed % 2 == 0)) == 0, (seed, only)
