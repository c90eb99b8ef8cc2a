"""Text is UTF-8 exactly when Python decodes it, however it comes in pieces and whatever it is masked with."""

from __future__ import annotations

import random

import pytest
from websockets.frames import apply_mask

from analyzer.records import Packet
from analyzer.utf8 import after

CHARACTERS = ["a"] * 40 + ["é", "€", "日", "😀", "\x00", "\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\U0010ffff"]


def is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def checked(text: bytes, key: bytes, cuts: list[int]) -> bool:
    """What `after` says of the text, masked and cut into pieces."""
    packet = Packet()
    packet.data = b"\xff" * 7 + apply_mask(text, key) + b"\xff" * 50
    state = 0
    for start, stop in zip([0, *cuts], [*cuts, len(text)], strict=True):
        state = after(state, packet, 7 + start, 7 + stop, int.from_bytes(key, "big"), start & 3)
        if state < 0:
            break
    return state == 0


def random_text(draw: random.Random) -> bytes:
    """Text of which every second is damaged in a byte or two."""
    text = bytearray("".join(draw.choices(CHARACTERS, k=draw.randrange(150))).encode())
    for _ in range(draw.choice((0, 0, 1, 2))):
        if text:
            text[draw.randrange(len(text))] = draw.choice((0x80, 0xBF, 0xC0, 0xC3, 0xED, 0xF4, 0xF5, 0xFF, 0x41))
    return bytes(text)


@pytest.mark.parametrize("key", [bytes(4), b"\x80\x00\xff\x7f", b"\x12\x34\x56\x78"])
def test_any_text_in_any_pieces(key: bytes) -> None:
    draw = random.Random(3629)
    for _ in range(2000):
        text = random_text(draw)
        cuts = sorted(draw.choices(range(len(text) + 1), k=draw.randrange(4)))
        assert checked(text, key, cuts) == is_utf8(text), (text, cuts)


@pytest.mark.parametrize("lead", ["é", "日", "😀"])
@pytest.mark.parametrize("key", [bytes(4), b"\x80\x00\xff\x7f"])
def test_stray_bytes_after_a_character(lead: str, key: bytes) -> None:
    """One anywhere, and many of which each has another a masking key before it, the first one the character's last."""
    for gap in range(80):
        assert not checked(b"a" * 9 + lead.encode() + b"a" * gap + b"\x80" + b"a" * 60, key, [])
    for strays in range(1, 40):
        assert not checked(b"a" * 9 + lead.encode() + b"aaa\x80" * strays + b"aaa", key, [])


def test_every_pair_of_bytes_after_every_lead_byte() -> None:
    for first in range(0x80, 0x100):
        for second in (*range(0x7F, 0xC1), 0x41):
            for rest in (b"", b"\x80", b"\x80\x80", b"\x80\x80\x80"):
                text = bytes((first, second)) + rest
                assert checked(text, bytes(4), []) == is_utf8(text), text


def test_a_piece_outside_the_buffer_is_refused() -> None:
    packet = Packet()
    packet.data = b"abc"
    for start, stop in ((0, 4), (-1, 2)):
        with pytest.raises(IndexError):
            after(0, packet, start, stop, 0, 0)
