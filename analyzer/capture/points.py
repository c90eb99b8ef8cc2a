"""Tells which files and interfaces of a capture are different points on the way of the same packets.

Pieces of one capture (rotated files) are one point. Files that hold the same SYN while their times overlap saw it at
different places, and so did the interfaces of one pcapng file whose copies of a SYN differ throughout in the time
to live or the MAC addresses. Where that cannot be told, everything is one point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

from analyzer import limits
from analyzer.capture.files import LAST_TIME, CaptureFile, Source
from analyzer.capture.pcapng import PcapngWalker
from analyzer.problems import CannotRead
from analyzer.records import Packet, PacketReader

MERGE, SEPARATE = "merge", "separate"
ETHERNET, COOKED, COOKED_2 = 1, 113, 276
NULL_LINKS = (0, 108)
RAW_LINKS = (12, 14, 101, 228, 229)
VLAN_TAGS = (b"\x81\x00", b"\x88\xa8", b"\x91\x00")
TCP = 6
SYN, ACK = 0x02, 0x10

File = tuple[int, Source, int]  # index, source, first time
Place = tuple[int, int]  # file, interface
Copy = tuple[int, bytes]  # time to live, MAC addresses


class Points:
    """The capture point of every interface of every file.

    mode: "merge" makes all one point, "separate" every interface its own; None looks into the files.
    """

    def __init__(self, mode: str | None = None) -> None:
        if mode not in (None, MERGE, SEPARATE):
            raise ValueError(f"points must be None, {MERGE!r} or {SEPARATE!r}, not {mode!r}")
        self.mode = mode
        self._points: dict[Place, int] = {}

    def of(self, file: int, interface: int) -> int:
        """The point of the file's nth interface, counted over all its sections."""
        if self.mode == SEPARATE:
            return self._points.setdefault((file, interface), len(self._points))
        return self._points.get((file, interface), self._points.get((file, 0), 0))

    def decide(self, files: Sequence[File]) -> None:
        """Look into the beginnings of those files that may be different points and can be read twice."""
        if self.mode is not None:
            return
        files = [file for file in files if file[1].rereadable]
        overlapping = overlaps(files)
        seen = SeenSyns()
        for index, source, _ in files:
            if index in overlapping or _interfaces(source) > 1:
                seen.look_into(index, source)
        conflicts = seen.conflicts()
        if conflicts:
            self._assign({index: source.name for index, source, _ in files}, seen.places, conflicts)

    def _assign(self, names: dict[int, str], places: set[Place], conflicts: set[tuple[Place, Place]]) -> None:
        """Give places in conflict different points; else what has the likest name goes together (rotated files)."""
        members: list[list[Place]] = []
        for place in sorted(places | {(index, 0) for index in names}):
            best, most_alike = len(members), -1
            for point, others in enumerate(members):
                if any((place, other) in conflicts or (other, place) in conflicts for other in others):
                    continue
                alike = max(likeness(names[place[0]], names[other[0]]) for other in others)
                if alike > most_alike:
                    best, most_alike = point, alike
            if best == len(members):
                members.append([])
            members[best].append(place)
            self._points[place] = best


def likeness(name: str, other: str) -> int:
    """How many characters two names begin alike with."""
    return next((i for i, (a, b) in enumerate(zip(name, other, strict=False)) if a != b), min(len(name), len(other)))


def overlaps(files: Sequence[File]) -> set[int]:
    """The files whose times, as far as the samples show them, overlap with another one's."""
    timed = sorted((file for file in files if file[2] != LAST_TIME), key=lambda file: file[2])
    found: set[int] = set()
    for number, (index, source, _) in enumerate(timed):
        later = timed[number + 1 :]
        if not later:
            break
        file = _sample(source, PacketReader(), Packet())
        if file is None:
            continue
        for other, _, first in later:
            if not _run(file, first):
                break
            found |= {index, other}
        file.close()
    return found


def _sample(source: Source, reader: PacketReader, packet: Packet) -> CaptureFile | None:
    """The file, open, with the number of the interface as Packet.point; what is wrong with it is told elsewhere."""
    try:
        return CaptureFile(source, packet, reader, _same, problems=[], secrets=[])
    except CannotRead:
        return None


def _same(interface: int) -> int:
    return interface


def _run(file: CaptureFile, limit: int, most: int = limits.POINTS_SAMPLE) -> bool:
    try:
        return file.run(limit, most)
    except CannotRead:
        return False


def _interfaces(source: Source) -> int:
    """How many interfaces the file's beginning describes."""
    file = _sample(source, PacketReader(), Packet())
    if file is None:
        return 0
    walker = file.walker
    if isinstance(walker, PcapngWalker):
        _run(file, LAST_TIME, limits.READ_BUFFER)
    file.close()
    return int(getattr(walker, "interfaces_seen", 1))


class SeenSyns:
    """The SYN segments that were seen, and where. places: files and interfaces with packets looked at."""

    def __init__(self) -> None:
        self.places: set[Place] = set()
        self._seen: dict[bytes, dict[Place, set[Copy]]] = {}

    def look_into(self, index: int, source: Source) -> None:
        """Take the SYNs of the file's sample."""
        packet = Packet()
        finder = SynFinder(packet, lambda syn, copy: self._add(index, packet.point, syn, copy))
        file = _sample(source, finder, packet)
        if file is None:
            return
        finder.file = file
        _run(file, LAST_TIME)
        file.close()

    def _add(self, index: int, interface: int, syn: bytes, copy: Copy) -> None:
        place = (index, interface)
        self.places.add(place)
        self._seen.setdefault(syn, {}).setdefault(place, set()).add(copy)

    def conflicts(self) -> set[tuple[Place, Place]]:
        """The pairs of places that are different points."""
        different: set[tuple[Place, Place]] = set()
        alike: set[tuple[Place, Place]] = set()
        for copies in self._seen.values():
            for first, second in combinations(sorted(copies), 2):
                if first[0] != second[0] or _differ(copies[first], copies[second]):
                    different.add((first, second))
                else:
                    alike.add((first, second))
        return different - alike


def _differ(some: set[Copy], others: set[Copy]) -> bool:
    """Whether no copy of the one kind could be one of the other; an unknown MAC address tells nothing."""
    return all(
        time_to_live != other_time_to_live or bool(mac and other_mac and mac != other_mac)
        for time_to_live, mac in some
        for other_time_to_live, other_mac in others
    )


class SynFinder(PacketReader):
    """Finds the SYN segments among the packets of a file. found: called with what makes each one unique, and the copy.

    Knows Ethernet with VLAN tags, cooked and raw links: enough to tell points apart, not to decode everything.
    """

    def __init__(self, packet: Packet, found: Callable[[bytes, Copy], None]) -> None:
        super().__init__()
        self.shared = packet
        self.found = found
        self.file: CaptureFile | None = None
        self.count = 0

    def packet(self) -> None:
        """Take the packet in hand."""
        packet = self.shared
        start, stop = packet.start, packet.stop
        if self.file is None or stop - start > limits.SYN_PACKET_BYTES or self.count >= limits.SYNS_COMPARED:
            return
        data = bytes(self.file.buffer[start:stop])
        at, mac = network_header(packet.link_type, data)
        segment = syn_segment(data, at)
        if segment is not None:
            self.count += 1
            time_to_live = data[at + 8] if data[at] >> 4 == 4 else data[at + 7]
            self.found(segment, (time_to_live, mac))


def network_header(link_type: int, data: bytes) -> tuple[int, bytes]:
    """Where the IP header begins, and the MAC addresses as far as the link tells them."""
    if link_type == ETHERNET:
        at = 12
        while data[at : at + 2] in VLAN_TAGS:
            at += 4
        return at + 2, data[:12]
    if link_type == COOKED:
        return 16, data[6:14]
    if link_type == COOKED_2:
        return 20, data[12:20]
    if link_type in NULL_LINKS:
        return 4, b""
    return (0 if link_type in RAW_LINKS else len(data)), b""


def syn_segment(data: bytes, at: int) -> bytes | None:
    """Addresses, ports and initial sequence number, if the IP packet at `at` is a SYN without an ACK."""
    if len(data) < at + 40:
        return None
    if data[at] >> 4 == 4 and data[at + 9] == TCP and not (data[at + 6] & 0x1F or data[at + 7]):
        segment, addresses = at + 4 * (data[at] & 0x0F), data[at + 12 : at + 20]
    elif data[at] >> 4 == 6 and data[at + 6] == TCP:
        segment, addresses = at + 40, data[at + 8 : at + 40]
    else:
        return None
    if len(data) < segment + 14 or data[segment + 13] & (SYN | ACK) != SYN:
        return None
    return addresses + data[segment : segment + 8]
