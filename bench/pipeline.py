"""How long DVC takes to find that nothing is to be done, and what each stage took."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    """Print the time of a no-op ``dvc repro`` and the last time of each stage on this machine."""
    command = [sys.executable, "-m", "dvc", "repro"]
    dry = subprocess.run([*command, "--dry"], capture_output=True, text=True, check=True)
    if "Running stage" in dry.stdout:
        print("no-op dvc repro: not measured, as stages are out of date (run make repro first)")
    else:
        start = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        print(f"no-op dvc repro: {time.perf_counter() - start:.1f} s")
    timings = Path("build/timings.json")
    for stage, seconds in json.loads(timings.read_text()).items() if timings.exists() else ():
        print(f"  {stage}: {seconds:.0f} s")


if __name__ == "__main__":
    main()
