"""Reads several capture files as one: in the order of their times, interleaved where they overlap."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from analyzer import limits
from analyzer.capture import pcap
from analyzer.capture.files import LAST_TIME, CaptureFile, Source
from analyzer.capture.points import Points
from analyzer.problems import CannotRead, Problem
from analyzer.records import NO_TIME, Packet, PacketReader

Progress = Callable[[int, int | None], None]


class _Turn:
    """A file that waits to be read.

    first: its first time, LAST_TIME if none is known; begin: when its turn comes; opened: kept from the look.
    """

    def __init__(self, index: int, source: Source) -> None:
        self.index = index
        self.source = source
        self.opened: CaptureFile | None = None
        self.first = self.begin = LAST_TIME


class Captures:
    """Reads the inputs and hands every packet to `reader`, by way of the shared `packet`.

    Packet.file is the input's index. Files are read in the order of their first times, those without times in their
    places; where they overlap, the earlier packet comes first; within a file the order is the file's.
    since, until: nanoseconds; packets with a time outside are counted and passed over. points: see Points.
    progress: called with the bytes of the inputs taken so far and their sum, None if not known.

    Filled by run(): problems; errors, one for each input that could not be read at all; secrets, (type, bytes) of
    the decryption secrets blocks, as they come; counts: `packets` (all, including the next two), `outside time
    range`, `unreadable` (their record contradicts itself) and `truncated bytes` (of records that are not whole).
    """

    def __init__(
        self,
        inputs: Sequence[Source],
        packet: Packet,
        reader: PacketReader,
        *,
        since: int | None = None,
        until: int | None = None,
        points: str | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.inputs = inputs
        self.packet = packet
        self.reader = reader
        self.since = NO_TIME if since is None else since
        self.until = LAST_TIME if until is None else until
        self.points = Points(points)
        self.progress = progress
        self.problems: list[Problem] = []
        self.errors: list[CannotRead] = []
        self.secrets: list[tuple[int, bytes]] = []
        self.counts = {"packets": 0, "outside time range": 0, "unreadable": 0, "truncated bytes": 0}
        self._spare: bytearray | None = None
        self._open: list[CaptureFile] = []
        self._done = 0
        self._told = 0
        sizes = [source.size for source in inputs]
        self._total = None if None in sizes else sum(size for size in sizes if size is not None)

    def secrets_may_come(self) -> bool:
        """Whether an input that can be read only once may still bring decryption secrets."""
        once = [source for source in self.inputs if not source.rereadable]
        return bool(once) and any(file.may_hold_secrets for file in self._open)

    def run(self) -> None:
        """Read everything. Raises the first CannotRead when no input could be read."""
        turns = [_Turn(index, source) for index, source in enumerate(self.inputs)]
        try:
            if len(turns) > 1:
                turns = self._in_order(turns)
            self.points.decide([(turn.index, turn.source, turn.first) for turn in turns])
            self._merge(turns)
            if self.progress is not None:
                self.progress(self._done, self._total)
        finally:
            for file in self._open:
                file.close()
            self._spare = None
            self.packet.data = b""  # the buffer is large: it must not wait for the collector of rings
        if self.errors and len(self.errors) == len(self.inputs):
            raise self.errors[0]

    def _in_order(self, turns: list[_Turn]) -> list[_Turn]:
        """The files that can be read, by first time; those without times stay where they are."""
        readable = [turn for turn in turns if self._look(turn)]
        timed = iter(sorted((turn for turn in readable if turn.first != LAST_TIME), key=lambda turn: turn.first))
        ordered = [turn if turn.first == LAST_TIME else next(timed) for turn in readable]
        following = LAST_TIME
        for turn in reversed(ordered):  # a file without times is read before the next one begins
            following = turn.begin = min(turn.first, following)
        return ordered

    def _look(self, turn: _Turn) -> bool:
        """Find the file's first time; False if it cannot be read. What can be read only once stays open."""
        file = self._begin(turn)
        if file is None:
            return False
        turn.first = file.first_time()
        if turn.source.rereadable:
            self._close(file)
        else:
            turn.opened = file
        return True

    def _merge(self, turns: list[_Turn]) -> None:
        """Begin each file when its turn comes, and hand on the packets of all that are begun by their times."""
        waiting = deque(turns)
        active: list[CaptureFile] = []
        while waiting or active:
            if not active or (waiting and waiting[0].begin <= min(file.walker.next_time for file in active)):
                turn = waiting.popleft()
                file = turn.opened or self._begin(turn)
                if file is not None and self._goes_on(file):
                    active.append(file)
                continue
            limit = waiting[0].begin if waiting else LAST_TIME
            index = pcap.alternate([file.walker for file in active], limit)
            if index >= 0 and not self._goes_on(active[index]):
                del active[index]

    def _goes_on(self, file: CaptureFile) -> bool:
        """Read until the file's next time is known; False at its end. Packets without a time are handed on."""
        try:
            if file.run(NO_TIME):
                return True
        except CannotRead as error:
            self.errors.append(error)
        self._end(file)
        return False

    def _begin(self, turn: _Turn) -> CaptureFile | None:
        """Open the file; None if it cannot be read."""
        index = turn.index
        try:
            file = CaptureFile(
                turn.source,
                self.packet,
                self.reader,
                lambda interface: self.points.of(index, interface),
                problems=self.problems,
                secrets=self.secrets,
                buffer=self._spare,
            )
        except CannotRead as error:
            self.errors.append(error)
            return None
        self._spare = None
        file.walker.file = index
        file.walker.since = self.since
        file.walker.until = self.until
        file.progress = self._tell
        self._open.append(file)
        return file

    def _end(self, file: CaptureFile) -> None:
        """Close the file and count what came of it."""
        walker = file.walker
        self.counts["packets"] += walker.number
        self.counts["outside time range"] += walker.outside
        self.counts["unreadable"] += walker.unreadable
        self.counts["truncated bytes"] += file.truncated_bytes
        self._done += file.stream.consumed
        self._close(file)

    def _close(self, file: CaptureFile) -> None:
        self._open.remove(file)
        self._spare = file.buffer
        file.close()

    def _tell(self) -> None:
        """Report progress, once a buffer."""
        if self.progress is not None:
            done = self._done + sum(file.stream.consumed for file in self._open)
            if done - self._told >= limits.READ_BUFFER:
                self._told = done
                self.progress(done, self._total)


def read_secrets(source: Source) -> list[tuple[int, bytes]]:
    """All decryption secrets blocks of one input, by a walk over its blocks; none in other formats than pcapng.

    Raises CannotRead.
    """
    secrets: list[tuple[int, bytes]] = []
    file = CaptureFile(source, Packet(), PacketReader(), lambda _: 0, problems=[], secrets=secrets)
    try:
        if file.may_hold_secrets:
            file.run(LAST_TIME)
    finally:
        file.close()
    return secrets
