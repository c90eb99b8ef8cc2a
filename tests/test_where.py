"""The --where language: what it keeps, and where it says a condition is wrong."""

import pandas as pd
import pytest

from analyzer.problems import WhereError
from analyzer.where import Condition, duration_of, near, time_of

TEXT = pd.StringDtype(na_value=pd.NA)
FRAME = pd.DataFrame(
    {
        "code": pd.Series([1000, 1011, None, 4001], dtype="Int64"),
        "length": pd.Series([0, 2**63, 2**64 - 1, None], dtype="UInt64"),
        "path": pd.Series(["/a", 'q"b', None, "/chat\\xff"], dtype=TEXT),
        "outcome": pd.Series(
            ["clean", "dropped", "clean", None], dtype=pd.CategoricalDtype(["clean", "dropped", "open"])
        ),
        "file": pd.Series(["a.pcap", "b.pcap", "a.pcap", "a.pcap"], dtype="category"),
        "clean": pd.Series([True, False, None, True], dtype="boolean"),
        "start": pd.Series(
            pd.to_datetime(
                ["2026-03-01T12:00:00.000000001Z", "2026-03-01T12:00:00Z", None, "2026-03-02T00:00:00Z"],
                utc=True,
                format="ISO8601",
            ),
            dtype="datetime64[ns, UTC]",
        ),
        "duration": pd.Series(pd.to_timedelta([0, 250_000_000, None, 300_000_000_000], unit="ns")),
        "raw": pd.Series([b"a", None, b"", b"b"], dtype=object),
        "other": pd.Series([1000, 1000, 1, None], dtype="Int64"),
    }
)


def kept(source: str) -> list[int]:
    return [int(row) for row in FRAME.index[Condition(source).rows(FRAME)]]


@pytest.mark.parametrize(
    ("source", "rows"),
    [
        ("code == 1011", [1]),
        ("1011 == code", [1]),
        ("1011 < code", [3]),
        ("code != 1000", [1, 3]),
        ("not code == 1000", [1, 2, 3]),
        ("not not code == 1000", [0]),
        ("code >= 1011 and code < 4001", [1]),
        ("code == 1000 or code == 4001 and path == '/a'", [0]),
        ("(code == 1000 or code == 4001) and clean", [0, 3]),
        ("code in (1000, 4001)", [0, 3]),
        ("code not in (1000, 4001)", [1]),
        ("code is missing", [2]),
        ("code is not missing", [0, 1, 3]),
        ("raw is missing", [1]),
        ("CODE IS MISSING".replace("CODE", "code"), [2]),
        ("code == other", [0]),
        ("code > other", [1]),
        ("code > 1010.5", [1, 3]),
        ("code > -1", [0, 1, 3]),
        ("code == 1e3", [0]),
        (f"code < {10**30}", [0, 1, 3]),
        (f"code != {10**30}", [0, 1, 3]),
        (f"code == {-(10**30)}", []),
        (f"code > {-(10**30)}", [0, 1, 3]),
        ("length == 18446744073709551615", [2]),
        ("length >= 9223372036854775808", [1, 2]),
        ("length > -1", [0, 1, 2]),
        ("path == '/a'", [0]),
        ("path == 'q\"b'", [1]),
        ('path == "q\\"b"', [1]),
        ('path contains "\\xff"', [3]),
        ('path contains "."', []),
        ("path != '/a'", [1, 3]),
        ("path < '/b'", [0]),
        ("outcome == 'clean'", [0, 2]),
        ("outcome in ('open', 'dropped')", [1]),
        ("outcome contains 'rop'", [1]),
        ("file == 'nothing.pcap'", []),
        ("clean", [0, 3]),
        ("not clean", [1, 2]),
        ("clean == false", [1]),
        ("start > '2026-03-01T12:00:00'", [0, 3]),
        ("start == '2026-03-01 12:00:00.000000001'", [0]),
        ("start >= '2026-03-02T01:00:00+01:00'", [3]),
        ("start >= '2026-03-02'", [3]),
        ("duration == 0.25", [1]),
        ("duration == '250ms'", [1]),
        ("duration >= '5m'", [3]),
        ("duration > 300", []),
        ("duration >= 300", [3]),
        ("duration < '1h'", [0, 1, 3]),
    ],
)
def test_keeps_the_rows_for_which_it_is_true_and_missing_compares_as_false(source: str, rows: list[int]) -> None:
    assert kept(source) == rows


@pytest.mark.parametrize(
    ("source", "message", "place"),
    [
        ("", "something is missing", 0),
        ("code ==", "something is missing", 7),
        ("code = 1", "write == to compare", 5),
        ("code == 1 & clean", "write and", 10),
        ("cod == 1", "did you mean code", 0),
        ("code == 'x'", "code is a number", 8),
        ("path == 1", "path is text", 8),
        ("clean == 1", "clean is boolean", 9),
        ("start > 5", "start is time", 8),
        ("start > 'soon'", "is no time", 8),
        ("duration > 'long'", "is no duration", 11),
        ("duration > true", "duration is duration", 11),
        ("outcome == 'cleen'", "did you mean clean", 11),
        ("code == start", "can't be compared", 8),
        ("raw == 'a'", "raw is bytes", 0),
        ("code", "compare it with something", 0),
        ("code contains 'x'", "no text", 0),
        ("path contains 5", "text in quotes", 14),
        ("1 == 2", "one side must be a column", 0),
        ("'a' in (1)", "expected a column first", 0),
        ("code == 1 == 2", "two sides", 10),
        ("code == 1 code", "not expected", 10),
        ("(code == 1", "expected )", 10),
        ("code in (1,", "something is missing", 11),
        ("code in ()", "not expected", 9),
        ("code is 5", "expected missing", 8),
        ("code not 5", "expected in", 9),
        ("path == 'open", "never closed", 8),
        ("path == 10.0.0.1", "no number", 8),
        ("path == '/a' and; clean", "';' has no meaning", 16),
        ("code in (other)", "expected a value", 9),
        ("__import__('os')", "not expected", 10),
        ("(" * 5000 + "clean", "nested too deeply", 99),
        ("not " * 5000 + "clean", "nested too deeply", 400),
    ],
)
def test_an_error_says_what_is_wrong_and_points_at_its_place(source: str, message: str, place: int) -> None:
    with pytest.raises(WhereError) as caught:
        Condition(source).rows(FRAME)
    first, line, caret = str(caught.value).split("\n")
    assert message in first
    assert line == "  " + source
    assert abs(caret.index("^") - 2 - place) <= 1 if "deeply" in message else caret.index("^") - 2 == place


def test_an_error_shows_no_control_character() -> None:
    with pytest.raises(WhereError) as caught:
        Condition("path == \x1b[31m\n")
    assert "\x1b" not in str(caught.value)
    assert str(caught.value).count("\n") == 2


def test_works_on_a_table_without_rows() -> None:
    condition = Condition("code > 5 and path contains 'a' and start > '2026-01-01' and duration > 1 and not clean")
    assert condition.rows(FRAME.iloc[:0]).tolist() == []


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1970-01-01T01:00+01:00", 0),
        ("1969-12-31T23:59:59.5", -500_000_000),
        ("2026-03-01T12:00:00.123456789z", 1_772_366_400_123_456_789),
        ("2026-03-01 12:00 -0130", 1_772_371_800_000_000_000),
    ],
)
def test_times_are_exact_and_utc_unless_they_say_otherwise(text: str, nanoseconds: int) -> None:
    assert time_of(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "now", "2026-13-01", "2026-02-30", "2026-01-01T25:00", "1500-01-01", "2026-1-1"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|years"):
        time_of(text)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("30s", 30 * 10**9), ("1m30s", 90 * 10**9), ("250ms", 250_000_000), ("0.1us", 100), ("-2h", -7200 * 10**9)],
)
def test_durations_are_exact(text: str, nanoseconds: int) -> None:
    assert duration_of(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "30", "s", "1 week", "1s2"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration_of(text)


def test_near_names_are_told_or_else_all_of_them() -> None:
    assert near("cod", ["code", "path"]) == "did you mean code?"
    assert near("xyz", ["code", "path"]) == "there are code, path"
