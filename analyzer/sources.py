"""Opens what a person names: files, folders, globs, URLs, standard input, open files, packets in memory.

The only part that opens captures. Every input becomes an Input whose open() gives the bytes of one capture file,
decompressed. Nothing fails before open(), which raises CannotRead.
"""

from __future__ import annotations

import glob
import io
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import metadata
from typing import Any, BinaryIO, cast

from analyzer import interrupts
from analyzer.capture.compression import compression_of, decompress
from analyzer.capture.pcap import MAGICS
from analyzer.capture.pcapng import MAGIC
from analyzer.problems import CannotRead

Opener = Callable[[], BinaryIO]
HEAD_BYTES = 6  # as many as the longest magic number of a compression has


class Opened(io.RawIOBase):
    """An input's own bytes, their beginning already looked at. consumed: bytes taken from it so far.

    place: where in `raw` to begin, if that is one file object for all readers: each keeps a place of its own there, so
    that none moves another's. Reading errors come out as CannotRead; everything before has been given by then.
    """

    def __init__(self, name: str, raw: BinaryIO, owned: bool, place: int | None = None) -> None:
        super().__init__()
        self.name = name
        self._raw = raw
        self._owned = owned
        self._place = place
        self.consumed = 0
        head, filled = bytearray(HEAD_BYTES), 0
        while filled < HEAD_BYTES and (size := self._take(memoryview(head)[filled:])):
            filled += size
        self.head = self._ahead = bytes(head[:filled])

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the beginning of the buffer; how many bytes, 0 at the end."""
        if self._ahead:
            size = min(len(buffer), len(self._ahead))
            buffer[:size] = self._ahead[:size]
            self._ahead = self._ahead[size:]
        else:
            size = self._take(buffer)
        self.consumed += size
        return size

    def _take(self, buffer: Any) -> int:
        try:
            if self._place is not None:
                self._raw.seek(self._place)
            with interrupts.reading():
                size = self._fill(buffer)
            if self._place is not None:
                self._place += size
            return size
        except CannotRead:
            raise
        except interrupts.Interrupted as error:
            raise CannotRead(self.name, "interrupted", self.consumed) from error
        except Exception as error:  # file objects and remote file systems have errors of their own
            raise CannotRead(self.name, _reason(error), self.consumed) from error

    def _fill(self, buffer: Any) -> int:
        into = getattr(self._raw, "readinto1", None) or getattr(self._raw, "readinto", None)
        if into is not None:  # the first gives what a pipe holds, without waiting for more
            return into(buffer) or 0
        piece = self._raw.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        if not self.closed and self._owned:
            self._raw.close()
        super().close()


class Input:
    """One capture file, wherever its bytes are.

    name: as the person gave it; rereadable: open() may be called again; size: of its own bytes, None if unknown.
    owned: to be closed after reading; place: where an open file object, given again at each open(), stood.
    """

    def __init__(
        self,
        name: str,
        opener: Opener,
        *,
        rereadable: bool,
        size: int | None = None,
        owned: bool = True,
        place: int | None = None,
    ) -> None:
        self.name = name
        self.rereadable = rereadable
        self.size = size
        self._opener = opener
        self._owned = owned
        self._place = place
        self._opened = False

    def __repr__(self) -> str:
        return f"Input({self.name!r})"

    def open(self) -> Any:
        """The capture's bytes from the beginning: readinto(), close(), consumed (of the input's own bytes)."""
        if self._opened and not self.rereadable:
            raise CannotRead(self.name, "can be read only once")
        self._opened = True
        try:
            raw = self._opener()
        except (OSError, ValueError) as error:
            raise CannotRead(self.name, _reason(error)) from error
        try:
            opened = Opened(self.name, raw, self._owned, self._place)
        except CannotRead:
            if self._owned:
                raw.close()
            raise
        kind = compression_of(opened.head)
        return opened if kind is None else decompress(kind, opened)


def resolve(inputs: Iterable[Any]) -> list[Input]:
    """The inputs in the order given, those of a folder or glob sorted by name.

    Each may be a path (str or os.PathLike), a glob, a folder, a URL, "-" for standard input, a file object open for
    bytes, a scapy PacketList, an iterable of (seconds, bytes) pairs, or a list of any of these. TypeError for others.
    """
    found: list[Input] = []
    for item in inputs:
        if isinstance(item, (str, os.PathLike)):
            found.extend(_named(os.fspath(item)))
        elif isinstance(item, (bytes, bytearray, memoryview)):
            raise TypeError("a capture in memory is given as io.BytesIO(...), a path as str")
        elif hasattr(item, "read"):
            found.append(_file_object(item))
        elif isinstance(item, (list, tuple)) and item and _is_input(item[0]):
            found.extend(resolve(item))
        elif isinstance(item, Iterable):
            found.append(_packets(item))
        else:
            raise TypeError(f"captures cannot be read from {type(item).__name__}")
    return found


def read_keylogs(given: Any) -> dict[str, bytes]:
    """The texts of TLS key logs by name. given: a path or several; None for what SSLKEYLOGFILE names, if readable.

    Raises CannotRead for one that was given and can't be read.
    """
    if given is None:
        name = os.environ.get("SSLKEYLOGFILE")
        try:
            return {name: _text_of(name)} if name else {}
        except CannotRead:
            return {}
    names = [given] if isinstance(given, (str, os.PathLike)) else list(given)
    return {os.fsdecode(name): _text_of(os.fspath(name)) for name in names}


def _text_of(name: str | bytes) -> bytes:
    path = os.path.expanduser(os.fsdecode(name))
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except (OSError, ValueError) as error:
        raise CannotRead(os.fsdecode(name), _reason(error)) from error


def _is_input(item: Any) -> bool:
    return isinstance(item, (str, os.PathLike)) or hasattr(item, "read")


def _named(name: str | bytes) -> list[Input]:
    name = os.fsdecode(name)
    if name == "-":
        return [_standard_input()]
    path = os.path.expanduser(name)
    if os.path.isdir(path):
        return _folder(path) or [_failing(name, "no capture file in this folder")]
    if os.path.exists(path):
        return [_path(name, path)]
    if "://" in name:
        return _url(name)
    if glob.has_magic(path):
        return [found for match in sorted(glob.glob(path, recursive=True)) for found in _match(match)] or [
            _failing(name, "no file matches")
        ]
    return [_path(name, path)]


def _match(path: str) -> list[Input]:
    return _folder(path) if os.path.isdir(path) else [_path(path, path)]


def _path(name: str, path: str) -> Input:
    try:
        status = os.stat(path)
    except OSError:
        return Input(name, lambda: open(path, "rb", buffering=0), rereadable=False)  # which fails with the reason
    regular = stat.S_ISREG(status.st_mode)
    size = status.st_size if regular else None
    return Input(name, lambda: open(path, "rb", buffering=0), rereadable=regular, size=size)


def _folder(path: str) -> list[Input]:
    """Every file in the folder and below that is a capture, or cannot be looked into."""
    found = []
    for place, folders, files in os.walk(path):
        folders.sort()
        for name in files:
            candidate = os.path.join(place, name)
            if os.path.isfile(candidate) and _may_be_capture(candidate):
                found.append(_path(candidate, candidate))
    return sorted(found, key=lambda item: item.name)


def _may_be_capture(path: str) -> bool:
    head = bytearray(4)
    filled = 0
    try:
        with _path(path, path).open() as stream:
            while filled < 4 and (size := stream.readinto(memoryview(head)[filled:])):
                filled += size
    except CannotRead as error:
        return isinstance(error.__cause__, (OSError, ImportError))
    return is_capture(bytes(head[:filled]))


def is_capture(head: bytes) -> bool:
    """Whether a file that begins so is a pcap or pcapng file."""
    return head[:4] in MAGICS or head[:4] == MAGIC


def _url(name: str) -> list[Input]:
    try:
        from fsspec.core import url_to_fs

        system, path = url_to_fs(name)
        if not glob.has_magic(path):
            return [_remote(name, system, path)]
        matches = sorted(system.glob(path))
        return [_remote(system.unstrip_protocol(match), system, match) for match in matches] or [
            _failing(name, "no file matches")
        ]
    except ImportError as error:
        return [_failing(name, _reason(error) + _remedy(name))]
    except Exception as error:  # every kind of file system has errors of its own
        return [_failing(name, _reason(error))]


def _remedy(url: str) -> str:
    """How to get what fsspec needs for the URL, where an extra of fsspec brings it."""
    kind = url.partition("://")[0].rpartition("::")[2]  # of a chain, the last
    extra = "http" if kind == "https" else kind
    return f": pip install fsspec[{extra}]" if extra in (metadata("fsspec").get_all("Provides-Extra") or ()) else ""


def _remote(name: str, system: Any, path: str) -> Input:
    def opener() -> BinaryIO:
        try:
            return cast(BinaryIO, system.open(path, "rb"))
        except Exception as error:
            raise OSError(_reason(error)) from error

    try:
        size = system.size(path)
    except Exception:  # open() will say what is wrong, if anything is
        size = None
    return Input(name, opener, rereadable=True, size=size)


def _standard_input() -> Input:
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        return _failing("-", "there is no standard input")
    if stream.isatty():
        return _failing("-", "standard input is a terminal: pipe a capture into it")
    return _file_object(stream, "-")


def _file_object(stream: Any, name: str | None = None) -> Input:
    if name is None:
        given = getattr(stream, "name", None)
        name = given if isinstance(given, str) else f"<{type(stream).__name__}>"
    if isinstance(stream, io.TextIOBase):
        return _failing(name, "opened as text: open it with mode 'rb'")
    try:
        seekable = bool(stream.seekable())
        place = stream.tell() if seekable else None
    except (AttributeError, OSError, ValueError):
        place = None
    return Input(name, lambda: cast(BinaryIO, stream), rereadable=place is not None, owned=False, place=place)


def _packets(items: Iterable[Any]) -> Input:
    from analyzer.capture.memory import PacketStream

    name = f"<{type(items).__name__}>"
    once = isinstance(items, Iterator) or hasattr(items, "datalink")

    def opener() -> BinaryIO:
        return cast(BinaryIO, PacketStream(name, items))

    return Input(name, opener, rereadable=not once)


def _failing(name: str, reason: str) -> Input:
    def opener() -> BinaryIO:
        raise OSError(reason)

    return Input(name, opener, rereadable=False)


def _reason(error: BaseException) -> str:
    """One line, without the path, which stands before it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
