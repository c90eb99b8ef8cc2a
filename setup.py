"""Compiles the hot modules; everything else about the project is in pyproject.toml.

ANALYZER_BUILD: try (default: compile if that works), require, or pure.
"""

import os

from setuptools import Extension, setup

HOT = (
    "records",
    "capture.pcap",
    "capture.pcapng",
    "packets",
    "flow_table",
    "reassembly",
    "streams",
    "upgrade.heads",
    "upgrade.directions",
    "upgrade.http1",
    "chains",
    "frames",
    "messages",
    "outcome",
    "diagnosis.gathering",
    "ledger",
    "rules.judging",
    "pipeline",
    "outputs.lines",
)
CHECKS = {
    "boundscheck": True,
    "overflowcheck": True,
    "wraparound": False,
    "auto_pickle": False,  # records are never pickled
    "initializedcheck": False,  # what has no buffer has no length either: the check of bounds stops it
}

mode = os.environ.get("ANALYZER_BUILD", "try")
extensions = []
if mode != "pure":
    from Cython.Build import cythonize

    extensions = cythonize(
        [
            Extension(
                f"analyzer.{name}",
                [f"analyzer/{name.replace('.', '/')}.py"],
                extra_compile_args=["-O3", "-g0"],
            )
            for name in HOT
            if os.path.exists(f"analyzer/{name.replace('.', '/')}.py")
        ],
        build_dir="build/cython",
        compiler_directives={"language_level": "3", **CHECKS},
    )
    for extension in extensions:
        extension.optional = mode == "try"  # cythonize() does not carry this over

setup(ext_modules=extensions)
