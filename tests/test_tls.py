"""TLS records opened with a key log: the very bytes, and never others, however the capture is damaged.

The captures in data/tls were recorded between endpoints of this project's own; plain.json has the length and SHA-256 of
what each direction carried, as the endpoints and a second program have it.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import struct
from pathlib import Path

import pytest

from analyzer.capture.reading import Captures
from analyzer.encapsulations import unwrap
from analyzer.fragments import Fragments
from analyzer.packets import Packets
from analyzer.records import Packet, Reader, Segment
from analyzer.room import Room
from analyzer.sources import resolve
from analyzer.streams import Streams
from analyzer.tls.connection import Layer
from analyzer.tls.keylog import Secrets
from analyzer.upgrade.heads import TLS, holds_record, look

DATA = Path(__file__).parent / "data" / "tls"
PLAIN = json.loads((DATA / "plain.json").read_text(encoding="utf-8"))
WITH_SEQUENCE = sorted(name for name in PLAIN if name != "t10_cbc" and "0rtt" not in name)


class Kept(Reader):
    """Keeps the bytes of a source, each run with the offset at which it began."""

    def __init__(self, packet, source):
        self.packet, self.source = packet, source
        self.runs, self.ended = [], None
        source.reader = self
        self._new = True

    def data(self, start, stop):
        if self._new:
            self.runs.append([self.source.offset, b""])
            self._new = False
        self.runs[-1][1] += bytes(self.packet.data[start:stop])

    def gap(self, size, cut):
        assert size >= 1
        self._new = True

    def end(self, how):
        self.ended = how

    @property
    def text(self):
        return b"".join(run for _, run in self.runs)


class Openings:
    """Stands where the upgrade stage does: puts a TLS layer on every flow, and keeps what comes of it."""

    def __init__(self, packet, secrets):
        self.packet, self.secrets = packet, secrets
        self.layers, self.found = [], []

    def begin(self, flow, low, high, start, stop):
        text = bytes(self.packet.data[start:stop])
        if look(text) != TLS and not holds_record(text):
            return False
        nobody = lambda connection: None  # noqa: E731
        self.layers.append(Layer(self.packet, flow, low, high, self.secrets, self.plain, nobody, Room(1 << 40)))
        return True

    def plain(self, flow, low, high, start, stop):
        self.found.append((flow, Kept(self.packet, low), Kept(self.packet, high)))
        flow.connections = []
        return True


def read(capture, secrets):
    packet, segment = Packet(), Segment()
    openings = Openings(packet, secrets)
    streams = Streams(packet, segment, openings, lambda flow: None, 1, Room(1 << 40))
    packets = Packets(packet, segment, streams, unwrap, Fragments())
    Captures(resolve([io.BytesIO(capture)]), packet, packets).run()
    streams.finish()
    for layer in openings.layers:
        if layer.flow.layer_bytes:
            assert min(layer.flow.layer_bytes.values()) >= 0
    return openings


def keys_of(name):
    return Secrets([(DATA / f"{name}.keys").read_bytes()])


def capture_of(name):
    """The file's header, and its packets with their headers."""
    text = (DATA / f"{name}.pcap").read_bytes()
    order = "<" if text[0] in (0xD4, 0x4D) else ">"
    at, packets = 24, []
    while at < len(text):
        size = struct.unpack_from(order + "I", text, at + 8)[0]
        packets.append(text[at : at + 16 + size])
        at += 16 + size
    return text[:24], packets


def has_data(packet):
    """Whether a packet on loopback has more than headers."""
    return len(packet) > 16 + 14 + 20 + 32 + 8


def texts(openings):
    return {(flow.low_port, flow.high_port): (low.text, high.text) for flow, low, high in openings.found}


@pytest.fixture(scope="module")
def truth():
    """What each capture's directions carry: checked against plain.json."""
    known = {}
    for name, flows in PLAIN.items():
        header, packets = capture_of(name)
        got = texts(read(header + b"".join(packets), keys_of(name)))
        for flow in flows:
            pair = got[tuple(flow["ports"])]
            assert [[len(each), hashlib.sha256(each).hexdigest()] for each in pair] == [flow["low"], flow["high"]], name
        assert len(got) == len(flows)
        known[name] = got
    return known


@pytest.mark.parametrize("name", PLAIN)
def test_every_byte_is_what_the_endpoints_wrote(name, truth):
    assert truth[name]


@pytest.mark.parametrize("name", PLAIN)
def test_packets_captured_twice_or_in_another_order_change_nothing(name, truth):
    header, packets = capture_of(name)
    doubled = [copy for packet in packets for copy in (packet, packet)]
    assert texts(read(header + b"".join(doubled), keys_of(name))) == truth[name]
    for first in range(4, min(len(packets) - 1, 60)):
        swapped = [*packets[:first], packets[first + 1], packets[first], *packets[first + 2 :]]
        assert texts(read(header + b"".join(swapped), keys_of(name))) == truth[name], first


def is_part(runs, whole):
    """Are the runs parts of the whole, in this order?"""
    at = 0
    for _, run in runs:
        at = whole.find(run, at)
        if at < 0:
            return False
        at += len(run)
    return True


@pytest.mark.parametrize("name", PLAIN)
def test_lost_packets_cost_their_records_and_nothing_else(name, truth):
    header, packets = capture_of(name)
    full = sum(len(text) for pair in truth[name].values() for text in pair)
    for lost in range(len(packets)):
        if not has_data(packets[lost]):
            continue
        got = read(header + b"".join(packets[:lost] + packets[lost + 1 :]), keys_of(name))
        seen = 0
        for flow, low, high in got.found:
            whole = truth[name].get((flow.low_port, flow.high_port))
            assert whole is not None
            assert is_part(low.runs, whole[0]) and is_part(high.runs, whole[1])
            seen += len(low.text) + len(high.text)
        if lost > 12 and name in WITH_SEQUENCE and "reneg" not in name and len(truth[name]) == 1:
            assert seen >= full - 3 * len(packets[lost]) - 2 * 16384, lost


@pytest.mark.parametrize("name", ["t12_gcm128", "t12_chacha", "t12_ccm8", "t12_span", "t13_16k"])
def test_after_lost_records_the_offset_is_the_true_one(name, truth):
    header, packets = capture_of(name)
    for lost in range(20, len(packets), 3):
        if has_data(packets[lost]):
            got = read(header + b"".join(packets[:lost] + packets[lost + 1 :]), keys_of(name))
            for flow, *directions in got.found:
                for kept, whole in zip(directions, truth[name][flow.low_port, flow.high_port], strict=True):
                    for offset, run in kept.runs:
                        assert whole[offset : offset + len(run)] == run


@pytest.mark.parametrize("name", [name for name in PLAIN if name.startswith("t13") and "resume" not in name])
def test_tls_1_3_is_read_from_the_middle(name, truth):
    header, packets = capture_of(name)
    first = 12 if name != "t13_0rtt" else 36
    got = read(header + b"".join(packets[first:]), keys_of(name))
    assert got.found
    for flow, low, high in got.found:
        whole = truth[name][flow.low_port, flow.high_port]
        assert is_part(low.runs, whole[0]) and is_part(high.runs, whole[1])
        assert low.text or high.text


@pytest.mark.parametrize("name", ["t13_aes128", "t13_chacha", "t13_ccm", "t13_16k", "t13_keyupdate"])
def test_tls_1_3_is_read_from_within_its_handshake(name, truth):
    header, packets = capture_of(name)
    carrying = [index for index, packet in enumerate(packets) if has_data(packet)]
    got = read(header + b"".join(packets[carrying[1] :]), keys_of(name))
    ((flow, *directions),) = got.found
    for kept, whole in zip(directions, truth[name][flow.low_port, flow.high_port], strict=True):
        assert kept.text == whole


@pytest.mark.parametrize("name", ["t13_aes128", "t13_chacha", "t13_ccm", "t13_hrr", "t13_16k", "t13_keyupdate"])
def test_secrets_under_a_random_that_is_not_on_the_wire_are_found_by_trial(name, truth):
    lines = (DATA / f"{name}.keys").read_text().splitlines()
    inner = [" ".join([line.split()[0], "ab" * 32, line.split()[2]]) for line in lines if not line.startswith("#")]
    others = (DATA / "t13_resume.keys").read_bytes()
    header, packets = capture_of(name)
    assert texts(read(header + b"".join(packets), Secrets(["\n".join(inner).encode(), others]))) == truth[name]


def test_other_secrets_open_nothing(truth):
    for name in PLAIN:
        header, packets = capture_of(name)
        other = "t13_hrr" if name != "t13_hrr" else "t13_ccm"
        assert texts(read(header + b"".join(packets), keys_of(other))) == {}


@pytest.mark.parametrize("name", PLAIN)
def test_damaged_captures_never_give_other_bytes(name, truth):
    header, packets = capture_of(name)
    chance = random.Random(name)
    for _ in range(12):
        damaged = [bytearray(packet) for packet in packets]
        for _ in range(chance.choice((1, 3, 30))):
            packet = chance.choice(damaged)
            if has_data(packet):
                packet[chance.randrange(16 + 14 + 20 + 32, len(packet))] = chance.randrange(256)
        if chance.random() < 0.3:
            del damaged[chance.randrange(len(damaged))]
        got = read(header + b"".join(damaged), keys_of(name))
        for flow, low, high in got.found:
            whole = truth[name][flow.low_port, flow.high_port]
            assert is_part(low.runs, whole[0]) and is_part(high.runs, whole[1])


def test_a_key_log_is_read_as_the_rfc_says():
    name = "t13_aes128"
    header, packets = capture_of(name)
    lines = (DATA / f"{name}.keys").read_bytes().splitlines()
    plain = texts(read(header + b"".join(packets), keys_of(name)))
    broken = [b"", b"# comment", b"CLIENT_RANDOM xyz 12", b"\xff\xfe", b"SERVER_TRAFFIC_SECRET_0 " + b"0" * 63 + b" 11"]
    for end in (b"\n", b"\r", b"\r\n"):
        for changed in (bytes.lower, bytes.upper):
            text = end.join([*broken, *map(changed, lines)])
            assert texts(read(header + b"".join(packets), Secrets([text]))) == plain
    assert texts(read(header + b"".join(packets), Secrets(lines))) == plain, "one line in each file"
