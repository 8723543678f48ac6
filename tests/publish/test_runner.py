"""One notebook, one stage: parameters, failures, whole outputs."""

import os
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from rephase.errors import InputError
from rephase.publish import runner
from rephase.publish.canonical import main as write_canonical

PARAMS = Path(__file__).parents[2] / "params.yaml"
LOCK = Path(__file__).parents[2] / "requirements.lock"


def notebook(
    source: str, parameters: str = 'scale = "smoke"\nout = "here"\ndose = 1.0\ndraws = 1\nscans = ""\n'
):
    cells = [new_code_cell(parameters, metadata={"tags": ["parameters"]}), new_code_cell(source)]
    return new_notebook(cells=cells)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with parameters, a lock, one input and one notebook to be filled."""
    (tmp_path / "params.yaml").write_text(PARAMS.read_text())
    (tmp_path / "requirements.lock").write_text(LOCK.read_text())
    (tmp_path / "scans.h5").write_bytes(b"input")
    (tmp_path / "notebooks/baselines").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(source: str, **changes) -> Path:
    out = Path("results/dqe")
    nbformat.write(notebook(source, **changes), "notebooks/baselines/4_dqe.ipynb")
    write_canonical()
    runner.run("baselines/4_dqe", "smoke", {"scans": "scans.h5"}, out)
    return out


WRITE = "from pathlib import Path\nPath(out, 'x').write_text(f'{dose} {draws}')"


def test_a_stage_gets_its_parameters_and_leaves_notebook_and_provenance(project):
    out = run(WRITE)
    assert (out / "x").read_text() == "10000.0 16"
    assert {p.name for p in out.iterdir()} == {"x", "notebook.ipynb", "provenance.json"}


def test_two_runs_write_the_same_bytes(project):
    first = {p.name: p.read_bytes() for p in run(WRITE).iterdir()}
    assert {p.name: p.read_bytes() for p in run(WRITE).iterdir()} == first


def test_a_parameter_that_the_notebook_does_not_declare_is_refused(project):
    with pytest.raises(InputError, match=r"unknown \['draws'\]"):
        run(WRITE, parameters='scale = "smoke"\nout = "here"\ndose = 1.0\nscans = ""\n')


def test_a_failure_names_cell_and_exception_in_a_dozen_lines_and_leaves_no_output(project):
    with pytest.raises(runner.NotebookFailed) as error:
        run("import json\njson.loads('{')")
    text = str(error.value)
    assert "4_dqe.ipynb, cell" in text and "JSONDecodeError" in text
    assert len(text.splitlines()) <= 12
    assert not Path("results/dqe").exists()


def test_a_users_mistake_is_one_line(project):
    with pytest.raises(runner.NotebookFailed) as error:
        run("from rephase.errors import InputError\nraise InputError('dose', -1, 'a dose above 0')")
    assert len(str(error.value).splitlines()) == 1
    assert "dose: found -1, expected a dose above 0" in str(error.value)


def test_an_earlier_output_survives_a_failure(project):
    run(WRITE)
    with pytest.raises(runner.NotebookFailed):
        run("1 / 0")
    assert (Path("results/dqe") / "x").exists()


def test_progress_reaches_the_person_and_not_the_result(project, capfd):
    source = "from rephase.publish.progress import track\nfor i in track(range(3), 'draws'): pass"
    out = run(source)
    assert "draws: 2/3" in capfd.readouterr().out
    assert "2/3" not in (out / "notebook.ipynb").read_text()
    assert runner.VARIABLE in os.environ
