"""Finished parts of a long stage, kept until the stage is whole.

The runner names a folder of its own for each stage, code, input and
parameters, so that a part is never taken over by a stage it does not fit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np

VARIABLE = "REPHASE_CHECKPOINTS"
Arrays = Mapping[str, np.ndarray]


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


def write_arrays(path: Path | str, arrays: Arrays) -> None:
    """Write named arrays, nested by the slashes in their names, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with h5py.File(part, "w") as file:
        for name, values in sorted(arrays.items()):
            file.create_dataset(name, data=values, track_times=False)
    os.replace(part, path)


def read_arrays(path: Path | str) -> dict[str, np.ndarray]:
    """Read all arrays of a file, by their full names."""
    found: dict[str, np.ndarray] = {}

    def collect(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[...]

    with h5py.File(path, "r") as file:
        file.visititems(collect)
    return found
