"""The assembler against a plain bitmap: every byte once, the first copy wins."""

import random

from analyzer.assembler import Assembler


def test_pieces_come_out_in_order_and_the_first_copy_of_a_byte_wins():
    assembler = Assembler()
    assert assembler.add(10, 4, b"abcd") == (0, 0)
    assert assembler.add(8, 4, b"xyAb") == (2, 1)  # "A" differs from "a"
    assert [assembler.pop(), assembler.pop()] == [(8, 2, b"xy"), (10, 4, b"abcd")]
    assert not assembler


def test_random_pieces_equal_a_bitmap():
    for seed in range(300):
        rng = random.Random(seed)
        assembler, truth = Assembler(), {}
        for _ in range(rng.randrange(1, 30)):
            offset, length = rng.randrange(60), rng.randrange(1, 12)
            data = bytes(rng.randrange(256) for _ in range(length))
            known = [truth[at] for at in range(offset, offset + length) if at in truth]
            again = [data[at - offset] for at in range(offset, offset + length) if at in truth]
            expected = len(known), sum(a != b for a, b in zip(known, again, strict=True))
            assert assembler.add(offset, length, data) == expected, seed
            for at in range(offset, offset + length):
                truth.setdefault(at, data[at - offset])
        assert assembler.held_bytes == len(truth)
        out = {}
        last = -1
        while assembler:
            offset, length, data = assembler.pop()
            assert offset > last and length == len(data)
            last = offset + length - 1
            out.update({offset + i: byte for i, byte in enumerate(data)})
        assert out == truth, seed
        assert assembler.held_bytes == 0


def test_a_piece_cut_by_the_snapshot_length_keeps_its_length():
    assembler = Assembler()
    assembler.add(5, 100, b"abc")
    assert assembler.pop() == (5, 100, b"abc")
