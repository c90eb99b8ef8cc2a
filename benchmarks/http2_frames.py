"""HTTP/2 frames per second: `python benchmarks/http2_frames.py [FRAMES]`.

One connection in clear with ten WebSockets, each message in a DATA frame and a packet of its own; the whole command's
CPU time, beside tshark where it is installed (version 4.0 reads the HTTP/2 frames, but no WebSocket in them).
"""

from __future__ import annotations

import resource
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hpack import Encoder
from wire import ACK, FIN, SYN, TEXT, Capture, Truth, frame, masked_frame

STREAMS = range(1, 21, 2)
DATA, HEADERS, SETTINGS, END_HEADERS = 0, 1, 4, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def http2(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One frame, RFC 9113 section 4.1."""
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def write(path: Path, frames: int) -> None:
    """The capture: `frames` DATA frames, by turns of client and server."""
    with path.open("wb") as output:
        capture = Capture(output, Truth("http2"), 9113)
        connection = capture.connect()
        client, server = connection.client, connection.server
        capture.send(client, server, flags=SYN)
        capture.send(server, client, flags=SYN | ACK)
        capture.send(client, server, PREFACE + http2(SETTINGS, 0, 0, b""))
        capture.send(server, client, http2(SETTINGS, 0, 0, struct.pack(">HI", 8, 1)))
        asking, answering = Encoder(), Encoder()
        for stream in STREAMS:
            fields = [(":method", "CONNECT"), (":protocol", "websocket"), (":path", f"/{stream}"), (":scheme", "http")]
            capture.send(client, server, http2(HEADERS, END_HEADERS, stream, asking.encode(fields)))
            capture.send(server, client, http2(HEADERS, END_HEADERS, stream, answering.encode([(":status", "200")])))
        for number in range(frames // 2):
            stream = STREAMS[number % len(STREAMS)]
            capture.send(client, server, http2(DATA, 0, stream, masked_frame(TEXT, b"m" * 60, b"\1\2\3\4")))
            capture.send(server, client, http2(DATA, 0, stream, frame(TEXT, b"m" * 90)))
        capture.send(client, server, flags=FIN | ACK)
        capture.send(server, client, flags=FIN | ACK)
        capture.flush()


def cpu_time(command: Sequence[str]) -> float:
    """Seconds of CPU that a command takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    """Measure, and print a line for each tool."""
    frames = int(sys.argv[1]) if len(sys.argv) > 1 else 500_000
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "small.pcap", Path(folder) / "large.pcap"
        write(small, len(STREAMS))
        write(large, frames)
        tools = {"wsclose": [sys.executable, "-c", "from analyzer.cli import main; main()", "connections"]}
        if shutil.which("tshark"):
            tools["tshark"] = ["tshark", "-n", "-d", "tcp.port==80,http2", "-T", "fields", "-e", "http2.streamid", "-r"]
        for name, command in tools.items():
            seconds = cpu_time([*command, str(large)]) - cpu_time([*command, str(small)])
            print(f"{name:8} {frames / seconds:12,.0f} frames/s of CPU time, start-up not counted")


if __name__ == "__main__":
    main()
