"""A closer look at one connection: its row, its frames in order of time, its story as a timeline."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from analyzer.outputs import words
from analyzer.outputs.escaping import visible
from analyzer.records import NO_TIME

if TYPE_CHECKING:
    from analyzer.result import Result

_SIDES = ("client", "server")
Event = tuple[Any, ...]
"""A row of a timeline."""


class ConnectionView:
    """One connection of a result. KeyError if the result has no such connection."""

    def __init__(self, result: Result, number: int) -> None:
        if number not in result.connections.index:
            raise KeyError(f"there is no connection {number}; the last is {len(result.connections) - 1}")
        self.number = number
        self._result = result

    @property
    def row(self) -> Any:
        """Its row of the connections table, a Series."""
        return self._result.connections.loc[self.number]

    @property
    def elsewhere(self) -> pd.DataFrame:
        """The rows of the connections that are the same WebSocket, seen at other places (column same_as)."""
        table = self._result.connections
        first = self.number if pd.isna(self.row["same_as"]) else self.row["same_as"]
        same = (table["same_as"] == first).fillna(False) | (table.index == first)
        return table[same & (table.index != self.number)]

    def _own(self, table: pd.DataFrame) -> pd.DataFrame:
        return table[table["connection"] == self.number]

    @property
    def closes(self) -> pd.DataFrame:
        """Its Close frames."""
        return self._own(self._result.closes)

    @property
    def frames(self) -> pd.DataFrame:
        """Its frames, both directions, as they became complete."""
        return self._own(self._result.frames)

    @property
    def messages(self) -> pd.DataFrame:
        """Its messages, both directions."""
        return self._own(self._result.messages)

    @property
    def violations(self) -> pd.DataFrame:
        """The rules that were broken in it."""
        return self._own(self._result.violations)

    def payloads(self) -> pd.DataFrame:
        """Its messages with a column `payload`: bytes, unmasked and inflated, <NA> where not all is there.

        Reads the inputs again (NotKept if they can't be).
        """
        found = self._result.payloads(self.number)
        table = self.messages.copy()
        keys = zip(table["sender"], table["message"], strict=True)
        table["payload"] = pd.Series([found.get(key, pd.NA) for key in keys], index=table.index, dtype="object")
        return table

    def timeline(self) -> pd.DataFrame:
        """What happened, in order: columns time, offset (since start), packet, file, sender, event, text."""
        row = self.row
        events = [*self._handshake(row), *self._frame_events()]
        for event in self._tcp_events(row):
            place = len(events)
            while place and events[place - 1][0] > event[0]:  # never of an event without a time
                place -= 1
            events.insert(place, event)
        events += self._ending(row)
        columns = ["time", "packet", "file", "sender", "event", "text"]
        table = pd.DataFrame(events, columns=columns).astype(
            {"time": "datetime64[ns, UTC]", "packet": "Int64", "file": "string", "sender": "string"}
        )
        table.insert(1, "offset", table["time"] - row["start"])
        return table

    def _handshake(self, row: Any) -> list[Event]:
        file = row.get("first_file", pd.NA)
        events: list[Event] = [(row["start"], row["first_packet"], file, pd.NA, "first packet", "")]
        if not pd.isna(row["opened"]):
            events.append((row["opened"], pd.NA, pd.NA, "server", "opened", _answered(row)))
        elif not pd.isna(row["http_status"]):
            events.append((pd.NaT, pd.NA, pd.NA, "server", "refused", _answered(row)))
        return events

    def _frame_events(self) -> list[Event]:
        closes: Iterator[Any] = self.closes.itertuples()
        events: list[Event] = []
        frame: Any
        for frame in self.frames.itertuples():
            text = words.counted(int(frame.length), "byte")
            if frame.type == "close" and (close := next(closes, None)) is not None:
                reason = "" if pd.isna(close.reason) or not close.reason else f' "{close.reason}"'
                text = words.code(close.code) + reason
            file = getattr(frame, "file", pd.NA)
            events.append((frame.time, frame.packet, file, frame.sender, str(frame.type), text.strip()))
        return events

    def _tcp_events(self, row: Any) -> Iterator[Event]:
        """What TCP shows of an end without both Closes: a closed window, repeats and probes that nothing answered."""
        file = row.get("last_file", pd.NA)
        for sender, tail in zip(_SIDES, self._result.tails.get(self.number, ()), strict=False):
            if tail.shut_packet and tail.shut_since != NO_TIME:
                yield _time(tail.shut_since), tail.shut_packet, file, sender, "zero window", "it takes no more bytes"
            for what, number, first, last, packet in (
                ("retransmission", tail.again_count, tail.again_first, tail.again_time, tail.again_packet),
                ("probe", tail.probes, tail.probe_first, tail.probe_time, tail.probe_packet),
            ):
                if number > 1:
                    yield _time(first), pd.NA, file, sender, what, f"the first of {number} that nothing answered"
                if number:
                    text = f"the last of {number}" if number > 1 else "nothing answered it"
                    yield _time(last), packet, file, sender, what, text

    def _ending(self, row: Any) -> Iterator[Event]:
        """How the transport ended, if it did, and the last packet."""
        file, last = row.get("last_file", pd.NA), row["last_packet"]
        how, side = row["transport_end"], row["transport_end_by"]
        if pd.isna(how):
            text = "the connection is still open" if row["outcome"] in ("open", "closing") else ""
            yield row["end"], last, file, pd.NA, "last packet", text
            return
        resets = [tail.reset_packet for tail in self._result.tails.get(self.number, ())]
        packet = dict(zip(_SIDES, resets, strict=False)).get(side) if how == "rst" else None
        text = "its FIN was the first; TCP is over" if how == "fin" else ""
        yield row["end"], packet or pd.NA, file, side, str(how), text
        if packet != last:
            yield pd.NaT, last, file, pd.NA, "last packet", ""

    def __str__(self) -> str:
        """Its story, as `wsclose show` tells it."""
        from analyzer.outputs import timeline

        return "\n".join("".join(text for text, _ in line) for line in timeline.lines(self, self.number, None))

    def __repr__(self) -> str:
        row = self.row
        ends = " -> ".join(words.endpoint(row[f"{side}_ip"], row[f"{side}_port"]) for side in ("client", "server"))
        return f"<connection {self.number}: {ends}, {row['outcome']}, {row['cause']}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: why it ended, its row and its timeline."""
        from analyzer.outputs import ending

        why = "".join(f"<p>{escape(sentence)}</p>" for sentence in ending.cause(self.row))
        shown = (self.row.to_frame(), self.timeline())
        return why + "".join(frame.map(_shown).to_html() for frame in shown)


def _time(nanoseconds: int) -> pd.Timestamp:
    return pd.Timestamp(nanoseconds, tz="UTC")  # NO_TIME gives NaT


def _answered(row: Any) -> str:
    """GET /feed was answered 101."""
    path = "the request" if pd.isna(row["path"]) else row["path"]
    return f"{path} answered" + ("" if pd.isna(row["http_status"]) else f" {row['http_status']}")


def _shown(value: Any) -> Any:
    """A cell for a page: to_html escapes what HTML has a meaning for, here what acts on other displays."""
    return visible(value) if isinstance(value, str) else value
