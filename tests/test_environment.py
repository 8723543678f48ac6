"""One set of versions, however it is installed."""

import os
import re
import subprocess
import sys
from configparser import ConfigParser
from importlib.metadata import version
from pathlib import Path

import pytest
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


def test_dvc_phones_nobody_and_its_store_travels_with_the_repository():
    config = ConfigParser()
    config.read_string(re.sub(r"^\s+", "", (ROOT / ".dvc" / "config").read_text(), flags=re.M))
    core, store = config["core"], config["'remote \"store\"'"]
    assert (core["analytics"], core["check_update"], core["remote"]) == ("false", "false", "store")
    assert store["url"] == "../dvcstore" and (ROOT / "dvcstore").is_dir()


OFFLINE = """
import importlib, os, pkgutil, sys

def leave(event, arguments):
    outside = event == "socket.connect" and isinstance(arguments[1], tuple) and arguments[1][0] != "127.0.0.1"
    if outside or event == "socket.getaddrinfo":
        os.write(2, f"{event} {arguments}".encode())
        os._exit(1)

sys.addaudithook(leave)
"""
IMPORTS = """
import papermill, py4DSTEM, rephase
for module in pkgutil.walk_packages(rephase.__path__, "rephase."):
    importlib.import_module(module.name)
"""
STORE = """
from dvc.cli import main
sys.exit(main(["pull", "-q", "data.dvc"]) or main(["status", "-q", "data.dvc"]))
"""


@pytest.mark.parametrize("code", [IMPORTS, STORE], ids=["imports", "data"])
def test_nothing_asks_the_network_for_anything(code, tmp_path):
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    source = os.environ | {"PYTHONPATH": str(clone / "lib")}
    command = [sys.executable, "-c", OFFLINE + code]
    done = subprocess.run(command, cwd=clone, env=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_network_would_have_been_noticed():
    asks = OFFLINE + "import socket\nsocket.getaddrinfo('example.org', 80)"
    done = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "example.org" in done.stderr
