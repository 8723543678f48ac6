"""One set of versions, however it is installed."""

import re
from importlib.metadata import version
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]


def pins(text: str) -> dict[str, str]:
    found = re.findall(r"^\W*([A-Za-z0-9_.-]+)(?:\[\w+\])?==([^\s\",]+)", text, re.M)
    return {re.sub(r"[-_.]+", "-", name).lower(): number for name, number in found}


LOCK = pins((ROOT / "requirements.lock").read_text())


def test_the_projects_own_pins_are_the_locks():
    direct = pins((ROOT / "pyproject.toml").read_text())
    assert len(direct) > 25
    assert direct.items() <= LOCK.items()


def test_conda_installs_the_lock():
    environment = YAML(typ="safe").load((ROOT / "environment.yml").read_text())
    (pip,) = [d["pip"] for d in environment["dependencies"] if isinstance(d, dict)]
    assert "-r requirements.lock" in pip
    assert not [
        d for d in environment["dependencies"] if isinstance(d, str) and "=" in d and "python=" not in d
    ]


def test_the_versions_that_work_together_are_installed():
    for name in ("numpy", "abtem", "py4dstem", "zarr", "torch"):
        assert version(name).split("+")[0] == LOCK[name]
