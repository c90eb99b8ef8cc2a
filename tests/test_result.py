"""The Python interface: lazily built tables, what can't be read again, payloads, time ranges."""

import io
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import SAMPLES

import analyzer
from analyzer import tables
from analyzer.outputs.cells import flat, moment
from analyzer.outputs.csv import CsvWriter

SAMPLE = str(SAMPLES / "browser-chromium-deflate.pcapng")
EVERY_SAMPLE = sorted(map(str, SAMPLES.glob("*.pcap*")))


def test_a_table_not_asked_for_is_built_on_first_access():
    result = analyzer.analyze(SAMPLE)
    assert len(result.frames) == result.connections[["client_frames", "server_frames"]].to_numpy().sum()
    assert result.frames.equals(analyzer.analyze(SAMPLE, tables=("frames",)).frames)


def test_what_was_not_kept_of_a_stream_names_the_argument_that_keeps_it():
    class Pipe(io.RawIOBase):
        def __init__(self):
            self.stream = open(SAMPLE, "rb")

        def readable(self):
            return True

        def readinto(self, buffer):
            return self.stream.readinto(buffer)

        def close(self):
            self.stream.close()
            super().close()

    with Pipe() as pipe:
        result = analyzer.analyze(pipe)
        assert len(result.connections) == len(analyzer.analyze(SAMPLE).connections)
        assert "WebSocket connections" in repr(result)
        with pytest.raises(analyzer.NotKept, match=r"tables=\('frames', \.\.\.\)"):
            result.frames  # noqa: B018


def test_payloads_are_unmasked_and_inflated():
    result = analyzer.analyze(SAMPLE)
    view = result.connection(int(result.connections["client_messages"].idxmax()))
    table = view.payloads()
    whole = table[table["bytes"].notna()]
    assert len(whole) and (whole["payload"].map(len) == whole["bytes"]).all()
    assert table["compressed"].any()


@pytest.mark.parametrize("name", ["browser-chromium-deflate.pcapng", "server-restart.pcap"])
def test_packets_outside_the_time_range_are_counted_and_not_read(name):
    sample = str(SAMPLES / name)
    whole = analyzer.analyze(sample)
    middle = whole.connections["start"].sort_values().iloc[3]
    part = analyzer.analyze(sample, since=middle.isoformat())
    assert part.connections["start"].min() >= middle
    counts = part.ledger.set_index(["unit", "kind"])["count"]
    assert counts["packet", "outside time range"] > 0
    whole_packets = whole.ledger.loc[whole.ledger["unit"] == "packet", "count"].sum()
    assert counts["packet"].sum() == whole_packets


def test_unknown_tables_and_connections_are_errors_that_name_what_there_is():
    with pytest.raises(ValueError, match="connections, closes"):
        analyzer.analyze(SAMPLE, tables=("conections",))
    with pytest.raises(KeyError, match="there is no connection 999"):
        analyzer.analyze(SAMPLE).connection(999)


def test_the_ledger_accounts_for_every_byte_of_every_sample(sample):
    ledger = analyzer.analyze(*map(str, sample.paths)).ledger
    assert "unaccounted" not in set(ledger["kind"])
    assert (ledger["count"] >= 0).all()


def test_a_file_that_ends_within_a_record_gives_all_before_it_and_a_row_in_the_ledger(tmp_path):
    whole = (SAMPLES / "ipv6.pcap").read_bytes()
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(whole[:-5])
    before = analyzer.analyze(SAMPLES / "ipv6.pcap").ledger.set_index(["unit", "kind"])["count"]
    result = analyzer.analyze(cut)
    counts = result.ledger.set_index(["unit", "kind"])["count"]
    assert counts["packet"].sum() == before["packet"].sum() - 1
    assert before["byte", "truncated record"] == 0 < counts["byte", "truncated record"]
    assert len(result.problems) == 1


def test_hot_modules_are_compiled_with_their_types():
    """A module whose .pxd is lost still compiles, into something many times slower."""
    from analyzer import frames, messages, packets, records, streams

    if not records.__file__.endswith(".py"):
        for kind in (frames.FrameReader, messages.MessageReader, packets.Packets, streams.Streams, records.Half):
            assert not hasattr(kind, "__dict__") or "__dict__" not in kind.__dict__, kind
            with pytest.raises(TypeError):
                kind.new_attribute = 1


@pytest.mark.parametrize("inputs", [[SAMPLE], EVERY_SAMPLE], ids=["one file", "all samples"])
@pytest.mark.parametrize("table", ["connections", "closes", "frames", "messages", "ledger"])
def test_a_table_written_as_text_is_the_same_as_its_dataframe_written(inputs, table):
    result = analyzer.analyze(*inputs, tables=("connections", "closes", "frames", "messages", "ledger"))
    direct, framed = io.StringIO(), io.StringIO()
    writer = CsvWriter(direct)
    rows, columns = result.stored(table)
    assert sum(writer.pieces(rows, columns)) == len(rows)
    CsvWriter(framed).write(flat(getattr(result, table)))
    assert direct.getvalue() == framed.getvalue()
    assert result.stored(table) is None


def test_a_large_table_comes_in_pieces_in_order(monkeypatch):
    monkeypatch.setattr(tables, "PIECE", 3)
    result = analyzer.analyze(*EVERY_SAMPLE)
    pieces = list(result.pieces("connections"))
    assert [len(piece) for piece in pieces[:-1]] == [3] * (len(pieces) - 1) and len(pieces) > 3
    assert pd.concat(pieces).equals(result.connections)
    assert [len(piece) for piece in result.pieces("connections")] == [len(result.connections)]


@pytest.mark.parametrize("nanoseconds", [0, 1, -1, 1_700_000_000_123_456_789, (1 << 63) - 1, 1 - (1 << 63)])
def test_a_moment_is_written_as_numpy_writes_it(nanoseconds):
    assert moment(nanoseconds) == str(np.datetime64(nanoseconds, "ns")) + "Z"


def test_one_table_and_one_port_need_no_list():
    result = analyzer.analyze(SAMPLE, tables="closes", websocket_ports=8080)
    assert "closes" in result._rows
    with pytest.raises(ValueError, match="no table called 'close'"):
        analyzer.analyze(SAMPLE, tables="close")
    for ports, wrong in ((["80"], "'80' is no"), ("80", "'[80]' is no"), (65536, "65536 is no TCP port")):
        with pytest.raises(ValueError, match=wrong):
            analyzer.analyze(SAMPLE, websocket_ports=ports)


def test_many_analyses_in_one_process_leave_nothing_behind():
    script = (
        "import gc, sys, analyzer\n"
        "from analyzer.tables import Tables\n"
        "most = 0\n"
        "for _ in range(200):\n"
        "    analyzer.analyze(sys.argv[1]).connections\n"
        "    most = max(most, sum(isinstance(each, Tables) for each in gc.get_objects()))\n"
        "print(most)"
    )
    call = [sys.executable, "-c", script, str(SAMPLES / "ipv6.pcap")]
    done = subprocess.run(call, capture_output=True, text=True, cwd=SAMPLES.parent, check=True)
    assert int(done.stdout) < 120
