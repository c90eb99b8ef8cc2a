"""How fast TLS is opened: a WebSocket in TLS 1.3 (AES-128-GCM), small records and large ones, beside tshark.

    python benchmarks/tls.py [MEGABYTES]

Prints plain megabytes a second of whole commands, the median of three after one that warms the page cache.
"""

from __future__ import annotations

import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from wire import (
    ACK,
    CHANGE_CIPHER,
    CLOSE,
    FIN,
    PUSH,
    SYN,
    TEXT,
    Capture,
    Truth,
    client_hello,
    frame,
    masked_frame,
    tls_hello,
    tls_record,
)
from workloads import transfer

from analyzer.tls.keys import expand_label

SIZES = (200, 16_000)
LABELS = (
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    "CLIENT_TRAFFIC_SECRET_0",
    "SERVER_TRAFFIC_SECRET_0",
)
FINISHED = b"\x14\0\0\x20" + bytes(32)
SHAKEN = b"\x08\0\0\x02\0\0" + FINISHED  # EncryptedExtensions and Finished: certificates matter to nobody here
UPGRADE = (
    b"GET /feed HTTP/1.1\r\nHost: feed.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


class Sealer:
    """Protects what one side sends (RFC 8446 5.2)."""

    def __init__(self, secret: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._seal = AESGCM(expand_label("sha256", secret, b"key", 16)).encrypt
        self._iv = int.from_bytes(expand_label("sha256", secret, b"iv", 12), "big")
        self._sequence = 0

    def record(self, content: bytes, kind: bytes = b"\x17") -> bytes:
        """One record, of application data if nothing else is said."""
        header = tls_record(23, bytes(len(content) + 17))[:5]
        nonce = (self._iv ^ self._sequence).to_bytes(12, "big")
        self._sequence += 1
        return header + self._seal(nonce, content + kind, header)


def make(path: Path, keys: Path, size: int, total: int, before: Sequence[tuple[bool, bytes]] = ()) -> int:
    """Write a capture with `total` bytes in frames of `size`, a record each; its plain bytes.

    before: what stands before TLS: (sent by the client, bytes).
    """
    draw = random.Random(size)
    secrets = [draw.randbytes(32) for _ in LABELS]
    client_shakes, server_shakes, client_seals, server_seals = map(Sealer, secrets)
    plain = 0

    def records() -> Iterator[bytes]:
        nonlocal plain
        for _ in range(total // size):
            content = frame(TEXT, b"x" * size)
            plain += len(content)
            yield server_seals.record(content)

    with path.open("wb") as output:
        capture = Capture(output, Truth("tls"), size)
        connection = capture.connect(port=443)
        client, server = connection.client, connection.server
        capture.send(client, server, flags=SYN)
        capture.send(server, client, flags=SYN | ACK)
        for from_client, content in before:
            sender, receiver = (client, server) if from_client else (server, client)
            capture.send(sender, receiver, content, PUSH | ACK)
        hello = client_hello(draw)
        capture.send(client, server, hello, PUSH | ACK)
        answer = tls_hello(2, b"\x03\x03" + draw.randbytes(32) + b"\0\x13\x01\0", ((43, b"\x03\x04"),))
        capture.send(server, client, answer + CHANGE_CIPHER + server_shakes.record(SHAKEN, b"\x16"), PUSH | ACK)
        capture.send(client, server, CHANGE_CIPHER + client_shakes.record(FINISHED, b"\x16"), PUSH | ACK)
        capture.send(client, server, client_seals.record(UPGRADE), PUSH | ACK)
        capture.send(server, client, server_seals.record(ANSWER), PUSH | ACK)
        for _ in transfer(capture, server, client, records()):
            pass
        ending = b"\x03\xe8"
        capture.send(server, client, server_seals.record(frame(CLOSE, ending)), PUSH | ACK)
        capture.send(client, server, client_seals.record(masked_frame(CLOSE, ending, b"mask")), PUSH | ACK)
        for sender, receiver in ((server, client), (client, server)):
            capture.send(sender, receiver, flags=FIN | ACK)
        capture.flush()
    lines = (f"{label} {hello[11:43].hex()} {secret.hex()}\n" for label, secret in zip(LABELS, secrets, strict=True))
    keys.write_text("".join(lines))
    return plain


def seconds(command: list[str]) -> float:
    """The median wall time of three runs, after one."""
    times = []
    for _ in range(4):
        begin = time.perf_counter()
        done = subprocess.run(command, capture_output=True, check=True)
        times.append(time.perf_counter() - begin)
        assert b"1000" in done.stdout, done.stdout[-300:]
    return statistics.median(times[1:])


def main() -> None:
    """See the module."""
    total = int(sys.argv[1] if len(sys.argv) > 1 else 40) * 10**6
    with tempfile.TemporaryDirectory() as folder:
        capture, keys = Path(folder, "tls.pcap"), Path(folder, "tls.keys")
        for size in SIZES:
            plain = make(capture, keys, size, total)
            ours = [sys.executable, "-m", "analyzer.cli", "connections", str(capture), "--keylog", str(keys)]
            commands = {"wsclose": ours}
            if shutil.which("tshark"):
                fields = ["-T", "fields", "-e", "websocket.payload.close.status_code", "-Y", "websocket.opcode == 8"]
                commands["tshark"] = ["tshark", "-r", str(capture), "-o", f"tls.keylog_file:{keys}", *fields]
            for name, command in commands.items():
                took = seconds(command)
                print(f"records of {size:6} bytes  {name:8} {took:7.2f} s  {plain / took / 10**6:7.1f} MB/s")


if __name__ == "__main__":
    main()
