"""The `--where` language: which rows of a table are kept. Parsed here, never run as Python.

    condition  = and-part { "or" and-part }
    and-part   = not-part { "and" not-part }
    not-part   = "not" not-part | "(" condition ")" | comparison
    comparison = operand [ ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) operand
                         | [ "not" ] "in" "(" literal { "," literal } ")"
                         | "is" [ "not" ] "missing"
                         | "contains" text ]
    operand    = column | literal
    literal    = number | text | "true" | "false"

Text stands in single or double quotes; a backslash before a quote or a backslash takes its meaning away. Times are
text in ISO 8601 (without an offset: UTC). Durations are numbers of seconds or text such as "30s", "1m30s", "250ms".
A boolean column may stand alone. A missing value makes every comparison false, also `!=`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from analyzer.problems import WhereError

if TYPE_CHECKING:
    import pandas as pd

_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?(?![\w.]))
      | (?P<word>[^\W\d]\w*)
      | (?P<sign>==|!=|<=|>=|<|>|\(|\)|,)""",
    re.VERBOSE | re.DOTALL,
)
_KEYWORDS = frozenset("and or not in is missing contains true false".split())
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_DEEPEST = 100
_HINTS = {"=": "write == to compare", "&": "write and", "|": "write or", "!": "write not, or != to compare"}

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?\s?(Z|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|ms|s|m|h|d)", re.ASCII)
_DURATION = re.compile(rf"([+-]?)((?:{_DURATION_PART.pattern}\s*)+)", re.ASCII)


def time_of(text: str) -> int:
    """Nanoseconds since 1970 UTC of an ISO 8601 time; without an offset it is UTC. ValueError if it is none."""
    match = _TIME.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is no time: write 2026-03-01T12:30:00 or 2026-03-01T12:30:00.5+01:00")
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    try:
        clock = int(hour or 0), int(minute or 0), int(second or 0)
        moment = datetime(int(year), int(month), int(day), *clock, tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f"{text!r} is no time: {error}") from None
    since = moment - _EPOCH
    if offset and offset not in "Zz":
        digits = offset[1:].replace(":", "").ljust(4, "0")
        shift = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        since += shift if offset[0] == "-" else -shift
    nanoseconds = (since.days * 86400 + since.seconds) * 10**9 + int((fraction or "0").ljust(9, "0"))
    if not -(1 << 63) < nanoseconds < 1 << 63:
        raise ValueError(f"{text!r} is outside the years 1678 to 2261")
    return nanoseconds


def duration_of(text: str) -> int:
    """Nanoseconds of a duration such as "30s", "1m30s" or "250ms". ValueError if it is none."""
    match = _DURATION.fullmatch(text.strip().replace("\u00b5s", "us"))
    if not match:
        raise ValueError(f'{text!r} is no duration: write "30s", "1m30s" or "250ms"')
    parts = _DURATION_PART.findall(match[2])
    total = sum(int(Decimal(number) * _UNITS[unit]) for number, unit in parts)
    return -total if match[1] == "-" else total


MOST_NAMED = 30


def near(name: str, names: Iterable[str]) -> str:
    """A few words with the names that resemble `name`, else with all of them, or where many stand."""
    names = list(names)
    close = difflib.get_close_matches(name, names, 4, 0.55) or [known for known in names if name and name in known][:4]
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"there are {', '.join(names)}" if len(names) <= MOST_NAMED else "--help after the command lists them"


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    place: int


@dataclass(frozen=True)
class _Column:
    name: str
    place: int


@dataclass(frozen=True)
class _Literal:
    value: int | Decimal | str | bool
    place: int


@dataclass(frozen=True)
class _All:
    parts: tuple[_Node, ...]


@dataclass(frozen=True)
class _Any:
    parts: tuple[_Node, ...]


@dataclass(frozen=True)
class _Not:
    part: _Node


@dataclass(frozen=True)
class _Compare:
    column: _Column
    sign: str
    other: _Column | _Literal


@dataclass(frozen=True)
class _In:
    column: _Column
    literals: tuple[_Literal, ...]
    negated: bool


@dataclass(frozen=True)
class _Missing:
    column: _Column


@dataclass(frozen=True)
class _Contains:
    column: _Column
    text: str


@dataclass(frozen=True)
class _Truth:
    column: _Column


_Node = _All | _Any | _Not | _Compare | _In | _Missing | _Contains | _Truth


class Condition:
    """A parsed condition. WhereError if the source can't be read."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._root = _Parser(source).parse()

    def rows(self, frame: pd.DataFrame) -> Any:
        """A NumPy array: for each row of the (flat) table whether it is kept.

        WhereError for a column the table has not, or a literal that does not fit its column.
        """
        return _Evaluation(self.source, frame).rows(self._root)


class _Parser:
    """Recursive descent over the tokens, one method per line of the grammar."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._tokens = self._split()
        self._at = 0
        self._depth = 0

    def parse(self) -> _Node:
        node = self._condition()
        if self._token.kind != "end":
            raise self._error(self._unexpected())
        return node

    def _split(self) -> Sequence[_Token]:
        tokens = []
        at = 0
        source = self._source
        while at < len(source):
            if source[at].isspace():
                at += 1
                continue
            match = _TOKEN.match(source, at)
            if not match:
                raise WhereError(self._unreadable(source[at]), source, at)
            kind, text = str(match.lastgroup), match[0]
            if kind == "word" and text.lower() in _KEYWORDS:
                kind, text = "keyword", text.lower()
            tokens.append(_Token(kind, text, at))
            at = match.end()
        tokens.append(_Token("end", "", len(source)))
        return tokens

    @staticmethod
    def _unreadable(character: str) -> str:
        if character in "\"'":
            return "this quote is never closed"
        if character.isdigit():
            return "this is no number; times, durations and text stand in quotes"
        return _HINTS.get(character, f"{character!r} has no meaning here")

    @property
    def _token(self) -> _Token:
        return self._tokens[self._at]

    def _error(self, message: str, place: int | None = None) -> WhereError:
        return WhereError(message, self._source, self._token.place if place is None else place)

    def _unexpected(self) -> str:
        token = self._token
        if token.text in _COMPARISONS:
            return "a comparison has two sides: join several with and"
        return "something is missing here" if token.kind == "end" else f"{token.text} is not expected here"

    def _take(self, *texts: str) -> str:
        """The next token's text if it is one of these signs or keywords, else an empty text."""
        token = self._token
        if token.kind in ("keyword", "sign") and token.text in texts:
            self._at += 1
            return token.text
        return ""

    def _need(self, text: str) -> None:
        if not self._take(text):
            raise self._error(f"expected {text}")

    def _condition(self) -> _Node:
        parts = [self._and_part()]
        while self._take("or"):
            parts.append(self._and_part())
        return parts[0] if len(parts) == 1 else _Any(tuple(parts))

    def _and_part(self) -> _Node:
        parts = [self._not_part()]
        while self._take("and"):
            parts.append(self._not_part())
        return parts[0] if len(parts) == 1 else _All(tuple(parts))

    def _not_part(self) -> _Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._error("nested too deeply")
        node: _Node
        if self._take("not"):
            node = _Not(self._not_part())
        elif self._take("("):
            node = self._condition()
            self._need(")")
        else:
            node = self._comparison()
        self._depth -= 1
        return node

    def _comparison(self) -> _Node:
        left = self._operand()
        sign = self._take(*_COMPARISONS)
        if sign:
            right = self._operand()
            if isinstance(left, _Column):
                return _Compare(left, sign, right)
            if isinstance(right, _Column):
                return _Compare(right, _MIRRORED.get(sign, sign), left)
            raise self._error("one side must be a column", left.place)
        if not isinstance(left, _Column):
            raise self._error("expected a column first", left.place)
        return self._test(left)

    def _test(self, column: _Column) -> _Node:
        if self._take("is"):
            negated = bool(self._take("not"))
            self._need("missing")
            return _Not(_Missing(column)) if negated else _Missing(column)
        if self._take("contains"):
            if self._token.kind != "text":
                raise self._error("expected a text in quotes")
            return _Contains(column, str(self._literal().value))
        negated = bool(self._take("not"))
        if self._take("in"):
            return _In(column, self._list(), negated)
        if negated:
            raise self._error("expected in")
        return _Truth(column)

    def _list(self) -> tuple[_Literal, ...]:
        self._need("(")
        literals = [self._literal()]
        while self._take(","):
            literals.append(self._literal())
        self._need(")")
        return tuple(literals)

    def _operand(self) -> _Column | _Literal:
        token = self._token
        if token.kind == "word":
            self._at += 1
            return _Column(token.text, token.place)
        return self._literal()

    def _literal(self) -> _Literal:
        token = self._token
        if token.kind == "number":
            number = Decimal(token.text)
            value: int | Decimal | str | bool = int(number) if number == number.to_integral_value() else number
        elif token.kind == "text":
            value = re.sub(r"\\([\\\"'])", r"\1", token.text[1:-1])
        elif token.text in ("true", "false"):
            value = token.text == "true"
        elif token.kind == "word":
            raise self._error("expected a value; text stands in quotes")
        else:
            raise self._error(self._unexpected())
        self._at += 1
        return _Literal(value, token.place)


class _Evaluation:
    """The rows of one table that a condition keeps; every result is an array of plain booleans."""

    def __init__(self, source: str, frame: pd.DataFrame) -> None:
        self._source = source
        self._frame = frame

    def rows(self, node: _Node) -> Any:
        import numpy as np

        if isinstance(node, _All):
            return np.logical_and.reduce([self.rows(part) for part in node.parts])
        if isinstance(node, _Any):
            return np.logical_or.reduce([self.rows(part) for part in node.parts])
        if isinstance(node, _Not):
            return ~self.rows(node.part)
        column = self._column(node.column)
        present = column.notna().to_numpy(dtype=bool)
        if isinstance(node, _Missing):
            return ~present
        if isinstance(node, _Truth):
            return self._truth(node, column)
        if isinstance(node, _Contains):
            return self._contains(node, column)
        if isinstance(node, _In):
            each = [self._compared(node.column, column, "==", literal) for literal in node.literals]
            found = np.logical_or.reduce(each)
            return ~found & present if node.negated else found
        return self._compared(node.column, column, node.sign, node.other)

    def _error(self, message: str, place: int) -> WhereError:
        return WhereError(message, self._source, place)

    def _column(self, column: _Column) -> pd.Series[Any]:
        if column.name not in self._frame.columns:
            names = [str(name) for name in self._frame.columns]
            hint = near(column.name, names)
            hint += "" if hint.endswith("?") else "."
            raise self._error(f"no column {column.name}; {hint} Text stands in quotes: '{column.name}'", column.place)
        return self._frame[column.name]

    def _truth(self, node: _Truth, column: pd.Series[Any]) -> Any:
        if kind_of(column) != "boolean":
            raise self._error(f"{node.column.name} is {kind_of(column)}: compare it with something", node.column.place)
        return column.fillna(False).to_numpy(dtype=bool)

    def _contains(self, node: _Contains, column: pd.Series[Any]) -> Any:
        if kind_of(column) != "text":
            raise self._error(f"{node.column.name} is {kind_of(column)}, no text", node.column.place)
        return column.astype("string").str.contains(node.text, regex=False).fillna(False).to_numpy(dtype=bool)

    def _compared(self, name: _Column, column: pd.Series[Any], sign: str, other: _Column | _Literal) -> Any:
        kind = kind_of(column)
        if kind == "bytes":
            raise self._error(f"{name.name} is bytes: only `is missing` can ask for it", name.place)
        present = column.notna().to_numpy(dtype=bool)
        right: Any
        if isinstance(other, _Column):
            second = self._column(other)
            if kind_of(second) != kind:
                message = f"{name.name} is {kind}, {other.name} is {kind_of(second)}: they can't be compared"
                raise self._error(message, other.place)
            present = present & second.notna().to_numpy(dtype=bool)
            right = _values(second, kind)
        else:
            right = self._fitting(name.name, kind, other)
            self._check_vocabulary(name.name, column, other)
        return _compare(_values(column, kind), sign, right) & present

    def _check_vocabulary(self, name: str, column: pd.Series[Any], literal: _Literal) -> None:
        """A word that a closed vocabulary has not is a slip, and would silently keep nothing. File names are open."""
        if column.dtype == "category" and not name.endswith("file") and literal.value not in column.cat.categories:
            words = [str(word) for word in column.cat.categories]
            raise self._error(f"{name} is never {literal.value!r}; {near(str(literal.value), words)}", literal.place)

    def _fitting(self, name: str, kind: str, literal: _Literal) -> Any:
        """The literal in the terms of a column: nanoseconds for times and durations."""
        value = literal.value
        try:
            if kind == "time" and isinstance(value, str):
                return time_of(value)
            if kind == "duration" and isinstance(value, str):
                return duration_of(value)
        except ValueError as error:
            raise self._error(str(error), literal.place) from None
        if kind == "duration" and isinstance(value, int | Decimal) and not isinstance(value, bool):
            return int(value * 10**9)
        if _FITS[kind](value):
            return value
        raise self._error(f"{name} is {kind}: compare it with {_EXAMPLES[kind]}", literal.place)


def _is_number(value: object) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


_FITS: dict[str, Callable[[object], bool]] = {
    "a number": _is_number,
    "text": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "time": lambda value: False,
    "duration": lambda value: False,
}
_EXAMPLES = {
    "a number": "a number without quotes",
    "text": "text in quotes",
    "boolean": "true or false",
    "time": 'a time such as "2026-03-01T12:30:00"',
    "duration": 'a number of seconds or "30s"',
}


def kind_of(column: pd.Series[Any]) -> str:
    """What a column holds: a number, text, boolean, time, duration or bytes."""
    dtype: Any = column.dtype
    if dtype == "category" or dtype == "string" or dtype == "str":
        return "text"
    kinds = {"i": "a number", "u": "a number", "f": "a number", "b": "boolean", "M": "time", "m": "duration"}
    return kinds.get(dtype.kind, "bytes")


def _values(column: pd.Series[Any], kind: str) -> Any:
    """The column as a NumPy array to compare; what stands for missing values is masked by the caller."""
    if kind == "text":
        return column.astype("string").fillna("").to_numpy(dtype=object)
    if kind == "time":
        return column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(dtype="datetime64[ns]").view("int64")
    if kind == "duration":
        return column.to_numpy(dtype="timedelta64[ns]").view("int64")
    values: Any = column.fillna(0) if kind == "a number" else column.fillna(False)
    return values.to_numpy(dtype=getattr(values.dtype, "numpy_dtype", values.dtype))


def _compare(left: Any, sign: str, right: Any) -> Any:
    import numpy as np

    if isinstance(right, Decimal):
        left, right = left.astype("float64"), float(right)
    elif type(right) is int and left.dtype.kind in "iu":
        limits = np.iinfo(left.dtype)
        if not limits.min <= right <= limits.max:  # the whole column lies on one side of it
            below = right > limits.max
            return np.full(len(left), sign == "!=" or (sign != "==" and (sign[0] == "<") == below))
    compared = {
        "==": np.equal,
        "!=": np.not_equal,
        "<": np.less,
        "<=": np.less_equal,
        ">": np.greater,
        ">=": np.greater_equal,
    }
    return compared[sign](left, right).astype(bool)
