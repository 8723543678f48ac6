"""A stage that was killed goes on where it was, and never leaves half an output."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from rephase.publish.canonical import main as write_canonical

ROOT = Path(__file__).parents[2]
PARAMETERS = 'scale = "smoke"\nout = "here"\ndose = 1.0\ndraws = 1\n'
CODE = """
import time
from pathlib import Path
import numpy as np
from rephase.arrays import write_arrays
from rephase.checkpoint import resume
first = resume("first", lambda: Path("calls").open("a").write("1") and {"x": np.arange(3)})
while not Path("go").exists():
    time.sleep(0.05)
write_arrays(Path(out) / "results.h5", first)
"""
COMMAND = [sys.executable, "-m", "rephase.publish.runner", "baselines/4_dqe", "smoke", "--out", "results/dqe"]


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name in ("params.yaml", "requirements.lock"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / "notebooks/baselines").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    cells = [new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}), new_code_cell(CODE)]
    nbformat.write(new_notebook(cells=cells), "notebooks/baselines/4_dqe.ipynb")
    write_canonical()
    return tmp_path


def wait_for(pattern: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not list(Path().glob(pattern)):
        assert time.monotonic() < end, f"{pattern} did not appear"
        time.sleep(0.05)


def test_a_killed_stage_keeps_its_finished_part_and_no_output(project):
    with subprocess.Popen(COMMAND, start_new_session=True, stdout=subprocess.DEVNULL) as killed:
        wait_for("build/checkpoints/*/*/first.h5")
        os.killpg(killed.pid, signal.SIGKILL)
    time.sleep(2)  # the kernel looks every second whether its runner still lives
    assert not (project / "results/dqe").exists()
    (project / "go").touch()
    subprocess.run(COMMAND, check=True, stdout=subprocess.DEVNULL)
    assert (project / "calls").read_text() == "1"
    assert (project / "results/dqe/results.h5").exists()
    assert not list((project / "results").glob("*.part"))
