"""Who may import whom: stages know only the shared ground, and heavy libraries load only where they are used."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

GROUND = {"records", "heard", "heartbeats", "periods", "limits", "packed", "problems", "room"}
WORDS = {"catalogs", "closecodes"}
STAGES = {"capture", "packets", "streams", "tls", "upgrade", "frames", "messages", "outcome", "diagnosis"}
HELPERS = {"flow_table", "reassembly", "assembler", "chains", "utf8"}  # algorithms of stages
BESIDE = {"fragments", "encapsulations", "ledger", "services"}  # put beside the stages by the pipeline
JUDGES = {"rules", "reconnects"}
READING = {"pipeline", "sources", "interrupts"}
TABLES = {"columns", "values", "schema", "tables", "result", "connection"}
COMMAND = {"analyzer", "cli", "arguments", "selection", "where", "extract", "outputs"}
LAYERS = (GROUND, WORDS, STAGES, HELPERS, BESIDE, JUDGES, READING, TABLES, COMMAND)
"""Every part of the package, each in one layer: a new one is put where it belongs."""
MAY_IMPORT = {
    "heard": {"records"},
    "heartbeats": {"records", "limits", "periods", "catalogs"},  # which know them
    "periods": {"records"},
    "closecodes": {"catalogs"},
    "diagnosis": GROUND | WORDS,
    "streams": GROUND | {"flow_table", "reassembly"},
    "reassembly": GROUND | {"assembler"},
    "frames": GROUND | {"chains"},
    "messages": GROUND | {"utf8"},
    "outcome": GROUND,
    "upgrade": GROUND | {"chains"},
    "rules": GROUND | WORDS | {"upgrade"},  # names of the header fields of a whole head
    "reconnects": GROUND | WORDS,
    "pipeline": GROUND | STAGES - {"outcome", "diagnosis"} | BESIDE | {"rules", "sources"},  # it knows the order
    "sources": {"problems", "interrupts", "capture"},  # which reads what it opens: the magic numbers
    "interrupts": set(),
    "values": WORDS | {"diagnosis"},  # for the text of addresses
    "schema": {"columns", "values", "diagnosis", "rules"},  # for their vocabularies
    # a row is what the last two conclude of a connection
    "tables": GROUND | JUDGES | {"columns", "schema", "outcome", "diagnosis"},
    "result": GROUND | TABLES | {"pipeline", "sources"},
    "connection": GROUND | {"outputs"},
    "outputs": WORDS | {"columns", "schema", "diagnosis"},  # likewise
    "extract": GROUND,
    "where": {"problems"},
    "selection": {"problems", "columns", "schema", "outputs", "where"},
    "arguments": {"analyzer", "schema", "where"},
    "cli": COMMAND | {"problems", "interrupts", "pipeline", "schema"},
    "analyzer": TABLES | {"closecodes", "problems"},
} | dict.fromkeys(BESIDE | {"capture", "packets", "tls", "chains", "utf8"}, GROUND)
"""What of this package a part may import, beside itself; nothing if it does not stand here."""
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


def test_every_part_of_the_package_is_in_one_layer(modules: dict[str, ast.Module]) -> None:
    parts = sorted({name.split(".")[0] for name in modules})
    assert parts == sorted(part for layer in LAYERS for part in layer)


def test_a_part_imports_only_what_its_layer_may(modules: dict[str, ast.Module]) -> None:
    for name, module in modules.items():
        part = name.split(".")[0]
        assert _parts_used(module) <= MAY_IMPORT.get(part, set()) | {part}, name


def test_no_stage_may_import_another() -> None:
    for stage in STAGES:
        assert not MAY_IMPORT[stage] & (STAGES - {stage})


def test_the_contributors_table_has_the_same_layers(root: Path) -> None:
    rows = re.findall(r"^\| (`.*?) \|", (root / "CONTRIBUTING.md").read_text("utf-8"), re.MULTILINE)
    told = [set(re.findall("`([a-z0-9_]+)`", row)) for row in rows]
    assert told == list(LAYERS)


def test_a_stage_opens_no_files_reads_no_clock_and_prints_nothing(modules: dict[str, ast.Module]) -> None:
    for name, module in modules.items():
        if name.split(".")[0] in STAGES | HELPERS | BESIDE | JUDGES:
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
