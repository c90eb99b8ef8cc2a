"""Where output goes: standard output, or a file that appears whole or not at all."""

import contextlib
import gzip
import io
import os
import signal
import stat
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol, TextIO, cast

TEXT_FORMATS = ("csv", "json", "jsonl")
BINARY_FORMATS = ("parquet", "arrow")


class MissingExtra(Exception):
    """An optional library is not installed; the text says how to get it."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"needs {library}: pip install wsclose[{extra}]")


class RowWriter(Protocol):
    """One format: takes tables of equal columns one after the other."""

    def write(self, frame: Any) -> None:
        """Append the rows of a DataFrame."""

    def close(self) -> None:
        """Write what follows the last row. The stream stays open."""


def format_of(path: str) -> tuple[str, str] | None:
    """(format, compression) that a file name's suffix asks for, None if it asks for none that is known."""
    name = path.lower()
    compression = ""
    for suffix in (".gz", ".zst"):
        if name.endswith(suffix):
            name, compression = name.removesuffix(suffix), suffix[1:]
    suffix = os.path.splitext(name)[1][1:]
    if suffix in TEXT_FORMATS or (suffix in BINARY_FORMATS and not compression):
        return suffix, compression
    return None


def row_writer(form: str, stream: TextIO | BinaryIO) -> RowWriter:
    """The writer of a format; the stream is of bytes for parquet and arrow, of text for the others."""
    if form == "csv":
        from analyzer.outputs.csv import CsvWriter

        return CsvWriter(cast(TextIO, stream))
    if form in TEXT_FORMATS:
        from analyzer.outputs.json import JsonWriter

        return JsonWriter(cast(TextIO, stream), lines=form == "jsonl")
    from analyzer.outputs.arrow import ArrowWriter

    return ArrowWriter(cast(BinaryIO, stream), parquet=form == "parquet")


class Rows(Protocol):
    """Where the rows of one table go. rows: how many have gone there."""

    rows: int

    def write(self, frame: Any) -> None:
        """Append whole rows."""

    def write_stored(self, rows: Any, columns: Sequence[Any]) -> None:
        """Append rows of CSV, given as they are kept (tables.Rows.stored)."""

    def commit(self) -> None:
        """All rows are written."""

    def keep_partial(self) -> str:
        """The work was interrupted: keep the rows there are. Says where they are, empty if there are none."""

    def discard(self) -> None:
        """The work failed."""


class StreamRows:
    """Rows to a text stream, such as standard output, which stays open."""

    def __init__(self, stream: TextIO, form: str) -> None:
        self.rows = 0
        self._begun = False
        self._stream = stream
        self._writer = row_writer(form, stream)

    def write(self, frame: Any) -> None:
        """Append whole rows."""
        self._begun = True
        with whole_rows():
            self._writer.write(frame)
            self._stream.flush()
            self.rows += len(frame)

    def write_stored(self, rows: Any, columns: Sequence[Any]) -> None:
        """Append rows of CSV, given as they are kept (tables.Rows.stored)."""
        self._begun = True
        for count in _write_stored(self._writer, rows, columns):
            self._stream.flush()
            self.rows += count

    def commit(self) -> None:
        """All rows are written."""
        self._writer.close()

    def keep_partial(self) -> str:
        """End what was begun, so that it can be read."""
        if self._begun:
            self._writer.close()
            self._stream.flush()
        return "the output" if self.rows else ""

    def discard(self) -> None:
        """What went out can't be taken back."""


class NewFile:
    """A file written beside its place and put there by `commit`; `discard` leaves what was there before.

    What is not an ordinary file (a device, a named pipe) is written directly.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(os.path.realpath(path))
        self._direct = self.path.exists() and not stat.S_ISREG(self.path.stat().st_mode)
        self._temporary = self.path.with_name(f".{self.path.name}.{os.urandom(4).hex()}.part")
        self.stream: BinaryIO = open(self.path if self._direct else self._temporary, "wb" if self._direct else "xb")

    def commit(self, path: Path | None = None) -> None:
        """The bytes are all there: put them in their place, or at `path`."""
        self.stream.close()
        if not self._direct:
            os.replace(self._temporary, path or self.path)

    def discard(self) -> None:
        """Take the unfinished bytes away."""
        self.stream.close()
        if not self._direct:
            self._temporary.unlink(missing_ok=True)

    @property
    def partial_path(self) -> Path:
        """Where an interrupted file is kept: `out.csv` becomes `out.partial.csv`; a device is its own place."""
        if self._direct:
            return self.path
        stem, dot, suffixes = self.path.name.partition(".")
        return self.path.with_name(f"{stem}.partial{dot}{suffixes}")


class TableFile:
    """Rows into a new file, in the format and compression asked for.

    MissingExtra if a library is not there, OSError if the file cannot be made.
    """

    def __init__(self, path: str, form: str, compression: str) -> None:
        self.rows = 0
        self._file = NewFile(path)
        try:
            self._layers: list[IO[Any]] = []
            binary: IO[Any] = self._compressed(compression)
            if form in TEXT_FORMATS:
                binary = io.TextIOWrapper(binary, encoding="utf-8", newline="\n")
                self._layers.append(binary)
            self._writer = row_writer(form, binary)  # type: ignore[arg-type]
        except BaseException:
            self._file.discard()
            raise

    def _compressed(self, compression: str) -> IO[Any]:
        raw: IO[Any] = self._file.stream
        if compression == "gz":
            raw = cast(IO[Any], gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0))
        elif compression == "zst":
            try:
                import zstandard
            except ImportError:
                raise MissingExtra("zstandard", "compression") from None
            raw = zstandard.ZstdCompressor().stream_writer(raw, closefd=False)
        if compression:
            self._layers.append(raw)
        return raw

    def write(self, frame: Any) -> None:
        """Append whole rows."""
        with whole_rows():
            self._writer.write(frame)
            self.rows += len(frame)

    def write_stored(self, rows: Any, columns: Sequence[Any]) -> None:
        """Append rows of CSV, given as they are kept (tables.Rows.stored)."""
        for count in _write_stored(self._writer, rows, columns):
            self.rows += count

    def commit(self) -> None:
        """All rows are written: the file appears."""
        self._end()
        self._file.commit()

    def keep_partial(self) -> str:
        """Keep the rows there are beside the place that was asked for."""
        if not self.rows:
            self.discard()
            return ""
        self._end()
        self._file.commit(self._file.partial_path)
        return str(self._file.partial_path)

    def discard(self) -> None:
        """The work failed: leave nothing."""
        with contextlib.suppress(Exception):
            self._end()
        self._file.discard()

    def _end(self) -> None:
        self._writer.close()
        for layer in reversed(self._layers):
            layer.close()


def _write_stored(writer: Any, rows: Any, columns: Sequence[Any]) -> Iterator[int]:
    """Have a CSV writer write the rows, some at a time; how many there were each time, once they are written."""
    pieces = writer.pieces(rows, columns)
    while True:
        with whole_rows():
            count = next(pieces, None)
        if count is None:
            return
        yield count


@contextlib.contextmanager
def whole_rows() -> Iterator[None]:
    """Holds an interrupt (Ctrl-C) back until the rows in hand are written; a second one is not held back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []

    def note(number: int, _: object) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if caught:
        signal.raise_signal(signal.SIGINT)
