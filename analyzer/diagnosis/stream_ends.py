"""How an HTTP/2 stream ended, in words: END_STREAM, RST_STREAM and GOAWAY, with their error codes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from analyzer.diagnosis.facts import SIDE_NAMES, StreamEnd
from analyzer.records import END_GOAWAY, END_STREAM_RESET, MISSING

ENDS = ("nothing", "FIN", "RST", "END_STREAM", "RST_STREAM", "GOAWAY")
"""How a transport ends, by END_CAPTURE, END_FIN, ..."""
ERRORS = (
    *("NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED"),
    *("FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM"),
    *("INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"),
)
"""Error codes by number (RFC 9113 7)."""
NO_ERROR = 0


def error_name(code: int) -> str:
    """The name of an error code, or its number."""
    return ERRORS[code] if code < len(ERRORS) else f"0x{code:x}"


def stream_error(ends: Iterable[StreamEnd], end_how: int) -> str | None:
    """The first RST_STREAM, or the GOAWAY that ended the stream: "client: CANCEL"."""
    telling = END_GOAWAY if end_how == END_GOAWAY else END_STREAM_RESET
    for how, by_client, code, *_ in ends:
        if how == telling and code != MISSING:
            return f"{'client' if by_client else 'server'}: {error_name(code)}"
    return None


def reset_after(ends: Iterable[StreamEnd], side: int, time: int, most: int) -> bool:
    """Did a side reset the stream with an error within `most` nanoseconds after `time`? NO_ERROR only says that the
    rest is not wanted (RFC 9113 8.1)."""
    name = SIDE_NAMES[side]
    for how, by_client, code, when, *_ in ends:
        if how == END_STREAM_RESET and ("client" if by_client else "server") == name and code > NO_ERROR:
            return 0 <= when - time <= most
    return False


def told(ends: Iterable[StreamEnd], packet: Callable[[int, int], str], seconds: Callable[[int], str]) -> str:
    """The words about the end in their order, each with its error code, packet, and how much later it came."""
    found, before = [], None
    for how, by_client, code, time, number, file in ends:
        name = ENDS[how] if code == MISSING else f"{ENDS[how]} {error_name(code)}"
        later = "" if before is None else f" {seconds(max(0, time - before))} later"
        found.append(f"{name} by the {'client' if by_client else 'server'}{later} ({packet(number, file)})")
        before = time
    return ", ".join(found)
