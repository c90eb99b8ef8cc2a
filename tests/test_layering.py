"""Who may import whom: stages know only the shared ground, and heavy libraries load only where they are used."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

GROUND = {"analyzer", "records", "heard", "limits", "packed", "problems", "room"}
STAGES = {"capture", "packets", "streams", "tls", "upgrade", "frames", "messages", "outcome", "diagnosis"}
HELPERS_OF = {
    "streams": {"flow_table", "reassembly"},
    "reassembly": {"assembler"},
    "frames": {"chains"},
    "messages": {"utf8"},
    "outcome": {"periods"},
    "upgrade": {"chains"},
}
HELPERS = set().union(*HELPERS_OF.values())  # algorithms of stages, in files of their own
DATA = {"catalogs", "closecodes"}  # what the diagnosis looks up
RARE_PATHS = {"fragments", "encapsulations"}  # put beside the packet stage by the pipeline
ORDERS_THE_STAGES = {"pipeline"}
KNOWS_ONE_STAGE = {
    "sources": {"capture"},  # opens what the capture stage reads, by its magic numbers
    "rules": {"upgrade"},  # names of the header fields of a whole head
    "tables": {"outcome", "diagnosis"},  # a row is what these stages conclude of a finished connection
    "schema": {"diagnosis"},  # for its vocabulary
    "outputs": {"diagnosis"},  # likewise
}
MAKES_TABLES = {"schema", "tables", "result", "connection", "outputs", "selection", "where"}
ONLY_WHERE_USED = {"scapy", "matplotlib", "dask", "jinja2", "dpkt", "rich", "fsspec", "pyarrow", "IPython"}
ONLY_FOR_TABLES = {"pandas", "numpy"}
NOT_AT_START = ONLY_WHERE_USED | ONLY_FOR_TABLES | {"websockets", "cryptography", "hpack", "analyzer.tls"}
SILENT = {"open", "print", "input"}
CLOCKS = {"time", "datetime", "socket", "random", "logging", "subprocess"}


def _modules(package: Path) -> dict[str, ast.Module]:
    """Each module of the package by its name below it ("capture.pcap"), parsed."""
    found = {}
    for file in sorted(package.rglob("*.py")):
        parts = file.relative_to(package).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "analyzer"
        found[name] = ast.parse(file.read_text(encoding="utf-8"))
    return found


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def _imports(module: ast.AST, top: bool) -> set[str]:
    """Dotted names that the module imports; with `top`, only those that importing it runs."""
    names: set[str] = set()
    for node in ast.iter_child_nodes(module):
        if _is_type_checking(node) or (top and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write the whole name, so that it is plain who imports whom"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        else:
            names |= _imports(node, top)
    return names


def _parts_used(module: ast.AST, top: bool = False) -> set[str]:
    """The parts of this package (files or folders directly below it) that the module imports."""
    ours = (name.split(".") for name in _imports(module, top) if name.split(".")[0] == "analyzer")
    return {name[1] if len(name) > 1 else "analyzer" for name in ours}


def _libraries(module: ast.AST, top: bool) -> set[str]:
    return {name.split(".")[0] for name in _imports(module, top)}


@pytest.fixture(scope="module")
def modules(package: Path) -> dict[str, ast.Module]:
    return _modules(package)


def test_a_stage_imports_only_the_shared_ground_and_its_own_folder(modules: dict[str, ast.Module]) -> None:
    for name, module in modules.items():
        part = name.split(".")[0]
        if part in STAGES | RARE_PATHS | HELPERS:
            helpers = HELPERS_OF.get(part, set()) | (DATA if part == "diagnosis" else set())
            assert _parts_used(module) <= GROUND | {part} | helpers, name


def test_the_shared_ground_imports_nothing_above_it(modules: dict[str, ast.Module]) -> None:
    for name in GROUND & modules.keys():
        assert _parts_used(modules[name], top=True) <= GROUND, name


def test_only_the_pipeline_knows_the_order_of_the_stages(modules: dict[str, ast.Module]) -> None:
    for name, module in modules.items():
        part = name.split(".")[0]
        if part not in STAGES | ORDERS_THE_STAGES:
            used = _parts_used(module) & (STAGES | RARE_PATHS)
            assert used <= KNOWS_ONE_STAGE.get(part, set()), name


def test_a_stage_opens_no_files_reads_no_clock_and_prints_nothing(modules: dict[str, ast.Module]) -> None:
    for name, module in modules.items():
        if name.split(".")[0] in STAGES | RARE_PATHS | HELPERS:
            called = {node.func.id for node in ast.walk(module) if isinstance(node, ast.Call) and _named(node.func)}
            assert not called & SILENT, name
            assert not _libraries(module, top=False) & CLOCKS, name


def _named(function: ast.AST) -> bool:
    return isinstance(function, ast.Name)


def test_pandas_is_imported_only_where_tables_are_made(modules: dict[str, ast.Module]) -> None:
    for name, module in modules.items():
        part = name.split(".")[0]
        if part not in MAKES_TABLES:
            allowed = {"numpy"} if part == "diagnosis" else set()  # over arrays, and loaded only with the tables
            assert not _libraries(module, top=True) & ONLY_FOR_TABLES - allowed, name


def test_heavy_libraries_are_imported_only_inside_the_functions_that_use_them(modules: dict[str, ast.Module]) -> None:
    for name, module in modules.items():
        assert not _libraries(module, top=True) & ONLY_WHERE_USED, name


@pytest.mark.parametrize(
    "code",
    ["import analyzer", "import sys; sys.argv[1:] = ['--version']; from analyzer.cli import main; main()"],
    ids=["import analyzer", "wsclose --version"],
)
def test_starting_loads_no_heavy_library(code: str) -> None:
    heavy = sorted(NOT_AT_START)
    script = f"""
import sys
try:
    exec({code!r})
except SystemExit as end:
    assert not end.code
print("loaded:", sorted(set(sys.modules) & set({heavy!r})))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded: []"


def test_every_hot_module_has_a_source_and_is_named_in_setup_py(root: Path, package: Path) -> None:
    named = set(re.findall(r'^    "([a-z0-9_.]+)",$', (root / "setup.py").read_text(encoding="utf-8"), re.MULTILINE))
    for declarations in package.rglob("*.pxd"):
        assert declarations.with_suffix(".py").exists()
        assert ".".join(declarations.relative_to(package).with_suffix("").parts) in named


def test_every_folder_of_the_package_is_installed(root: Path, package: Path) -> None:
    settings = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    folders = {file.parent for file in package.rglob("__init__.py")}
    names = {".".join(folder.relative_to(package.parent).parts) for folder in folders}
    assert set(settings["tool"]["setuptools"]["packages"]) == names
