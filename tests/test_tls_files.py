"""Where the secrets of TLS may stand: key logs, the environment, pcapng files before or after their packets, a pipe."""

from __future__ import annotations

import importlib.util
import io
import random
import struct
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from http2_talk import Talk, goodbye
from mutations import Captured, written
from test_tls import DATA, capture_of, has_data

import analyzer
from analyzer import limits
from analyzer.cli import main

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
NAMES = ["t12_gcm128", "t12_chacha", "t12_ccm8", "t12_cbc_etm", "t12_cbc_noetm", "t12_cbc384", "t12_span", "t13_16k"]
NAME = "t12_gcm128"
KEYS = DATA / f"{NAME}.keys"


class Pipe(io.RawIOBase):
    """Bytes that can be read once."""

    def __init__(self, data):
        self._data = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._data.readinto(buffer)


def block(kind, body):
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def secrets_block(text):
    return block(10, struct.pack("<II", 0x544C534B, len(text)) + text)


def pcapng(name, place=None, packets=None):
    """The capture, or some of its packets, as pcapng, with its secrets before the packet at `place`."""
    packets = capture_of(name)[1] if packets is None else packets
    parts = [block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)), block(1, struct.pack("<HHI", 1, 0, 0))]
    for index, packet in enumerate(packets):
        if index == place:
            parts.append(secrets_block((DATA / f"{name}.keys").read_bytes()))
        seconds, fraction, captured, wire = struct.unpack_from("<IIII", packet)
        time = seconds * 10**6 + fraction
        head = struct.pack("<IIIII", 0, time >> 32, time & 0xFFFFFFFF, captured, wire)
        parts.append(block(6, head + packet[16:]))
    if place == len(packets):
        parts.append(secrets_block((DATA / f"{name}.keys").read_bytes()))
    return b"".join(parts)


def rows(*captures, **options):
    result = analyzer.analyze(*captures, **options)
    assert "unaccounted" not in set(result.ledger["kind"])
    return result.connections


@pytest.fixture
def expected():
    found = rows(DATA / f"{NAME}.pcap", keylog=KEYS)
    assert list(found["transport"]) == ["tls"]
    assert list(found["tls_version"]) == ["1.2"]
    assert list(found["opening"]) == ["handshake"]
    assert list(found["close_notify"]) == ["both"]
    return found


def test_several_key_logs_and_the_environment(expected, monkeypatch, tmp_path):
    other = tmp_path / "empty.log"
    other.write_text("")
    assert rows(DATA / f"{NAME}.pcap", keylog=[other, KEYS]).equals(expected)
    monkeypatch.setenv("SSLKEYLOGFILE", str(KEYS))
    assert rows(DATA / f"{NAME}.pcap").equals(expected)
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "not there"))
    assert rows(DATA / f"{NAME}.pcap").empty


def test_a_key_log_that_was_named_and_is_not_there_is_an_error(tmp_path):
    with pytest.raises(analyzer.CannotRead, match="nowhere"):
        analyzer.analyze(DATA / f"{NAME}.pcap", keylog=tmp_path / "nowhere")


@pytest.mark.parametrize("place", [0, 10, 60, -1])
def test_secrets_stand_anywhere_in_a_file(expected, place):
    place = len(capture_of(NAME)[1]) if place < 0 else place
    assert rows(io.BytesIO(pcapng(NAME, place))).equals(expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", [0, 10, 15])
def test_secrets_on_a_pipe_may_come_later_than_their_packets(name, place):
    expected = analyzer.analyze(DATA / f"{name}.pcap", keylog=DATA / f"{name}.keys")
    found = analyzer.analyze(Pipe(pcapng(name, place)))
    assert found.connections.equals(expected.connections)
    assert found.violations.equals(expected.violations)


TABLES = ("connections", "closes", "frames", "messages", "violations", "reconnects", "ledger")


def tables(capture):
    return analyzer.analyze(capture, tables=TABLES)


@pytest.mark.parametrize("name", [*NAMES, "t13_keyupdate", "t12_reneg", "t13_0rtt", "t10_cbc"])
def test_secrets_on_a_pipe_may_come_after_their_flow(name):
    everything = pcapng(name, len(capture_of(name)[1]))
    late, expected = tables(Pipe(everything)), tables(io.BytesIO(everything))
    for table in TABLES:
        assert getattr(late, table).equals(getattr(expected, table)), table
    assert late.connections["transport"].eq("tls").all() and not late.problems
    assert name not in NAMES or len(late.connections)


def test_secrets_on_standard_input_may_come_after_their_flow(expected):
    everything = pcapng(NAME, len(capture_of(NAME)[1]))
    command = [sys.executable, "-m", "analyzer.cli", "connections", "-", "--columns", "transport,server_code"]
    done = subprocess.run(command, input=everything, capture_output=True, check=True)
    code = expected["server_code"].astype("string").fillna("").iloc[0]
    assert done.stdout.decode().splitlines() == ["transport,server_code", f"tls,{code}"]
    assert b"too late" not in done.stderr


@pytest.mark.parametrize("first", [12, 20])
def test_begun_in_the_middle_on_a_pipe_with_secrets_after_it(first):
    packets = capture_of("t13_16k")[1][first:]
    everything = pcapng("t13_16k", len(packets), packets)
    late, expected = tables(Pipe(everything)), tables(io.BytesIO(everything))
    for table in TABLES:
        assert getattr(late, table).equals(getattr(expected, table)), table
    assert late.flow_kinds == expected.flow_kinds


@pytest.mark.parametrize(("bound", "value"), [("TLS_HELD", 5000), ("KEPT_IN_ALL_BYTES", 5000)])
@pytest.mark.parametrize("name", NAMES)
def test_more_ciphertext_than_is_kept_is_let_go_and_told(name, bound, value, monkeypatch):
    monkeypatch.setattr(limits, bound, value)
    everything = pcapng(name, len(capture_of(name)[1]))
    late = analyzer.analyze(Pipe(everything))
    assert not late.connections["transport"].eq("tls").any()
    assert [problem.what for problem in late.problems if "came too late" in problem.what]
    assert "unaccounted" not in set(late.ledger["kind"])
    in_time = analyzer.analyze(io.BytesIO(everything))
    assert in_time.connections["transport"].eq("tls").all()
    assert not [problem.what for problem in in_time.problems if "came too late" in problem.what]


def test_secrets_may_stand_in_another_file(expected, tmp_path):
    header = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + block(1, struct.pack("<HHI", 1, 0, 0))
    secrets = tmp_path / "secrets.pcapng"
    secrets.write_bytes(header + secrets_block(KEYS.read_bytes()))
    found = rows(DATA / f"{NAME}.pcap", secrets)
    named = ["evidence"]  # its packets are named with their file
    assert found.drop(columns=["first_file", "last_file", *named]).equals(expected.drop(columns=named))


@pytest.mark.parametrize("name", NAMES)
def test_every_byte_of_a_damaged_capture_is_in_the_ledger(name):
    header, packets = capture_of(name)
    chance = random.Random(name)
    for _ in range(15):
        damaged = [bytearray(packet) for packet in packets]
        for _ in range(chance.choice((0, 1, 5))):
            packet = chance.choice(damaged)
            if has_data(packet):
                packet[chance.randrange(82, len(packet))] ^= chance.randrange(1, 256)
        for _ in range(chance.choice((0, 1, 3))):
            del damaged[chance.randrange(8, len(damaged))]
        for _ in range(chance.choice((0, 4))):
            damaged.insert(chance.randrange(8, len(damaged)), chance.choice(damaged))
        result = analyzer.analyze(io.BytesIO(header + b"".join(damaged)), keylog=DATA / f"{name}.keys")
        counts = result.ledger.set_index(["unit", "kind"])["count"]
        assert "unaccounted" not in counts["byte"], counts
        assert counts.min() >= 0


@pytest.fixture
def benchmark(monkeypatch):
    """The benchmark of TLS, which makes captures."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("tls_benchmark", BENCHMARKS / "tls.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Sealed(Talk):
    """A conversation over HTTP/2 inside TLS 1.3, each piece in a record of its own. keys: its key log."""

    def __init__(self, benchmark):
        super().__init__()
        secrets = [bytes([number]) * 32 for number in range(4)]
        client_shakes, server_shakes, *seals = map(benchmark.Sealer, secrets)
        self.seals = {True: seals[0], False: seals[1]}
        hello = benchmark.client_hello(random.Random(1))
        answer = benchmark.tls_hello(2, b"\x03\x03" + bytes(32) + b"\0\x13\x01\0", ((43, b"\x03\x04"),))
        lines = zip(benchmark.LABELS, secrets, strict=True)
        self.keys = "".join(f"{label} {hello[11:43].hex()} {secret.hex()}\n" for label, secret in lines).encode()
        super().say(True, hello)
        super().say(False, answer + server_shakes.record(benchmark.SHAKEN, b"\x16"))
        super().say(True, client_shakes.record(benchmark.FINISHED, b"\x16"))

    def say(self, client, payload, captured=True):
        return super().say(client, self.seals[client].record(payload), captured)

    def three(self):
        """Three WebSockets, one long after the other."""
        self.hello()
        for stream in (1, 3, 5):
            goodbye(self.open(stream, "/same/path"), stream)
            self.time += 60_000_000_000
        return self.end()


def test_the_extract_of_a_row_inside_tls_reads_the_same_alone(tmp_path, benchmark):
    talk = Sealed(benchmark).three()
    whole, keys, part = tmp_path / "whole.pcap", tmp_path / "keys.log", tmp_path / "part.pcapng"
    whole.write_bytes(written([Captured(time, packet, len(packet)) for time, packet in talk.packets]))
    keys.write_bytes(talk.keys)
    expected = rows(whole, keylog=keys)
    assert list(expected["http_stream"]) == [1, 3, 5] and expected["last_packet"].is_monotonic_increasing
    assert expected["last_packet"].nunique() == 3
    named = ["first_packet", "last_packet", "evidence"]
    for number, row in expected.drop(columns=named).iterrows():
        assert main(["extract", str(whole), str(number), "--keylog", str(keys), "-o", str(part)]) == 0
        found = rows(part).drop(columns=named)
        (read,) = (other for _, other in found.iterrows() if other["http_stream"] == row["http_stream"])
        assert read.astype("string").equals(row.astype("string"))


def test_rows_that_are_over_before_their_flow_are_the_same_with_secrets_after_it(benchmark):
    talk = Sealed(benchmark).three()
    blocks = [block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)), block(1, struct.pack("<HHI", 1, 0, 0))]
    for time, packet in talk.packets:
        time //= 1000
        head = struct.pack("<IIIII", 0, time >> 32, time & 0xFFFFFFFF, len(packet), len(packet))
        blocks.append(block(6, head + packet))
    everything = b"".join((*blocks, secrets_block(talk.keys)))
    late, expected = tables(Pipe(everything)), tables(io.BytesIO(everything))
    assert len(late.connections) == 3
    for table in TABLES:
        assert getattr(late, table).equals(getattr(expected, table)), table


PROXY = [(True, b"PROXY TCP4 192.0.2.9 192.0.2.10 1111 443\r\n")]
CONNECT = [(True, b"CONNECT feed:443 HTTP/1.1\r\nHost: feed:443\r\n\r\n"), (False, b"HTTP/1.1 200 OK\r\n\r\n")]
SOCKS = [
    (True, b"\5\1\0"),
    (False, b"\5\0"),
    (True, b"\5\1\0\1\xc0\0\2\x0a\1\xbb"),
    (False, b"\5\0\0\1\xc0\0\2\x0a\1\xbb"),
]


@pytest.mark.parametrize(
    ("before", "source"), [((), None), (PROXY, "192.0.2.9:1111"), (CONNECT, None), (SOCKS, None)]
)
def test_tls_is_opened_behind_what_may_stand_before_it(before, source, tmp_path, benchmark):
    capture, keys = tmp_path / "tls.pcap", tmp_path / "tls.keys"
    benchmark.make(capture, keys, 200, 20_000, before)
    (row,) = rows(capture, keylog=keys).to_dict("records")
    assert (row["transport"], row["outcome"], row["server_frames"], row["server_code"]) == ("tls", "clean", 101, 1000)
    assert row["sni"].startswith("cdn")
    assert pd.isna(row["forwarded_for"]) if source is None else row["forwarded_for"] == source
