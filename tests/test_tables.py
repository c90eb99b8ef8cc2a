"""Tables from records made by hand: columns, dtypes, missing values, pieces."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pandas as pd
import pytest
from by_hand import SECOND, START, Talk

from analyzer.columns import TEXT
from analyzer.diagnosis.addresses import address, service_text
from analyzer.diagnosis.facts import FIELDS
from analyzer.diagnosis.finding import Finding
from analyzer.records import MISSING, NO_TIME, Close, Frame, Message, Side
from analyzer.schema import CONCLUDED, TABLES
from analyzer.tables import PIECE, Tables

ALL = frozenset(TABLES)
STRING = pd.StringDtype(na_value=pd.NA)
FILES = ["a.pcap", "b.pcap"]


def frames_of(collected: Tables, ledger: dict[tuple[str, str], int]) -> dict[str, pd.DataFrame]:
    """The tables that are kept, by name."""
    return {name: rows.take() for name, rows in collected.kept(ledger).items()}


def tables(names: Any = ALL, files: Any = ("a.pcap",), ledger: Any = None, **records: Any) -> dict[str, pd.DataFrame]:
    """The tables after these records: frames=[...], closes=[...]."""
    collected = Tables(names, list(files))
    for method, each in records.items():
        for record in each:
            getattr(collected, method.removesuffix("s"))(record)
    return frames_of(collected, ledger or {})


def frame_of(side: Side, **fields: Any) -> Frame:
    frame = Frame()
    frame.sender = side
    for name, value in fields.items():
        setattr(frame, name, value)
    return frame


def message_of(side: Side, **fields: Any) -> Message:
    message = Message()
    message.sender = side
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def check_dtypes(name: str, frame: pd.DataFrame, files: int) -> None:
    """Every column stands in its order and has the dtype of the schema, categories included."""
    table = TABLES[name]
    columns = [column for column in table.columns_for(files) if column.name != table.index]
    assert list(frame.columns) == [column.name for column in columns]
    for column in columns:
        dtype = frame[column.name].dtype
        if column.dtype == TEXT:
            assert dtype == STRING, column.name
            assert dtype.na_value is pd.NA
        else:
            assert str(dtype) == column.dtype, column.name
        if column.dtype == "category":
            expected = FILES[:files] if column.names_file else column.categories
            assert list(dtype.categories) == expected, column.name
            assert not dtype.ordered


@pytest.mark.parametrize("files", [1, 2])
@pytest.mark.parametrize("name", TABLES)
class TestDtypes:
    def test_an_empty_table_has_every_column_in_its_dtype(self, name: str, files: int) -> None:
        frame = tables({name}, FILES[:files])[name]
        assert len(frame) == 0
        check_dtypes(name, frame, files)

    def test_a_filled_table_has_the_same(self, name: str, files: int) -> None:
        talk = Talk()
        close = talk.close(talk.server)
        frame = tables(
            {name},
            FILES[:files],
            {("packet", "WebSocket"): 3},
            frames=[frame_of(talk.client)],
            messages=[message_of(talk.client)],
            closes=[close],
            connections=[talk.connection],
        )[name]
        assert len(frame) == (name not in ("violations", "reconnects"))  # no rule broken, no successor
        check_dtypes(name, frame, files)


class TestSchema:
    def test_every_column_has_a_meaning_and_a_name_of_its_own(self) -> None:
        for table in TABLES.values():
            names = [column.name for column in table.columns]
            assert len(names) == len(set(names))
            assert all(column.meaning for column in table.columns)

    def test_the_tables_stand_in_the_order_of_the_design(self) -> None:
        assert list(TABLES) == ["connections", "closes", "frames", "messages", "violations", "reconnects", "ledger"]
        for name in ("closes", "frames", "messages", "violations"):
            first = [column.name for column in TABLES[name].columns_for(1)][:4]
            assert first == ["connection", "time", "packet", "sender"]

    def test_column_names_can_be_read_without_pandas(self) -> None:
        code = "import analyzer.schema, sys; assert analyzer.schema.TABLES; assert 'pandas' not in sys.modules"
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_only_the_tables_asked_for_are_made(self) -> None:
        assert set(tables({"closes", "ledger"})) == {"closes", "ledger"}


class TestConnections:
    def row(self, talk: Talk, files: Any = ("a.pcap",)) -> pd.Series:
        return tables({"connections"}, files, connections=[talk.connection])["connections"].loc[0]

    def test_rows_are_sorted_by_number(self) -> None:
        talks = [Talk(), Talk(), Talk()]
        for talk, number in zip(talks, (2, 0, 1), strict=True):
            talk.connection.number = number
            talk.connection.path = f"/{number}"
        frame = tables(connections=[talk.connection for talk in talks])["connections"]
        assert (frame.index.name, list(frame.index), list(frame["path"])) == (
            "connection",
            [0, 1, 2],
            ["/0", "/1", "/2"],
        )

    def test_a_row_says_what_the_records_say(self) -> None:
        talk = Talk()
        talk.connection.host, talk.connection.http, talk.connection.http_status = "example.com", "1.1", 101
        talk.message(talk.client)
        talk.close(talk.server, b"\x03\xe9bye")
        talk.close(talk.client, b"\x03\xe9")
        talk.fin(talk.server)
        talk.fin(talk.client)
        row = self.row(talk)
        expected = {
            "client_ip": "10.0.0.2",
            "client_port": 40000,
            "server_ip": "10.0.0.1",
            "server_port": 443,
            "transport": "tcp",
            "http": "1.1",
            "opening": "handshake",
            "host": "example.com",
            "http_status": 101,
            "start": pd.Timestamp(START, tz="UTC"),
            "duration": pd.Timedelta(7 * SECOND),
            "client_frames": 2,
            "client_messages": 1,
            "client_exact": True,
            "server_code": 1001,
            "server_reason": "bye",
            "client_code": 1001,
            "client_reason": "",
            "close_initiator": "server",
            "close_latency": pd.Timedelta(SECOND),
            "client_saw": 1001,
            "server_saw": 1001,
            "transport_end": "fin",
            "transport_end_by": "server",
            "outcome": "clean",
            "clean": True,
            "complete": True,
            "client_basis": "request",
            "first_packet": 1,
        }
        assert {name: row[name] for name in expected} == expected

    def test_what_is_missing_is_missing(self) -> None:
        row = self.row(Talk("midstream"))
        for name in (
            "http_stream",
            "http_status",
            "largest_client_message",
            "client_code",
            "client_saw",
            "host",
            "clean",
        ):
            assert row[name] is pd.NA, name
        for name in ("opened", "client_close", "ping_rtt_max", "idle_before_end", "close_latency"):
            assert row[name] is pd.NaT, name
        for name in ("close_initiator", "transport_end", "transport_end_by", "http"):
            assert pd.isna(row[name]), name

    def test_counts_of_zero_are_no_missing_values(self) -> None:
        row = self.row(Talk())
        assert (row["client_frames"], row["unanswered_pings"], row["lost_bytes"]) == (0, 0, 0)

    def test_times_keep_their_nanoseconds(self) -> None:
        talk = Talk()
        talk.flow.start = START + 123_456_789
        assert self.row(talk)["start"].value == START + 123_456_789

    def test_files_are_named_when_there_are_several(self) -> None:
        talk = Talk()
        talk.flow.last_file = 1
        row = self.row(talk, FILES)
        assert (row["first_file"], row["last_file"]) == ("a.pcap", "b.pcap")
        assert "first_file" not in self.row(talk)

    def test_one_name_given_twice_is_one_category(self) -> None:
        talk = Talk()
        talk.flow.last_file = 1
        row = self.row(talk, ["a.pcap", "a.pcap"])
        assert (row["first_file"], row["last_file"]) == ("a.pcap", "a.pcap")

    def test_words_outside_the_vocabulary_are_missing(self) -> None:
        talk = Talk()
        talk.connection.http = "0.9"
        assert pd.isna(self.row(talk)["http"])


class TestAddresses:
    @pytest.mark.parametrize(
        ("version", "high", "low", "text"),
        [
            (4, 0, 0x7F000001, "127.0.0.1"),
            (4, 0, 0xFFFFFFFF, "255.255.255.255"),
            (6, 0, 1, "::1"),
            (6, 0, 0, "::"),
            (6, 0x20010DB800000000, 1, "2001:db8::1"),
            (6, 0x20010DB800000001, 0x0001000100010001, "2001:db8:0:1:1:1:1:1"),  # a lone zero stays
            (6, 0x2001000000000001, 0x0000000000000001, "2001:0:0:1::1"),  # the longest run shrinks
            (6, 0x20010DB800000000, 0x0001000000000001, "2001:db8::1:0:0:1"),  # the first of equals
            (6, 0, 0xFFFF_C0000201, "::ffff:192.0.2.1"),
            (6, (1 << 64) - 1, (1 << 64) - 1, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ],
    )
    def test_addresses_are_written_as_rfc_5952_says(self, version: int, high: int, low: int, text: str) -> None:
        assert address(version, high, low) == text

    def test_ipv6_addresses_come_from_both_halves_of_their_numbers(self) -> None:
        talk = Talk()
        talk.flow.version, talk.flow.high_high, talk.flow.high_low = 6, 0xFE80 << 48, (1 << 64) - 1
        row = tables(connections=[talk.connection])["connections"].loc[0]
        assert (row["client_ip"], row["server_ip"]) == ("fe80::ffff:ffff:ffff:ffff", "::a00:1")


class TestCloses:
    def row(self, body: bytes, who: str = "server", **fields: Any) -> pd.Series:
        talk = Talk()
        for name in ("host", "path", "subprotocol"):
            setattr(talk.connection, name, fields.pop(name, None))
        close = talk.close(talk.server if who == "server" else talk.client, body, **fields)
        return tables({"closes"}, closes=[close], connections=[talk.connection])["closes"].loc[0]

    def test_a_row_says_what_the_frame_carried(self) -> None:
        row = self.row(b"\x03\xe8bye")
        assert (row["connection"], row["sender"], row["packet"]) == (0, "server", 3)
        assert (row["code"], row["name"], row["reason"], row["reason_bytes"]) == (1000, "Normal Closure", "bye", b"bye")
        assert row["legal"]

    @pytest.mark.parametrize("body", [b"", b"\x03"])
    def test_a_close_without_a_whole_code_has_none_and_no_reason(self, body: bytes) -> None:
        row = self.row(body)
        for name in ("code", "name", "reason", "legal"):
            assert row[name] is pd.NA, name
        assert row["reason_bytes"] is None

    def test_a_code_alone_has_an_empty_reason(self) -> None:
        row = self.row(b"\x03\xe8")
        assert (row["reason"], row["reason_bytes"]) == ("", b"")

    def test_bytes_that_are_not_utf_8_are_kept_beside_their_escapes(self) -> None:
        row = self.row(b"\x03\xe8\xff\xfe ok")
        assert (row["reason"], row["reason_bytes"]) == ("\\xff\\xfe ok", b"\xff\xfe ok")

    def test_a_cut_reason_is_missing_as_text_and_there_as_bytes(self) -> None:
        row = self.row(b"\x03\xe8go", size=40, cut=True)
        assert row["reason"] is pd.NA
        assert (row["code"], row["reason_bytes"]) == (1000, b"go")

    @pytest.mark.parametrize(
        ("code", "who", "legal"),
        [
            (0, "server", False),
            (999, "client", False),
            (1000, "client", True),
            (1004, "server", False),
            (1005, "server", False),
            (1006, "client", False),
            (1010, "client", True),
            (1010, "server", False),
            (1011, "client", True),
            (1012, "client", True),
            (1015, "server", False),
            (3000, "client", True),
            (4999, "server", True),
            (5000, "server", False),
            (65535, "client", False),
        ],
    )
    def test_legal_says_whether_the_side_may_send_the_code(self, code: int, who: str, legal: bool) -> None:
        row = self.row(code.to_bytes(2, "big"), who)
        assert (row["code"], row["legal"]) == (code, legal)

    def test_the_same_close_of_both_sides_is_told_apart(self) -> None:
        talk = Talk()
        closes: list[Close] = [talk.close(side, b"\x03\xf2") for side in (talk.client, talk.server)]
        frame = tables({"closes"}, closes=closes, connections=[talk.connection])["closes"]
        assert list(frame["sender"]) == ["client", "server"]
        assert list(frame["legal"]) == [True, False]

    def test_the_catalog_is_chosen_by_the_handshake(self) -> None:
        assert self.row(b"\x11\x30", subprotocol="graphql-transport-ws")["catalog"] == "GraphQL over WebSocket"
        assert self.row(b"\x11\x30")["catalog"] is pd.NA

    def test_a_close_has_its_verdict_and_what_it_rests_on(self) -> None:
        row = self.row(b"\x03\xee")
        assert row["verdict"] == "contradicted" and "C4" in row["evidence"]

    def test_verdicts_stand_beside_their_closes_whatever_order_the_connections_end_in(self) -> None:
        talks = [Talk(), Talk()]
        talks[1].connection.number = 1
        bodies = (b"\x03\xee", b"\x03\xe8")
        closes = [talk.close(talk.server, body) for talk, body in zip(talks, bodies, strict=True)]
        ended = [talk.connection for talk in reversed(talks)]
        frame = tables({"closes"}, closes=closes, connections=ended)["closes"]
        assert list(frame["code"]) == [1006, 1000]
        assert list(frame["verdict"]) == ["contradicted", "unverifiable"]


class TestFrames:
    def test_a_row_says_what_the_frame_was(self) -> None:
        talk = Talk()
        frame = frame_of(talk.client, fin=True, masked=True, rsv=4, opcode=1, length=5, captured=3, stream_offset=9)
        frame.message, frame.time, frame.packet = 2, START, 7
        row = tables({"frames"}, frames=[frame])["frames"].loc[0]
        assert row.to_dict() == {
            "connection": 0,
            "time": pd.Timestamp(START, tz="UTC"),
            "packet": 7,
            "sender": "client",
            "fin": True,
            "rsv": 4,
            "opcode": 1,
            "type": "text",
            "masked": True,
            "length": 5,
            "captured": 3,
            "stream_offset": 9,
            "message": 2,
        }

    def test_lengths_of_64_bits_are_exact(self) -> None:
        talk = Talk()
        lengths = [(1 << 64) - 1, 1 << 63, (1 << 63) - 1, 0]
        frames = tables({"frames"}, frames=[frame_of(talk.server, length=length) for length in lengths])["frames"]
        assert list(frames["length"]) == lengths

    def test_a_record_that_is_used_again_does_not_change_its_row(self) -> None:
        talk = Talk()
        frame = frame_of(talk.server, length=1, opcode=1)
        collected = Tables({"frames"}, ["a.pcap"])
        collected.frame(frame)
        frame.length, frame.opcode = 2, 2
        collected.frame(frame)
        frames = frames_of(collected, {})["frames"]
        assert (list(frames["length"]), list(frames["type"])) == ([1, 2], ["text", "binary"])

    @pytest.mark.parametrize("opcode", range(16))
    def test_every_opcode_has_a_type(self, opcode: int) -> None:
        names = {0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}
        row = tables({"frames"}, frames=[frame_of(Talk().client, opcode=opcode)])["frames"].loc[0]
        assert (row["opcode"], row["type"]) == (opcode, names.get(opcode, "reserved"))

    def test_a_control_frame_has_no_message_and_a_packet_without_time_no_time(self) -> None:
        row = tables({"frames"}, frames=[frame_of(Talk().client, opcode=9)])["frames"].loc[0]
        assert row["message"] is pd.NA
        assert row["time"] is pd.NaT

    def test_the_file_is_named_when_there_are_several(self) -> None:
        frames = tables({"frames"}, FILES, frames=[frame_of(Talk().client, file=1)])["frames"]
        assert list(frames.columns)[:5] == ["connection", "time", "packet", "file", "sender"]
        assert list(frames["file"]) == ["b.pcap"]


class TestMessages:
    def test_a_message_that_never_ended_has_no_end_and_no_size(self) -> None:
        message = message_of(Talk().server, opcode=1, frames=2, wire_bytes=10, time=START, end=NO_TIME, bytes=MISSING)
        row = tables({"messages"}, messages=[message])["messages"].loc[0]
        assert (row["type"], row["frames"], row["wire_bytes"], row["compressed"]) == ("text", 2, 10, False)
        assert row["end"] is pd.NaT
        assert row["bytes"] is pd.NA
        assert row["valid"] is pd.NA

    @pytest.mark.parametrize(("valid", "shown"), [(1, True), (0, False)])
    def test_valid_is_a_boolean(self, valid: int, shown: bool) -> None:
        row = tables({"messages"}, messages=[message_of(Talk().server, valid=valid)])["messages"].loc[0]
        assert row["valid"] is shown or row["valid"] == shown

    def test_a_message_without_its_beginning_has_no_type(self) -> None:
        row = tables({"messages"}, messages=[message_of(Talk().server, opcode=0)])["messages"].loc[0]
        assert pd.isna(row["type"])


class TestLedger:
    def test_counts_come_with_their_meaning(self) -> None:
        counts = {("packet", "WebSocket"): 4, ("byte", "lost"): 1 << 40, ("byte", "never heard of"): 0}
        ledger = tables({"ledger"}, ledger=counts)["ledger"]
        assert list(ledger["unit"]) == ["packet", "byte", "byte"]
        assert list(ledger["kind"]) == ["WebSocket", "lost", "never heard of"]
        assert list(ledger["count"]) == [4, 1 << 40, 0]
        assert list(ledger["meaning"].isna()) == [False, False, True]


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ((4, 0, 0xC0000201, 80), "192.0.2.1:80"),
        ((6, 0x20010DB8 << 32, 1, 443), "[2001:db8::1]:443"),
        ((6, 0, 0xFFFF_C0000201, 80), "[::ffff:192.0.2.1]:80"),
    ],
)
def test_evidence_names_a_service_by_the_address_of_the_tables(key: Any, text: str) -> None:
    assert service_text(*key) == text and address(*key[:3]) in text


class TestPieces:
    def pieces(self, count: int) -> tuple[list[tuple[str, pd.DataFrame]], dict[str, pd.DataFrame]]:
        given: list[tuple[str, pd.DataFrame]] = []
        collected = Tables(ALL, ["a.pcap"], lambda name, frame: given.append((name, frame)))
        talk = Talk()
        for number in range(count):
            collected.frame(frame_of(talk.client, length=number, opcode=number % 3))
        collected.close(talk.close(talk.server, b"\x03\xe8bye"))
        collected.connection(talk.connection)
        return given, frames_of(collected, {("packet", "WebSocket"): 1})

    def test_pieces_together_are_the_table_in_order(self) -> None:
        count = 2 * PIECE + 5
        given, _ = self.pieces(count)
        frames = [frame for name, frame in given if name == "frames"]
        assert [len(frame) for frame in frames] == [PIECE, PIECE, 5]
        whole = pd.concat(frames)
        assert list(whole.index) == list(range(count))
        assert list(whole["length"]) == list(range(count))
        for frame in frames:
            check_dtypes("frames", frame, 1)

    def test_pieces_are_not_kept_and_connections_and_the_ledger_are(self) -> None:
        given, kept = self.pieces(3)
        assert [name for name, _ in given] == ["frames", "messages"]
        assert set(kept) == {"connections", "closes", "violations", "reconnects", "ledger"}
        assert list(kept["connections"]["server_reason"]) == ["bye"]

    def test_a_table_without_rows_is_given_once_and_empty(self) -> None:
        given, _ = self.pieces(0)
        [messages] = [frame for name, frame in given if name == "messages"]
        assert len(messages) == 0
        check_dtypes("messages", messages, 1)


def test_every_column_of_the_connections_is_kept_by_the_diagnosis():
    for column in TABLES["connections"].columns:
        kept = Finding._fields if column.name in CONCLUDED["connections"] else FIELDS
        assert isinstance(column.sources, str) and column.sources in kept, column.name
    assert len(set(FIELDS)) == len(FIELDS)
