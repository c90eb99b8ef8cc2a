"""IP fragments: datagrams put together, by themselves and through the packet stage."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from decoding import BUILDS, ETHERNET, RAW, Seen, decode, only
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from analyzer import limits
from analyzer.fragments import Datagram, Fragments
from analyzer.records import NO_TIME

SECOND = 1_000_000_000
MAC = "02:00:00:00:00:01"
PAYLOAD = bytes(range(256)) * 2
V4 = IP(src="192.0.2.1", dst="192.0.2.2", id=77, ttl=60)
V6 = IPv6(src="2001:db8::1", dst="2001:db8::2", hlim=60)
SEGMENT = TCP(sport=50000, dport=80, seq=9, flags="PA") / Raw(PAYLOAD)
JOINED, INCOMPLETE = "fragment", "fragment of an incomplete datagram"


def pieces_of(ip: Packet, size: int = 64) -> list[bytes]:
    """The packet in fragments of `size` payload bytes."""
    if isinstance(ip, IP):
        return [bytes(piece) for piece in fragment(ip, size)]
    return [bytes(piece) for piece in fragment6(ip / IPv6ExtHdrFragment(id=77) / SEGMENT, 48 + size)]


def add(fragments: Fragments, offset: int, data: bytes, more: bool, **changed: int) -> Datagram | None:
    length = changed.get("length", len(data))
    key, time = changed.get("key", 1), changed.get("time", NO_TIME)
    return fragments.add(key, time, changed.get("protocol", 6), offset, more, data, length)


class TestDatagrams:
    def test_a_datagram_is_whole_when_its_last_missing_piece_comes(self) -> None:
        fragments = Fragments()
        assert add(fragments, 8, b"b" * 8, True) is None
        assert add(fragments, 16, b"c", False, protocol=99) is None
        assert add(fragments, 0, b"a" * 8, True, protocol=6) == Datagram(6, b"a" * 8 + b"b" * 8 + b"c", 17, 2)

    def test_of_overlapping_pieces_the_first_copy_wins(self) -> None:
        fragments = Fragments()
        add(fragments, 8, b"1" * 8, True)
        add(fragments, 0, b"2" * 16, True)
        add(fragments, 4, b"3" * 28, True)
        whole = add(fragments, 24, b"4" * 16, False)
        assert whole and whole.data == b"2" * 8 + b"1" * 8 + b"3" * 16 + b"4" * 8

    def test_the_first_last_fragment_tells_the_length(self) -> None:
        fragments = Fragments()
        add(fragments, 8, b"b" * 24, True)
        add(fragments, 32, b"c" * 8, True)
        assert add(fragments, 16, b"d" * 4, False) is None
        assert add(fragments, 40, b"e" * 8, False) is None
        assert add(fragments, 0, b"a" * 8, True) == Datagram(6, b"a" * 8 + b"b" * 12, 20, 4)

    def test_keys_are_kept_apart(self) -> None:
        fragments = Fragments()
        assert add(fragments, 0, b"a" * 8, True, key=1) is None
        assert add(fragments, 8, b"b", False, key=2) is None
        whole = add(fragments, 0, b"c" * 8, True, key=2)
        assert whole and whole.data == b"c" * 8 + b"b"

    def test_bytes_that_were_not_captured_end_the_data_but_not_the_length(self) -> None:
        fragments = Fragments()
        add(fragments, 0, b"a" * 8, True)
        add(fragments, 8, b"b" * 4, True, length=8)
        assert add(fragments, 16, b"c" * 8, False) == Datagram(6, b"a" * 8 + b"b" * 4, 24, 2)

    @given(st.integers(1, 200), st.randoms(use_true_random=False))
    def test_any_order_with_copies_and_overlaps_gives_the_same_bytes(self, size: int, chance: random.Random) -> None:
        data = chance.randbytes(size)
        cuts = sorted({0, size, *(chance.randrange(size) for _ in range(chance.randrange(8)))})
        parts = [(a, chance.randint(b, size)) for a, b in pairwise(cuts)]
        parts += [chance.choice(parts) for _ in range(3)]
        chance.shuffle(parts)
        fragments = Fragments()
        covered = [False] * size
        for start, stop in parts:
            whole = add(fragments, start, data[start:stop], stop < size)
            covered[start:stop] = [True] * (stop - start)
            if whole:
                assert (whole.data, whole.length) == (data, size)
                assert all(covered)
                return
        raise AssertionError("never whole")


class TestBounds:
    def test_a_datagram_too_old_is_not_completed(self) -> None:
        fragments = Fragments()
        limit = limits.FRAGMENTS_SECONDS * SECOND
        add(fragments, 0, b"a" * 8, True, time=0)
        assert add(fragments, 8, b"b", False, time=limit + 1) is None
        whole = add(fragments, 0, b"c" * 8, True, time=2 * limit + 1)
        assert whole and whole.data == b"c" * 8 + b"b"

    @pytest.mark.parametrize(("first", "second"), [(NO_TIME, 5), (5, NO_TIME), (NO_TIME, NO_TIME), (99 * SECOND, 0)])
    def test_no_time_and_a_clock_that_jumps_back_make_nothing_old(self, first: int, second: int) -> None:
        fragments = Fragments()
        add(fragments, 0, b"a" * 8, True, time=first)
        assert add(fragments, 8, b"b", False, time=second)

    def test_an_old_datagram_behind_one_without_time_is_not_completed(self) -> None:
        fragments = Fragments()
        add(fragments, 0, b"a" * 8, True, key=1, time=NO_TIME)
        add(fragments, 0, b"a" * 8, True, key=2, time=0)
        assert add(fragments, 8, b"b", False, key=2, time=1000 * SECOND) is None

    def test_beyond_the_bytes_kept_the_oldest_go_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "FRAGMENTS_BYTES", 10_000)
        fragments = Fragments()
        for key in range(100):
            add(fragments, 0, b"a" * 800, True, key=key)
            assert fragments._kept <= 10_000
        assert add(fragments, 800, b"b", False, key=0) is None
        assert add(fragments, 800, b"b", False, key=99)

    def test_empty_fragments_are_bounded_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "FRAGMENTS_BYTES", 10_000)
        fragments = Fragments()
        for key in range(1000):
            add(fragments, 8, b"", True, key=key)
        assert len(fragments._datagrams) < 100

    def test_nothing_is_left_of_datagrams_that_became_whole(self) -> None:
        fragments = Fragments()
        for key in range(10):
            add(fragments, 0, b"a" * 32, True, key=key)
            add(fragments, 8, b"x" * 8, True, key=key)
            assert add(fragments, 24, b"b" * 2, False, key=key)
        assert (fragments._kept, fragments._datagrams) == (0, {})


@pytest.mark.parametrize("ip", [V4 / SEGMENT, V6], ids=["IPv4", "IPv6"])
class TestSegments:
    def expect(self, *segments: Seen) -> None:
        """They are the segment, in parts without overlap."""
        at = 9
        for seen in segments:
            assert (seen.source_port, seen.sequence, seen.time_to_live) == (50000, at, 60)
            at += seen.length
        assert b"".join(seen.payload for seen in segments) == PAYLOAD
        assert at == 9 + len(PAYLOAD)

    def test_the_packet_that_completes_a_datagram_gives_the_rest_of_its_segment(self, ip: Packet) -> None:
        pieces = pieces_of(ip)
        for build in BUILDS:
            (first, rest), counts = decode([*pieces, V4 / UDP()], RAW, build=build)
            self.expect(first, rest)
            assert (first.number, rest.number) == (0, len(pieces) - 1)
            assert counts == {JOINED: len(pieces) - 2, "not TCP": 1}

    def test_order_and_copies_do_not_matter(self, ip: Packet) -> None:
        pieces = pieces_of(ip)
        first, *others = pieces
        (seen,), counts = decode([*reversed(others), *others[1:], first], RAW)
        self.expect(seen)
        assert counts == {JOINED: 2 * len(others) - 1}

    def test_a_first_fragment_alone_gives_what_it_holds_once(self, ip: Packet) -> None:
        first, *others = pieces_of(ip)
        for build in BUILDS:
            for pieces in ([first], [first, *others[:-1], first], [others[0], first]):
                (seen,), counts = decode(pieces, RAW, build=build)
                assert (seen.payload, seen.length) == (PAYLOAD[:44], 44)
                assert counts == ({INCOMPLETE: len(pieces) - 1} if len(pieces) > 1 else {})

    def test_other_fragments_alone_give_nothing(self, ip: Packet) -> None:
        others = pieces_of(ip)[1:]
        assert decode(others, RAW) == ([], {INCOMPLETE: len(others)})

    def test_the_snapshot_length_cuts_the_segment_where_it_first_cut_a_fragment(self, ip: Packet) -> None:
        (first, rest), _ = decode(pieces_of(ip, 80), RAW, snapshot=90)
        header = 20 if ip is not V6 else 48
        assert (first.payload, rest.payload) == (PAYLOAD[: 90 - header - 20], b"")
        assert first.length + rest.length == len(PAYLOAD)

    def test_padding_is_no_part_of_a_fragment(self, ip: Packet) -> None:
        link = bytes(Ether(src=MAC, dst=MAC, type=0x0800 if ip is not V6 else 0x86DD))
        segments, _ = decode([link + piece + b"\0" * 20 for piece in pieces_of(ip)], ETHERNET)
        self.expect(*segments)

    def test_too_late_is_incomplete(self, ip: Packet) -> None:
        pieces = pieces_of(ip, 400)
        assert len(pieces) == 2
        assert decode(pieces[::-1], RAW, times=[0, 61 * SECOND])[1] == {INCOMPLETE: 1}
        (first,), counts = decode(pieces, RAW, times=[0, 61 * SECOND])
        assert (first.number, counts) == (0, {INCOMPLETE: 1})
        self.expect(*decode(pieces, RAW, times=[0, 59 * SECOND])[0])


def test_a_fin_comes_with_the_rest_of_its_segment() -> None:
    pieces = pieces_of(V4 / TCP(sport=50000, dport=80, seq=9, flags="FA") / Raw(PAYLOAD))
    for build in BUILDS:
        (first, rest), _ = decode(pieces, RAW, build=build)
        assert (first.flags, rest.flags) == (0x10, 0x11)


@pytest.mark.parametrize("flags", ["S", "SA"])
def test_a_syn_waits_for_all_of_its_segment(flags: str) -> None:
    pieces = pieces_of(V4 / TCP(sport=50000, dport=80, seq=9, flags=flags) / Raw(PAYLOAD))
    assert decode(pieces[:1], RAW) == ([], {INCOMPLETE: 1})
    (seen,), _ = decode(pieces, RAW)
    assert (seen.sequence, seen.payload) == (9, PAYLOAD)


def test_the_rest_of_a_segment_wraps_with_its_sequence_numbers() -> None:
    pieces = pieces_of(V4 / TCP(sport=50000, dport=80, seq=(1 << 32) - 4, flags="A") / Raw(PAYLOAD))
    for build in BUILDS:
        assert decode(pieces, RAW, build=build)[0][1].sequence == 40


def test_a_last_fragment_that_ends_within_the_first_gives_no_byte_again() -> None:
    whole = bytes(TCP(sport=50000, dport=80, seq=9, flags="A") / Raw(PAYLOAD))
    first = IP(src="192.0.2.1", dst="192.0.2.2", id=77, proto=6, flags="MF") / Raw(whole[:64])
    last = IP(src="192.0.2.1", dst="192.0.2.2", id=77, proto=6, frag=5) / Raw(whole[40:48])
    for build in BUILDS:
        (seen, rest), _ = decode([first, last], RAW, build=build)
        assert (seen.payload, rest.payload, rest.length) == (PAYLOAD[:44], b"", 0)


def test_other_identifications_addresses_and_protocols_are_other_datagrams() -> None:
    first = pieces_of(V4 / SEGMENT, 400)[0]
    for other in (IP(src="192.0.2.1", dst="192.0.2.2", id=78), IP(src="192.0.2.1", dst="192.0.2.3", id=77)):
        last = pieces_of(other / SEGMENT, 400)[1]
        assert decode([first, last], RAW)[1] == {INCOMPLETE: 1}
    as_udp = bytearray(pieces_of(V4 / SEGMENT, 400)[1])
    as_udp[9] = 17
    assert decode([first, as_udp], RAW)[1] == {INCOMPLETE: 1}


def test_a_datagram_of_another_protocol_is_not_tcp() -> None:
    pieces = pieces_of(V4 / UDP() / Raw(PAYLOAD), 400)
    assert decode(pieces, RAW) == ([], {JOINED: 1, "not TCP": 1})


def test_extension_headers_within_the_fragments_are_passed_over() -> None:
    whole = bytes(IPv6ExtHdrDestOpt(nh=6) / TCP(sport=50000, seq=9) / Raw(PAYLOAD))
    pieces = [
        V6 / IPv6ExtHdrFragment(nh=60, id=1, m=1) / Raw(whole[:64]),
        V6 / IPv6ExtHdrFragment(nh=60, id=1, offset=8) / Raw(whole[64:]),
    ]
    (seen,), _ = decode(pieces, RAW)
    assert (seen.source_port, seen.payload) == (50000, PAYLOAD)


def test_fragments_inside_fragmented_tunnels_are_put_together() -> None:
    inner = pieces_of(V4 / SEGMENT, 400)
    outer = [IP(src="10.0.0.1", dst="10.0.0.2", id=number, proto=4) / Raw(data) for number, data in enumerate(inner)]
    pieces = [bytes(piece) for packet in outer for piece in fragment(packet, 200)]
    for build in BUILDS:
        segments, counts = decode(pieces, RAW, build=build)
        assert b"".join(seen.payload for seen in segments) == PAYLOAD
        assert counts == {JOINED: len(pieces) - 2}


def test_a_fragment_beyond_the_longest_datagram_is_damaged() -> None:
    frame = IP(frag=8191, proto=6) / Raw(b"x" * 20)
    for build in BUILDS:
        assert decode([frame], RAW, build=build) == ([], {"undecodable: IP header cut or damaged": 1})


def test_dont_fragment_and_the_reserved_flag_make_no_fragment() -> None:
    assert only(IP(flags="DF+evil") / TCP(sport=5), RAW).source_port == 5
