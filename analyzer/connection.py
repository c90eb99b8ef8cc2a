"""A closer look at one connection: its row, its frames in order of time, its story as a timeline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from analyzer.closecodes import CloseCode
from analyzer.outputs.escaping import visible

if TYPE_CHECKING:
    from analyzer.result import Result


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
        events = [*self._handshake(row), *self._frame_events(), *self._ending(row)]
        columns = ["time", "packet", "file", "sender", "event", "text"]
        table = pd.DataFrame(events, columns=columns).astype(
            {"time": "datetime64[ns, UTC]", "packet": "Int64", "file": "string", "sender": "string"}
        )
        table.insert(1, "offset", table["time"] - row["start"])
        return table

    def _handshake(self, row: Any) -> list[tuple[object, ...]]:
        file = row.get("first_file", pd.NA)
        events: list[tuple[object, ...]] = [(row["start"], row["first_packet"], file, pd.NA, "first packet", "")]
        if not pd.isna(row["opened"]):
            text = f"{row['path']} answered {row['http_status']}"
            events.append((row["opened"], pd.NA, pd.NA, "server", "opened", text))
        elif not pd.isna(row["http_status"]):
            events.append((pd.NaT, pd.NA, pd.NA, "server", "refused", f"{row['path']} answered {row['http_status']}"))
        return events

    def _frame_events(self) -> list[tuple[object, ...]]:
        closes: Iterator[Any] = self.closes.itertuples()
        events: list[tuple[object, ...]] = []
        frame: Any
        for frame in self.frames.itertuples():
            text = f"{frame.length} bytes"
            if frame.type == "close" and (close := next(closes, None)) is not None:
                text = "no code" if pd.isna(close.code) else f"{close.code} {CloseCode(close.code).name} {close.reason}"
            file = getattr(frame, "file", pd.NA)
            events.append((frame.time, frame.packet, file, frame.sender, str(frame.type), text.strip()))
        return events

    def _ending(self, row: Any) -> list[tuple[object, ...]]:
        file = row.get("last_file", pd.NA)
        if pd.isna(row["transport_end"]):
            return [(row["end"], row["last_packet"], file, pd.NA, "last packet", "the connection is still open")]
        return [(row["end"], row["last_packet"], file, row["transport_end_by"], str(row["transport_end"]), "")]

    def _repr_html_(self) -> str:
        """What a notebook shows: the row and the timeline."""
        shown = (self.row.to_frame().T, self.timeline())
        return "".join(frame.map(_shown).to_html() for frame in shown)


def _shown(value: Any) -> Any:
    """A cell for a page: to_html escapes what HTML has a meaning for, here what acts on other displays."""
    return visible(value) if isinstance(value, str) else value
