"""The packet stage: link layer, IP and TCP headers."""

from __future__ import annotations

import dpkt
import pytest
from decoding import BUILDS, ETHERNET, RAW, decode, only, refused
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_Timestamp
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    RouterAlert,
)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import ARP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Raw

MAC = "02:00:00:00:00:01"
FRAME = Ether(src=MAC, dst=MAC)
AUTHENTICATION = AH(nh=6, payloadlen=4, spi=1, icv=b"x" * 12)  # scapy fills in neither number
PAYLOAD = b"payload of the segment"
SEGMENT = TCP(sport=50000, dport=80, seq=0xFFFFFFF0, ack=0x80000001, flags="PA", window=65535) / Raw(PAYLOAD)
V4 = IP(src="192.0.2.200", dst="198.51.100.255", ttl=61)
V6 = IPv6(src="2001:db8:ffff:ffff:ffff:ffff:ffff:fffe", dst="fe80::8000:0:0:1", hlim=255)
LINK_DAMAGED = "undecodable: link or tunnel header cut or damaged"
IP_DAMAGED = "undecodable: IP header cut or damaged"
TCP_DAMAGED = "undecodable: TCP header cut or damaged"


def check(frame: Packet | bytes, link_type: int = ETHERNET) -> None:
    """The frame holds SEGMENT, over V4 or V6."""
    seen = only(frame, link_type)
    ends = (seen.source, seen.destination, seen.time_to_live)
    assert ends in ((V4.src, V4.dst, 61), (V6.src, V6.dst, 255))
    assert (seen.source_port, seen.destination_port) == (50000, 80)
    assert (seen.sequence, seen.acknowledgment, seen.flags, seen.window) == (0xFFFFFFF0, 0x80000001, 0x18, 65535)
    assert (seen.payload, seen.length) == (PAYLOAD, len(PAYLOAD))


def patched(packet: Packet, at: int, value: bytes) -> bytes:
    data = bytearray(bytes(packet))
    data[at : at + len(value)] = value
    return bytes(data)


@pytest.mark.parametrize("ip", [V4, V6], ids=["IPv4", "IPv6"])
class TestLinkLayers:
    def test_ethernet(self, ip: Packet) -> None:
        check(FRAME / ip / SEGMENT)

    @pytest.mark.parametrize(
        "tags",
        [
            Dot1Q(vlan=5),
            Dot1Q(vlan=5) / Dot1Q(vlan=6),
            Dot1AD(vlan=5) / Dot1Q(vlan=6),
            Dot1Q() / Dot1Q() / Dot1Q() / Dot1Q(),
        ],
    )
    def test_any_stack_of_vlan_tags_is_passed_over(self, ip: Packet, tags: Packet) -> None:
        check(FRAME / tags / ip / SEGMENT)
        ethertype = 0x88A8 if isinstance(tags, Dot1AD) else 0x8100
        check(CookedLinux(proto=ethertype) / tags / ip / SEGMENT, 113)
        check(CookedLinuxV2(proto=ethertype) / tags / ip / SEGMENT, 276)

    @pytest.mark.parametrize("tag", [0x9100, 0x9200])
    def test_old_vlan_tags_too(self, ip: Packet, tag: int) -> None:
        check(patched(FRAME / Dot1Q() / ip / SEGMENT, 12, tag.to_bytes(2, "big")))

    def test_linux_cooked(self, ip: Packet) -> None:
        check(CookedLinux() / ip / SEGMENT, 113)
        check(CookedLinuxV2() / ip / SEGMENT, 276)

    @pytest.mark.parametrize("link_type", [12, 14, 101, 228, 229])
    def test_raw_ip(self, ip: Packet, link_type: int) -> None:
        check(ip / SEGMENT, link_type)

    @pytest.mark.parametrize("family", [2, 10, 24, 28, 30])
    @pytest.mark.parametrize("order", ["little", "big"])
    @pytest.mark.parametrize("link_type", [0, 108])
    def test_bsd_loopback_of_either_byte_order(self, ip: Packet, family: int, order: str, link_type: int) -> None:
        check(family.to_bytes(4, order) + bytes(ip / SEGMENT), link_type)

    def test_padding_and_trailers_are_no_payload(self, ip: Packet) -> None:
        check(bytes(FRAME / ip / SEGMENT) + b"\0" * 30)
        empty = only(bytes(FRAME / ip / TCP(flags="A")) + b"\0" * 6)
        assert (empty.payload, empty.length) == (b"", 0)


class TestIPv4:
    def test_options_are_passed_over(self) -> None:
        check(FRAME / IP(src=V4.src, dst=V4.dst, ttl=61, options=[IPOption_Timestamp()]) / SEGMENT)

    def test_length_zero_means_all_that_there_is(self) -> None:
        check(patched(V4 / SEGMENT, 2, b"\0\0"), RAW)
        cut = only(patched(V4 / SEGMENT, 2, b"\0\0"), RAW, snapshot=45)
        assert (cut.payload, cut.length) == (PAYLOAD[:5], len(PAYLOAD))

    def test_authentication_header(self) -> None:
        check(FRAME / V4 / AUTHENTICATION / SEGMENT)

    def test_wrong_checksums_do_not_matter(self) -> None:
        check(patched(V4 / SEGMENT, 10, b"\x12\x34"), RAW)
        check(patched(V4 / SEGMENT, 36, b"\x12\x34"), RAW)

    @pytest.mark.parametrize(
        ("at", "value"), [(0, b"\x44"), (0, b"\x35"), (0, b"\x4f"), (2, b"\0\x13")], ids=["short", "3", "long", "total"]
    )
    def test_a_header_that_cannot_be_is_counted(self, at: int, value: bytes) -> None:
        assert refused(patched(V4 / TCP(), at, value), RAW) == IP_DAMAGED
        assert refused(Ether(src=MAC, dst=MAC, type=0x0800) / patched(V4 / TCP(), at, value)) == IP_DAMAGED


class TestIPv6:
    @pytest.mark.parametrize(
        "extensions",
        [
            IPv6ExtHdrHopByHop(options=[RouterAlert()]),
            IPv6ExtHdrRouting(addresses=["2001:db8::1", "2001:db8::2"]),
            IPv6ExtHdrDestOpt(),
            IPv6ExtHdrFragment(id=7),
            AUTHENTICATION,
            IPv6ExtHdrHopByHop()
            / IPv6ExtHdrDestOpt()
            / IPv6ExtHdrRouting()
            / IPv6ExtHdrFragment(nh=51)
            / AUTHENTICATION,
        ],
        ids=["hop-by-hop", "routing", "destination", "atomic fragment", "AH", "all"],
    )
    def test_extension_headers_are_passed_over(self, extensions: Packet) -> None:
        check(FRAME / V6 / extensions / SEGMENT)

    def test_length_zero_means_all_that_there_is(self) -> None:
        check(patched(V6 / SEGMENT, 4, b"\0\0"), RAW)
        cut = only(patched(V6 / SEGMENT, 4, b"\0\0"), RAW, snapshot=65)
        assert (cut.payload, cut.length) == (PAYLOAD[:5], len(PAYLOAD))

    def test_a_cut_or_endless_extension_header_is_counted(self) -> None:
        frame = V6 / IPv6ExtHdrHopByHop() / SEGMENT
        assert refused(frame, RAW, snapshot=47) == IP_DAMAGED
        assert refused(patched(frame, 41, b"\xff"), RAW) == TCP_DAMAGED
        assert refused(patched(V6 / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt(), 41, b"\xff"), RAW) == IP_DAMAGED


class TestTCP:
    @pytest.mark.parametrize("length", [0, 4, 12, 40])
    def test_options_are_passed_over(self, length: int) -> None:
        seen = only(FRAME / V4 / TCP(options=[("NOP", None)] * length) / PAYLOAD)
        assert (seen.payload, seen.length) == (PAYLOAD, len(PAYLOAD))

    def test_flags_are_the_low_eight_bits(self) -> None:
        assert only(FRAME / V4 / TCP(flags=0x1FF, reserved=7)).flags == 0xFF

    @pytest.mark.parametrize("captured", range(54, 54 + 12 + len(PAYLOAD) + 1))
    def test_the_snapshot_length_cuts_the_payload_and_not_its_length(self, captured: int) -> None:
        frame = FRAME / V4 / TCP(sport=50000, options=[("NOP", None)] * 12) / PAYLOAD
        seen = only(frame, snapshot=captured)
        assert seen.source_port == 50000
        assert seen.payload == PAYLOAD[: max(0, captured - 66)]
        assert seen.length == len(PAYLOAD)

    def test_what_is_cut_before_the_end_of_the_fixed_header_is_counted(self) -> None:
        frame = FRAME / V4 / SEGMENT
        kinds = [refused(frame, snapshot=captured) for captured in range(54)]
        assert kinds == [LINK_DAMAGED] * 14 + [IP_DAMAGED] * 20 + [TCP_DAMAGED] * 20

    @pytest.mark.parametrize("offset", [0, 4, 15])
    def test_a_data_offset_that_cannot_be_is_counted(self, offset: int) -> None:
        assert refused(FRAME / V4 / TCP(dataofs=offset)) == TCP_DAMAGED


class TestOthers:
    @pytest.mark.parametrize(
        "frame",
        [
            FRAME / ARP(),
            FRAME / V4 / ICMP() / V4 / SEGMENT,
            FRAME / V4 / UDP(sport=4789, dport=53) / SEGMENT,
            FRAME / V6 / UDP() / SEGMENT,
            FRAME / IPv6(nh=59) / SEGMENT,
            Ether(src=MAC, dst=MAC, type=0x88CC) / b"lldp",
            FRAME / IP(proto=17) / b"cut",
            FRAME / IP(proto=0) / b"\x06\0\0\0\0\0\0\0" / SEGMENT,
        ],
    )
    def test_are_not_tcp(self, frame: Packet) -> None:
        assert refused(frame) == "not TCP"

    def test_cooked_frames_that_hold_no_ip_are_not_tcp(self) -> None:
        assert refused(CookedLinux(proto=1) / b"novell", 113) == "not TCP"
        assert refused(b"\0\0\0\x07" + bytes(V4 / SEGMENT), 0) == "not TCP"

    @pytest.mark.parametrize("link_type", [2, 147, 65535])
    def test_an_unknown_link_type_is_counted(self, link_type: int) -> None:
        assert refused(V4 / SEGMENT, link_type) == "undecodable: unknown link type"

    @pytest.mark.parametrize("link_type", [0, 1, 12, 101, 108, 113, 276])
    def test_an_empty_packet_is_counted(self, link_type: int) -> None:
        assert refused(b"", link_type) in (LINK_DAMAGED, IP_DAMAGED)

    def test_a_vlan_tag_cut_is_counted(self) -> None:
        assert refused(FRAME / Dot1Q() / V4 / SEGMENT, snapshot=17) == LINK_DAMAGED


SAMPLES = [
    bytes(frame)
    for frame in (
        FRAME / V4 / SEGMENT,
        FRAME / V6 / IPv6ExtHdrHopByHop() / SEGMENT,
        FRAME / Dot1Q() / V4 / IP() / V4 / SEGMENT,
        FRAME / V4 / UDP(dport=4789) / b"\x08\0\0\0\0\0\0\0" / FRAME / V6 / SEGMENT,
        FRAME / IP(flags="MF") / SEGMENT,
        CookedLinux() / V4 / SEGMENT,
    )
]
LINK_TYPES = [0, 1, 9, 12, 50, 51, 101, 104, 105, 108, 113, 127, 228, 276, 999]
CHANGES = st.lists(st.tuples(st.integers(0, 90), st.integers(0, 255)), min_size=1, max_size=4)


@given(st.lists(st.binary(max_size=120), max_size=5), st.sampled_from(LINK_TYPES))
def test_random_bytes_never_raise_and_both_builds_agree(frames: list[bytes], link_type: int) -> None:
    assert decode(frames, link_type, build=BUILDS[0]) == decode(frames, link_type, build=BUILDS[1])


@given(
    st.lists(st.tuples(st.sampled_from(SAMPLES), CHANGES, st.integers(0, 130)), max_size=5), st.sampled_from(LINK_TYPES)
)
def test_damaged_packets_never_raise_and_both_builds_agree(
    damaged: list[tuple[bytes, list[tuple[int, int]], int]], link_type: int
) -> None:
    frames = []
    for sample, changes, length in damaged:
        frame = bytearray(sample)
        for at, value in changes:
            frame[min(at, len(frame) - 1)] = value
        frames.append(bytes(frame[:length]))
    for which in (ETHERNET, link_type):
        assert decode(frames, which, build=BUILDS[0]) == decode(frames, which, build=BUILDS[1])


@given(st.sampled_from(SAMPLES), st.integers(14, 60), st.integers(0, 255))
def test_what_dpkt_reads_as_plain_tcp_reads_the_same_here(sample: bytes, at: int, value: int) -> None:
    frame = bytearray(sample)
    frame[at] = value
    ethernet = dpkt.ethernet.Ethernet(bytes(frame))
    ip = ethernet.data
    seen, _ = decode([frame])
    if not isinstance(ip, dpkt.ip.IP) or not isinstance(ip.data, dpkt.tcp.TCP) or ip.mf or ip.hl * 4 + 20 > ip.len > 0:
        return
    tcp = ip.data
    if tcp.off * 4 > (ip.len or len(frame) - 14) - ip.hl * 4 or ip.v != 4:
        return
    (found,) = seen
    assert (found.source_port, found.sequence, found.window) == (tcp.sport, tcp.seq, tcp.win)
    assert (found.flags, found.payload) == (tcp.flags & 0xFF, tcp.data)
