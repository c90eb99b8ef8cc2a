"""Frames and close codes agree, packet by packet, with tshark wherever tshark reads the capture rightly."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import analyzer

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")

FIELDS = ("frame.number", "tcp.srcport", "websocket.opcode", "websocket.fin", "websocket.payload_length")
FIELDS += ("websocket.payload_length_ext_16", "websocket.payload_length_ext_64", "websocket.payload.close.status_code")

# Packet number, source port, opcode, FIN, declared length; packet number, source port, code.
FrameSeen = tuple[int, int, int, bool, int]
CloseSeen = tuple[int, int, int]

# What tshark reads wrongly: per sample the source port left out of the comparison, with the reason.
TSHARK_IS_WRONG = {
    "protocol-errors": {44144: "takes what follows a frame that declares 2^63+5 bytes for a new frame"},
}


def _one_file(sample: Any, folder: Path) -> Path:
    """The sample as one file: pieces of a rotated capture joined, so that packets are numbered through."""
    if len(sample.paths) == 1:
        return Path(sample.paths[0])
    joined = folder / "joined.pcap"
    header = 24
    first, *others = (path.read_bytes() for path in sample.paths)
    joined.write_bytes(b"".join([first, *(piece[header:] for piece in others)]))
    return joined


def _tshark(capture: Path, protocols: dict[int, str]) -> tuple[Counter[FrameSeen], Counter[CloseSeen]]:
    options = [option for field in FIELDS for option in ("-e", field)]
    options += [option for port, name in protocols.items() for option in ("-d", f"tcp.port=={port},{name}")]
    command = ["tshark", "-n", "-r", str(capture), "-Y", "websocket", "-T", "fields", "-E", "occurrence=a", *options]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    frames: Counter[FrameSeen] = Counter()
    closes: Counter[CloseSeen] = Counter()
    for line in text.splitlines():
        number, port, opcodes, fins, lengths, middle, large, codes = (
            [int(value) for value in cell.split(",")] if cell else [] for cell in line.split("\t")
        )
        left, middles, larges = iter(codes), iter(middle), iter(large)
        for opcode, fin, short in zip(opcodes, fins, lengths, strict=True):
            length = next(middles) if short == 126 else next(larges) if short == 127 else short
            frames[number[0], port[0], opcode, bool(fin), length] += 1
            if opcode == 8 and length >= 2:
                closes[number[0], port[0], next(left)] += 1
    return frames, closes


def _wsclose(result: Any) -> tuple[Counter[FrameSeen], Counter[CloseSeen]]:
    """What we see, without WebSockets over HTTP/2, which tshark 4.0 does not read."""
    rows = result.connections
    apart = set(rows.index[rows["http"] == "2"])
    ports = result.connections[["client_port", "server_port"]]

    def port(row: Any) -> int:
        return int(ports.at[row.connection, f"{row.sender}_port"])

    frames = Counter(
        (int(row.packet), port(row), int(row.opcode), bool(row.fin), int(row.length))
        for row in result.frames.itertuples()
        if row.connection not in apart
    )
    closes = Counter(
        (int(row.packet), port(row), int(row.code))
        for row in result.closes.itertuples()
        if row.connection not in apart and not pd.isna(row.code)
    )
    return frames, closes


def _differences(ours: Counter[Any], theirs: Counter[Any], wrong: dict[int, str]) -> list[str]:
    by_us = [f"only wsclose: {seen}" for seen in sorted((ours - theirs).elements()) if seen[1] not in wrong]
    return by_us + [f"only tshark: {seen}" for seen in sorted((theirs - ours).elements()) if seen[1] not in wrong]


def test_frames_and_close_codes_agree_with_tshark(sample: Any, tmp_path: Path) -> None:
    capture = _one_file(sample, tmp_path)
    result = analyzer.analyze(capture, tables=("connections", "frames", "closes"))
    frames, closes = _wsclose(result)
    protocols = {
        row.server_port: "tls" if row.transport == "tls" else "http" for row in result.connections.itertuples()
    }
    frames_by_tshark, closes_by_tshark = _tshark(capture, protocols)
    wrong = TSHARK_IS_WRONG.get(sample.name, {})
    assert _differences(frames, frames_by_tshark, wrong) == []
    assert _differences(closes, closes_by_tshark, wrong) == []
