"""One small text a notebook that changes only when its results may.

A stage of the pipeline depends on this text instead of on the notebook and
the library: prose, comments and docstrings can be edited without training
anything again. The text holds the notebook's code, a line for each module of
ours that the code reaches, and the pinned version of every other package.
``publish`` is left out: it decides how numbers look, and the cheap stages that
write tables and figures depend on it directly.
"""

from __future__ import annotations

import hashlib
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from rephase.publish.files import write_text
from rephase.publish.source import canonical, closure, notebook_code


def pins(lock: Path = Path("requirements.lock")) -> dict[str, str]:
    """Version of each package in the lock, by normalised name."""
    pairs = re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", lock.read_text(), re.M)
    return {_normal(name): version for name, version in pairs}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def describe(notebook: Path, lock: Path = Path("requirements.lock")) -> str:
    """What the results of a notebook depend on, as text."""
    code = notebook_code(notebook)
    own, others = closure(code, without=("rephase.publish",))
    versions, distributions = pins(lock), packages_distributions()
    names = {_normal(d) for top in others for d in distributions.get(top, [])}
    modules = [f"{name} {_digest(canonical(file.read_text()))}" for name, file in sorted(own.items())]
    packages = [f"{name}=={versions[name]}" for name in sorted(names) if name in versions]
    return "\n".join(["# modules", *modules, "# packages", *packages, "# notebook", code])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def main(out: str = "build/canonical") -> None:
    """Describe every notebook of the pipeline."""
    for notebook in sorted(Path("notebooks").glob("*/[0-9]_*.ipynb")):
        write_text(Path(out) / notebook.parent.name / f"{notebook.stem}.txt", describe(notebook))


if __name__ == "__main__":
    main(*sys.argv[1:])
