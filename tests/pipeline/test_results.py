"""What was committed is what this commit computes."""

import csv
import io
import math
import subprocess
from pathlib import Path

import pytest

from rephase.publish import runner
from rephase.publish.verify import compare

ROOT = Path(__file__).parents[2]
RELATIVE, ABSOLUTE = 1e-3, 1e-9


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def committed_tables() -> list[str]:
    return git("ls-files", "results/smoke/*.csv").split()


def cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def agree(a: str, b: str) -> bool:
    try:
        return math.isclose(float(a), float(b), rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    except ValueError:
        return a == b


@pytest.mark.parametrize("name", committed_tables())
def test_a_smoke_table_agrees_with_the_committed_one(name):
    ours, theirs = cells((ROOT / name).read_text()), cells(git("show", f"HEAD:{name}"))
    assert [len(row) for row in ours] == [len(row) for row in theirs]
    different = [
        (a, b)
        for x, y in zip(ours, theirs, strict=True)
        for a, b in zip(x, y, strict=True)
        if not agree(a, b)
    ]
    assert not different


@pytest.mark.parametrize("stage", ["direct", "dqe"])
def test_a_stage_run_again_writes_the_same_bytes(stage, tmp_path, monkeypatch):
    smoke = ROOT / "results" / "smoke" / "baselines"
    if not (smoke / stage / "results.h5").exists():
        pytest.skip("no smoke results on this machine: make smoke")
    monkeypatch.chdir(ROOT)
    inputs = {name: f"results/smoke/baselines/simulate/{name}.h5" for name in ("scans", "truth")}
    number = {"direct": 2, "dqe": 4}[stage]
    runner.run(f"baselines/{number}_{stage}", "smoke", inputs, tmp_path / stage)
    assert compare(smoke / stage, tmp_path / stage) == ["notebook.ipynb"]  # it names its output folder
