"""Finished parts of a long stage, kept until the stage is whole.

The runner names a folder of its own for each stage, code, input and
parameters, so that a part is never taken over by a stage it does not fit.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rephase.arrays import Arrays, read_arrays, write_arrays

VARIABLE = "REPHASE_CHECKPOINTS"


def resume(part: str, compute: Callable[[], Arrays]) -> dict[str, np.ndarray]:
    """The arrays of one part: read if an interrupted run left them, computed otherwise.

    Parameters
    ----------
    part : str
        Name of the part, unique in its stage.
    compute : callable
        Returns named arrays. Outside the runner it is always called.
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        return dict(compute())
    path = Path(folder) / f"{part.replace('/', '-')}.h5"
    if not path.exists():
        write_arrays(path, compute())
    return read_arrays(path)
