"""Checks text for UTF-8 (RFC 3629) where it lies in the buffer, masked or not, in pieces of any size.

Compiled without checks of bounds and overflow, so that a block of bytes is looked at with few instructions: `after`
checks once that the piece lies in the buffer, and only bytes of the piece are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.records import Packet

if TYPE_CHECKING:
    import cython

MASK = 4  # bytes of a masking key (RFC 6455 5.3)
BLOCK = 32  # bytes at most that are looked at together


def after(
    state: cython.int,
    packet: Packet,
    start: cython.Py_ssize_t,
    stop: cython.Py_ssize_t,
    key: cython.uint,
    turn: cython.int,
) -> cython.int:
    """What the text up to and with Packet.data[start:stop] leaves open; `state` is the same of the text before.

    0: nothing; -1: it is not UTF-8; else a character: how many bytes are to come << 16, and the smallest << 8 and the
    largest that the next one may be. key: the masking key, 0 for none; turn: which of its bytes falls on the first one.
    """
    at: cython.Py_ssize_t = start
    byte: cython.int
    ascii_run: cython.int = 0  # bytes of ASCII just before `at`; below 0 where a block is known to hold others
    if start < 0 or stop > len(packet.data):
        raise IndexError("text outside the buffer")
    while at < stop:
        if ascii_run >= MASK:
            at = _ascii_blocks(packet, at, stop)
            ascii_run = -BLOCK  # another byte comes before these are over
            if at == stop:
                break
        byte = (packet.data[at] ^ (key >> (24 - 8 * ((at - start + turn) & 3)))) & 255
        if state == 0 and byte < 0x80:
            ascii_run += 1
        else:
            ascii_run = 0
            state = _step(state, byte)
            if state < 0:
                break
        at += 1
    return state


def _ascii_blocks(packet: Packet, at: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Where the blocks of ASCII that begin at `at` end.

    The bytes just before are ASCII: so is one whose top bit, masked or not, is that of the byte a masking key before.
    """
    index: cython.Py_ssize_t
    end: cython.Py_ssize_t
    odd: cython.uchar
    while at < stop:
        end = at + BLOCK if stop - at > BLOCK else stop
        odd = 0
        for index in range(at, end):
            odd |= packet.data[index - MASK] ^ packet.data[index]
        if odd & 128:
            break
        at = end
    return at


def _step(state: cython.int, byte: cython.int) -> cython.int:
    """The state after one more byte of a character that is not ASCII."""
    if state:
        if byte < state >> 8 & 255 or byte > state & 255:
            return -1
        return (state >> 16) - 1 << 16 | 0x80BF if state >= 2 << 16 else 0
    if byte < 0xC2 or byte > 0xF4:
        return -1
    if byte < 0xE0:
        return 1 << 16 | 0x80BF
    if byte < 0xF0:
        return 2 << 16 | (0xA0BF if byte == 0xE0 else 0x809F if byte == 0xED else 0x80BF)
    return 3 << 16 | (0x90BF if byte == 0xF0 else 0x808F if byte == 0xF4 else 0x80BF)
