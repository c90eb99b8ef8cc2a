"""What makes the values of columns out of what the records hold."""

from __future__ import annotations

from functools import lru_cache

from analyzer.diagnosis.addresses import address

SIDES = {True: "client", False: "server"}
FRAME_TYPES = {0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"} | dict.fromkeys(
    (3, 4, 5, 6, 7, 11, 12, 13, 14, 15), "reserved"
)

LEDGER_MEANINGS = {
    ("packet", "WebSocket"): "of TCP connections with a WebSocket, or with a request for one",
    ("packet", "other TCP"): "of TCP connections without a WebSocket",
    ("packet", "not TCP"): "of another protocol than TCP",
    ("packet", "fragment"): "pieces of datagrams that later ones made whole",
    ("packet", "fragment of an incomplete datagram"): "pieces of datagrams whose other pieces are missing",
    ("packet", "too many tunnels"): "in more encapsulations inside each other than are unwrapped",
    ("packet", "undecodable: unknown link type"): "of an interface whose link type is not known",
    ("packet", "undecodable: link or tunnel header cut or damaged"): "ended within a link or tunnel header, or "
    "contradict themselves there",
    ("packet", "undecodable: IP header cut or damaged"): "ended within the IP header, or contradict themselves there",
    ("packet", "undecodable: TCP header cut or damaged"): "ended within the TCP header, or contradict themselves there",
    ("packet", "outside time range"): "before or after the times asked for",
    ("packet", "unreadable"): "records of the capture file that could not be read",
    ("byte", "duplicate"): "TCP payload of WebSocket connections that had been captured before",
    ("byte", "before the upgrade"): "sent on the connection before the request for the WebSocket; over HTTP/2 the "
    "data of streams that are no WebSocket",
    ("byte", "handshake"): "of the upgrade request and its answer",
    ("byte", "HTTP/2 framing"): "of HTTP/2 all but the data of its streams: frame headers, padding, and the frames of "
    "header fields and of the connection",
    ("byte", "TLS framing"): "of TLS itself: record headers, protection, handshakes, alerts",
    ("byte", "undecrypted"): "inside TLS, not opened: no secrets, or not authentic",
    ("byte", "frames"): "WebSocket frames, headers and payloads",
    ("byte", "over a limit"): "kept until it was known what it is, and more than is kept (limits.py)",
    ("byte", "after the end"): "sent after the sender's own FIN, or on an HTTP/2 stream after its END_STREAM or "
    "RST_STREAM",
    ("byte", "unaccounted"): "in no other cell: a defect of wsclose, please report it",
    ("byte", "conflicting"): "of the duplicates those that differ from the copy kept; in no sum",
    ("byte", "skipped"): "captured after missing bytes, before frames were found again",
    ("byte", "truncated record"): "of the record in which a file ends, not read as a packet; in no sum",
    ("byte", "lost"): "acknowledged by the other side, never captured; in no sum",
    ("byte", "cut by snaplen"): "on the wire, cut off by the snapshot length; in no sum",
}


def ledger_meaning(unit: str, kind: str) -> str | None:
    """What a ledger kind counts."""
    return LEDGER_MEANINGS.get((unit, kind))


def address_of(host: tuple[int, int, int]) -> str:
    """The address of a host: IP version, high and low half."""
    return address(*host)


def close_code(code: int, size: int) -> int | None:
    """The code of a Close whose body has `size` bytes (RFC 6455 5.5.1); None without one, or if it was not captured."""
    return code if size > 1 and code >= 0 else None


def close_name(code: int, size: int) -> str | None:
    """The code's registered name."""
    return None if close_code(code, size) is None else _described(code)[0]


def close_legal(code: int, size: int, from_client: bool) -> bool | None:
    """Whether the code may be on the wire, from this side (RFC 6455 7.4); None without a code.

    1010 alone is bound to a side, the client (7.4.1); for others the registry only names a usual sender.
    """
    if close_code(code, size) is None:
        return None
    _, on_wire, client_only = _described(code)
    return on_wire and (from_client or not client_only)


@lru_cache(maxsize=1024)
def _described(code: int) -> tuple[str, bool, bool]:
    """Name, may be on the wire, only from a client."""
    from analyzer.closecodes import CloseCode

    facts = CloseCode(code)
    return facts.name, facts.on_wire, facts.sent_by == "client"


def close_reason(code: int, size: int, cut: bool, reason: bytes) -> str | None:
    """The reason as text; None without a code, and where part of it was not captured."""
    if cut or close_code(code, size) is None:
        return None
    return reason.decode("utf-8", "backslashreplace")


def close_reason_bytes(code: int, size: int, reason: bytes) -> bytes | None:
    """The bytes after the code, those that were captured; None without a code."""
    return None if close_code(code, size) is None else reason


def close_catalog(
    subprotocol: str | None, host: str | None, path: str | None, client: bytes | None, server: bytes | None
) -> str | None:
    """The application catalog that explains this connection's codes, chosen by its handshake and first messages."""
    from analyzer.catalogs import catalog_for

    catalog = catalog_for(subprotocol, host, path, client, server)
    return None if catalog is None else catalog.name
