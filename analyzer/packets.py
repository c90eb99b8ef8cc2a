"""Packets to TCP segments: link layer, IPv4 (RFC 791), IPv6 (RFC 8200), TCP (RFC 9293 3.1).

What nearly all packets are made of is read here, from the buffer, without a copy. Rarer link layers and tunnels are
read by `unwrap`, and fragments are put together by `fragments`, which the pipeline hands in.

Positions are offsets into Packet.data, three at a time: `at`, where a header begins; `stop`, where the captured bytes
end; `end`, where the bytes ended on the wire (end >= stop; they differ where the snapshot length cut). Every packet
ends in exactly one cell: one of `counts`, or one call of the reader. Checksums are not verified, because a host that
leaves them to its network card captures wrong ones. No input raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer import limits
from analyzer.records import Packet, PacketReader, Segment, SegmentReader

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    import cython

    from analyzer.fragments import Fragments

# Link types (the LINKTYPE_ registry of tcpdump.org)
NULL, ETHERNET, RAW_BSD, RAW_OPENBSD, RAW = 0, 1, 12, 14, 101
LOOP, LINUX_COOKED, IPV4, IPV6, LINUX_COOKED2 = 108, 113, 228, 229, 276
# EtherTypes; up to TYPE_LLC_MOST the field is the length of an 802.3 frame
TYPE_IPV4, TYPE_IPV6, TYPE_MPLS, TYPE_MPLS_MULTICAST = 0x0800, 0x86DD, 0x8847, 0x8848
TYPE_BRIDGING, TYPE_PPP, TYPE_PPPOE, TYPE_LLC_MOST = 0x6558, 0x880B, 0x8864, 1500
TAG_8021Q, TAG_8021AD, TAG_9100, TAG_9200 = 0x8100, 0x88A8, 0x9100, 0x9200
# Protocol numbers and IPv6 extension headers
HOP_BY_HOP, IP_IN_IP, TCP, UDP, IPV6_IN_IP, ROUTING, FRAGMENT = 0, 4, 6, 17, 41, 43, 44
GRE, AUTHENTICATION, DESTINATION, MOBILITY = 47, 51, 60, 135
FIN, SYN = 1, 2
LOW_32 = (1 << 32) - 1
# UDP ports of tunnels; VXLAN_LINUX_PORT is the Linux driver's own default
VXLAN_PORT, VXLAN_LINUX_PORT, GENEVE_PORT, GTP_PORT = 4789, 8472, 6081, 2152

DATAGRAM_MOST = 65535  # bytes after the IP header: its length field has 16 bits
TUNNELS_MOST = limits.NESTED_TUNNELS


class Packets(PacketReader):
    """Decodes each packet in hand and hands its TCP segment, if it holds one, to the reader.

    packet, segment: the shared records; reader: takes at most one segment a packet.
    unwrap(layer, number, data): see encapsulations.unwrap; fragments: see fragments.Fragments.
    """

    def __init__(
        self,
        packet: Packet,
        segment: Segment,
        reader: SegmentReader,
        unwrap: Callable[[str, int, bytes], tuple[int, int] | None],
        fragments: Fragments,
    ) -> None:
        self.current: Packet = packet
        self.segment: Segment = segment
        self.reader: SegmentReader = reader
        self.unwrap = unwrap
        self.fragments = fragments
        self.depth: cython.int = 0
        self.not_tcp: cython.longlong = 0
        self.held_fragments: cython.longlong = 0
        self.joined_fragments: cython.longlong = 0
        self.too_deep: cython.longlong = 0
        self.unknown_link: cython.longlong = 0
        self.damaged_link: cython.longlong = 0
        self.damaged_ip: cython.longlong = 0
        self.damaged_tcp: cython.longlong = 0

    def counts(self) -> dict[str, int]:
        """How many packets gave no segment, by kind. A fragment whose bytes went on counts as what it made."""
        return {
            "not TCP": self.not_tcp,
            "fragment": self.joined_fragments,
            "fragment of an incomplete datagram": self.held_fragments,
            "too many tunnels": self.too_deep,
            "undecodable: unknown link type": self.unknown_link,
            "undecodable: link or tunnel header cut or damaged": self.damaged_link,
            "undecodable: IP header cut or damaged": self.damaged_ip,
            "undecodable: TCP header cut or damaged": self.damaged_tcp,
        }

    def packet(self) -> None:
        """Decode the packet in hand: one segment to the reader, or one more in `counts`."""
        packet: Packet = self.current
        end: cython.Py_ssize_t = packet.start + packet.wire_length
        if end < packet.stop:
            end = packet.stop
        self.depth = 0
        self.link(packet.link_type, packet.start, packet.stop, end)

    def link(
        self, link_type: cython.int, at: cython.Py_ssize_t, stop: cython.Py_ssize_t, end: cython.Py_ssize_t
    ) -> cython.int:
        """A frame of that link type."""
        packet: Packet = self.current
        header: cython.Py_ssize_t = 14
        type_at: cython.Py_ssize_t = at + 12
        if link_type == LINUX_COOKED:
            header = 16
            type_at = at + 14
        elif link_type == LINUX_COOKED2:
            header = 20
            type_at = at
        elif link_type != ETHERNET:
            if link_type in (RAW, RAW_BSD, RAW_OPENBSD, IPV4, IPV6):
                return self.ip(at, stop, end)
            if link_type in (NULL, LOOP):
                return self.family(at, stop, end)
            return self.inside("link", link_type, at, stop, end)
        if stop - at < header:
            self.damaged_link += 1
            return 0
        ethertype: cython.int = packet.data[type_at] << 8 | packet.data[type_at + 1]
        if ethertype == TYPE_IPV4:
            return self.ip4(at + header, stop, end)
        if link_type != ETHERNET and ethertype <= TYPE_LLC_MOST:  # Linux's own numbers: 4 is 802.2, others hold no IP
            if ethertype == 4:
                return self.inside("llc", 0, at + header, stop, end)
            self.not_tcp += 1
            return 0
        return self.typed(ethertype, at + header, stop, end)

    def typed(
        self, ethertype: cython.int, at: cython.Py_ssize_t, stop: cython.Py_ssize_t, end: cython.Py_ssize_t
    ) -> cython.int:
        """What follows an EtherType; VLAN tags (IEEE 802.1Q, stacked ones too) are passed over."""
        packet: Packet = self.current
        while ethertype == TAG_8021Q or ethertype == TAG_8021AD or ethertype == TAG_9100 or ethertype == TAG_9200:
            if stop - at < 4:
                self.damaged_link += 1
                return 0
            ethertype = packet.data[at + 2] << 8 | packet.data[at + 3]
            at += 4
        if ethertype == TYPE_IPV4 or ethertype == TYPE_IPV6:
            return self.ip(at, stop, end)
        if ethertype <= TYPE_LLC_MOST:
            return self.inside("llc", 0, at, stop, end)
        if ethertype in (TYPE_PPPOE, TYPE_MPLS, TYPE_MPLS_MULTICAST, TYPE_BRIDGING, TYPE_PPP):
            return self.inside("type", ethertype, at, stop, end)
        self.not_tcp += 1
        return 0

    def family(self, at: cython.Py_ssize_t, stop: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.int:
        """BSD loopback: four bytes of address family in the byte order of the capturing host, or big-endian (LOOP)."""
        packet: Packet = self.current
        if stop - at < 4:
            self.damaged_link += 1
            return 0
        family: cython.uint = word(packet, at)
        if packet.data[at + 3] == 0:
            family = packet.data[at] | packet.data[at + 1] << 8
        if family in (2, 10, 24, 28, 30):  # AF_INET; AF_INET6 of Linux, NetBSD, FreeBSD, Darwin
            return self.ip(at + 4, stop, end)
        self.not_tcp += 1
        return 0

    def ip(self, at: cython.Py_ssize_t, stop: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.int:
        """An IP packet of the version that its first four bits tell."""
        version: cython.int = 0
        if at < stop:
            version = self.current.data[at] >> 4
        if version == 4:
            return self.ip4(at, stop, end)
        if version == 6:
            return self.ip6(at, stop, end)
        self.damaged_ip += 1
        return 0

    def ip4(self, at: cython.Py_ssize_t, stop: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.int:
        """An IPv4 packet (RFC 791 3.1)."""
        packet: Packet = self.current
        segment: Segment = self.segment
        if stop - at < 20:
            self.damaged_ip += 1
            return 0
        version: cython.int = packet.data[at] >> 4
        header: cython.Py_ssize_t = (packet.data[at] & 15) << 2
        total: cython.Py_ssize_t = packet.data[at + 2] << 8 | packet.data[at + 3]
        if total == 0:  # segmentation left to the network card: the length is filled in after the capture
            total = end - at
        if version != 4 or header < 20 or total < header or stop - at < header:
            self.damaged_ip += 1
            return 0
        end = at + total
        if stop > end:  # Ethernet padding, or a trailer
            stop = end
        segment.version = 4
        segment.time_to_live = packet.data[at + 8]
        segment.source_high = 0
        segment.source_low = word(packet, at + 12)
        segment.destination_high = 0
        segment.destination_low = word(packet, at + 16)
        protocol: cython.int = packet.data[at + 9]
        place: cython.int = packet.data[at + 6] << 8 | packet.data[at + 7]
        if place & 0x3FFF:  # more fragments, or an offset
            field: cython.int = (place & 0x1FFF) << 3 | (place & 0x2000) >> 13
            identification: cython.uint = packet.data[at + 4] << 8 | packet.data[at + 5]
            return self.fragment(protocol, identification, field, at + header, stop, end)
        if protocol == TCP:
            return self.tcp(at + header, stop, end)
        return self.payload(protocol, at + header, stop, end)

    def ip6(self, at: cython.Py_ssize_t, stop: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.int:
        """An IPv6 packet (RFC 8200 3)."""
        packet: Packet = self.current
        segment: Segment = self.segment
        if stop - at < 40:
            self.damaged_ip += 1
            return 0
        length: cython.Py_ssize_t = packet.data[at + 4] << 8 | packet.data[at + 5]
        if length:  # 0: left to the network card, or a jumbogram (RFC 2675)
            end = at + 40 + length
            if stop > end:
                stop = end
        segment.version = 6
        segment.time_to_live = packet.data[at + 7]
        segment.source_high = double_word(packet, at + 8)
        segment.source_low = double_word(packet, at + 16)
        segment.destination_high = double_word(packet, at + 24)
        segment.destination_low = double_word(packet, at + 32)
        if packet.data[at + 6] == TCP:
            return self.tcp(at + 40, stop, end)
        return self.payload(packet.data[at + 6], at + 40, stop, end)

    def payload(
        self, protocol: cython.int, at: cython.Py_ssize_t, stop: cython.Py_ssize_t, end: cython.Py_ssize_t
    ) -> cython.int:
        """What an IP header announces: extension headers (RFC 8200 4, RFC 4302 2), then a transport or a tunnel."""
        packet: Packet = self.current
        size: cython.Py_ssize_t
        while protocol == AUTHENTICATION or (
            self.segment.version == 6 and protocol in (HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION, MOBILITY)
        ):
            if stop - at < 8:
                self.damaged_ip += 1
                return 0
            size = (packet.data[at + 1] + 1) << 3
            if protocol == AUTHENTICATION:
                size = (packet.data[at + 1] + 2) << 2
            elif protocol == FRAGMENT:
                size = 8
                if packet.data[at + 2] or packet.data[at + 3] & 0xF9:  # else an atomic fragment (RFC 6946): whole
                    field: cython.int = (packet.data[at + 2] << 8 | packet.data[at + 3]) & 0xFFF9
                    return self.fragment(packet.data[at], word(packet, at + 4), field, at + 8, stop, end)
            protocol = packet.data[at]
            at += size
        if protocol == TCP:
            return self.tcp(at, stop, end)
        if protocol == UDP:
            return self.udp(at, stop, end)
        if protocol == GRE:
            return self.inside("ip", protocol, at, stop, end)
        if protocol == IP_IN_IP or protocol == IPV6_IN_IP:
            return self.ip(at, stop, end) if self.deeper() else 0
        self.not_tcp += 1
        return 0

    def tcp(self, at: cython.Py_ssize_t, stop: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.int:
        """A TCP segment."""
        if self.header(at, stop, end):
            self.reader.segment()
        else:
            self.damaged_tcp += 1
        return 0

    def header(self, at: cython.Py_ssize_t, stop: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        """Read a TCP header (RFC 9293 3.1), if it is there. Options need not have been captured: none are used."""
        packet: Packet = self.current
        segment: Segment = self.segment
        if stop - at < 20:
            return False
        size: cython.Py_ssize_t = (packet.data[at + 12] >> 4) << 2
        start: cython.Py_ssize_t = at + size
        if size < 20 or start > end:
            return False
        segment.source_port = packet.data[at] << 8 | packet.data[at + 1]
        segment.destination_port = packet.data[at + 2] << 8 | packet.data[at + 3]
        segment.sequence = word(packet, at + 4)
        segment.acknowledgment = word(packet, at + 8)
        segment.flags = packet.data[at + 13]
        segment.window = packet.data[at + 14] << 8 | packet.data[at + 15]
        segment.start = start if start < stop else stop
        segment.stop = stop
        segment.length = end - start
        return True

    def udp(self, at: cython.Py_ssize_t, stop: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.int:
        """A UDP datagram (RFC 768): a tunnel, by its destination port, or not TCP."""
        packet: Packet = self.current
        if stop - at >= 8:
            port: cython.int = packet.data[at + 2] << 8 | packet.data[at + 3]
            if port == VXLAN_PORT or port == VXLAN_LINUX_PORT or port == GENEVE_PORT or port == GTP_PORT:
                return self.inside("udp", port, at + 8, stop, end)
        self.not_tcp += 1
        return 0

    def fragment(
        self,
        protocol: cython.int,
        identification: cython.uint,
        field: cython.int,
        at: cython.Py_ssize_t,
        stop: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
    ) -> cython.int:
        """A fragment; field: its offset in bytes, and in the lowest bit whether more follow (RFC 8200 4.5)."""
        packet: Packet = self.current
        segment: Segment = self.segment
        offset: cython.int = field & 0xFFF8
        if at > stop or end - at > DATAGRAM_MOST - offset:
            self.damaged_ip += 1
            return 0
        if not self.deeper():
            return 0
        source = (segment.source_high, segment.source_low)
        destination = (segment.destination_high, segment.destination_low)
        key = (packet.point, source, destination, identification, protocol if segment.version == 4 else -1)
        piece = bytes(packet.data[at:stop])
        whole = self.fragments.add(key, packet.time, protocol, offset, field & 1 != 0, piece, end - at)
        if whole is None:
            return self.piece(key, piece, protocol == TCP and offset == 0, at, stop, end)
        self.held_fragments -= whole.earlier_fragments
        self.joined_fragments += whole.earlier_fragments
        data = packet.data
        packet.data = whole.data
        try:
            if whole.handed:
                return self.rest(whole.handed, len(whole.data), whole.length)
            return self.payload(whole.protocol, 0, len(whole.data), whole.length)
        finally:
            packet.data = data

    def piece(
        self,
        key: Hashable,
        piece: bytes,
        leads: cython.bint,
        at: cython.Py_ssize_t,
        stop: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
    ) -> cython.int:
        """A fragment of a datagram that is not whole (yet); leads: it begins with a TCP header.

        The others may never have been captured: a filter for ports misses them. So what the first one holds is handed
        on at once, as a segment of that length. A FIN stands behind all of the data, so it is left to the rest.
        """
        segment: Segment = self.segment
        if leads and self.header(at, stop, end) and segment.length > 0 and segment.flags & SYN == 0:
            if self.fragments.hand_on(key, piece, end - at):
                segment.flags &= 255 - FIN
                self.reader.segment()
                return 0
        self.held_fragments += 1
        return 0

    def rest(self, handed: cython.Py_ssize_t, stop: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.int:
        """A segment that is whole now, without the first bytes of its datagram, which were handed on before."""
        segment: Segment = self.segment
        if not self.header(0, stop, end):
            self.damaged_tcp += 1
            return 0
        again: cython.longlong = handed - (end - segment.length)
        if again > segment.length:
            again = segment.length
        segment.sequence = (segment.sequence + again) & LOW_32
        segment.start = handed if handed < stop else stop
        segment.length -= again
        segment.continues = True
        self.reader.segment()
        segment.continues = False
        return 0

    def inside(
        self,
        layer: str,
        number: cython.int,
        at: cython.Py_ssize_t,
        stop: cython.Py_ssize_t,
        end: cython.Py_ssize_t,
    ) -> cython.int:
        """What a rarer link layer or a tunnel holds."""
        if at > stop:
            self.damaged_link += 1
            return 0
        if not self.deeper():
            return 0
        try:
            inner = self.unwrap(layer, number, bytes(self.current.data[at:stop]))
        except LookupError:
            self.unknown_link += 1
            return 0
        except ValueError:
            self.damaged_link += 1
            return 0
        if inner is None:
            self.not_tcp += 1
            return 0
        link_type: cython.int = inner[0]
        offset: cython.Py_ssize_t = inner[1]
        return self.link(link_type, at + offset, stop, end)

    def deeper(self) -> cython.bint:
        """Whether one more encapsulation may be opened; counts the packet if not."""
        if self.depth == TUNNELS_MOST:
            self.too_deep += 1
            return False
        self.depth += 1
        return True


def word(packet: Packet, at: cython.Py_ssize_t) -> cython.uint:
    """The big-endian 32-bit number at `at`."""
    first: cython.uint = packet.data[at]
    return first << 24 | packet.data[at + 1] << 16 | packet.data[at + 2] << 8 | packet.data[at + 3]


def double_word(packet: Packet, at: cython.Py_ssize_t) -> cython.ulonglong:
    """The big-endian 64-bit number at `at`."""
    high: cython.ulonglong = word(packet, at)
    low: cython.ulonglong = word(packet, at + 4)
    return high << 32 | low
