"""Named arrays in one HDF5 file, the same bytes for the same arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from rephase.hdf5 import renamed_when_whole

Arrays = Mapping[str, np.ndarray]


def write_arrays(path: Path | str, arrays: Arrays) -> None:
    """Write named arrays, nested by the slashes in their names, whole or not at all."""
    with renamed_when_whole(Path(path)) as part, h5py.File(part, "w") as file:
        for name, values in sorted(arrays.items()):
            file.create_dataset(name, data=values, track_times=False)


def read_arrays(path: Path | str) -> dict[str, np.ndarray]:
    """Read all arrays of a file, by their full names."""
    found: dict[str, np.ndarray] = {}

    def collect(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[...]

    with h5py.File(path, "r") as file:
        file.visititems(collect)
    return found
