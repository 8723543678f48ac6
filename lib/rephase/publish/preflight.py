"""Constant markers: a scale may begin once the one before it has passed."""

import sys
from pathlib import Path

from rephase.publish.files import write_text


def main(scales: list[str], folder: Path = Path("build/preflight")) -> None:
    """Write one marker a scale; its content never changes, so it reruns nothing."""
    for scale in scales:
        write_text(folder / scale, "may begin\n")


if __name__ == "__main__":
    main(sys.argv[1:])
