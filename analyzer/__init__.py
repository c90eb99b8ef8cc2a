"""Why did my WebSockets close? Reads packet captures, gives one row per WebSocket connection."""

import os as _os
import sys as _sys
from importlib.util import spec_from_file_location as _spec_from_file_location

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

    _sys.meta_path.insert(0, _SourceFirst)  # type: ignore[arg-type]
