"""Rarer link layers and tunnels, alone and inside each other."""

from __future__ import annotations

import subprocess
import sys

import pytest
from decoding import BUILDS, ETHERNET, RAW, decode, only, refused
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.erspan import ERSPAN_II, ERSPAN_III
from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTP_U_Header, GTPPDUSessionContainer
from scapy.contrib.mpls import MPLS
from scapy.layers.dot11 import Dot11, Dot11QoS, RadioTap
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE, LLC, SNAP, CookedLinux, Dot1Q, Dot3, Ether
from scapy.layers.ppp import HDLC, PPP, PPP_LCP, PPPoE, PPPoED
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from analyzer import limits
from analyzer.encapsulations import READERS, unwrap

MAC = "0a:00:00:00:00:01"
FRAME = Ether(src=MAC, dst=MAC)
V4 = IP(src="192.0.2.1", dst="192.0.2.2", ttl=9)
V6 = IPv6(src="2001:db8::1", dst="2001:db8::2", hlim=9)
OUTER = IP(src="10.0.0.1", dst="10.0.0.2", ttl=200)
OUTER6 = IPv6(src="fd00::1", dst="fd00::2", hlim=200)
PAYLOAD = b"inner payload"
SEGMENT = TCP(sport=50000, dport=80, seq=9) / Raw(PAYLOAD)
DAMAGED = "undecodable: link or tunnel header cut or damaged"


def check(frame: Packet | bytes, link_type: int = ETHERNET) -> None:
    """The frame holds SEGMENT over V4 or V6, and its length on the wire survives a cut of its last five bytes."""
    seen = only(frame, link_type)
    assert (seen.source, seen.destination) in ((V4.src, V4.dst), (V6.src, V6.dst))
    assert (seen.time_to_live, seen.source_port, seen.sequence) == (9, 50000, 9)
    assert (seen.payload, seen.length) == (PAYLOAD, len(PAYLOAD))
    whole = bytes(frame)
    cut = only(whole, link_type, snapshot=whole.index(PAYLOAD) + 4)
    assert (cut.payload, cut.length) == (PAYLOAD[:4], len(PAYLOAD))


@pytest.mark.parametrize("ip", [V4, V6], ids=["IPv4", "IPv6"])
class TestLinkLayers:
    def test_pppoe(self, ip: Packet) -> None:
        number = 0x21 if ip is V4 else 0x57
        check(FRAME / PPPoE() / PPP(proto=number) / ip / SEGMENT)
        check(FRAME / Dot1Q() / Dot1Q() / PPPoE() / PPP(proto=number) / ip / SEGMENT)
        check(CookedLinux(proto=0x8864) / PPPoE() / PPP(proto=number) / ip / SEGMENT, 113)
        check(PPPoE() / PPP(proto=number) / ip / SEGMENT, 51)

    @pytest.mark.parametrize("link_type", [9, 50])
    @pytest.mark.parametrize("address", [b"\xff\x03", b""])
    @pytest.mark.parametrize("size", [1, 2])
    def test_ppp_with_its_fields_compressed_or_not(self, ip: Packet, link_type: int, address: bytes, size: int) -> None:
        protocol = (0x21 if ip is V4 else 0x57).to_bytes(size, "big")
        check(address + protocol + bytes(ip / SEGMENT), link_type)

    def test_ppp_as_scapy_writes_it(self, ip: Packet) -> None:
        check(HDLC() / PPP(proto=0x21 if ip is V4 else 0x57) / ip / SEGMENT, 9)

    @pytest.mark.parametrize("link_type", [50, 104])
    def test_cisco_hdlc(self, ip: Packet, link_type: int) -> None:
        ethertype = b"\x08\x00" if ip is V4 else b"\x86\xdd"
        check(b"\x0f\x00" + ethertype + bytes(ip / SEGMENT), link_type)
        check(b"\x0f\x00\x88\x47" + bytes(MPLS(s=1) / ip / SEGMENT), link_type)

    def test_802_3_with_snap(self, ip: Packet) -> None:
        check(Dot3(src=MAC, dst=MAC) / LLC() / SNAP() / ip / SEGMENT)
        check(bytes(Dot3(src=MAC, dst=MAC) / LLC() / SNAP() / ip / SEGMENT) + b"padding")
        check(CookedLinux(proto=4) / LLC() / SNAP() / ip / SEGMENT, 113)

    def test_802_2_with_the_service_access_point_of_ip(self, ip: Packet) -> None:
        check(Dot3(src=MAC, dst=MAC) / LLC(dsap=6, ssap=6, ctrl=3) / ip / SEGMENT)

    def test_mpls(self, ip: Packet) -> None:
        check(FRAME / MPLS(s=1) / ip / SEGMENT)
        check(FRAME / MPLS(s=0) / MPLS(s=0) / MPLS(s=1) / ip / SEGMENT)
        check(FRAME / Dot1Q(type=0x8848) / MPLS(s=1) / ip / SEGMENT)

    def test_mpls_pseudowire_with_and_without_control_word(self, ip: Packet) -> None:
        check(FRAME / MPLS(s=1) / Raw(b"\0\0\0\0") / FRAME / ip / SEGMENT)
        check(FRAME / MPLS(s=1) / FRAME / ip / SEGMENT)

    def test_802_11(self, ip: Packet) -> None:
        snap = LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP() / ip / SEGMENT
        check(Dot11(type=2, FCfield=1) / snap, 105)
        check(Dot11(type=2, subtype=8, FCfield=2) / Dot11QoS() / snap, 105)
        check(Dot11(type=2, FCfield=3, addr4=MAC) / snap, 105)
        check(RadioTap() / Dot11(type=2) / snap, 127)
        check(RadioTap(present="Rate", Rate=2) / Dot11(type=2) / snap, 127)


@pytest.mark.parametrize("ip", [V4, V6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("outer", [OUTER, OUTER6], ids=["over IPv4", "over IPv6"])
class TestTunnels:
    def test_ip_in_ip(self, ip: Packet, outer: Packet) -> None:
        check(FRAME / outer / ip / SEGMENT)

    @pytest.mark.parametrize("options", [{}, {"key_present": 1}, {"seqnum_present": 1}, {"chksum_present": 1}])
    def test_gre(self, ip: Packet, outer: Packet, options: dict[str, int]) -> None:
        check(FRAME / outer / GRE(**options) / ip / SEGMENT)
        check(FRAME / outer / GRE(**{"key_present": 1, **options}) / ip / SEGMENT)
        check(FRAME / outer / GRE(proto=0x6558, **options) / FRAME / Dot1Q() / ip / SEGMENT)
        check(FRAME / outer / GRE(proto=0x8847, **options) / MPLS(s=1) / ip / SEGMENT)

    def test_gre_of_pptp(self, ip: Packet, outer: Packet) -> None:
        ppp = bytes(PPP(proto=0x21 if ip is V4 else 0x57) / ip / SEGMENT)
        number = {"proto": 47} if outer is OUTER else {"nh": 47}
        for flags, numbers in ((0x3001, 4), (0x3081, 8)):
            header = flags.to_bytes(2, "big") + b"\x88\x0b" + len(ppp).to_bytes(2, "big") + bytes(2 + numbers)
            check(FRAME / outer.__class__(**number) / Raw(header + ppp))

    def test_erspan(self, ip: Packet, outer: Packet) -> None:
        check(FRAME / outer / GRE(proto=0x88BE) / Raw(bytes(FRAME / ip / SEGMENT)))
        check(FRAME / outer / GRE(proto=0x88BE, seqnum_present=1) / ERSPAN_II() / FRAME / ip / SEGMENT)
        check(FRAME / outer / GRE(proto=0x22EB, seqnum_present=1) / ERSPAN_III() / FRAME / ip / SEGMENT)

    @pytest.mark.parametrize("port", [4789, 8472])
    def test_vxlan(self, ip: Packet, outer: Packet, port: int) -> None:
        check(FRAME / outer / UDP(dport=port) / VXLAN(vni=5, flags="Instance") / FRAME / ip / SEGMENT)

    def test_geneve(self, ip: Packet, outer: Packet) -> None:
        check(FRAME / outer / UDP(dport=6081) / GENEVE() / FRAME / Dot1Q() / ip / SEGMENT)
        ethertype = 0x0800 if ip is V4 else 0x86DD
        check(FRAME / outer / UDP(dport=6081) / GENEVE(proto=ethertype, optionlen=1) / b"\0\0\0\0" / ip / SEGMENT)

    def test_gtp(self, ip: Packet, outer: Packet) -> None:
        tunnel = FRAME / outer / UDP(dport=2152)
        check(tunnel / GTP_U_Header(teid=1) / ip / SEGMENT)
        check(tunnel / GTP_U_Header(teid=1, S=1) / ip / SEGMENT)
        check(tunnel / GTP_U_Header(teid=1, E=1, next_ex=0x85) / GTPPDUSessionContainer() / ip / SEGMENT)


class TestNesting:
    @pytest.mark.parametrize("build", BUILDS)
    def test_tunnels_are_opened_up_to_the_limit(self, build: object) -> None:
        def nested(depth: int) -> Packet:
            frame = V4 / SEGMENT
            for number in range(depth):
                frame = (OUTER / frame) if number % 2 else (OUTER / UDP(dport=4789) / VXLAN() / FRAME / frame)
            return FRAME / frame

        check(nested(limits.NESTED_TUNNELS))
        assert refused(nested(limits.NESTED_TUNNELS + 1)) == "too many tunnels"

    def test_one_packet_does_not_use_up_the_next_ones_tunnels(self) -> None:
        seen, counts = decode([FRAME / OUTER / OUTER / V4 / SEGMENT] * 20)
        assert (len(seen), counts) == (20, {})


class TestOthers:
    @pytest.mark.parametrize(
        ("frame", "link_type"),
        [
            (FRAME / PPPoED(), ETHERNET),
            (FRAME / PPPoE() / PPP() / PPP_LCP(), ETHERNET),
            (FRAME / PPPoE(code=9) / PPP() / V4 / SEGMENT, ETHERNET),
            (HDLC() / PPP() / PPP_LCP(), 9),
            (Dot3(src=MAC, dst=MAC) / LLC(dsap=0x42, ssap=0x42, ctrl=3) / b"spanning tree", ETHERNET),
            (Dot3(src=MAC, dst=MAC) / LLC() / SNAP(OUI=0xC, code=0x2000) / b"discovery", ETHERNET),
            (FRAME / OUTER / GRE(proto=0x1234) / b"what", ETHERNET),
            (OUTER / UDP(dport=4789) / Raw(b"\0" * 60), RAW),
            (OUTER / UDP(dport=6081) / Raw(b"\xff" * 60), RAW),
            (OUTER / UDP(dport=2152) / GTP_U_Header(gtp_type=1), RAW),
            (OUTER / UDP(dport=2152) / Raw(b"\x32\xff" + bytes(60)), RAW),
            (Dot11(type=0, subtype=8) / Raw(bytes(60)), 105),
            (Dot11(type=2, FCfield=0x40) / Raw(bytes(60)), 105),
            (Dot11(type=2, subtype=4) / Raw(bytes(60)), 105),
        ],
    )
    def test_what_holds_no_ip_is_not_tcp(self, frame: Packet, link_type: int) -> None:
        assert refused(frame, link_type) == "not TCP"

    @pytest.mark.parametrize(
        ("frame", "captured"),
        [
            (FRAME / PPPoE() / PPP() / V4 / SEGMENT, 18),
            (FRAME / MPLS(s=0) / V4 / SEGMENT, 18),
            (FRAME / MPLS(s=1) / V4 / SEGMENT, 16),
            (Dot3(src=MAC, dst=MAC) / LLC() / SNAP() / V4 / SEGMENT, 18),
            (FRAME / OUTER / GRE(key_present=1) / V4 / SEGMENT, 40),
            (FRAME / OUTER / UDP(dport=4789) / VXLAN() / FRAME / V4 / SEGMENT, 42),
            (FRAME / OUTER / UDP(dport=4789) / VXLAN() / FRAME / V4 / SEGMENT, 55),
            (FRAME / OUTER / UDP(dport=6081) / GENEVE() / FRAME / V4 / SEGMENT, 44),
            (FRAME / OUTER / UDP(dport=2152) / GTP_U_Header() / V4 / SEGMENT, 50),
        ],
    )
    def test_a_header_cut_is_counted(self, frame: Packet, captured: int) -> None:
        assert refused(frame, snapshot=captured) == DAMAGED

    def test_an_extension_header_of_no_length_is_damaged(self) -> None:
        header = b"\x34\xff\0\0\0\0\0\1\0\0\0\x85" + bytes(20)
        assert refused(OUTER / UDP(dport=2152) / Raw(header), RAW) == DAMAGED


class TestUnwrap:
    def test_an_unknown_number_is_a_lookup_error(self) -> None:
        with pytest.raises(LookupError):
            unwrap("link", 147, b"")

    @given(st.sampled_from(sorted(READERS)), st.binary(max_size=80))
    def test_any_bytes_give_a_place_nothing_or_a_value_error(self, reader: tuple[str, int], data: bytes) -> None:
        try:
            inner = unwrap(*reader, data)
        except ValueError:
            return
        assert inner is None or (inner[0] in (ETHERNET, RAW) and inner[1] >= 0)

    def test_dpkt_is_imported_only_when_needed(self) -> None:
        program = "import sys, analyzer.encapsulations, analyzer.packets; assert 'dpkt' not in sys.modules"
        subprocess.run([sys.executable, "-c", program], check=True)


@given(st.sampled_from(sorted(READERS)), st.binary(max_size=80), st.binary(max_size=40))
def test_random_bytes_in_any_encapsulation_never_raise(reader: tuple[str, int], data: bytes, more: bytes) -> None:
    layer, number = reader
    frames = {
        "link": data,
        "type": bytes(Ether(src=MAC, dst=MAC, type=number if layer == "type" else 0)) + data,
        "llc": bytes(Ether(src=MAC, dst=MAC, type=100)) + b"\xaa\xaa\x03" + data,
        "ip": bytes(FRAME / IP(proto=number % 256) / Raw(data)),
        "udp": bytes(FRAME / OUTER / UDP(dport=number) / Raw(data)),
    }
    frame, link_type = frames[layer], number if layer == "link" else ETHERNET
    assert decode([frame, frame + more], link_type, build=BUILDS[0]) == decode(
        [frame, frame + more], link_type, build=BUILDS[1]
    )
