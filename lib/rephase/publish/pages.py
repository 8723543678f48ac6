"""What a reader looks at, copied out of the folders whose large files stay in DVC's cache."""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

STAYS = {".h5", ".svg"}  # of each figure PNG and PDF are enough to read it
LARGEST_BYTES = 2_000_000  # of a file in the repository


def copy_pages(stages: list[Path], out: Path) -> None:
    """Copy notebook, figures and tables of each stage to ``out/<stage>``.

    Folders and files above 2 MB stay behind.
    """
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    for stage in stages:
        (part / stage.name).mkdir(parents=True)
        for file in sorted(stage.iterdir()):
            small = file.is_file() and file.stat().st_size <= LARGEST_BYTES
            if small and file.suffix not in STAYS:
                shutil.copyfile(file, part / stage.name / file.name)
    shutil.rmtree(out, ignore_errors=True)
    os.replace(part, out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stages", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    copy_pages(given.stages, given.out)
