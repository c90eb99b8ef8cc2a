"""A table for people: on a terminal what fits its width, elsewhere every column, aligned, neither wrapped nor cut."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, TextIO

import pandas as pd

from analyzer.outputs import words
from analyzer.outputs.cells import Style, is_number, rendered
from analyzer.outputs.escaping import visible

if TYPE_CHECKING:
    from rich.text import Text

EXACT = Style(text=visible)
READABLE = Style(text=visible, word=lambda word: word.replace("T", " ")[:23], duration=words.duration)
TERMINAL_ROWS = 1_000
WIDEST = 44
"""Characters of a cell beyond which a terminal column is wrapped rather than widened."""

NARROWEST = 20
"""Characters that must be left for a text column to be wrapped into them as the last one."""

FIRST_ON_TERMINAL = {
    "connections": "connection outcome client_code server_code cause cause_by cause_timer cause_clock duration path "
    "client_ip client_port server_ip server_port close_initiator transport_end transport_end_by client_saw server_saw "
    "start evidence",
    "closes": "connection packet sender code name reason verdict evidence",
    "frames": "connection packet sender type length fin masked time",
    "messages": "connection packet sender type bytes valid compressed frames time",
    "violations": "connection packet sender rule found expected severity",
}
"""Columns in order of use to a person; a terminal shows as many as fit, of other tables in their order. Those without
any value are left out."""


def write_plain(frame: pd.DataFrame, stream: TextIO) -> None:
    """Columns two spaces apart, numbers to the right; exact times and durations."""
    from rich.cells import cell_len

    columns = []
    for name in frame.columns:
        cells = [str(name), *rendered(frame[name], EXACT)]
        sizes = [cell_len(cell) for cell in cells]
        width = max(sizes)
        pads = [" " * (width - size) for size in sizes]
        right = is_number(frame[name])
        columns.append([pad + cell if right else cell + pad for cell, pad in zip(cells, pads, strict=True)])
    for row in zip(*columns, strict=True):
        stream.write("  ".join(row).rstrip() + "\n")


def write_terminal(
    frame: pd.DataFrame, stream: TextIO, table: str, chosen: bool, limited: bool, width: int | None = None
) -> str:
    """A table that fits the terminal; the returned note says what it leaves out, empty if nothing.

    table: its name. chosen: the person named the columns, so all are shown. limited: the person said how many rows.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    total = len(frame)
    frame = frame if limited else frame.iloc[:TERMINAL_ROWS]
    width = width or shutil.get_terminal_size().columns
    names, columns = _fitting(frame, "" if chosen else FIRST_ON_TERMINAL.get(table, ""), chosen, width)
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name, cells in zip(names, columns, strict=True):
        head = Text(_header(name, _widest(cells)))
        grid.add_column(head, justify="right" if is_number(frame[name]) else "left", overflow="fold")
    for row in zip(*columns, strict=True):
        grid.add_row(*(_cell(name, text) for name, text in zip(names, row, strict=True)))
    Console(file=stream, width=width, highlight=False).print(grid)
    left_out = []
    if len(frame) < total:
        left_out.append(f"{len(frame)} of {total} rows (--limit N)")
    if len(names) < len(frame.columns):
        left_out.append(f"{len(names)} of {len(frame.columns)} columns (--columns a,b)")
    return f"shown: {', '.join(left_out)}; -o out.csv writes all" if left_out else ""


def _fitting(frame: pd.DataFrame, first: str, chosen: bool, width: int) -> tuple[list[str], list[list[str]]]:
    """The columns to show, with their cells: all that were chosen, else the first ones with values that fit."""
    names = [name for name in first.split() if name in frame.columns]
    names += [str(name) for name in frame.columns if name not in names]
    if len(frame) and not chosen:
        names = [name for name in names if frame[name].notna().any()]
    shown: list[str] = []
    columns: list[list[str]] = []
    used = 0
    for name in names:
        cells = rendered(frame[name], READABLE)
        left = width - used
        widest = _widest(cells)
        used += min(WIDEST, max(widest, _widest(_header(name, widest).split("\n")))) + 2
        full = used > width + 2 and not chosen
        if full and shown and (left < NARROWEST or is_number(frame[name])):
            break
        shown.append(name)
        columns.append(cells)
        if full:
            break
    return shown, columns


def _widest(cells: list[str]) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, cells), default=0)


def _header(name: str, width: int) -> str:
    """The column's name, broken behind its underscores where the cells are narrower."""
    lines = [""]
    for part in name.replace("_", "_ ").split(" "):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _cell(name: str, text: str) -> Text:
    from rich.text import Text

    return Text(text, style=words.COLOURS.get(text, "") if name == "outcome" else "")
