"""What is fuzzed: functions of bytes that raise when something does not hold.

The suite replays the corpus with them.
"""

from __future__ import annotations

from typing import Any


def capture(data: bytes) -> None:
    """Any file is a capture, read to its end or as far as it goes, or CannotRead says where it is none."""
    from analyzer.capture.reading import Captures
    from analyzer.problems import CannotRead
    from analyzer.records import Packet, PacketReader
    from analyzer.sources import resolve

    packet = Packet()

    class Counting(PacketReader):
        handed = 0

        def packet(self) -> None:
            self.handed += 1
            assert 0 <= packet.start <= packet.stop <= len(packet.data), "a packet lies within the buffer"
            assert packet.stop - packet.start <= packet.wire_length, "no more is captured than there was"
            assert -(1 << 63) <= packet.time < 1 << 63 and packet.number > 0

    reader = Counting()
    captures = Captures(resolve(_files(data)), packet, reader)
    try:
        captures.run()
    except CannotRead:
        return
    assert reader.handed + captures.counts["unreadable"] == captures.counts["packets"], captures.counts


def packets(data: bytes) -> None:
    """Any packet is one segment within its bytes, or is counted once; fragments until they are whole."""
    from decoding import Collect

    from analyzer.encapsulations import unwrap
    from analyzer.fragments import Fragments
    from analyzer.packets import Packets
    from analyzer.records import Packet, Segment

    packet, segment = Packet(), Segment()
    collect = Collect(packet, segment)
    decoder = Packets(packet, segment, collect, unwrap, Fragments())
    count = 0
    for piece in _pieces(data[2:]):
        packet.data, packet.start, packet.stop = b"??" + piece + b"??", 2, 2 + len(piece)
        packet.wire_length = len(piece) + (data[1] & 3) * 7
        packet.time, packet.number = count * 10_000_000_000, count
        packet.link_type = (1, 1, 101, 113, 276, 0, 108, 12, 105, 127, 9, 50, 51, 104)[data[0] % 14]
        decoder.packet()
        count += 1
        assert bytes(packet.data) == b"??" + piece + b"??", "the buffer is put back"
    counts = decoder.counts()
    assert min(counts.values()) >= 0 and len(collect.seen) + sum(counts.values()) == count, counts


def frames(data: bytes) -> None:
    """Any bytes of both sides, in any pieces and with gaps, are frames or skipped: each counted once."""
    from conversation import Talk

    if not data:
        return
    talk = Talk(deflate=bool(data[0] & 1), takeover=bool(data[0] & 2), payloads=bool(data[0] & 4))
    said = {"client": 0, "server": 0}
    for number, piece in enumerate(_pieces(data[1:])):
        who = "client" if number & 1 else "server"
        if piece[:2] == b"\xff\xff" and len(piece) > 4:
            talk.lose(who, int.from_bytes(piece[2:6], "big") + 1)
        else:
            said[who] += len(piece)
            talk.say(who, piece, step=data[0] >> 4)
    talk.end()
    for who, side in (("client", talk.client), ("server", talk.server)):
        assert side.frame_bytes + side.unread_bytes + side.over_limit_bytes == said[who], who
        assert side.frames == sum(frame[0] == who for frame in talk.seen.frames)
        assert all(0 <= frame[6] <= frame[5] for frame in talk.seen.frames)


def pipeline(data: bytes) -> None:
    """Of any one or two files every packet and byte is accounted for, and the tables are as the schema says."""
    from invariants import analyzed

    from analyzer.capture.pcap import MAGICS
    from analyzer.capture.pcapng import MAGIC

    contents = _contents(data)
    if any(content[:4] in MAGICS or content[:4] == MAGIC for content in contents):
        analyzed(*contents)


SEPARATOR = b"\n-- and --\n"
TARGETS: dict[str, Any] = {"capture": capture, "packets": packets, "frames": frames, "pipeline": pipeline}


def _contents(data: bytes) -> list[bytes]:
    return data.split(SEPARATOR)[:3]


def _files(data: bytes) -> list[Any]:
    import io

    return [io.BytesIO(content) for content in _contents(data)]


def _pieces(data: bytes) -> list[bytes]:
    """Cut by lengths of two bytes that stand before each piece."""
    pieces = []
    while len(data) > 2 and len(pieces) < 200:
        size = int.from_bytes(data[:2], "big")
        pieces.append(data[2 : 2 + size])
        data = data[2 + size :]
    return pieces
