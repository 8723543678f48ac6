"""A remote in S3 takes what was computed and gives back the same bytes."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

ROOT = Path(__file__).parents[2]
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
TRACKED = ["data.dvc", "start"]  # an input, and the output of a stage


@pytest.fixture
def bucket(monkeypatch, tmp_path):
    """Address of an S3 server on this machine that has an empty bucket ``group``."""
    monkeypatch.setenv("HOME", str(tmp_path))  # nobody's own credentials
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    boto3.client("s3", endpoint_url=address).create_bucket(Bucket="group")
    yield address
    server.stop()


def contents(clone: Path) -> dict[str, bytes]:
    files = [p for folder in ("data", "build/preflight") for p in (clone / folder).rglob("*") if p.is_file()]
    return {str(p.relative_to(clone)): p.read_bytes() for p in files}


def test_what_is_pushed_to_s3_is_pulled_back_unchanged(bucket, tmp_path):
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)

    def dvc(*arguments: str) -> None:
        source = os.environ | {"PYTHONPATH": str(clone / "lib")}
        command = [sys.executable, "-m", "dvc", *arguments]
        subprocess.run(command, cwd=clone, env=source, check=True, stdout=subprocess.DEVNULL)

    documented = re.search(r"^dvc (remote add lab) (s3://\S+)$", (ROOT / "README.md").read_text(), re.M)
    dvc(*documented[1].split(), documented[2].replace("bucket", "group"))
    dvc("remote", "modify", "lab", "endpointurl", bucket)
    dvc("pull", "-q", "data.dvc")
    dvc("repro", "-q", "start")
    before = contents(clone)
    assert {"data/prototypes.yaml", "build/preflight/smoke"} <= set(before)
    dvc("push", "-q", "-r", "lab", *TRACKED)

    for folder in ("data", "build", ".dvc/cache", "dvcstore"):
        shutil.rmtree(clone / folder)
    dvc("pull", "-q", "-r", "lab", *TRACKED)
    assert contents(clone) == before
