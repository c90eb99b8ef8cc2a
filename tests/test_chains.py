"""Where frames begin in bytes whose beginning is missing: whole, byte by byte, and in junk."""

from __future__ import annotations

import random
from typing import Any

import pytest
from conversation import BINARY, CLOSE, CONTINUATION, PING, TEXT, frame

from analyzer.chains import Chains
from analyzer.records import Flow, Moment, Packet

KEYS = (b"\x11\x92\x33\xf4", b"\x5a\x01\xc3\x77", b"\x99\x10\xab\x04", b"\x3e\xf1\x02\x8d")
JSON = b'{"type":"update","symbol":"XYZ","price":101.25}'


def moment() -> Moment:
    flow = Flow()
    return Moment(Packet(), flow.low)


def searched(*segments: bytes, masked: int = 0, deflate: bool = False, ended: bool = False, step: int = 0) -> Chains:
    """What is known after these segments, each cut into pieces of `step` bytes."""
    chains = Chains(masked, deflate)
    offset = 0
    for segment in segments:
        for at in range(0, len(segment), step or len(segment)):
            piece = segment[at : at + (step or len(segment))]
            chains.add(piece, 0, len(piece), offset, moment())
            offset += len(piece)
            if chains.look(False):
                return chains
    chains.look(ended)
    return chains


def random_bytes(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


class TestChain:
    @pytest.mark.parametrize("step", [0, 1, 3, 7])
    def test_frames_after_the_rest_of_a_frame_are_found_at_their_beginning(self, step: int) -> None:
        rest = JSON[20:]
        frames = [frame(TEXT, JSON.replace(b"1", b"%d" % (number % 10))) for number in range(12)]
        chains = searched(rest + b"".join(frames), step=step)
        assert chains.begins >= len(rest)
        assert (chains.begins - len(rest)) % len(frames[0]) == 0

    @pytest.mark.parametrize("masked", [0, 1])
    def test_payload_that_repeats_itself_is_no_chain(self, masked: int) -> None:
        for seed in range(400):
            pattern = random_bytes(seed, 32 + seed % 64)
            assert searched(pattern * 60, masked=masked).begins < 0, seed

    def test_a_frame_that_is_sent_again_and_again_is_found_by_the_segments_it_begins(self) -> None:
        assert searched(JSON[20:], *[frame(TEXT, JSON)] * 12).begins == len(JSON[20:])

    def test_masked_text_is_found_with_its_first_frame(self) -> None:
        rest = random_bytes(1, 300)
        frames = b"".join(frame(TEXT, JSON, key=key) for key in KEYS)
        assert searched(rest + frames, masked=1).begins == len(rest)

    def test_a_frame_that_begins_a_segment_is_found(self) -> None:
        chains = searched(random_bytes(2, 900), *[frame(BINARY, random_bytes(seed, 40)) for seed in range(3, 9)])
        assert chains.begins in (900, 942) and chains.borne_out, "of binary frames the first may be left out"

    def test_the_mask_bit_must_be_that_of_the_direction(self) -> None:
        frames = b"".join(frame(TEXT, JSON, key=key) for key in KEYS)
        assert searched(frames, masked=1).begins == 0
        assert searched(frames, masked=0).begins < 0

    def test_rsv1_is_legal_only_where_compression_was_agreed_and_on_first_data_frames(self) -> None:
        frames = b"".join(frame(TEXT, random_bytes(seed, 30), rsv=4, key=KEYS[0]) for seed in range(6))
        assert searched(frames, masked=1, deflate=True).begins == 0
        assert searched(frames, masked=1, deflate=False).begins < 0
        pings = b"".join(frame(PING, b"abc", rsv=4) for _ in range(6))
        assert searched(pings, deflate=True).begins < 0

    @pytest.mark.parametrize(
        "wrong",
        [
            frame(PING, b"", fin=False),
            frame(PING, b"x" * 126),
            b"\x82\x7e\x00\x05hello",
            frame(TEXT, b"\xff\xfe\xfd"),
            frame(3, b"reserved"),
            frame(CLOSE, b"\x03\xed"),
            frame(CLOSE, b"\x03"),
            frame(CLOSE, b"\x03\xe8\xff\xff"),
            frame(TEXT, b"begun", fin=False) + frame(TEXT, b"again"),
            frame(TEXT, b"whole") + frame(CONTINUATION, b"of nothing"),
            frame(CLOSE, b"\x03\xe8") + frame(TEXT, b"after"),
        ],
        ids=[
            "control fragment", "long control", "length not minimal", "no UTF-8", "reserved opcode", "illegal code",
            "one byte", "reason no UTF-8", "message in a message", "continuation of nothing", "data after Close",
        ],
    )  # fmt: skip
    def test_a_frame_that_breaks_a_rule_breaks_the_chain(self, wrong: bytes) -> None:
        assert searched(frame(TEXT, JSON) + wrong + frame(PING, b"")).begins < 0


class TestEnd:
    def test_a_close_is_believed_when_the_stream_ends_with_it(self) -> None:
        data = JSON[5:] + frame(CLOSE, b"\x03\xe8done")
        assert searched(data).begins < 0
        chains = searched(data, ended=True)
        assert chains.begins == len(JSON) - 5 and not chains.borne_out

    def test_a_close_with_bytes_after_it_is_not(self) -> None:
        assert searched(JSON[5:] + frame(CLOSE, b"\x03\xe8done") + b"\x00", ended=True).begins < 0


class TestJunk:
    @pytest.mark.parametrize("masked", [0, 1, -1])
    def test_random_bytes_are_no_chain(self, masked: int) -> None:
        assert [seed for seed in range(150) if self._found(random_bytes(seed, 4000), masked)] == []

    @pytest.mark.parametrize(
        "junk",
        [
            bytes(5000),
            bytes(range(256)) * 20,
            JSON * 100,
            "Съешь же ещё этих мягких французских булок, да выпей чаю. ".encode() * 80,
            "いろはにほへと ちりぬるを わかよたれそ".encode() * 80,
            b"".join(value.to_bytes(2, "big") for value in range(2000)),
            b"".join(value.to_bytes(4, "little") for value in range(1500)),
        ],
        ids=["zeros", "counting", "json", "cyrillic", "kana", "shorts", "words"],
    )
    def test_other_content_is_no_chain(self, junk: bytes) -> None:
        for start in range(40):
            for masked in (0, 1, -1):
                assert not self._found(junk[start:], masked)

    def _found(self, junk: bytes, masked: int) -> bool:
        segments = [junk[at : at + 1400] for at in range(0, len(junk), 1400)]
        return searched(*segments, masked=masked, deflate=masked < 0, ended=True).begins >= 0


class TestHoles:
    def test_a_hole_inside_a_payload_is_part_of_the_chain_and_one_in_a_header_ends_it(self) -> None:
        chains = Chains(0, False)
        offset = 0
        for number in range(4):
            whole = frame(BINARY, random_bytes(number, 60))
            chains.add(whole, 0, 20, offset, moment())
            chains.missing(len(whole) - 20, offset + 20, True)
            offset += len(whole)
        assert chains.look(False) and chains.begins == 0

    def test_what_is_kept_is_bounded_and_what_is_let_go_is_told(self) -> None:
        chains = Chains(0, False)
        gone = sum(self._add(chains, random_bytes(seed, 60000), seed) for seed in range(20))
        assert gone + chains.captured == 20 * 60000
        assert len(chains.content) <= 256 << 10
        assert chains.forget() + gone == 20 * 60000

    def _add(self, chains: Chains, data: bytes, number: int) -> Any:
        gone = chains.add(data, 0, len(data), number * len(data), moment())
        chains.look(False)
        return gone
