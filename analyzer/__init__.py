"""Why did my WebSockets close? Reads packet captures, gives one row per WebSocket connection."""

import os as _os
import sys as _sys
from importlib import import_module as _import_module
from importlib.util import spec_from_file_location as _spec_from_file_location
from typing import TYPE_CHECKING as _TYPE_CHECKING

__version__ = "0.1.0"

if _os.environ.get("ANALYZER_PURE"):

    class _SourceFirst:
        """Finds this package's modules by their .py even where a compiled twin lies beside it."""

        @staticmethod
        def find_spec(name, path=None, target=None):  # type: ignore[no-untyped-def]
            head, _, tail = name.partition(".")
            source = _os.path.join(_os.path.dirname(__file__), *tail.split(".")) + ".py"
            if head == __name__ and _os.path.exists(source):
                return _spec_from_file_location(name, source)
            return None

    _sys.meta_path.insert(0, _SourceFirst)

_PUBLIC = {
    "analyze": "analyzer.result",
    "Result": "analyzer.result",
    "CloseCode": "analyzer.closecodes",
    "CannotRead": "analyzer.problems",
    "NotKept": "analyzer.problems",
}
__all__ = ["CannotRead", "CloseCode", "NotKept", "Result", "analyze"]


def __getattr__(name: str) -> object:
    """Public names are imported at first use: `wsclose --version` must not wait for pandas."""
    if name in _PUBLIC:
        return getattr(_import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_PUBLIC]


if _TYPE_CHECKING:
    from analyzer.closecodes import CloseCode
    from analyzer.problems import CannotRead, NotKept
    from analyzer.result import Result, analyze
