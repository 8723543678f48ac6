"""What made a result: code, inputs, parameters, versions.

The hashes are MD5 because DVC's lock file speaks MD5: the ones stamped here
can be compared with ``dvc.lock``. The git commit is not among them, as a file
cannot contain the commit that it is part of; ``git log -- FILE`` names it.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rephase.publish.files import read_json

PACKAGES = ("numpy", "scipy", "torch", "abtem", "py4dstem", "scikit-image")


def md5(path: Path | str) -> str:
    """MD5 of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name).split("+")[0]
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def device() -> str:
    """The kind of machine: results are byte-identical on one kind only."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU {platform.machine()}"


def provenance(code: Path, inputs: Mapping[str, str], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a run.

    Parameters
    ----------
    code : Path
        Canonical description of the notebook (:mod:`rephase.publish.canonical`).
    inputs : mapping
        Parameter name -> path of every input file.
    parameters : mapping
        Parameters of the notebook, without paths.
    """
    return {
        "notebook": f"{code.parent.name}/{code.stem}",
        "code_md5": md5(code),
        "inputs_md5": {path: md5(path) for path in inputs.values()},
        "parameters": dict(parameters),
        "versions": versions(),
        "device": device(),
    }


def line(stamp: Mapping[str, Any]) -> str:
    """One line for the end of a notebook and the foot of a table."""
    inputs = ", ".join(f"{Path(p).name} {h[:8]}" for p, h in stamp["inputs_md5"].items()) or "none"
    packages = ", ".join(f"{k} {v}" for k, v in stamp["versions"].items())
    return (
        f"{stamp['notebook']}, code {stamp['code_md5'][:8]}, inputs: {inputs}; {packages}; {stamp['device']}"
    )


def show(out: Path | str) -> str:
    """The line for a notebook that writes into ``out``."""
    stamp = Path(out) / "provenance.json"
    return line(read_json(stamp)) if stamp.exists() else "Run by hand: no provenance was recorded."
