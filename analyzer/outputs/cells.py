"""Columns of a table as lists of text, exact to the nanosecond. Equal values are rendered once."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

ROWS_AT_ONCE = 20_000
"""Rows rendered together: enough to spread the cost per column, few enough to keep memory flat."""

BILLION = 1_000_000_000
EPOCH = datetime(1970, 1, 1)


def seconds(nanoseconds: int) -> str:
    """A duration as a decimal number of seconds with nine fractional digits, exactly."""
    if nanoseconds < 0:
        return f"-{-nanoseconds // BILLION}.{-nanoseconds % BILLION:09d}"
    return f"{nanoseconds // BILLION}.{nanoseconds % BILLION:09d}"


def moment(nanoseconds: int) -> str:
    """A time, given since 1970 UTC, as ISO 8601 in UTC with exactly nine fractional digits and Z."""
    return f"{_second(nanoseconds // BILLION)}.{nanoseconds % BILLION:09d}Z"


@lru_cache(maxsize=64)
def _second(since: int) -> str:
    return (EPOCH + timedelta(seconds=since)).isoformat()


def unchanged(text: str) -> str:
    """The text itself."""
    return text


@dataclass(frozen=True)
class Style:
    """How one format writes values: text of the capture, words (times, base64), durations in ns, missing ones."""

    text: Callable[[str], str]
    word: Callable[[str], str] = unchanged
    duration: Callable[[int], str] = seconds
    missing: str = ""


def flat(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with a named index (`connection`) as its first column."""
    return frame if frame.index.name is None else frame.reset_index()


def is_number(column: pd.Series[Any]) -> bool:
    """Whether the column holds numbers or durations, which people read aligned to the right."""
    return column.dtype.kind in "iufm"


def rendered(column: pd.Series[Any], style: Style, prefix: str = "") -> list[str]:
    """Every cell of the column as text in that style, with the prefix before it."""
    import numpy as np
    import pandas as pd

    codes, values = pd.factorize(column)
    texts = _texts(values, style)
    if prefix:
        texts = [prefix + text for text in texts]
    texts.append(prefix + style.missing)
    table = np.array(texts, dtype=object)
    cells: list[str] = table[codes].tolist()  # factorize gives -1 for a missing value: the last text
    return cells


def _texts(values: Any, style: Style) -> list[str]:
    import numpy as np

    kind = values.dtype.kind
    if kind == "M":
        return [style.word(text) for text in _times(values)]
    if kind == "m":
        duration = style.duration
        return [duration(number) for number in np.asarray(values, dtype="timedelta64[ns]").astype("int64").tolist()]
    if kind == "b":
        return ["true" if value else "false" for value in values]
    if kind in "iu":
        return list(map(str, values.tolist()))
    if kind == "f":
        return [repr(number) for number in values.tolist()]
    return [_text(value, style) for value in values.tolist()]


def _times(values: Any) -> list[str]:
    """ISO 8601 in UTC with exactly nine fractional digits and Z."""
    import numpy as np
    import pandas as pd

    moments = pd.DatetimeIndex(values)
    if moments.tz is not None:
        moments = moments.tz_convert(None)
    exact = moments.to_numpy().astype("datetime64[ns]")
    return [text + "Z" for text in np.datetime_as_string(exact, unit="ns").tolist()]


def _text(value: object, style: Style) -> str:
    if isinstance(value, bytes):
        return style.word(base64.b64encode(value).decode("ascii"))
    return style.text(str(value))


def pieces(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The table in pieces of ROWS_AT_ONCE rows."""
    for start in range(0, len(frame), ROWS_AT_ONCE):
        yield frame.iloc[start : start + ROWS_AT_ONCE]
