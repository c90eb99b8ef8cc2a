"""Reads compressed input as it comes: gzip, bzip2, xz, zstd, lz4, told by their magic numbers."""

from __future__ import annotations

import bz2
import io
import lzma
from collections.abc import Callable
from typing import Any, cast

from analyzer.problems import CannotRead

MAGIC_NUMBERS = (
    ("gzip", b"\x1f\x8b"),
    ("bzip2", b"BZh"),
    ("xz", b"\xfd7zXZ\x00"),
    ("zstd", b"\x28\xb5\x2f\xfd"),
    ("lz4", b"\x04\x22\x4d\x18"),
)
OWN_BUFFER = 128 << 10
LARGEST_PIECE = 256 << 10
ZSTD_PIECE = 4 << 10  # a block of 4 bytes can mean 128 KiB, and the decompressor gives all that a piece means


def compression_of(head: bytes) -> str | None:
    """What a file that begins so is compressed with."""
    for kind, magic in MAGIC_NUMBERS:
        if head.startswith(magic):
            return kind
    return None


def decompress(kind: str, opened: Any) -> Decompressed:
    """What the input holds; it is a raw stream with a `name` and a count of the bytes `consumed`.

    Where the package for it is not there, CannotRead says how to get it.
    """
    try:
        read = READERS[kind](io.BufferedReader(opened, OWN_BUFFER))
    except ImportError as error:
        opened.close()
        reason = f"{kind} needs a package that is not installed: pip install wsclose[compression]"
        raise CannotRead(opened.name, reason) from error
    return Decompressed(kind, opened, read)


class Decompressed(io.RawIOBase):
    """The bytes that a compressed input stands for; damage raises CannotRead after everything before it was given."""

    def __init__(self, kind: str, opened: Any, read: Callable[[int], bytes]) -> None:
        super().__init__()
        self._kind = kind
        self._opened = opened
        self._read = read

    @property
    def consumed(self) -> int:
        return int(self._opened.consumed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the beginning of the buffer; how many bytes, 0 at the end."""
        try:
            piece = self._read(min(len(buffer), LARGEST_PIECE))
        except CannotRead:
            raise
        except EOFError as error:
            raise CannotRead(self._opened.name, f"the {self._kind} data is cut off", self.consumed) from error
        except Exception as error:  # the decompressors' errors have nothing in common
            reason = f"the {self._kind} data is damaged"
            raise CannotRead(self._opened.name, reason, self.consumed) from error
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._opened.close()
        super().close()


def _gzip(raw: io.BufferedReader) -> Callable[[int], bytes]:
    opener: Any
    try:
        from isal.igzip import IGzipFile as opener
    except ImportError:
        from gzip import GzipFile as opener
    return cast(Callable[[int], bytes], opener(fileobj=raw, mode="rb").read1)


def _lz4(raw: io.BufferedReader) -> Callable[[int], bytes]:
    from lz4.frame import LZ4FrameFile

    return cast(Callable[[int], bytes], LZ4FrameFile(raw).read1)


def _zstd(raw: io.BufferedReader) -> Callable[[int], bytes]:
    return ZstdFrames(raw).read


class ZstdFrames:
    """Reads zstd frames one after another (RFC 8878 3); EOFError where the last one is not whole."""

    def __init__(self, raw: io.BufferedReader) -> None:
        from zstandard import ZstdDecompressor

        self._raw = raw
        self._new_frame = ZstdDecompressor().decompressobj
        self._frame: Any = None
        self._compressed = b""
        self._ready = memoryview(b"")

    def read(self, size: int) -> bytes:
        """At most `size` bytes, none at the end."""
        while not self._ready:
            if self._frame is not None and self._frame.eof:
                self._compressed = self._frame.unused_data
                self._frame = None
            if not self._compressed:
                self._compressed = self._raw.read(ZSTD_PIECE)
            if not self._compressed:
                if self._frame is not None:
                    raise EOFError
                return b""
            if self._frame is None:
                self._frame = self._new_frame()
            self._ready = memoryview(self._frame.decompress(self._compressed))
            self._compressed = b""
        piece, self._ready = self._ready[:size], self._ready[size:]
        return bytes(piece)


READERS: dict[str, Callable[[io.BufferedReader], Callable[[int], bytes]]] = {
    "gzip": _gzip,
    "bzip2": lambda raw: bz2.BZ2File(raw).read1,
    "xz": lambda raw: lzma.LZMAFile(raw).read1,
    "zstd": _zstd,
    "lz4": _lz4,
}
