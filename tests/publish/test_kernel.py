"""A notebook opened in JupyterLab runs where the pipeline runs it."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from rephase.publish.kernel import prepare

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "baselines" / "4_dqe.ipynb"
WHERE = "from pathlib import Path\nprint(Path.cwd(), Path(scans).resolve(), Path(out).resolve(), sep='\\n')"


def run_as_lab_does(cells: list) -> nbformat.NotebookNode:
    """Run cells in a kernel that starts in the notebook's own folder."""
    notebook = new_notebook(cells=cells)
    started_in = {"metadata": {"path": str(NOTEBOOK.parent)}}
    return NotebookClient(notebook, kernel_name="python3", timeout=120, resources=started_in).execute()


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("IPYTHONDIR", str(prepare(tmp_path / "ipython")))


def test_parameters_and_imports_of_a_notebook_run_at_the_root(lab):
    code = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    assert "parameters" in code[0].metadata.tags and "from rephase." in code[1].source
    done = run_as_lab_does([*code[:2], new_code_cell(WHERE)])
    (printed,) = done.cells[-1].outputs
    simulated = ROOT / "results" / "smoke" / "baselines" / "simulate" / "scans.h5"
    assert printed.text.split() == [str(ROOT), str(simulated), str(ROOT / "build" / "try" / "dqe")]


def test_the_kernel_starts_without_a_word(lab):
    (cell,) = run_as_lab_does([new_code_cell("x = 1")]).cells
    assert cell.outputs == []
