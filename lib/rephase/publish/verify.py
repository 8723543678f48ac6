"""Smoke twice in clean clones: the same commit gives the same bytes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

TARGETS = ("claims@smoke", "baselines_pages@smoke", "experimental@smoke", "own_data@smoke")


def compare(first: Path, second: Path) -> list[str]:
    """Relative paths of files that differ, or that only one of two folders has."""
    names = {
        p.relative_to(root).as_posix() for root in (first, second) for p in root.rglob("*") if p.is_file()
    }
    return sorted(name for name in names if not _same(first / name, second / name))


def _same(a: Path, b: Path) -> bool:
    return a.exists() and b.exists() and a.read_bytes() == b.read_bytes()


def run_smoke(repository: Path, clone: Path) -> Path:
    """Clone a repository, run its smoke pipeline from nothing, and return its results."""
    subprocess.run(["git", "clone", "-q", str(repository), str(clone)], check=True)
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "pull", "-q", "data.dvc"], cwd=clone, check=True)
    subprocess.run([*dvc, "repro", "--force", *TARGETS], cwd=clone, check=True)
    return clone / "results" / "smoke"


def main() -> int:
    """Run smoke in two clones of the repository at hand and compare every file."""
    with tempfile.TemporaryDirectory() as folder:
        clones = [run_smoke(Path.cwd(), Path(folder) / name / "rephase") for name in ("first", "second")]
        different = compare(*clones)
        count = sum(p.is_file() for p in clones[0].rglob("*"))
    print(f"{count - len(different)} of {count} files are the same bytes")
    print(*(f"differs: {name}" for name in different), sep="\n")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
