"""How one connection ended, in sentences: who closed, with what, what each application was told and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from analyzer.diagnosis.vocabulary import CAUSES
from analyzer.outputs import words
from analyzer.outputs.escaping import visible

_PEER = {"client": "server", "server": "client"}
MOST_CLOSES = 6
MOST_BREACHES = 8
_TRANSPORT = {
    "fin": "was the first to end the TCP connection (FIN)",
    "rst": "reset the TCP connection (RST)",
    "stream-end": "was the first to end the HTTP/2 stream (END_STREAM)",
    "stream-reset": "reset the HTTP/2 stream (RST_STREAM)",
    "goaway": "gave up the HTTP/2 connection (GOAWAY)",
}


def sentences(row: pd.Series[Any], closes: pd.DataFrame) -> list[str]:
    """The ending of a connection, from its row and its Close frames; safe to print."""
    if row["outcome"] == "refused":
        found = [_refusal(row)]
    elif row["outcome"] == "no-answer" and _tls_failed(row):
        found = ["The TLS handshake failed: nothing was asked."]
    elif row["outcome"] == "no-answer":
        found = ["The server never answered the upgrade request."]
    else:
        found = [*_closing(row, closes), *_transport(row)]
    found += [_told(row, side) for side in ("client", "server") if _is_told(row, side)]
    outcome = "unknown" if words.is_missing(row["outcome"]) else str(row["outcome"])
    meaning = words.OUTCOMES.get(outcome)
    return [*found, f"Outcome: {outcome}" + (f" ({meaning})." if meaning else "."), *_verdicts(closes)]


def cause(row: pd.Series[Any]) -> list[str]:
    """The diagnosis, what it means and what it rests on; nothing where there is none."""
    if "cause" not in row.index or words.is_missing(row["cause"]):
        return []
    name, by = str(row["cause"]), row["cause_by"]
    who = "" if words.is_missing(by) else f", by the {by}" if by != "both" else ", by both sides"
    meaning = f"{CAUSES[name]}." if name in CAUSES else ""
    return [f"{name} ({row['cause_basis']}){who}: {meaning}", f"{visible(str(row['evidence']))}."]


def breaches(violations: pd.DataFrame) -> list[str]:
    """The rules that were broken, a sentence each."""
    found = []
    for row in violations.head(MOST_BREACHES).itertuples():
        where = "" if words.is_missing(row.packet) else f", {words.packet(row)}"
        what = f"{visible(str(row.found))} instead of {visible(str(row.expected))}"
        found.append(f"{row.rule} ({row.severity}), by the {row.sender}{where}: {what}.")
    if len(violations) > MOST_BREACHES:
        found.append(f"And {len(violations) - MOST_BREACHES} more: wsclose violations FILE.")
    return found


def _verdicts(closes: pd.DataFrame) -> Iterator[str]:
    """Whether the codes are true."""
    if "verdict" not in closes.columns:
        return
    for close in closes[closes["verdict"].notna()].head(MOST_CLOSES).itertuples():
        code = "without a code" if words.is_missing(close.code) else str(close.code)
        yield f"The {close.sender}'s Close {code} is {close.verdict}: {visible(str(close.evidence))}."


def opening(row: pd.Series[Any]) -> str:
    """How the connection began, in a sentence."""
    if row["opening"] == "midstream":
        return "The capture begins after the handshake."
    if row["opening"] == "handshake":
        took = words.elapsed(row["opened"] - row["start"])
        after = f", {took} after its start" if took else ""
        return f"Opened by a handshake (status {_known(row['http_status'])}){after}."
    if _tls_failed(row):
        return "The TLS handshake failed."
    return {
        "refused": f"The upgrade was refused (status {_known(row['http_status'])}).",
        "unanswered": "The capture holds no answer to the upgrade request.",
    }.get(str(row["opening"]), "Encrypted: nothing of the handshake can be read.")


def _tls_failed(row: pd.Series[Any]) -> bool:
    return not words.is_missing(row["client_saw"]) and row["client_saw"] == 1015


def _known(value: Any) -> str:
    return "unknown" if words.is_missing(value) else str(value)


def _refusal(row: pd.Series[Any]) -> str:
    return f"The server refused the upgrade with HTTP status {_known(row['http_status'])}: no WebSocket was opened."


def _closing(row: pd.Series[Any], closes: pd.DataFrame) -> Iterator[str]:
    sent = [side for side in ("client", "server") if not words.is_missing(row[f"{side}_close"])]
    if not sent:
        if row["outcome"] == "open":
            yield "Neither side sent a Close frame, and the transport had not ended: still open."
        elif row["opening"] == "encrypted":
            yield "Inside TLS, without its keys, no Close frame can be seen."
        elif row["outcome"] == "unknown":
            yield "The capture shows no Close frame, but bytes are missing that could hold one."
        else:
            yield "Neither side sent a Close frame."
        return
    first = row["close_initiator"]
    if words.is_missing(first):
        yield "Who closed first can't be told: missing bytes could hold an earlier Close."
        for side in sent:
            yield f"The {side} sent {_frame(row, closes, side)}."
    elif first == "both":
        yield f"Both sides closed at once: the client sent {_frame(row, closes, 'client')},"
        yield f"the server {_frame(row, closes, 'server')}; neither had received the other's."
    else:
        yield f"The {first} closed first: {_frame(row, closes, str(first))}."
        yield from _answer(row, closes, _PEER[str(first)])


def _answer(row: pd.Series[Any], closes: pd.DataFrame, side: str) -> Iterator[str]:
    if not words.is_missing(row[f"{side}_close"]):
        after = words.elapsed(row["close_latency"])
        yield f"The {side} answered{f' after {after}' if after else ''}: {_frame(row, closes, side)}."
    elif row["outcome"] == "closing":
        yield f"The {side} had not answered when the capture ended."
    elif row["outcome"] == "unknown":
        yield f"The capture shows no answer of the {side}; missing bytes could hold it."
    else:
        yield f"The {side} never answered it."


def _frame(row: pd.Series[Any], closes: pd.DataFrame, side: str) -> str:
    """Close 1001 Going Away "bye" (packet 17)."""
    reason = row[f"{side}_reason"]
    quoted = "" if words.is_missing(reason) or reason == "" else f' "{visible(str(reason))}"'
    code = row[f"{side}_code"]
    name = "an empty Close" if words.is_missing(code) else f"Close {words.code(code)}"
    own = closes[closes["sender"] == side]
    packet = "" if own.empty else f" ({words.packet(own.iloc[0])})"
    return f"{name}{quoted}{packet}"


def _transport(row: pd.Series[Any]) -> Iterator[str]:
    how = row["transport_end"]
    if words.is_missing(how):
        yield "The end of the transport is not in the capture."
        return
    who = row["transport_end_by"]
    subject = "One side" if words.is_missing(who) else f"The {who}"
    yield f"{subject} {_TRANSPORT.get(str(how), f'ended the transport ({how})')}."


def _is_told(row: pd.Series[Any], side: str) -> bool:
    """A server never hears of a connection that it did not open."""
    return not (side == "server" and row["outcome"] in ("refused", "no-answer"))


def _told(row: pd.Series[Any], side: str) -> str:
    """What that side's application is told (RFC 6455 7.1.5), and why."""
    saw, peer = row[f"{side}_saw"], _PEER[side]
    who = f"The {side}'s application"
    if words.is_missing(saw):
        if row["outcome"] in ("open", "closing"):
            return f"{who} had been told nothing yet."
        return f"What the {side}'s application was told can't be known from this capture."
    told = f"{who} was told {words.code(saw)}"
    peer_closed = not words.is_missing(row[f"{peer}_close"])
    if saw == 1005:
        return f"{told}: the {peer}'s Close carried no code. 1005 itself is never sent."
    if saw == 1006 and row["outcome"] in ("refused", "no-answer"):
        return f"{told}: the connection never opened. 1006 itself is never sent."
    if saw == 1006 and peer_closed and row[f"{peer}_code"] is not pd.NA and row[f"{peer}_code"] == 1006:
        return f"{told}: the {peer} sent it, although 1006 must never be sent."
    if saw == 1006 and peer_closed:
        return f"{told}: the {peer}'s Close never reached it (not acknowledged, or after its own reset)."
    if saw == 1006:
        return f"{told}: the transport ended with no Close from the {peer}. 1006 itself is never sent."
    if saw == 1015:
        return f"{told}: the TLS handshake failed. 1015 itself is never sent."
    return f"{told}: the code of the {peer}'s Close."
