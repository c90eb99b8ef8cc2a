"""What the tests of the packet stage share: packets in, segments and counts out, by either build of the stage."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from types import ModuleType
from typing import Any

from analyzer import packets as imported
from analyzer.encapsulations import unwrap
from analyzer.fragments import Fragments
from analyzer.records import NO_TIME, Packet, Segment, SegmentReader

ETHERNET, RAW = 1, 101


def _from_source() -> ModuleType:
    path = imported.__file__.partition(".cpython")[0].removesuffix(".py") + ".py"
    specification = importlib.util.spec_from_file_location("packets_from_source", path)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


source = _from_source()
BUILDS = (imported, source)


@dataclass(frozen=True)
class Seen:
    """One segment as the reader saw it. number: of its packet, from 0."""

    number: int
    source: str
    source_port: int
    destination: str
    destination_port: int
    sequence: int
    acknowledgment: int
    flags: int
    window: int
    time_to_live: int
    payload: bytes
    length: int


class Collect(SegmentReader):
    def __init__(self, packet: Packet, segment: Segment) -> None:
        self.shared, self.decoded = packet, segment
        self.seen: list[Seen] = []

    def segment(self) -> None:
        packet, segment = self.shared, self.decoded
        assert 0 <= segment.start <= segment.stop <= len(packet.data)
        assert segment.stop - segment.start <= segment.length
        self.seen.append(
            Seen(
                packet.number,
                _address(segment.version, segment.source_high, segment.source_low),
                segment.source_port,
                _address(segment.version, segment.destination_high, segment.destination_low),
                segment.destination_port,
                segment.sequence,
                segment.acknowledgment,
                segment.flags,
                segment.window,
                segment.time_to_live,
                bytes(packet.data[segment.start : segment.stop]),
                segment.length,
            )
        )


def _address(version: int, high: int, low: int) -> str:
    if version == 4:
        assert high == 0
        return str(ip_address(low))
    return str(ip_address((high << 64 | low).to_bytes(16, "big")))


def decode(
    frames: Iterable[Any],
    link_type: int = ETHERNET,
    *,
    snapshot: int | None = None,
    times: Iterable[int] | None = None,
    build: ModuleType = imported,
) -> tuple[list[Seen], dict[str, int]]:
    """The segments in the frames and the counts that are not 0. Every packet must be in exactly one of them."""
    packet, segment = Packet(), Segment()
    collect = Collect(packet, segment)
    stage = build.Packets(packet, segment, collect, unwrap, Fragments())
    clock = iter(times) if times else None
    packet.link_type = link_type
    handled = 0
    for number, frame in enumerate(frames):
        whole = bytes(frame)
        captured = whole[:snapshot]
        buffer = b"\xee" * 3 + captured + b"\xee" * 70  # a packet never owns its buffer
        packet.data, packet.start, packet.stop = buffer, 3, 3 + len(captured)
        packet.wire_length, packet.number = len(whole), number
        packet.time = next(clock) if clock else NO_TIME
        stage.packet()
        handled += 1
        assert bytes(packet.data) == buffer
        counts = stage.counts()
        assert sum(counts.values()) + len(collect.seen) == handled
    return collect.seen, {kind: count for kind, count in stage.counts().items() if count}


def only(frame: Any, link_type: int = ETHERNET, **options: Any) -> Seen:
    """The one segment of a frame that holds one; by both builds."""
    found = [decode([frame], link_type, build=build, **options) for build in BUILDS]
    assert found[0] == found[1]
    (seen,), counts = found[0]
    assert not counts
    return seen


def refused(frame: Any, link_type: int = ETHERNET, **options: Any) -> str:
    """The kind that a frame without a segment is counted as; by both builds."""
    found = [decode([frame], link_type, build=build, **options) for build in BUILDS]
    assert found[0] == found[1]
    seen, counts = found[0]
    assert not seen
    ((kind, count),) = counts.items()
    assert count == 1
    return kind
