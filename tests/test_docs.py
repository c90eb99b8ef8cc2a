"""What the documents say is what happens: commands run, code runs, shown output is the output, links lead somewhere."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "sample_pcaps/README.md")
CONTRIBUTING_LINES = 60


def _commands(page: Path) -> list[str]:
    """The indented `wsclose` commands of a page that need only the samples, without the remark to their right."""
    lines = (line.strip() for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("    wsclose "))
    return [re.split(r" {3,}", line)[0] for line in lines]


def _run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    arguments = shlex.split(command)[1:]
    script = "import sys; from analyzer.cli import main; sys.exit(main())"
    environment = {**os.environ, "COLUMNS": "120", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize("page", ["README.md", "sample_pcaps/README.md"])
def test_the_commands_shown_run(page: str, root: Path, tmp_path: Path) -> None:
    (tmp_path / "sample_pcaps").symlink_to(root / "sample_pcaps")
    (tmp_path / "mine.pcap").symlink_to(root / "sample_pcaps" / "dropped-by-reset.pcap")
    commands = _commands(root / page)
    assert commands
    for command in commands:
        done = _run(command, tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert done.stdout or " -o " in command, command


def test_the_output_shown_is_the_output(root: Path) -> None:
    shown = re.search(r"^    (wsclose .*)\n\n```text\n(.*?)^```", (root / "README.md").read_text("utf-8"), re.M | re.S)
    assert shown
    assert _run(shown[1], root).stdout == shown[2]


def test_the_python_shown_runs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    blocks = re.findall(r"^```python\n(.*?)^```", (root / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)


def test_the_manual_of_columns_is_what_the_schema_says(root: Path) -> None:
    generate = runpy.run_path(str(root / "docs" / "make_tables.py"))["columns"]
    assert (root / "docs" / "columns.md").read_text("utf-8") == generate(), "run: make docs"


def test_the_manual_of_rules_is_what_their_list_says(root: Path) -> None:
    generate = runpy.run_path(str(root / "docs" / "make_tables.py"))["rules"]
    assert (root / "docs" / "rules.md").read_text("utf-8") == generate(), "run: make docs"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_that_exist(page: str, root: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", (root / page).read_text("utf-8"))
    inside = [target for target in targets if "://" not in target]
    assert [target for target in inside if not (root / page).parent.joinpath(target).exists()] == []


def test_contributing_names_only_targets_that_exist_and_fits_a_page(root: Path) -> None:
    text = (root / "CONTRIBUTING.md").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text("utf-8"), re.MULTILINE))
    calls = re.findall(r"(?:^ {4}|`)make ([a-z -]+?)(?:`| {2,}|$)", text, re.MULTILINE)
    named = {target for call in calls for target in call.split()}
    assert named
    assert named <= targets
    assert len(text.splitlines()) <= CONTRIBUTING_LINES


def test_the_manual_of_causes_is_what_the_vocabulary_says(root: Path) -> None:
    generate = runpy.run_path(str(root / "docs" / "make_tables.py"))["causes"]
    assert (root / "docs" / "causes.md").read_text("utf-8") == generate(), "run: make docs"
