"""PROXY protocol and SOCKS 5: sizes known as soon as the bytes tell them, never too large; sources named."""

from __future__ import annotations

import pytest

from analyzer.upgrade import prefaces

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
TCP4 = SIGNATURE + b"\x21\x11\x00\x0c" + bytes([192, 0, 2, 1, 198, 51, 100, 7]) + b"\xc7\x38\x01\xbb"
TCP6 = SIGNATURE + b"\x21\x21\x00\x24" + bytes(15) + b"\x01" + bytes(15) + b"\x02" + b"\xc7\x38\x01\xbb"
WITH_TLV = SIGNATURE + b"\x21\x11\x00\x13" + TCP4[16:] + b"\x03\x00\x04\xde\xad\xbe\xef"
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"

WHOLE = [
    (prefaces.PROXY_1, b"PROXY TCP4 192.0.2.1 198.51.100.7 51000 443\r\n"),
    (prefaces.PROXY_1, b"PROXY UNKNOWN\r\n"),
    (prefaces.PROXY_2, TCP4),
    (prefaces.PROXY_2, TCP6),
    (prefaces.PROXY_2, WITH_TLV),
    (prefaces.PROXY_2, LOCAL),
    (prefaces.SOCKS_GREETING, b"\x05\x02\x00\x02"),
    (prefaces.SOCKS_CHOICE, b"\x05\x00"),
    (prefaces.SOCKS_CLIENT, b"\x01\x03abc\x04word"),
    (prefaces.SOCKS_CLIENT, b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50"),
    (prefaces.SOCKS_CLIENT, b"\x05\x01\x00\x03\x07example\x00\x50"),
    (prefaces.SOCKS_CLIENT, b"\x05\x01\x00\x04" + bytes(16) + b"\x00\x50"),
    (prefaces.SOCKS_SERVER, b"\x01\x00"),
    (prefaces.SOCKS_SERVER, b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"),
]


@pytest.mark.parametrize(("kind", "message"), WHOLE)
def test_a_size_never_exceeds_the_message_and_is_exact_when_it_is_whole(kind: int, message: bytes) -> None:
    for stop in range(len(message)):
        assert stop < prefaces.size_of(kind, message[:stop]) <= len(message)
    assert prefaces.size_of(kind, message) == len(message)


@pytest.mark.parametrize(
    ("kind", "header", "source"),
    [
        (prefaces.PROXY_1, b"PROXY TCP4 192.0.2.1 198.51.100.7 51000 443\r\n", "192.0.2.1:51000"),
        (prefaces.PROXY_1, b"PROXY TCP6 2001:DB8:0:0:0:0:0:1 ::1 51000 443\r\n", "[2001:db8::1]:51000"),
        (prefaces.PROXY_1, b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
        (prefaces.PROXY_1, b"PROXY TCP4 not-an-address 198.51.100.7 51000 443\r\n", None),
        (prefaces.PROXY_1, b"PROXY TCP4 192.0.2.1 198.51.100.7 x 443\r\n", None),
        (prefaces.PROXY_1, b"PROXY TCP4 \xff 198.51.100.7 1 443\r\n", None),
        (prefaces.PROXY_2, TCP4, "192.0.2.1:51000"),
        (prefaces.PROXY_2, WITH_TLV, "192.0.2.1:51000"),
        (prefaces.PROXY_2, TCP6, "[::1]:51000"),
        (prefaces.PROXY_2, LOCAL, None),
        (prefaces.PROXY_2, SIGNATURE + b"\x21\x11\x00\x02ab", None),
        (prefaces.PROXY_2, SIGNATURE + b"\x21\x31\x00\x02ab", None),
    ],
)
def test_the_source_is_named_where_the_header_has_one(kind: int, header: bytes, source: str | None) -> None:
    assert prefaces.proxied_source(kind, header) == source


@pytest.mark.parametrize(
    ("kind", "begun"),
    [
        (prefaces.PROXY_1, b"PROXY TCP4 " + b"1" * 100),
        (prefaces.PROXY_2, SIGNATURE + b"\x11\x11\x00\x0c"),
        (prefaces.SOCKS_GREETING, b"\x04"),
        (prefaces.SOCKS_CHOICE, b"H"),
        (prefaces.SOCKS_CLIENT, b"G"),
        (prefaces.SOCKS_CLIENT, b"\x05\x01\x00\x09a"),
        (prefaces.SOCKS_SERVER, b"H"),
    ],
)
def test_what_breaks_the_format_is_malformed(kind: int, begun: bytes) -> None:
    assert prefaces.size_of(kind, begun) == prefaces.MALFORMED


def test_only_a_granted_connect_opens_a_socks_tunnel() -> None:
    assert prefaces.opens_tunnel(prefaces.SOCKS_CLIENT, b"\x05\x01\x00\x01\0\0\0\0\0\0")
    assert not prefaces.opens_tunnel(prefaces.SOCKS_CLIENT, b"\x01\x01a\x01b")
    assert prefaces.refuses_tunnel(prefaces.SOCKS_CLIENT, b"\x05\x03\x00\x01\0\0\0\0\0\0")
    assert prefaces.refuses_tunnel(prefaces.SOCKS_SERVER, b"\x05\x05\x00\x01\0\0\0\0\0\0")
    assert prefaces.refuses_tunnel(prefaces.SOCKS_SERVER, b"\x01\x01")
    assert prefaces.refuses_tunnel(prefaces.SOCKS_CHOICE, b"\x05\xff")
    assert not prefaces.refuses_tunnel(prefaces.SOCKS_SERVER, b"\x05\x00\x00\x01\0\0\0\0\0\0")
