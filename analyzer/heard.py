"""What a side has got from the other one when it closes: a record, and how it is taken; and what is wrong with text."""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.records import MISSING, NO_TIME, Frame, Message, Side, Violation

CLOSE = 8


@dataclass(slots=True)
class Heard:
    """What the sender of a Close had got from the other side by then, kept where the code may be about it.

    exact: nothing of the other side's frames is missing; messages: its complete data messages, binaries: binary ones
    of them. opcode, packet, file: of its last message, packet MISSING while that is under way (under_way; size: its
    bytes so far, what its frame declares included). largest: of all, MISSING without any. fault: what is wrong
    with the content of the last one, None if nothing is. breaches: rules that it had broken.
    sending, sent: declared and captured bytes of the frame of data that it was in the middle of, else 0.
    ping: the oldest unanswered Ping of the Close's sender (see Side.outstanding_pings), None without one; answered: see
    Side.answered; acknowledged: see Close.acknowledged.
    """

    exact: bool = False
    messages: int = 0
    binaries: int = 0
    opcode: int = 0
    packet: int = MISSING
    file: int = 0
    under_way: bool = False
    size: int = 0
    largest: int = MISSING
    fault: str | None = None
    breaches: tuple[Violation, ...] = ()
    sending: int = 0
    sent: int = 0
    acknowledged: int = MISSING
    ping: tuple[int, bytes, int, int] | None = None
    answered: tuple[int, int, int, int, int, int, int] | None = None


def heard_by(side: Side, acknowledged: int) -> Heard:
    """What this side has got from its peer so far, of which it has acknowledged so much."""
    heard, peer = Heard(), side.peer
    heard.acknowledged = acknowledged
    message: Message | None = peer.message
    frame: Frame | None = peer.frame
    heard.exact = peer.exact and not peer.broken and peer.half is not None and peer.half.packets > 0
    heard.exact = heard.exact and not peer.context_lost and not _has_got_more(peer, acknowledged)
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


def _has_got_more(peer: Side, acknowledged: int) -> bool:
    """What it acknowledged is not all read here: it is missing, or was captured later. A number more is a FIN's."""
    return peer.half is not None and bool(acknowledged > peer.half.offset + 1)


def fault_of(text: bytes) -> str | None:
    """What keeps a whole text from being UTF-8, None if nothing does (RFC 6455 8.1)."""
    if text.isascii():
        return None
    try:
        text.decode()
    except UnicodeDecodeError as error:
        if error.end == len(text) and error.reason == "unexpected end of data":
            return f"its {len(text)} bytes end within a character"
        within = error.reason == "invalid continuation byte"
        return bad_byte(text, error.end if within else error.start, 0)
    return None


def bad_byte(text: bytes, at: int, before: int) -> str:
    """The byte at which it is no longer UTF-8, in words; before: bytes of the message before this piece of it."""
    return f"byte 0x{text[at]:02x} at offset {before + at} is not UTF-8"
