"""A training set in one HDF5 file: samples in shards, with every parameter they were made from.

    /                     attributes: kind, part, ranges (JSON)
    /shard_0000/patterns      (sample, 9, 64, 64)  float16, square roots of intensities
    /shard_0000/exit_wave     (sample, 64, 64, 2)  float16, real and imaginary part
    /shard_0000/parameters/   one column each: energy_ev, crystal, seed, ...

Square roots keep the dim outer pixels: float16 resolves intensities down to 1e-14 of
the beam. The same seeds and ranges give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import torch
from jaxtyping import Complex, Float, Float16, Int
from torch.utils.data import DataLoader, Dataset

from rephase.checkpoint import resume
from rephase.errors import InputError
from rephase.hdf5 import open_hdf5, renamed_when_whole
from rephase.phase.exit_wave.sampling import Part, Ranges, draw
from rephase.phase.exit_wave.simulate import simulate

KIND = "rephase exit-wave training set 1"
PARTS = {"patterns": (9, 64, 64), "exit_wave": (64, 64, 2)}  # and their shapes, in the file
Arrays = dict[str, np.ndarray]


def write_training_set(
    path: Path | str,
    part: Part,
    seeds: Sequence[int],
    ranges: Ranges,
    *,
    per_shard: int = 100,
    workers: int = 0,
    device: torch.device | str = "cpu",
) -> None:
    """Draw, simulate and write samples, whole or not at all.

    Within the runner each finished shard is kept as a part of its own, so that a
    killed run goes on after its last whole shard, to the same file.

    Parameters
    ----------
    path : path
    part : {'train', 'validation', 'test'}
        Part of the split that the crystals are taken from.
    seeds : sequence of int
        One a sample.
    ranges : Ranges
        What samples are drawn from.
    per_shard : int
        Samples that are kept together.
    workers : int
        Processes that simulate, each on one thread; by default this one does. On
        two cores two workers are faster than one process with two threads.
    device : optional
        Where to compute.

    Raises
    ------
    InputError
        If there are no seeds, an excluded structure type is unknown, or none is left.
    FloatingPointError
        If a sample is not finite.
    """
    if not len(seeds):
        raise InputError("seeds", "none", "one a sample")
    path = Path(path)
    shards = _Shards(path.stem, part, list(seeds), ranges, per_shard, str(device))
    loader = DataLoader(
        shards,
        batch_size=None,
        collate_fn=dict,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
        generator=torch.Generator(),
    )
    with renamed_when_whole(path) as file, h5py.File(file, "w") as whole:
        whole.attrs.update({"kind": KIND, "part": part, "ranges": ranges.model_dump_json()})
        for number, arrays in enumerate(loader):
            for name, values in sorted(arrays.items()):
                whole.create_dataset(f"shard_{number:04d}/{name}", data=values, track_times=False)


class _Shards(Dataset):
    """The shards of a training set by their number, simulated when asked for."""

    def __init__(
        self, name: str, part: Part, seeds: list[int], ranges: Ranges, per_shard: int, device: str
    ) -> None:
        self.name, self.part, self.ranges, self.device = name, part, ranges, device
        self.seeds = [seeds[start : start + per_shard] for start in range(0, len(seeds), per_shard)]

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, number: int) -> Arrays:
        if not number < len(self):
            raise IndexError(number)
        return resume(f"{self.name}-shard_{number:04d}", lambda: self._simulated(self.seeds[number]))

    def _simulated(self, seeds: list[int]) -> Arrays:
        draws = [draw(self.part, seed, self.ranges) for seed in seeds]
        samples = [simulate(one, self.device) for one in draws]
        patterns = np.stack([sample.patterns for sample in samples])
        waves = np.stack([sample.exit_wave for sample in samples])
        finite = np.isfinite(patterns).all((1, 2, 3)) & np.isfinite(waves).all((1, 2))
        if not finite.all():
            raise FloatingPointError(f"the sample of seed {seeds[int(np.argmin(finite))]} is not finite")
        table = pd.DataFrame([one.parameters() for one in draws])
        columns = {f"parameters/{name}": _storable(values) for name, values in table.items()}
        parts = np.stack([waves.real, waves.imag], axis=-1)
        return {
            "patterns": np.sqrt(patterns).astype(np.float16),
            "exit_wave": parts.astype(np.float16),
            **columns,
        }


def _storable(column: pd.Series) -> np.ndarray:
    """A column as HDF5 knows it: text as bytes of one length."""
    numeric = pd.api.types.is_numeric_dtype(column)
    return column.to_numpy() if numeric else np.array([text.encode() for text in column])


class TrainingSet:
    """Samples of a training set, read when asked for.

    ``training_set[index]`` returns the sample of an index; a slice or a sequence
    of indices gives a batch, in the order asked for. Pickles as its path, so that
    the workers of a loader may share it.

    Parameters
    ----------
    path : path
        Written by `write_training_set`.

    Attributes
    ----------
    parameters : pandas.DataFrame
        One row a sample: energy_ev, semiangle_mrad, step_angstrom, crystal, ...
    ranges : Ranges
        What the samples were drawn from.

    Raises
    ------
    InputError
        If the file is missing, truncated or something else.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        with open_hdf5(self.path) as file:
            if file.attrs.get("kind") != KIND:
                raise InputError(f"{self.path}", "no training samples", f"a file of kind {KIND!r}")
            self.ranges = Ranges.model_validate_json(file.attrs["ranges"])
            tables = [_table(shard["parameters"]) for shard in file.values()]
            starts = [np.stack([_starts(shard[name]) for name in PARTS], -1) for shard in file.values()]
        self.parameters = pd.concat(tables, ignore_index=True)
        self._starts = np.concatenate(starts)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(
        self, index: int | slice | Sequence[int] | np.ndarray
    ) -> tuple[Float[np.ndarray, "*batch 9 64 64"], Complex[np.ndarray, "*batch 64 64"]]:
        """Patterns in fractions of the beam (float32) and exit waves (complex64)."""
        rows = np.arange(len(self))[index]
        amplitudes, waves = self.stored(rows.ravel())
        patterns = np.square(amplitudes, dtype=np.float32).reshape(*rows.shape, 9, 64, 64)
        return patterns, waves.astype(np.float32).view(np.complex64).reshape(*rows.shape, 64, 64)

    def stored(
        self, rows: Int[np.ndarray, " row"]
    ) -> tuple[Float16[np.ndarray, "row 9 64 64"], Float16[np.ndarray, "row 64 64 2"]]:
        """Square roots of patterns, and exit waves' real and imaginary parts, as the file has them.

        Samples are read where they lie, past HDF5, whose library serves one thread at
        a time and takes longer to find a sample than the disk to read it.

        Parameters
        ----------
        rows : array of int (row,)
            From 0, in any order.

        Raises
        ------
        InputError
            If the file is no longer what it was.
        """
        read = [np.empty((len(rows), *shape), np.float16) for shape in PARTS.values()]
        with self.path.open("rb", buffering=0) as file:
            for one, starts in enumerate(self._starts[rows]):
                for values, start in zip(read, starts, strict=True):
                    file.seek(start)
                    if file.readinto(values[one]) != values[one].nbytes:
                        raise InputError(f"{self.path}", f"nothing of sample {rows[one]}", "a whole file")
        return read[0], read[1]


def _starts(part: h5py.Dataset) -> Int[np.ndarray, " sample"]:
    """Where in its file each sample of a shard begins."""
    first = part.id.get_offset()
    if first is None or part.dtype != np.dtype("<f2"):
        raise InputError(part.file.filename, "samples packed again", "a file of write_training_set")
    return first + np.arange(len(part)) * math.prod(part.shape[1:]) * part.dtype.itemsize


def _table(group: h5py.Group) -> pd.DataFrame:
    columns = {name: column[...] for name, column in group.items()}
    return pd.DataFrame(
        {name: values.astype("U") if values.dtype.kind == "S" else values for name, values in columns.items()}
    )
