"""What the fuzzers share. They run the plain form, in which atheris sees every branch.

    python fuzz/fuzz_frames.py NEW fuzz/corpus/frames                       until it fails, or is stopped
    python fuzz/fuzz_frames.py NEW fuzz/corpus/frames -max_total_time=60

Inputs that reach something new are kept in the folder NEW.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType

os.environ["ANALYZER_PURE"] = "1"
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]


def fuzz(target: Callable[[bytes], object]) -> None:
    """Give the target inputs that reach further and further into the package, until it raises."""
    import atheris

    import analyzer.capture.memory
    import analyzer.result
    import analyzer.tables  # noqa: F401

    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "analyzer":
            for function in _functions(module):
                atheris.instrument_func(function)  # not at import: the package's own finder comes first
    atheris.Setup(sys.argv, lambda data: target(bytes(data)) and None)
    atheris.Fuzz()


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    """The functions that a module defines, those of its classes included."""
    places = [vars(module), *(vars(each) for each in vars(module).values() if isinstance(each, type))]
    for place in places:
        for each in list(place.values()):
            function = each.fget if isinstance(each, property) else getattr(each, "__func__", each)
            if isinstance(function, FunctionType) and function.__module__ == module.__name__:
                yield function
