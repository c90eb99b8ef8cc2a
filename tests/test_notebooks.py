"""The notebooks run from beginning to end, and are small enough to read as a diff."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="the notebook extra is not installed")
nbclient = pytest.importorskip("nbclient", reason="the notebook extra is not installed")

SIZE_LIMIT = 200 << 10


def _notebooks() -> list[Path]:
    return sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=_notebooks(), ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_notebook_runs_without_an_error_or_a_warning(notebook: Path) -> None:
    content: Any = nbformat.read(notebook, as_version=4)
    client = nbclient.NotebookClient(content, timeout=120, resources={"metadata": {"path": str(notebook.parent)}})
    client.execute()
    outputs = [output for cell in content.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "stream" and output.name == "stderr"] == []


def test_the_notebook_is_committed_executed_and_small(notebook: Path) -> None:
    content: Any = nbformat.read(notebook, as_version=4)
    assert all(cell.execution_count for cell in content.cells if cell.cell_type == "code")
    assert notebook.stat().st_size < SIZE_LIMIT
