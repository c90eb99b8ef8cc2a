"""The benchmark workloads are valid captures, and hold what they say they hold.

Judged by others: dpkt reads the packets, `websockets` both sides' bytes, and capinfos and tshark where installed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import dpkt
import pytest
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import Opcode
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

import analyzer

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
KINDS = ("feed", "bulk", "many", "mixed", "masked", "deflate")
PACKETS = 4001
NOTE = 0x400000  # expert severities of Wireshark: a chat is less, a warning or an error more


@pytest.fixture(scope="module")
def workloads():
    """The module, imported as when it is run from its folder."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import workloads

        yield workloads
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module", params=KINDS)
def made(request, workloads, tmp_path_factory):
    """One small workload of each kind: its file, and what it says it holds."""
    path = tmp_path_factory.mktemp("workloads") / f"{request.param}.pcap"
    return path, workloads.make(request.param, PACKETS, path)


def read_packets(path):
    """(time, Ethernet) of every packet."""
    with open(path, "rb") as capture:
        return [(time, dpkt.ethernet.Ethernet(packet)) for time, packet in dpkt.pcap.Reader(capture)]


def read_flows(path):
    """(source, destination) to the bytes sent; a wrong sequence or acknowledgement number fails."""
    sent, following = defaultdict(bytearray), {}
    for _, ethernet in read_packets(path):
        ip, tcp = ethernet.data, ethernet.data.data
        source, destination = (ip.src, tcp.sport), (ip.dst, tcp.dport)
        if tcp.flags & dpkt.tcp.TH_SYN:
            assert (source, destination) not in following, "every connection has its own addresses and ports"
        else:
            assert tcp.seq == following[source, destination], "no gap, no repetition"
        if tcp.flags & dpkt.tcp.TH_ACK:
            assert tcp.ack == following[destination, source], "everything captured is acknowledged"
        ended = bool(tcp.flags & (dpkt.tcp.TH_SYN | dpkt.tcp.TH_FIN))
        following[source, destination] = (tcp.seq + len(tcp.data) + ended) % 2**32
        sent[source, destination] += tcp.data
    return sent


def read_websockets(sent):
    """(frames of the client, frames of the server) of every WebSocket, as `websockets` reads and judges them."""
    return [
        read_both(bytes(received), sent[server, client])
        for (client, server), received in sent.items()
        if received.startswith(b"GET /stream")
    ]


def read_both(from_client, from_server):
    """The frames of both sides of one WebSocket; an invalid handshake or frame fails."""
    request, _, frames = from_client.partition(b"\r\n\r\n")
    judge = ServerProtocol(extensions=[ServerPerMessageDeflateFactory()], max_size=None)
    judge.receive_data(request + b"\r\n\r\n")
    (asked,) = judge.events_received()
    judge.send_response(judge.accept(asked))
    judge.receive_data(frames)
    assert judge.parser_exc is None

    reader = ClientProtocol(
        parse_uri("ws://feed.example.com/"), extensions=[ClientPerMessageDeflateFactory()], max_size=None
    )
    reader.key = asked.headers["Sec-WebSocket-Key"]
    reader.send_request(asked)
    reader.receive_data(bytes(from_server))
    answered, *server_frames = reader.events_received()
    assert reader.handshake_exc is None and answered.status_code == 101
    assert reader.parser_exc is None
    return judge.events_received(), server_frames


def data_frames(frames):
    """Those that carry messages."""
    return [frame for frame in frames if frame.opcode in (Opcode.TEXT, Opcode.BINARY)]


def test_exactly_the_packets_asked_for_are_made(made):
    path, truth = made
    packets = read_packets(path)
    assert len(packets) == truth.packets == PACKETS
    assert sum(len(bytes(ethernet)) for _, ethernet in packets) == truth.bytes


def test_times_never_go_back(made):
    times = [time for time, _ in read_packets(made[0])]
    assert times == sorted(times)


def test_lengths_and_ip_checksums_are_right(made):
    for _, ethernet in read_packets(made[0]):
        ip = ethernet.data
        assert ip.len == len(ip)
        assert dpkt.in_cksum(ip.pack_hdr()) == 0  # the stated checksum included, RFC 1071


def test_every_byte_is_sent_once_and_acknowledged(made):
    assert read_flows(made[0])


def test_every_websocket_is_valid_and_ends_with_a_close_from_each_side(made):
    path, truth = made
    websockets = read_websockets(read_flows(path))
    assert len(websockets) == truth.connections
    assert truth.closes == 2 * truth.connections
    for sides in websockets:
        for frames in sides:
            assert [frame.opcode for frame in frames].index(Opcode.CLOSE) == len(frames) - 1


def test_the_messages_are_those_counted_and_texts_are_utf8(made):
    path, truth = made
    messages = [frame for sides in read_websockets(read_flows(path)) for side in sides for frame in data_frames(side)]
    assert len(messages) == truth.messages
    for message in messages:
        if message.opcode is Opcode.TEXT:
            message.data.decode()


def test_a_workload_is_the_same_each_time(made, workloads, tmp_path):
    path, truth = made
    again = tmp_path / "again.pcap"
    assert workloads.make(truth.kind, PACKETS, again) == truth
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("kind", "flows", "speak"),
    [("syn-flood", 1200, 0), ("half-open", 400, 0), ("one-byte", 300, 300), ("joined-late", 1200, 1200)],
)
def test_hostile_workloads_are_flows_that_lead_nowhere(kind, flows, speak, workloads, tmp_path):
    path = tmp_path / "hostile.pcap"
    assert workloads.make(kind, 1200, path).packets == 1200
    found = defaultdict(int)
    for _, ethernet in read_packets(path):
        ends = (ethernet.data.src, ethernet.data.data.sport), (ethernet.data.dst, ethernet.data.data.dport)
        found[frozenset(ends)] += len(ethernet.data.data.data)
    assert (len(found), sum(size > 0 for size in found.values())) == (flows, speak)
    result = analyzer.analyze(path)
    assert result.connections.empty and "unaccounted" not in set(result.ledger["kind"])


def test_every_second_segment_of_the_workload_of_holes_is_missing(workloads, tmp_path):
    path = tmp_path / "holes.pcap"
    truth = workloads.make("holes", 1600, path)
    rows = analyzer.analyze(path).connections
    assert len(rows) == truth.connections == 40
    assert (rows["lost_bytes"] > 0).all() and not rows["server_exact"].any()


def test_deflated_messages_are_compressed_json(workloads, tmp_path):
    path = tmp_path / "deflate.pcap"
    workloads.make("deflate", PACKETS, path)
    sent = read_flows(path)
    for from_client, from_server in read_websockets(sent):
        for message in data_frames(from_client) + data_frames(from_server):
            assert json.loads(message.data)["type"] == "depth"
    assert all(b"permessage-deflate" in side for side in sent.values())


def test_a_twentieth_of_the_mixed_packets_is_websocket(workloads, tmp_path):
    path = tmp_path / "mixed.pcap"
    workloads.make("mixed", PACKETS, path)
    servers = [ethernet.data.src[3] for _, ethernet in read_packets(path)]
    clients = [ethernet.data.dst[3] for _, ethernet in read_packets(path)]
    websocket = sum(10 in pair for pair in zip(servers, clients, strict=True))
    assert websocket == PACKETS // 20


def test_too_few_packets_are_refused(workloads, tmp_path):
    with pytest.raises(ValueError, match="at least 1000"):
        workloads.make("feed", 999, tmp_path / "never.pcap")


@pytest.mark.skipif(not shutil.which("capinfos"), reason="capinfos is not installed")
def test_capinfos_counts_the_same_packets(made):
    path, truth = made
    command = ["capinfos", "-c", "-M", "-T", "-r", str(path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1] == str(truth.packets)


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
def test_tshark_sees_every_close_and_nothing_wrong(made):
    path, truth = made
    fields = ("websocket.opcode", "_ws.expert.severity", "_ws.malformed")
    command = ["tshark", "-r", str(path), "-T", "fields", *(part for field in fields for part in ("-e", field))]
    rows = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    columns = [row.split("\t") for row in rows]
    assert len(columns) == truth.packets
    assert sum(opcodes.split(",").count("8") for opcodes, _, _ in columns) == truth.closes
    worst = max(int(severity) for _, severities, _ in columns for severity in severities.split(",") if severity)
    assert worst <= NOTE
    assert not any(malformed for _, _, malformed in columns)
