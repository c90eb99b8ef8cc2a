"""The rules that a passive observer can check, as data: what each says, where it stands, how strictly."""

from __future__ import annotations

from dataclasses import dataclass

MUST, SHOULD, NOTE = "must", "should", "note"
SEVERITIES = (MUST, SHOULD, NOTE)


@dataclass(frozen=True)
class Rule:
    """One rule. section: of RFC 6455 unless another is named; severity: of a breach, unless a row says a milder one."""

    id: str
    section: str
    severity: str
    says: str


RULES = {
    rule.id: rule
    for rule in (
        Rule("H1", "4.1", MUST, "the request is a GET of HTTP/1.1 or later with a Host"),
        Rule("H2", "4.1, 4.2.1, 4.2.2", MUST, "Upgrade names websocket and Connection names Upgrade, in both heads"),
        Rule("H3", "4.1, 11.3.1", MUST, "one Sec-WebSocket-Key, base64 of 16 bytes, a new one for each connection"),
        Rule("H4", "4.1, 4.4", MUST, "one Sec-WebSocket-Version, 13; an answer that refuses another names its own"),
        Rule("H5", "4.2.2, 11.3.3", MUST, "one Sec-WebSocket-Accept, made of the key"),
        Rule("H6", "4.1, 11.3.4", MUST, "offered subprotocols differ; the answer picks one of them, or none"),
        Rule("H7", "4.1, 9.1", MUST, "every extension of the answer was offered"),
        Rule("H8", "4.1", MUST, "the client sends nothing between its request and the answer"),
        Rule("H9", "4.1", NOTE, "a browser opens one connection to a server at a time"),
        Rule("H10", "4.1, 4.2.2", MUST, "no 101 for a request that breaks a rule; no empty Sec-WebSocket-Protocol"),
        Rule("F1", "5.1", MUST, "frames of the client are masked, those of the server are not"),
        Rule("F2", "5.2, RFC 7692 6", MUST, "reserved bits are 0, but for RSV1 where a compressed message begins"),
        Rule("F3", "5.2", MUST, "opcodes 3-7 and 11-15 are not used"),
        Rule("F4", "5.2", MUST, "the payload length is in the shortest form, and below 2^63"),
        Rule("F5", "5.3", MUST, "masking keys can't be foreseen"),
        Rule("F6", "5.4", MUST, "a continuation only inside a message, another data opcode only outside of one"),
        Rule("F7", "5.5", MUST, "control frames are whole and carry at most 125 bytes"),
        Rule("F8", "5.5.1, 5.6, 8.1", MUST, "text and close reasons are UTF-8"),
        Rule("C1", "5.5.1", MUST, "the body of a Close is empty or begins with a code of two bytes"),
        Rule("C2", "5.5.1", MUST, "after its Close a side sends no data frame and no second Close"),
        Rule("C3", "5.5.1", MUST, "a Close is answered by a Close; with which code is left to who answers"),
        Rule("C4", "7.4", MUST, "the close code may be on the wire, from this side"),
        Rule("C5", "5.5.1, 7.1.1", MUST, "after both Closes the server closes the TCP connection at once"),
        Rule("C6", "5.5", MUST, "a close reason has at most 123 bytes"),
        Rule("P1", "5.5.2", MUST, "a Ping is answered by a Pong, unless a Close came first"),
        Rule("R1", "7.2.3", SHOULD, "after an abnormal end clients wait a random time, after failed tries ever longer"),
        Rule("D1", "RFC 7692 7.1", MUST, "permessage-deflate parameters of the answer fit an offer"),
        Rule("D2", "RFC 7692 7.2", MUST, "compressed messages can be inflated, within the agreed context"),
        Rule("D3", "RFC 7692 7.1", MUST, "server_no_context_takeover and server_max_window_bits are echoed if offered"),
        Rule("X1", "RFC 8441 3", MUST, "an extended CONNECT only after SETTINGS_ENABLE_CONNECT_PROTOCOL = 1"),
        Rule("X2", "RFC 8441 4, 5", MUST, "over HTTP/2: CONNECT with scheme and path, answered 2xx; no Upgrade"),
    )
}
