"""WebSockets inside TLS that nobody can decrypt, and TLS handshakes that failed.

The captures in data/tls/without-keys were recorded on loopback: wss.pcap.gz with the library websockets on both sides
(TLS 1.2 and 1.3; feeds, chats, Pings, endings of all kinds), https.pcap.gz is no WebSocket: HTTP/1.1 keep-alive, long
polling, server-sent events, uploads in pieces, HTTP/2, gRPC-like streams, and talk like MQTT's, IMAP's and XMPP's.
"""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hosts import ACK, FIN, RST, SYN, Hosts
from invariants import analyzed
from mutations import read, written
from test_tls_files import Pipe, block, secrets_block

import analyzer
from analyzer import limits
from analyzer.outputs import summary
from analyzer.tls.shape import Shape, overhead_of
from analyzer.tls.suites import suite_of

DATA = Path(__file__).parent / "data" / "tls" / "without-keys"
WSS = DATA / "wss.pcap.gz"
KEYS = DATA / "wss.keys"
GUESSES = ["inferred_initiator", "inferred_reason_length", "inferred_ping_period"]
OF_SIDES = ("frames", "messages", "bytes", "wire_bytes", "pings", "code", "reason", "close", "saw", "idle")
UNKNOWN = [
    *(f"{side}_{what}" for side in ("client", "server") for what in OF_SIDES),
    *("largest_client_message", "largest_server_message", "unanswered_pings", "ping_rtt_median", "close_initiator"),
    *("close_latency", "resyncs", "violations", "clean", "host", "path", "http", "http_status", "opened"),
]


def rows(*captures, **options):
    result = analyzer.analyze(*captures, **options)
    assert "unaccounted" not in set(result.ledger["kind"])
    return result.connections


def by_port(found):
    return {(row.client_port, row.server_port): row for row in found.itertuples()}


@pytest.fixture(scope="module")
def blind():
    return rows(WSS)


@pytest.fixture(scope="module")
def seen():
    return by_port(rows(WSS, keylog=KEYS))


def test_most_are_found_and_nothing_is_said_of_their_frames(blind, seen):
    assert len(seen) == 18
    assert len(blind) >= 14
    assert by_port(blind).keys() <= seen.keys()
    assert set(blind["transport"]) == {"tls-no-keys"}
    assert set(blind["opening"]) == {"encrypted"}
    assert set(blind["outcome"]) == {"unknown"}
    assert set(blind["cause_basis"]) == {"inferred"}
    assert set(blind["tls_version"]) == {"1.2", "1.3"}
    assert not blind["client_exact"].any()
    assert blind[UNKNOWN].isna().all(axis=None)


def test_the_inferred_closing_handshakes_are_those_that_keys_show(blind, seen):
    closed = [row for row in blind.itertuples() if pd.notna(row.inferred_initiator)]
    assert len(closed) >= 13
    for row in closed:
        truth = seen[row.client_port, row.server_port]
        reason = truth.client_reason if truth.close_initiator == "client" else truth.server_reason
        assert row.inferred_initiator == truth.close_initiator
        assert row.inferred_reason_length == (0 if pd.isna(reason) else len(reason))
        assert f"closed by the {row.inferred_initiator}" in row.evidence


def test_the_inferred_rhythm_is_that_of_the_pings(blind, seen):
    with_pings = [row for row in blind.itertuples() if pd.notna(row.inferred_ping_period)]
    assert len(with_pings) >= 7
    for row in with_pings:
        truth = seen[row.client_port, row.server_port]
        period = 0.5 if truth.client_pings else 0.4  # as both libraries were told
        assert truth.client_pings + truth.server_pings >= 3
        assert abs(row.inferred_ping_period.total_seconds() - period) < 0.01


def test_plain_https_and_other_protocols_are_not_taken_for_it():
    result = analyzer.analyze(DATA / "https.pcap.gz")
    assert result.empty
    assert result.flow_kinds["tls"] == 26


def secrets(randoms):
    """The lines of the key log for the connections with these client randoms."""
    return "".join(line for line in KEYS.read_text().splitlines(keepends=True) if line.split()[1] in randoms)


def randoms():
    return sorted({line.split()[1] for line in KEYS.read_text().splitlines()})


def same(row, other, columns):
    one, two = ([getattr(each, name) for name in columns] for each in (row, other))
    return pd.Series(one, dtype=object).equals(pd.Series(two, dtype=object))


def test_some_connections_with_keys_and_some_without(blind, seen, tmp_path):
    some = tmp_path / "some.keys"
    some.write_text(secrets(randoms()[::2]))
    found = rows(WSS, keylog=some)
    opened, closed = found[found["transport"] == "tls"], found[found["transport"] == "tls-no-keys"]
    assert len(opened) == len(randoms()[::2])
    for row in opened.itertuples():
        assert same(row, seen[row.client_port, row.server_port], ["client_code", "server_code", "server_messages"])
    known = by_port(blind)
    assert by_port(closed).keys() == known.keys() - by_port(opened).keys()
    for row in closed.itertuples():
        assert same(row, known[row.client_port, row.server_port], GUESSES)


def pcapng(*parts):
    """A pcapng file: its packets, or secrets where they stand."""
    blocks = [block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)), block(1, struct.pack("<HHI", 1, 0, 0))]
    for part in parts:
        if isinstance(part, bytes):
            blocks.append(secrets_block(part))
            continue
        time = part.time // 1000
        head = struct.pack("<IIIII", 0, time >> 32, time & 0xFFFFFFFF, len(part.data), part.wire_length)
        blocks.append(block(6, head + part.data))
    return b"".join(blocks)


def test_on_a_pipe_where_no_secrets_come_the_rows_are_those_of_a_file(blind):
    packets, _ = read(WSS)
    found = by_port(rows(Pipe(pcapng(*packets))))
    known = by_port(blind)
    assert found.keys() == known.keys()
    for ports, row in found.items():
        assert same(row, known[ports], [*GUESSES, "start", "end", "transport_end", "outcome"])


SAID = ["client_code", "client_reason", "server_code", "server_reason", "client_messages", "server_messages", "outcome"]


def late_secrets():
    """The capture with a third of its secrets before it, a third in its middle, and the others at its end."""
    packets, _ = read(WSS)
    before, between, after = (secrets(randoms()[part::3]).encode() for part in range(3))
    half = len(packets) // 2
    return pcapng(before, *packets[:half], between, *packets[half:], after)


def test_in_a_file_late_secrets_open_what_early_ones_do(seen):
    found = rows(io.BytesIO(late_secrets()))
    assert len(found) == len(seen)
    for row in found.itertuples():
        assert row.transport == "tls"
        assert same(row, seen[row.client_port, row.server_port], SAID)


def test_on_a_pipe_late_secrets_open_what_they_do_in_a_file():
    capture = late_secrets()
    ended_first = ["client_port", "server_port"]  # what waited for its secrets has a later number
    late, expected = (rows(each).sort_values(ended_first) for each in (Pipe(capture), io.BytesIO(capture)))
    assert late["transport"].eq("tls").all()
    for column in late.columns.drop("evidence"):
        assert list(late[column].astype("string")) == list(expected[column].astype("string")), column


def record(kind, body):
    """A TLS record; body: bytes, or how many there are."""
    body = bytes(body) if isinstance(body, int) else body
    return struct.pack(">BHH", kind, 0x0303, len(body)) + body


def hello(kind, body, extensions):
    packed = b"".join(struct.pack(">HH", number, len(content)) + content for number, content in extensions)
    body += struct.pack(">H", len(packed)) + packed
    return record(22, bytes((kind,)) + len(body).to_bytes(3, "big") + body)


def client_hello(name=b"feed.example.org", protocols=()):
    offered = b"".join(bytes((len(each),)) + each for each in protocols)
    extensions = [(0, struct.pack(">HBH", len(name) + 3, 0, len(name)) + name), (43, b"\x02\x03\x04")]
    if offered:
        extensions.append((16, struct.pack(">H", len(offered)) + offered))
    return hello(1, b"\x03\x03" + bytes(32) + b"\0\0\x02\x13\x01\x01\0", extensions)


SERVER_HELLO = hello(2, b"\x03\x03" + bytes(32) + b"\0\x13\x01\0", [(43, b"\x03\x04")])
CERTIFICATES, FINISHED, CLOSE_NOTIFY = record(23, 1200), record(23, 53), record(23, 19)


class Secured(Hosts):
    """Hosts that speak TLS 1.3; what they say under it is given by its length."""

    def shake(self, **offer):
        self.say("client", flags=SYN).say("server", flags=SYN | ACK).say("client", client_hello(**offer))
        return self.say("server", SERVER_HELLO + CERTIFICATES).say("client", FINISHED)

    def tell(self, who, *sizes):
        return self.say(who, b"".join(record(23, size + 17) for size in sizes))

    def upgrade(self, **offer):
        return self.shake(**offer).tell("client", 180).tell("server", 129)

    def finish(self):
        return self.say("server", CLOSE_NOTIFY, flags=FIN | ACK).say("client", CLOSE_NOTIFY, flags=FIN | ACK)


def test_the_closing_handshake_is_inferred_from_two_records():
    row = Secured().upgrade().tell("server", 4 + 11).tell("client", 8 + 11).finish().row()
    assert (row.inferred_initiator, row.inferred_reason_length, row.sni) == ("server", 11, "feed.example.org")
    row = Secured().upgrade().tell("client", 8 + 11).tell("server", 4).finish().row()
    assert (row.inferred_initiator, row.inferred_reason_length) == ("client", 11)
    assert row.tls_version == "1.3"
    assert row.transport_end == "fin"


@pytest.mark.parametrize(
    "sizes",
    [
        [],
        [("client", 180), ("server", 200), ("client", 190), ("server", 186)],  # further requests, one 4 bytes longer
        [("client", 180), ("client", 30), ("server", 26)],  # a request's body
        [("client", 1), ("server", 200), ("client", 14), ("server", 10), ("client", 1)],  # shorter than any frame
        [("server", 1 << 14)] * 3,  # a download
    ],
)
def test_what_is_no_websocket_is_no_row(sizes):
    hosts = Secured().upgrade()
    for who, size in sizes:
        hosts.tell(who, size)
    assert hosts.finish().result().empty


@pytest.mark.parametrize("first", [100, 5000])
def test_the_first_answer_must_be_as_long_as_a_101(first):
    hosts = Secured().shake().tell("client", 180).tell("server", first)
    assert hosts.tell("server", 14).tell("client", 18).finish().result().empty


def test_http_2_can_not_be_told_where_it_was_offered():
    def talk(*protocols):
        return Secured().upgrade(protocols=protocols).tell("server", 14).tell("client", 18).finish().result()

    assert talk(b"h2", b"http/1.1").empty
    assert talk(b"mqtt").empty
    assert not talk(b"http/1.1").empty


def test_an_echo_before_a_drop_is_no_closing_handshake():
    row = Secured().upgrade().tell("client", 26).tell("server", 22).say("server", flags=FIN | ACK).row()
    assert row.transport == "tls-no-keys"
    assert row[GUESSES].isna().all()


def test_after_a_loss_nothing_is_inferred_but_what_was_cut_within_a_record_is_carried_over():
    hosts = Secured().upgrade().tell("server", 14).tell("client", 18).tell("server", 4000)
    hosts.tell("server", 24).tell("client", 28).finish()
    whole = list(hosts.packets)
    assert hosts.row().inferred_reason_length == 20
    place = next(place for place, packet in enumerate(whole) if len(packet.data) > 4000)
    hosts.packets[place] = replace(whole[place], data=whole[place].data[:200])
    assert hosts.row().inferred_reason_length == 20
    del hosts.packets[place]
    row = hosts.row()
    assert row.transport == "tls-no-keys"
    assert pd.isna(row.inferred_reason_length)


def test_a_client_that_resets_after_its_own_fin_leaves_the_row():
    hosts = Secured().upgrade().tell("server", 14).tell("client", 18).say("client", CLOSE_NOTIFY, flags=FIN | ACK)
    row = hosts.say("client", flags=RST).row()
    assert (row.transport, row.inferred_initiator) == ("tls-no-keys", "server")


def test_little_is_kept_of_many_records():
    suite = suite_of(0x1301)
    shape = Shape(0x0304, suite, overhead_of(0x0304, suite))
    for by_client, length in ((True, 53), (True, 300), (False, 300)):
        shape.record(by_client, 23, length, 0)
    for number in range(20_000):
        shape.record(False, 23, 20 + number % 90, number * 10**9)
        shape.record(True, 23, 24 + number % 90, number * 10**9)
    assert shape.is_websocket(None)
    assert len(shape.last()) == len(shape.kept) // 2 <= limits.TLS_CONTENTS
    assert shape.rhythms
    assert len(shape.rhythms) <= limits.TLS_RHYTHMS
    assert shape.pair_sizes.bit_length() <= 2 * 130


# handshakes that failed


def together(*hosts, **options):
    packets = sorted((packet for each in hosts for packet in each.packets), key=lambda packet: packet.time)
    result = analyzed(written(packets), **options)
    assert result._account.packets == len(packets)
    return result


def failed(port, alert=(2, 40), name=b"feed.example.org", after=0):
    hosts = later(port, after).say("client", flags=SYN).say("server", flags=SYN | ACK).say("client", client_hello(name))
    if alert:
        hosts.say("server", record(21, bytes(alert)))
    return hosts.say("server", flags=FIN | ACK).say("client", flags=FIN | ACK).say("server", flags=ACK)


def later(port, after):
    """Hosts that begin so many seconds later."""
    hosts = Secured(port)
    hosts.time += after * 10**9
    return hosts


def websocket(port, after=0):
    return later(port, after).upgrade().tell("server", 14).tell("client", 18).finish()


def test_a_failed_handshake_is_a_row_where_its_service_has_a_websocket():
    result = together(failed(40001), websocket(40002), failed(40003, None))
    alerted, silent = by_port(result.connections)[40001, 80], by_port(result.connections)[40003, 80]
    for row in (alerted, silent):
        assert (row.client_saw, row.outcome, row.cause) == (1015, "no-answer", "TLS failure")
        assert row.cause_basis == "observed"
        assert (row.transport, row.cause_by, row.transport_end) == ("tls", "server", "fin")
        assert pd.isna(row.server_saw)
    assert alerted.tls_alert == "server: handshake_failure"
    assert "alert handshake_failure" in alerted.evidence
    assert pd.isna(silent.tls_alert)


def test_a_failed_handshake_with_nothing_beside_it_is_no_row():
    result = together(failed(40001))
    assert result.empty
    assert result.ledger.set_index("kind")["count"]["other TCP"] == len(failed(40001).packets)
    assert result.flow_kinds == {"tls": 0, "failed tls": 1}
    text = "".join(part for line in summary.lines(result, ["a.pcap"]) for part, _ in line)
    assert "1 TCP connection: TLS, and its handshake failed" in text


def test_a_failed_handshake_is_a_row_where_its_port_is_said_to_be_a_websocket():
    assert list(together(failed(40001), websocket_ports=[80]).connections["client_saw"]) == [1015]
    assert together(failed(40001), websocket_ports=[81]).empty


def test_a_client_that_rejects_the_certificate_under_encryption_has_failed():
    hosts = Secured(40001).say("client", flags=SYN).say("server", flags=SYN | ACK).say("client", client_hello())
    hosts.say("server", SERVER_HELLO + CERTIFICATES).say("client", record(23, 19)).say("client", flags=RST | ACK)
    row = by_port(together(hosts, websocket(40002)).connections)[40001, 80]
    assert (row.client_saw, row.cause, row.cause_by, row.transport_end) == (1015, "TLS failure", "client", "rst")


def test_a_handshake_that_was_finished_has_not_failed():
    assert len(together(Secured(40001).shake().finish(), websocket(40002)).connections) == 1


def test_failed_handshakes_are_kept_up_to_a_bound_that_is_told(monkeypatch):
    monkeypatch.setattr(limits, "TLS_FAILURES", 2)
    result = together(*(failed(40001 + number) for number in range(5)), failed(40006, after=30), websocket(40010, 60))
    assert sorted(result.connections["client_port"]) == [40001, 40002, 40006, 40010]
    assert any("3 failed TLS handshakes" in problem.what for problem in result.problems)
