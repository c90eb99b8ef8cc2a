"""Rarer link layers and tunnels: where in their bytes the next Ethernet frame or IP packet begins.

dpkt reads the headers that it knows. It is given only their first bytes, so that it decodes nothing of what is inside
(the packet stage does that with an eye on the snapshot length), and it is imported when the first of them comes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dpkt

Inner = tuple[int, int]  # link type, offset
ETHERNET, RAW = 1, 101  # the link types of what is found: a frame, or an IP packet of either version

IP_TYPES = (0x0800, 0x86DD)
BRIDGING, PPP, MPLS, MPLS_MULTICAST, PPPOE = 0x6558, 0x880B, 0x8847, 0x8848, 0x8864
ERSPAN, ERSPAN_3 = 0x88BE, 0x22EB
PPP_IP = (0x21, 0x57)


def unwrap(layer: str, number: int, data: bytes) -> Inner | None:
    """What `data` holds and where: (link type, offset), or None if that is neither Ethernet nor IP.

    layer, number: "link" and a LINKTYPE_ number, "type" and an EtherType, "llc" and 0, "ip" and a protocol number, or
    "udp" and a destination port. Raises LookupError for a number that is not known here, ValueError where a header is
    cut or damaged. The offset may lie beyond the data.
    """
    reader = READERS[layer, number]
    import dpkt

    try:
        return reader(data, 0)
    except (dpkt.Error, IndexError, struct.error) as error:
        raise ValueError(f"{layer} {number}: header cut or damaged") from error


def _typed(ethertype: int, data: bytes, at: int) -> Inner | None:
    """What follows an EtherType."""
    if ethertype in IP_TYPES:
        return RAW, at
    reader = READERS.get(("type", ethertype))
    return reader(data, at) if reader else None


def _bridged(data: bytes, at: int) -> Inner:
    return ETHERNET, at


def _llc(data: bytes, at: int) -> Inner | None:
    """IEEE 802.2, with SNAP (RFC 1042) or the service access point of IP."""
    from dpkt.llc import LLC

    if data[at : at + 3] == b"\xaa\xaa\x03":
        return _typed(LLC(data[at : at + 8]).type, data, at + 8)
    return (RAW, at + 3) if data[at : at + 3] == b"\x06\x06\x03" else None


def _ppp(data: bytes, at: int) -> Inner | None:
    """PPP (RFC 1661 2), its address and control field (RFC 1662 3.1) and its protocol field compressed or not."""
    from dpkt.pppoe import PPP as Header

    if data[at : at + 2] == b"\xff\x03":
        at += 2
    size = 1 if data[at] & 1 else 2
    return (RAW, at + size) if Header(data[at : at + size]).p in PPP_IP else None


def _pppoe(data: bytes, at: int) -> Inner | None:
    """PPP over Ethernet, session stage (RFC 2516 4)."""
    from dpkt.pppoe import PPPoE

    header = PPPoE(data[at : at + 6])
    return _ppp(data, at + 6) if header.code == 0 else None


def _serial(data: bytes, at: int) -> Inner | None:
    """PPP or Cisco HDLC (4.3.1 of RFC 1547), told by the first byte."""
    return _cisco(data, at) if data[at] in (0x0F, 0x8F) else _ppp(data, at)


def _cisco(data: bytes, at: int) -> Inner | None:
    """Cisco HDLC: address, control, EtherType."""
    return _typed(struct.unpack_from(">2xH", data, at)[0], data, at + 4)


def _mpls(data: bytes, at: int) -> Inner:
    """A stack of MPLS labels (RFC 3032 2.1). What follows is not told; two zero bytes are a control word (RFC 4385)."""
    from dpkt.ethernet import MPLSlabel

    bottom = False
    while not bottom:
        bottom = bool(MPLSlabel(data[at : at + 4]).s)
        at += 4
    if data[at] >> 4 in (4, 6):
        return RAW, at
    return ETHERNET, at + 4 if data[at : at + 2] == b"\0\0" else at


def _wlan(data: bytes, at: int) -> Inner | None:
    """An IEEE 802.11 data frame in clear, whole and not aggregated."""
    control, flags = data[at], data[at + 1]
    carries_data, quality = control & 0x4C == 0x08, control & 0x80
    if not carries_data or flags & 0x44 or data[at + 22] & 0x0F:  # more fragments, protected; fragment number
        return None
    at += 30 if flags & 3 == 3 else 24
    if quality:
        if data[at] & 0x80:  # A-MSDU
            return None
        at += 6 if flags & 0x80 else 2
    return _llc(data, at)


def _radiotap(data: bytes, at: int) -> Inner | None:
    return _wlan(data, at + struct.unpack_from("<2xH", data, at)[0])


def _gre(data: bytes, at: int) -> Inner | None:
    """GRE (RFC 2784, RFC 2890; version 1: RFC 2637), ERSPAN in it."""
    from dpkt.gre import GRE

    header: dpkt.gre.GRE = GRE(data[at : at + 16])
    sequence = header.flags & 0x1000
    if header.v > 1 or (header.v == 1 and not sequence):  # a bare acknowledgment
        return None
    at += 4 + struct.calcsize("!" + "".join(header.opt_fields_fmts()[1]))
    if header.p == ERSPAN:
        return ETHERNET, at + 8 if sequence else at  # type II, type I
    if header.p == ERSPAN_3:
        return ETHERNET, at + (20 if data[at + 11] & 1 else 12)
    return _typed(header.p, data, at)


def _vxlan(data: bytes, at: int) -> Inner | None:
    """VXLAN (RFC 7348 5)."""
    return (ETHERNET, at + 8) if data[at] & 0x08 else None


def _geneve(data: bytes, at: int) -> Inner | None:
    """GENEVE (RFC 8926 3.4)."""
    first, flags, protocol = struct.unpack_from(">BBH", data, at)
    if first >> 6 or flags & 0x80:  # version, control packet
        return None
    return _typed(protocol, data, at + 8 + (first & 0x3F) * 4)


def _gtp(data: bytes, at: int) -> Inner | None:
    """GTP-U (3GPP TS 29.281 5.1): a G-PDU, with its extension headers."""
    flags, message = data[at], data[at + 1]
    if flags & 0xF0 != 0x30 or message != 0xFF:
        return None
    at += 8
    if flags & 7:
        at += 4
        following = data[at - 1] if flags & 4 else 0
        while following:
            if not data[at]:
                raise ValueError("GTP-U extension header of no length")
            at += data[at] * 4
            following = data[at - 1]
    return (RAW, at) if data[at] >> 4 in (4, 6) else None


READERS: dict[tuple[str, int], Callable[[bytes, int], Inner | None]] = {
    ("link", 9): _ppp,
    ("link", 50): _serial,
    ("link", 51): _pppoe,
    ("link", 104): _cisco,
    ("link", 105): _wlan,
    ("link", 127): _radiotap,
    ("llc", 0): _llc,
    ("type", BRIDGING): _bridged,
    ("type", PPP): _ppp,
    ("type", MPLS): _mpls,
    ("type", MPLS_MULTICAST): _mpls,
    ("type", PPPOE): _pppoe,
    ("ip", 47): _gre,
    ("udp", 4789): _vxlan,
    ("udp", 8472): _vxlan,
    ("udp", 6081): _geneve,
    ("udp", 2152): _gtp,
}
