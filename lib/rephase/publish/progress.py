"""Progress that a person can follow and that no result contains."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")
VARIABLE = "REPHASE_PROGRESS"


def track(items: Sequence[Item], label: str) -> Iterator[Item]:
    """Go through items and report done, total and time left to the runner.

    Outside the runner nothing is reported.
    """
    target = os.environ.get(VARIABLE)
    start = time.monotonic()
    for done, item in enumerate(items):
        if target:
            _report(Path(target), label, done, len(items), time.monotonic() - start)
        yield item


def _report(target: Path, label: str, done: int, total: int, seconds: float) -> None:
    left = f", about {clock(seconds / done * (total - done))} left" if done else ""
    with target.open("a") as stream:
        stream.write(f"{label}: {done}/{total}{left}\n")


def clock(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
