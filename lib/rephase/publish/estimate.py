"""How long a notebook will take, from how long it took before."""

from __future__ import annotations

from pathlib import Path

from rephase.publish.files import read_json, write_json
from rephase.publish.progress import clock
from rephase.settings import read_params

LOCAL = Path("build/timings.json")
COMMITTED = Path("results/timings.json")


def announce(stage: str) -> str:
    """One sentence about the time that a stage will take.

    A run on this machine counts before the committed runs on the reference
    machine, and a stage that never ran says so.
    """
    for source, where in ((LOCAL, "on this machine"), (COMMITTED, "on the reference machine")):
        seconds = (read_json(source) if source.exists() else {}).get(stage)
        if seconds is not None:
            return f"{stage}: about {clock(seconds)} (as measured {where})"
    return f"{stage}: not timed before"


def total(scales: list[str]) -> str:
    """One sentence about the time that all stages of these scales took when they last ran."""
    known = (read_json(COMMITTED) if COMMITTED.exists() else {}) | (
        read_json(LOCAL) if LOCAL.exists() else {}
    )
    seconds = [value for stage, value in known.items() if stage.split("@")[1] in scales]
    return f"All of {', '.join(scales)}: about {clock(sum(seconds))}; what is up to date is skipped."


def record(stage: str, seconds: float) -> None:
    """Remember how long a stage took."""
    known = read_json(LOCAL) if LOCAL.exists() else {}
    write_json(LOCAL, known | {stage: round(seconds, 1)})


if __name__ == "__main__":
    print(total(read_params().scales))
