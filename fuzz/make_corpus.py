"""Writes the seeds of the corpus: samples cut small.

What a fuzzer found is added by hand, with a name that says what.
"""

from __future__ import annotations

import struct
from pathlib import Path

from driving import ROOT
from targets import SEPARATOR, TARGETS

SAMPLES = (
    "protocol-errors.pcap",
    "closes-crossing.pcap",
    "browser-chromium-deflate.pcapng",
    "ipv6.pcap",
    "rotated-2.pcap",
)
MOST = 12_000


def main() -> None:
    """Write every seed."""
    from conversation import CLOSE, KEY, PING, TEXT, frame
    from mutations import read, written

    folders = {name: ROOT / "fuzz" / "corpus" / name for name in TARGETS}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    for sample in SAMPLES:
        path = ROOT / "sample_pcaps" / sample
        packets, link_type = read(path)
        stem = Path(sample).stem
        content = written(packets[:60], link_type)[:MOST]
        raw = path.read_bytes()[:MOST]
        (folders["capture"] / stem).write_bytes(raw)
        (folders["pipeline"] / stem).write_bytes(content if path.suffix == ".pcap" else raw)
        pieces = b"".join(struct.pack("!H", len(packet.data)) + packet.data for packet in packets[:12])
        (folders["packets"] / stem).write_bytes(b"\0\0" + pieces)
    first, second = written(packets[:30], link_type), written(packets[30:60], link_type)
    for name in ("capture", "pipeline"):
        (folders[name] / "two-files").write_bytes(first + SEPARATOR + second)
    talk = [
        frame(TEXT, b"hello", key=KEY), frame(TEXT, "grüße".encode()), frame(PING, b"1", key=KEY), frame(10, b"1"),
        frame(TEXT, b"ab", fin=False, key=KEY), frame(2, bytes(300)), frame(0, b"cd", key=KEY),
        frame(TEXT, b"\xca\x48\xcd\xc9\xc9\x07\x00", rsv=4), b"\xff\xff\x00\x00\x00\x03x", frame(2, length=1 << 63),
        frame(CLOSE, b"\x03\xe8bye", key=KEY), frame(CLOSE, b"\x03\xe8"),
    ]
    pieces = b"".join(struct.pack("!H", len(piece)) + piece for piece in talk)
    for flags in (0, 1, 7, 0x17, 0x55):
        (folders["frames"] / f"conversation-{flags:02x}").write_bytes(bytes((flags,)) + pieces)


if __name__ == "__main__":
    main()
