"""Compiles the hot modules; everything else about the project is in pyproject.toml.

ANALYZER_BUILD: try (default: compile if that works), require, or pure.
"""

import os

from setuptools import Extension, setup

HOT = {
    "records",
    "room",
    "packed",
    "capture.pcap",
    "capture.pcapng",
    "packets",
    "flow_table",
    "reassembly",
    "streams",
    "upgrade.heads",
    "upgrade.keeping",
    "upgrade.directions",
    "upgrade.http1",
    "chains",
    "utf8",
    "frames",
    "messages",
    "outcome",
    "diagnosis.gathering",
    "ledger",
    "services",
    "rules.judging",
    "pipeline",
    "outputs.lines",
}
CHECKS = {
    "boundscheck": True,
    "overflowcheck": True,
    "wraparound": False,
    "auto_pickle": False,  # records are never pickled
    "initializedcheck": False,  # what has no buffer has no length either: the check of bounds stops it
}
UNCHECKED = {"utf8"}  # as fast as can be; why that is safe stands in the module


def extension(name):
    """One hot module."""
    path = f"analyzer/{name.replace('.', '/')}.py"
    return Extension(f"analyzer.{name}", [path], extra_compile_args=["-O3", "-g0"])


mode = os.environ.get("ANALYZER_BUILD", "try")
extensions = []
if mode != "pure":
    from Cython.Build import cythonize

    for names, checked in (HOT - UNCHECKED, True), (UNCHECKED, False):
        directives = {"language_level": "3", **CHECKS}
        directives["boundscheck"] = directives["overflowcheck"] = checked
        extensions += cythonize(
            [extension(name) for name in sorted(names)], build_dir="build/cython", compiler_directives=directives
        )
    for each in extensions:
        each.optional = mode == "try"  # cythonize() does not carry this over

setup(ext_modules=extensions, options={"build_ext": {"parallel": os.cpu_count()}})
