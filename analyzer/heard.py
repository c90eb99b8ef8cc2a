"""What a side has got from the other one when it closes, and what is wrong with text; for the message stage."""

from __future__ import annotations

from analyzer.records import MISSING, NO_TIME, Frame, Heard, Message, Side

CLOSE = 8


def heard_by(side: Side, acknowledged: int) -> Heard:
    """What this side has got from its peer so far, of which it has acknowledged so much."""
    heard, peer = Heard(), side.peer
    heard.acknowledged = acknowledged
    message: Message | None = peer.message
    frame: Frame | None = peer.frame
    heard.exact = peer.exact and not peer.broken and peer.half is not None and peer.half.packets > 0
    heard.exact = heard.exact and not peer.context_lost
    heard.messages, heard.binaries, heard.largest = peer.messages, peer.binaries, peer.largest
    heard.breaches = tuple(peer.breaches or ())
    heard.ping = side.outstanding_pings[0] if side.outstanding_pings else None
    heard.answered = side.answered
    if message is None or frame is None:
        return heard
    if frame.opcode < CLOSE and frame.begin >= frame.finish and frame.captured < frame.length:
        heard.sending, heard.sent = frame.length, frame.captured
    heard.under_way = heard.sending > 0 or (message.frames > 0 and message.end == NO_TIME)
    heard.opcode, heard.fault = message.opcode, message.fault
    heard.packet, heard.file = message.packet if message.frames else MISSING, message.file
    heard.size = message.wire_bytes + heard.sending if heard.under_way else message.bytes
    if heard.under_way and heard.size > heard.largest:
        heard.largest = heard.size
    return heard


def fault_of(text: bytes) -> str | None:
    """What keeps a whole text from being UTF-8, None if nothing does (RFC 6455 8.1)."""
    if text.isascii():
        return None
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return bad_byte(text, error.start, 0)
    return None


def bad_byte(text: bytes, at: int, before: int) -> str:
    """The byte at which UTF-8 ends, in words; before: bytes of the message before this piece of it."""
    return f"byte 0x{text[at]:02x} at offset {before + at} is not UTF-8"
