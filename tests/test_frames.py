"""Frames by RFC 6455 section 5, whole, byte by byte, and with holes."""

import random

import pytest
from conversation import BINARY, CLOSE, CONTINUATION, KEY, PING, PONG, TEXT, Talk, frame

STEPS = [0, 1, 2, 3, 7]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_every_length_form_is_read_however_the_bytes_are_cut(step, size):
    if step == 1 and size > 1000:
        step = 997
    talk = Talk()
    data = bytes(i % 251 for i in range(size))
    talk.say("client", frame(BINARY, data, key=KEY) + frame(PING, b"!", key=KEY), step)
    head = 6 if size < 126 else 8 if size < 65536 else 14
    assert talk.seen.frames == [
        ("client", BINARY, True, 0, True, size, size, 0, 0),
        ("client", PING, True, 0, True, 1, 1, head + size, -(1 << 63)),
    ]
    assert talk.seen.messages == [(BINARY, 1, size, size, 1, data)]
    assert talk.client.frame_bytes == head + size + 7


@pytest.mark.parametrize("step", STEPS)
def test_control_frames_stand_between_fragments_and_both_directions_mix(step):
    talk = Talk()
    talk.say("server", frame(TEXT, b"ab", fin=False), step)
    talk.say("client", frame(BINARY, b"\xff", fin=False, key=KEY), step)
    talk.say("server", frame(PING, b"?") + frame(CONTINUATION, b"cd"), step)
    talk.say("client", frame(PONG, b"?", key=KEY) + frame(CONTINUATION, b"\xfe", key=KEY), step)
    assert talk.seen.messages == [(TEXT, 2, 4, 4, 1, b"abcd"), (BINARY, 2, 2, 2, 1, b"\xff\xfe")]
    assert (talk.server.frames, talk.client.frames) == (3, 3)


def test_a_frame_that_breaks_a_rule_is_read_by_its_length_and_reading_goes_on():
    talk = Talk()
    talk.say("server", frame(5, b"reserved", rsv=7) + frame(15, b"x" * 200) + frame(TEXT, b"after"))
    assert [seen[1] for seen in talk.seen.frames] == [5, 15, TEXT]
    assert talk.server.messages == 1 and not talk.server.broken


def test_everything_after_a_close_is_still_read():
    talk = Talk()
    talk.say("server", frame(CLOSE, b"\x03\xe8bye") + frame(TEXT, b"late") + frame(CLOSE, b"\x03\xe9"))
    assert talk.seen.closes == [("server", 1000, b"bye"), ("server", 1001, b"")]
    assert talk.server.messages == 1


def test_a_hole_inside_a_payload_is_carried_over_by_the_length():
    talk = Talk()
    whole = frame(TEXT, b"x" * 300) + frame(TEXT, b"next")
    talk.say("server", whole[:100])
    talk.lose("server", 150)
    talk.say("server", whole[250:])
    assert [(f[5], f[6]) for f in talk.seen.frames] == [(300, 150), (4, 4)]
    assert talk.seen.messages[0][4] == -1 and talk.seen.messages[1][4] == 1
    assert not talk.server.exact and not talk.server.broken
    assert talk.server.messages == 2


@pytest.mark.parametrize("before", [0, 1, 3, 20])
def test_after_a_hole_over_a_frame_boundary_the_end_of_a_frame_is_no_frame(before):
    talk = Talk()
    whole = frame(TEXT, b"x" * 30) + frame(CLOSE, b"\x03\xe8")
    talk.say("server", whole[:before])
    talk.lose("server", 33 - before)
    talk.say("server", whole[33:])
    talk.end()
    assert talk.server.broken and not talk.server.exact
    assert talk.seen.closes == [] and talk.server.messages == (before >= 2)
    assert talk.server.unread_bytes == len(whole) - 33
    assert talk.server.frame_bytes == before


def test_the_declared_length_of_a_message_that_was_cut_off_counts_as_the_largest():
    talk = Talk()
    talk.say("client", frame(TEXT, b"abc", key=KEY) + frame(BINARY, b"xyz", key=KEY, length=70000))
    talk.end()
    assert talk.client.largest == 70000 and talk.client.messages == 1


def test_a_length_of_two_to_the_63_is_observed_and_breaks_nothing():
    talk = Talk()
    talk.say("client", frame(BINARY, b"xyz", key=KEY, length=2**64 - 1))
    talk.end()
    assert talk.client.frames == 0 and talk.client.frame_bytes == 17


def test_any_bytes_in_any_pieces_give_the_same_and_are_all_accounted_for():
    for seed in range(200):
        rng = random.Random(seed)
        data = rng.randbytes(rng.randrange(1, 400))
        results = []
        for step in (0, 1, 3):
            talk = Talk(deflate=seed % 2 == 0)
            talk.say("client", data, step, time=5)
            talk.end()
            assert talk.client.frame_bytes + talk.client.unread_bytes == len(data), seed
            results.append((talk.seen.frames, talk.seen.messages, talk.seen.closes))
        assert results[0] == results[1] == results[2], seed
