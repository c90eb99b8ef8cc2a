"""One capture file while it is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from analyzer import limits
from analyzer.capture import pcap, pcapng
from analyzer.problems import CannotRead, Problem
from analyzer.records import NO_TIME, Packet, PacketReader

Secrets = list[tuple[int, bytes]]

LAST_TIME = (1 << 63) - 1


class Source(Protocol):
    """One input, as analyzer.sources.Input is; open() gives an object with readinto(), close() and consumed."""

    name: str
    rereadable: bool
    size: int | None

    def open(self) -> Any: ...


class CaptureFile:
    """One capture file while it is read: its bytes come through one buffer, its walker hands on the packets.

    problems, secrets: where the damage found and the decryption secrets go. progress: called after every read.
    The constructor raises CannotRead.
    """

    def __init__(
        self,
        source: Source,
        packet: Packet,
        reader: PacketReader,
        point_of: Callable[[int], int],
        *,
        problems: list[Problem],
        secrets: Secrets,
        buffer: bytearray | None = None,
    ) -> None:
        self.name = source.name
        self.problems = problems
        self.stream = source.open()
        self.buffer = bytearray(limits.READ_BUFFER) if buffer is None else buffer
        self.base = 0  # offset in the capture of the buffer's first byte
        self.truncated_bytes = 0
        self.failure: CannotRead | None = None
        self.reported: set[str] = set()
        self.progress: Callable[[], None] | None = None
        try:
            filled = self._first_bytes()
            self.walker = self._walker(packet, reader, point_of, secrets)
            self.walker.stop = filled
        except CannotRead:
            self.stream.close()
            raise

    def _walker(self, packet: Packet, reader: PacketReader, point_of: Callable[[int], int], secrets: Secrets) -> Any:
        """The walker for what the file's magic number says it is."""
        walker: Any
        magic = bytes(self.buffer[:4])
        if magic == pcapng.MAGIC:
            walker = pcapng.PcapngWalker(packet, reader, point_of, secrets)
        elif magic in pcap.MAGICS:
            walker = pcap.PcapWalker(packet, reader, point_of)
        else:
            raise CannotRead(self.name, f"not a pcap or pcapng file: it begins with {magic.hex(' ')}", 0)
        walker.data = memoryview(self.buffer).toreadonly()
        return walker

    @property
    def may_hold_secrets(self) -> bool:
        """Whether the format has a place for decryption secrets."""
        return isinstance(self.walker, pcapng.PcapngWalker)

    def _first_bytes(self) -> int:
        """Read at least the magic number; bytes read."""
        filled = 0
        while filled < 4:
            size = self._read(filled)
            if not size:
                raise CannotRead(self.name, "the file is cut off" if filled else "the file is empty", filled)
            filled += size
        return filled

    def _read(self, place: int) -> int:
        """Read into the buffer from `place` on; bytes read, 0 at the end. A failure is met again by later calls."""
        if self.failure is not None:
            raise self.failure
        try:
            return int(self.stream.readinto(memoryview(self.buffer)[place:]))
        except CannotRead as error:
            self.failure = error
            raise

    def first_time(self) -> int:
        """The time of the first packet that has one, LAST_TIME if the first buffer shows none. To be asked first."""
        probe = self._walker(Packet(), PacketReader(), lambda _: 0, [])
        position, filled = 0, self.walker.stop
        while True:
            position = probe.walk(position, filled, NO_TIME)
            if probe.held:
                return int(probe.next_time)
            if probe.broken is not None or probe.skip or filled == len(self.buffer):
                return LAST_TIME
            try:
                size = self._read(filled)
            except CannotRead:
                size = 0
            if not size:
                return LAST_TIME
            filled += size
            self.walker.stop = filled

    def run(self, limit: int, most: int | None = None) -> bool:
        """Hand on packets up to the time `limit`; False at the end of the file, or once `most` bytes of it are read.

        Raises CannotRead for a file that ends before its header does.
        """
        walker = self.walker
        while True:
            walker.start = walker.walk(walker.start, walker.stop, limit)
            if walker.remarks:
                self._report()
            if walker.held:
                return True
            if walker.broken is not None and walker.started:
                self.problems.append(Problem(self.name, f"{walker.broken}; reading ends", self.base + walker.start))
            if walker.broken is not None:
                return self._ended()
            if most is not None and self.base + walker.stop >= most:
                return False
            if not self._fill():
                return self._ended()
            if self.progress is not None:
                self.progress()

    def _ended(self) -> bool:
        walker = self.walker
        if not walker.started:
            reason = walker.broken or "the file ends within its header"
            raise CannotRead(self.name, reason, self.base + walker.start)
        return False

    def _fill(self) -> bool:
        """Make room and read on; False at the end of the file."""
        walker = self.walker
        rest = walker.stop - walker.start
        buffer = self.buffer
        if walker.needed > len(buffer):
            buffer = bytearray(max(walker.needed, 2 * len(buffer)))
        buffer[:rest] = self.buffer[walker.start : walker.stop]
        self.base += walker.start
        walker.start, walker.stop = 0, rest
        if buffer is not self.buffer:
            self.buffer = buffer
            walker.data = memoryview(buffer).toreadonly()
        size = self._read_on()
        walker.stop += size
        return size > 0

    def _read_on(self) -> int:
        """Read behind `stop`, past what the walker wants skipped; 0 at the end, which may be a premature one."""
        walker = self.walker
        try:
            while size := self._read(walker.stop):
                if not walker.skip:
                    return size
                passed = min(size, int(walker.skip))
                walker.skip -= passed
                self.base += passed
                if size > passed:
                    self.buffer[walker.stop : walker.stop + size - passed] = self.buffer[
                        walker.stop + passed : walker.stop + size
                    ]
                    return size - passed
        except CannotRead as error:
            if not walker.started:
                raise
            self.problems.append(Problem(self.name, f"{error.reason}; reading ends", error.where))
        self._cut_off()
        return 0

    def _cut_off(self) -> None:
        """Note a file that ends in the middle of a record."""
        walker = self.walker
        self.truncated_bytes = walker.stop - walker.start
        if walker.skip or (self.truncated_bytes and walker.started):
            what = f"the file ends in the middle of a record, of which {self.truncated_bytes} bytes are there"
            self.problems.append(Problem(self.name, what, self.base + walker.start))

    def _report(self) -> None:
        for what, (_, position) in self.walker.remarks.items():
            if what not in self.reported:
                self.reported.add(what)
                self.problems.append(Problem(self.name, what, self.base + position))
        self.walker.remarks = {}

    def close(self) -> None:
        self.stream.close()
