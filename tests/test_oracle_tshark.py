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

# Packet number, source port, opcode, FIN, declared length.
FrameSeen = tuple[int, int, int, bool, int]
CloseSeen = tuple[int, int, int]


def _one_file(sample: Any, folder: Path) -> Path:
    """The sample as one file: pieces of a rotated capture joined, so that packets are numbered through."""
    if len(sample.paths) == 1:
        return Path(sample.paths[0])
    joined = folder / "joined.pcap"
    header = 24
    first, *others = (path.read_bytes() for path in sample.paths)
    joined.write_bytes(b"".join([first, *(piece[header:] for piece in others)]))
    return joined


def _tshark(capture: Path) -> tuple[Counter[FrameSeen], Counter[CloseSeen]]:
    options = [option for field in FIELDS for option in ("-e", field)]
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


def _wsclose(capture: Path) -> tuple[Counter[FrameSeen], Counter[CloseSeen]]:
    result = analyzer.analyze(capture, tables=("connections", "frames", "closes"))
    ports = result.connections[["client_port", "server_port"]]

    def port(row: Any) -> int:
        return int(ports.at[row.connection, f"{row.sender}_port"])

    frames = Counter(
        (int(row.packet), port(row), int(row.opcode), bool(row.fin), int(row.length))
        for row in result.frames.itertuples()
    )
    closes = Counter(
        (int(row.packet), port(row), int(row.code)) for row in result.closes.itertuples() if not pd.isna(row.code)
    )
    return frames, closes


def test_frames_and_close_codes_agree_with_tshark(sample: Any, tmp_path: Path) -> None:
    capture = _one_file(sample, tmp_path)
    frames, closes = _wsclose(capture)
    frames_by_tshark, closes_by_tshark = _tshark(capture)
    assert sorted((frames - frames_by_tshark).elements()) == sorted((frames_by_tshark - frames).elements())
    assert sorted((closes - closes_by_tshark).elements()) == sorted((closes_by_tshark - closes).elements())
