"""The pipeline's promises: every stage declared, nothing only marked as done."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from rephase.publish.files import read_json

ROOT = Path(__file__).parents[2]
STAGES = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
NOTEBOOK_STAGES = {name: stage for name, stage in STAGES.items() if "publish.runner" in stage["cmd"]}


def lock() -> dict:
    path = ROOT / "dvc.lock"
    return YAML(typ="safe").load(path.read_text())["stages"] if path.exists() else {}


def test_every_stage_says_what_it_does():
    assert all(stage.get("desc") for stage in STAGES.values())


def test_every_notebook_of_the_pipeline_has_a_stage():
    run = {re.search(r"runner (\S+)", stage["cmd"])[1] for stage in NOTEBOOK_STAGES.values()}
    present = {f"{p.parent.name}/{p.stem}" for p in ROOT.glob("notebooks/*/[0-9]_*.ipynb")}
    assert run == present


@pytest.mark.parametrize("name", NOTEBOOK_STAGES)
def test_a_stage_depends_on_its_code_and_on_every_file_it_reads(name):
    stage = NOTEBOOK_STAGES[name]
    notebook = re.search(r"runner (\S+)", stage["cmd"])[1]
    inputs = re.findall(r"--in \w+=(\S+)", stage["cmd"])
    assert {f"build/canonical/{notebook}.txt", *inputs} <= set(stage["deps"])


@pytest.mark.parametrize("name", NOTEBOOK_STAGES)
def test_a_stage_owns_the_one_folder_it_writes(name):
    stage = NOTEBOOK_STAGES[name]
    outs = [next(iter(out)) if isinstance(out, dict) else out for out in stage["outs"]]
    assert outs == [re.search(r"--out (\S+)", stage["cmd"])[1]]


@pytest.mark.parametrize("name", NOTEBOOK_STAGES)
def test_no_stage_depends_on_a_folder_of_another(name):
    assert all(Path(d).suffix or "preflight" in d or d == "lib/rephase/publish" for d in STAGES[name]["deps"])


def test_every_stage_of_the_active_scales_is_locked():
    active = YAML(typ="safe").load((ROOT / "params.yaml").read_text())["scales"]
    given = {name: stage["matrix"]["scale"] for name, stage in NOTEBOOK_STAGES.items()}
    scales = {name: active if scale == "${scales}" else scale for name, scale in given.items()}
    expected = {f"{name}@{scale}" for name in scales for scale in scales[name]}
    assert expected <= set(lock())


def committed_provenance() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "results/**/provenance.json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [Path(line) for line in listed.stdout.splitlines()]


@pytest.mark.parametrize("path", committed_provenance(), ids=str)
def test_a_committed_result_was_made_by_the_code_and_inputs_that_the_lock_names(path):
    folder = path.parent.as_posix().replace("/pages/", "/")
    stage = next(s for s in lock().values() if folder in [out["path"] for out in s["outs"]])
    locked = {dep["path"]: dep["md5"] for dep in stage["deps"]}
    stamp = read_json(ROOT / path)
    assert stamp["code_md5"] == locked[f"build/canonical/{stamp['notebook']}.txt"]
    assert stamp["inputs_md5"].items() <= locked.items()


def test_a_fresh_clone_has_nothing_to_run(tmp_path):
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    dvc = [sys.executable, "-m", "dvc"]
    dry = subprocess.run(
        [*dvc, "repro", "--allow-missing", "--dry"], cwd=clone, capture_output=True, text=True, check=False
    )
    assert dry.returncode == 0, dry.stderr
    assert "Running stage" not in dry.stdout
    subprocess.run([*dvc, "pull", "-q", "data.dvc"], cwd=clone, check=True)
    assert (clone / "data" / "prototypes.yaml").exists()
