"""Messages, text, compression and control frames (RFC 6455 5.4-5.6, RFC 7692)."""

import random
import zlib

import pytest
from conversation import BINARY, CLOSE, CONTINUATION, KEY, PING, PONG, TEXT, Talk, frame

from analyzer import limits
from analyzer.records import MISSING, Judge

STEPS = [0, 1, 3]


def deflater(bits=15):
    shared = zlib.compressobj(9, zlib.DEFLATED, -bits)

    def compress(data):
        return (shared.compress(data) + shared.flush(zlib.Z_SYNC_FLUSH))[:-4]

    return compress


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("text", ["plain", "Grüße, 世界 🙂", "é" * 100, "x" * 200 + "é", ""])
def test_utf8_text_is_valid_wherever_it_is_cut(step, key, text):
    data = text.encode()
    for cut in range(0, len(data) + 1, max(1, len(data) // 7)):
        talk = Talk()
        pieces = frame(TEXT, data[:cut], fin=False, key=key) + frame(CONTINUATION, data[cut:], key=key)
        talk.say("client" if key else "server", pieces, step)
        assert talk.seen.messages == [(TEXT, 2, len(data), len(data), 1, data)]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("data", [b"\xff", b"ok\xc3", b"\xed\xa0\x80", b"x" * 100 + b"\xc0\x80" + b"y" * 100])
def test_text_that_is_not_utf8_is_not_valid_and_counts_all_the_same(step, key, data):
    talk = Talk()
    talk.say("client", frame(TEXT, data, key=key) + frame(TEXT, b"fine", key=key), step)
    assert [seen[4] for seen in talk.seen.messages] == [0, 1]
    assert talk.client.messages == 2 and talk.client.bytes == len(data) + 4


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("bits", [9, 10, 15])
def test_compressed_messages_share_their_context(step, bits):
    talk, compress = Talk(deflate=True), deflater(bits)
    texts = [b'{"n": %d, "text": "the same words again"}' % n for n in range(5)]
    for text in texts:
        data = compress(text)
        talk.say("server", frame(TEXT, data[:5], rsv=4, fin=False) + frame(CONTINUATION, data[5:]), step)
    talk.say("server", frame(TEXT, b"not compressed"))
    assert [seen[5] for seen in talk.seen.messages] == [*texts, b"not compressed"]
    assert talk.server.bytes == sum(map(len, texts)) + 14
    assert all(seen[4] == 1 for seen in talk.seen.messages)


def test_without_context_takeover_every_message_stands_alone_and_one_bad_message_spoils_nothing():
    talk = Talk(deflate=True, takeover=False)
    talk.say("server", frame(BINARY, deflater()(b"one"), rsv=4))
    talk.say("server", frame(BINARY, b"\xff\xff\xff", rsv=4))
    talk.say("server", frame(BINARY, deflater()(b"two"), rsv=4))
    assert [seen[3:] for seen in talk.seen.messages] == [(3, 1, b"one"), (MISSING, 0, None), (3, 1, b"two")]


def test_with_context_takeover_only_what_refers_to_nothing_lost_is_claimed_after_a_bad_message():
    talk, compress = Talk(deflate=True), deflater()
    talk.say("server", frame(BINARY, compress(b"one of these"), rsv=4) + frame(BINARY, b"\xff\xff\xff", rsv=4))
    talk.say("server", frame(BINARY, compress(b"one of these"), rsv=4) + frame(BINARY, compress(b"two"), rsv=4))
    assert [seen[3:] for seen in talk.seen.messages][1:] == [
        (MISSING, 0, None),
        (MISSING, -1, None),
        (3, 1, b"two"),
    ]
    assert talk.server.messages == 4 and talk.server.bytes == MISSING, "a sum with an unknown part is unknown"


def test_a_final_block_ends_one_message_and_not_the_next():
    talk = Talk(deflate=True)
    final = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = final.compress(b"final") + final.flush()
    talk.say("server", frame(BINARY, data + b"\0", rsv=4) + frame(BINARY, deflater()(b"next"), rsv=4))
    assert [seen[5] for seen in talk.seen.messages] == [b"final", b"next"]


def test_a_bomb_stops_at_the_limit_and_is_said(monkeypatch):
    monkeypatch.setattr(limits, "INFLATED_MESSAGE", 10_000)
    talk = Talk(deflate=True)
    talk.say("server", frame(BINARY, deflater()(bytes(1 << 20)), rsv=4))
    assert talk.seen.messages[0][3] == MISSING
    assert talk.server.bytes == MISSING and talk.server.messages == 1


def test_a_reserved_bit_without_an_extension_leaves_validity_open():
    talk = Talk()
    talk.say("server", frame(TEXT, b"\xff", rsv=4))
    assert talk.seen.messages[0][4] == -1


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b"", (0, b"")), (b"\x03", (MISSING, b"")), (b"\x03\xf3why", (1011, b"why")), (b"\xff\xff\xff", (65535, b"\xff"))],
)
@pytest.mark.parametrize("step", STEPS)
def test_a_close_gives_its_code_and_reason_as_sent(body, expected, step):
    talk = Talk()
    talk.say("client", frame(CLOSE, body, key=KEY), step)
    assert talk.seen.closes == [("client", *expected)]
    close = talk.client.closes[0]
    assert (close.begin, close.end, close.size) == (0, 6 + len(body), len(body))
    assert talk.connection.ending == close.time


def test_what_was_captured_of_a_cut_close_is_used():
    talk = Talk()
    talk.say("server", frame(CLOSE, b"\x03\xe8the reason")[:6])
    talk.lose("server", 8)
    assert talk.seen.closes == [("server", 1000, b"th")]
    assert talk.server.closes[0].cut


@pytest.mark.parametrize("captured", [2, 3])
def test_no_code_is_made_of_what_follows_a_code_that_was_not_captured(captured):
    talk = Talk()
    whole = frame(CLOSE, b"\x03\xe8the reason")
    talk.say("server", whole[:captured])
    talk.lose("server", 2)
    talk.say("server", whole[captured + 2 :])
    assert talk.seen.closes == [("server", MISSING, b"")]


def test_a_pong_answers_its_ping_and_all_earlier_ones():
    talk = Talk()
    for n in range(4):
        talk.say("server", frame(PING, b"%d" % n), time=n * 100)
    talk.say("client", frame(PONG, b"2", key=KEY), time=250)
    talk.say("client", frame(PONG, b"unasked", key=KEY), time=260)
    assert talk.server.pings == 4
    assert talk.server.round_trips == [50]
    assert talk.server.outstanding_pings == [(300, b"3", 4, 0)]
    assert talk.server.answered == (200, 3, 0, 250, 5, 0, 7)


def test_crossing_closes_are_told_by_what_had_been_acknowledged():
    for acknowledged in (False, True):
        talk = Talk()
        talk.say("server", frame(CLOSE, b"\x03\xe8"))
        talk.flow.low.acknowledges = True
        talk.flow.low.acknowledgment = 4 if acknowledged else 0
        talk.say("client", frame(CLOSE, b"\x03\xe9", key=KEY))
        assert talk.client.closes[0].acknowledged == (4 if acknowledged else 0)


def test_a_new_message_inside_another_gives_the_first_up():
    talk = Talk()
    talk.say("server", frame(TEXT, b"half", fin=False) + frame(TEXT, b"whole"))
    assert talk.seen.messages == [(TEXT, 1, 4, MISSING, -1, None), (TEXT, 1, 5, 5, 1, b"whole")]
    assert talk.server.messages == 1


def test_a_continuation_of_nothing_is_no_message():
    talk = Talk()
    talk.say("server", frame(CONTINUATION, b"tail"))
    assert talk.server.messages == 0 and talk.seen.messages[0][4] == -1


class Far(Judge):
    """Counts messages that refer back too far."""

    def __init__(self):
        self.told = []

    def distance(self, message):
        self.told.append(message.number)


@pytest.mark.parametrize("takeover", [True, False])
@pytest.mark.parametrize("agreed, used, told", [(9, 9, []), (9, 15, [1]), (10, 15, [1]), (12, 15, []), (15, 15, [])])
def test_references_back_beyond_the_agreed_window_are_told_once_and_reading_goes_on(agreed, used, told, takeover):
    judge = Far()
    talk = Talk(deflate=True, takeover=takeover, judge=judge)
    talk.server.window_bits = agreed
    noise = random.Random(1).randbytes(1200).hex().encode()  # 2400 bytes of which any 2100 do not recur sooner
    texts = [b"short", noise[:2100] + noise[:300], b"again " + noise[:2100] + noise[:300]]
    compress = deflater(used)
    for text in texts:
        compress = compress if takeover else deflater(used)
        talk.say("server", frame(TEXT, compress(text), rsv=4))
    assert judge.told == told
    assert [seen[4:] for seen in talk.seen.messages] == [(1, text) for text in texts]


def test_after_lost_bytes_the_window_is_not_judged():
    judge, compress = Far(), deflater(9)
    talk = Talk(deflate=True, judge=judge)
    talk.server.window_bits = 9
    noise = random.Random(1).randbytes(60).hex().encode()
    talk.say("server", frame(TEXT, compress(noise), rsv=4))
    lost = frame(TEXT, compress(b"lost"), rsv=4)
    talk.lose("server", len(lost))
    talk.say("server", frame(TEXT, compress(noise), rsv=4) + frame(TEXT, compress(noise), rsv=4))
    assert judge.told == []
