"""Rules of frames, messages and Closes (RFC 6455 5 and 7, RFC 7692 6). Each check yields (rule, severity, expected,
found)."""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.closecodes import CloseCode
from analyzer.records import Close, Frame, Message
from analyzer.rules.catalog import MUST, NOTE, SHOULD

Finding = tuple[str, str, str, str]
CONTROL_MOST = 125
REASON_MOST = 123
CONTINUATION, TEXT, BINARY, CLOSE, PONG = 0, 1, 2, 8, 10
NEVER_SENT = (1005, 1006, 1015)  # "MUST NOT be set as a status code" (RFC 6455 7.4.1)


def masking(frame: Frame, from_client: bool) -> Iterator[Finding]:
    """F1."""
    if frame.masked != from_client:
        yield "F1", MUST, "masked" if from_client else "not masked", "masked" if frame.masked else "not masked"


def reserved_bits(frame: Frame, deflate: bool) -> Iterator[Finding]:
    """F2; deflate: permessage-deflate was agreed."""
    if frame.rsv & 3 or (frame.rsv and (not deflate or frame.opcode not in (TEXT, BINARY))):
        bits = ", ".join(name for bit, name in ((4, "RSV1"), (2, "RSV2"), (1, "RSV3")) if frame.rsv & bit)
        yield "F2", MUST, "reserved bits 0", f"{bits} in a frame of opcode {frame.opcode}"


def opcode(frame: Frame) -> Iterator[Finding]:
    """F3."""
    if BINARY < frame.opcode < CLOSE or frame.opcode > PONG:
        yield "F3", MUST, "opcode 0, 1, 2, 8, 9 or 10", str(frame.opcode)


def length(frame: Frame) -> Iterator[Finding]:
    """F4."""
    size = frame.header_size - (4 if frame.masked else 0)
    if frame.length >> 63:
        yield "F4", MUST, "a length below 2^63", str(frame.length)
    elif (size == 4 and frame.length < 126) or (size == 10 and frame.length < 65536):
        yield "F4", MUST, "the shortest form of the length", f"{frame.length} in {8 * (size - 2)} bits"


def fragmentation(frame: Frame, in_message: bool) -> Iterator[Finding]:
    """F6."""
    if frame.opcode == CONTINUATION and not in_message:
        yield "F6", MUST, "a frame that begins a message", "a continuation"
    elif frame.opcode in (TEXT, BINARY) and in_message:
        yield "F6", MUST, "a continuation of the message", f"opcode {frame.opcode}"


def control(frame: Frame) -> Iterator[Finding]:
    """F7."""
    if frame.opcode >= CLOSE and not frame.fin:
        yield "F7", MUST, "FIN set in a control frame", f"not set in a frame of opcode {frame.opcode}"
    if frame.opcode >= CLOSE and frame.length > CONTROL_MOST:
        yield "F7", MUST, f"at most {CONTROL_MOST} bytes", f"{frame.length} bytes"


def data_after_close(frame: Frame, closed: bool) -> Iterator[Finding]:
    """C2, but for a second Close."""
    if closed and frame.opcode <= BINARY:
        yield "C2", MUST, "no data after the Close", f"a frame of opcode {frame.opcode}, {frame.length} bytes"


def content(message: Message, inflated: bool) -> Iterator[Finding]:
    """F8 and D2 of a message that is not valid; inflated: its bytes in clear are known."""
    if message.compressed and not inflated:
        found = f"{message.wire_bytes} bytes that can't: {message.fault or 'not DEFLATE'}"
        yield "D2", MUST, "a message that can be inflated", found
    else:
        yield "F8", MUST, "text in UTF-8", f"{message.fault or 'other bytes'}, in a message of {message.bytes} bytes"


def distance(window_bits: int) -> Iterator[Finding]:
    """D2 of a message that refers back farther than was agreed (RFC 7692 7.1.2)."""
    yield "D2", MUST, f"references back of at most {1 << window_bits} bytes", "one that goes farther"


def close_body(close: Close) -> Iterator[Finding]:
    """C1, C6, and F8 of the reason."""
    if close.size == 1:
        yield "C1", MUST, "no body or at least two bytes", "one byte"
    if close.size > 2 + REASON_MOST:
        yield "C6", MUST, f"a reason of at most {REASON_MOST} bytes", f"{close.size - 2} bytes"
    if not close.cut:
        try:
            close.reason.decode()
        except UnicodeDecodeError:
            yield "F8", MUST, "a reason in UTF-8", close.reason.decode("utf-8", "backslashreplace")


def close_code(close: Close, from_client: bool) -> Iterator[Finding]:
    """C4."""
    if close.size < 2 or close.code < 0:
        return
    if close.code in NEVER_SENT:
        yield "C4", MUST, "a code that is not for local use only", str(close.code)
    elif not 1000 <= close.code < 5000:
        yield "C4", MUST, "a code from 1000 to 4999", str(close.code)
    elif not CloseCode(close.code).on_wire:
        yield "C4", SHOULD, "a code that is registered or for private use", str(close.code)
    elif close.code == 1010 and not from_client and not _echoes(close):
        yield "C4", NOTE, "1010 from a client only", "1010"


def _echoes(close: Close) -> bool:
    """It repeats the code of the other side's Close, as RFC 6455 5.5.1 wants, or may: that Close may be missing."""
    peer = close.sender.peer
    if not peer.closes:
        unseen = peer.half is not None and close.acknowledged > peer.half.offset
        return bool(unseen or peer.may_hide_close or peer.has_bytes_to_come())
    return bool(peer.closes[0].code == close.code)


def close_again(number: int) -> Iterator[Finding]:
    """C2 of a side's second and further Closes."""
    if number > 1:
        yield "C2", MUST, "one Close", f"Close number {number}"
