"""Simulated sequences in one HDF5 file, with every parameter they were computed from.

    /                                  attributes: kind, recording (JSON)
    /parameters/<column>               (sequence,)  process, material, part, energy_ev, ...
    /sequence_0000/times               (time,)  in seconds
    /sequence_0000/frames              (time, position, row, col)  float32, fractions of the beam
    /sequence_0000/structure           (row, col)  float32, see `rephase.sequence.simulate.structure`
    /sequence_0000/positions_angstrom  (position, 2)
    /sequence_0000/box_angstrom        (3,)

The same settings give the same bytes, however many processes computed them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from hashlib import file_digest
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch.utils.data import DataLoader, Dataset

from rephase.checkpoint import resume
from rephase.errors import InputError
from rephase.hdf5 import open_hdf5, renamed_when_whole
from rephase.sequence.processes import Recording, SequenceSettings
from rephase.sequence.simulate import simulate

KIND = "rephase sequences 1"
Arrays = dict[str, np.ndarray]


def write_sequences(
    path: Path | str,
    settings: Sequence[SequenceSettings],
    *,
    workers: int = 0,
    device: torch.device | str = "cpu",
) -> None:
    """Simulate sequences and write them, all or none.

    Within the runner each finished sequence is kept as a part of its own, so that a
    killed run goes on after its last whole one, to the same file.

    Parameters
    ----------
    path : path
    settings : sequence of SequenceSettings
        One a sequence, all of one recording.
    workers : int
        Processes that simulate, each on one thread; by default this one does.
    device : optional
        Where to compute.

    Raises
    ------
    InputError
        If there are no settings, recordings differ, or a sequence is given twice.
    FloatingPointError
        If a frame is not finite.
    """
    path = Path(path)
    table = _checked_table(settings)
    loader = DataLoader(
        _Simulations(path.stem, list(settings), str(device)),
        batch_size=None,
        collate_fn=dict,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
        generator=torch.Generator(),
    )
    with renamed_when_whole(path) as file, h5py.File(file, "w") as whole, _one_thread():
        whole.attrs.update({"kind": KIND, "recording": settings[0].recording.model_dump_json()})
        for name, column in sorted(table.items()):
            whole.create_dataset(f"parameters/{name}", data=_storable(column), track_times=False)
        for number, arrays in enumerate(loader):
            for name, values in sorted(arrays.items()):
                whole.create_dataset(f"sequence_{number:04d}/{name}", data=values, track_times=False)


def _checked_table(settings: Sequence[SequenceSettings]) -> pd.DataFrame:
    """Parameters of all sequences, if they may be in one file."""
    if not len(settings):
        raise InputError("settings", "none", "one a sequence")
    if any(one.recording != settings[0].recording for one in settings):
        raise InputError("settings", "several recordings", "one recording for all sequences of a file")
    table = pd.DataFrame([one.parameters() for one in settings])
    repeated = table.duplicated()
    if repeated.any():
        twice = table.loc[repeated.idxmax()]
        found = f"{twice.process} of {twice.material}, {twice.part}, seed {twice.seed} twice"
        raise InputError("settings", found, "each sequence once")
    return table


class _Simulations(Dataset):
    """Sequences by their number, simulated when asked for."""

    def __init__(self, name: str, settings: list[SequenceSettings], device: str) -> None:
        self.name, self.settings, self.device = name, settings, device

    def __len__(self) -> int:
        return len(self.settings)

    def __getitem__(self, number: int) -> Arrays:
        if not number < len(self):
            raise IndexError(number)
        return resume(f"{self.name}-sequence_{number:04d}", lambda: self._simulated(self.settings[number]))

    def _simulated(self, settings: SequenceSettings) -> Arrays:
        arrays = asdict(simulate(settings, self.device))
        for name, values in arrays.items():
            if not np.isfinite(values).all():
                one = f"{settings.process} of {settings.material}, seed {settings.seed}"
                raise FloatingPointError(f"{name} of {one} are not finite")
        return arrays


@contextmanager
def _one_thread() -> Iterator[None]:
    """Matrix products of this process are summed in the order that workers sum them in."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _storable(column: pd.Series) -> np.ndarray:
    """A column as HDF5 knows it: text as bytes of one length."""
    numeric = pd.api.types.is_numeric_dtype(column)
    return column.to_numpy() if numeric else np.array([text.encode() for text in column])


class SequenceSet:
    """Sequences of a file, read when asked for. Pickles as its path.

    Parameters
    ----------
    path : path
        Written by `write_sequences`.

    Attributes
    ----------
    parameters : pandas.DataFrame
        One row a sequence: process, material, part, energy_ev, thickness_angstrom, ...
    recording : Recording

    Raises
    ------
    InputError
        If the file is missing, truncated or something else.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        with open_hdf5(self.path) as file:
            if file.attrs.get("kind") != KIND:
                raise InputError(f"{self.path}", "no sequences", f"a file of kind {KIND!r}")
            self.recording = Recording.model_validate_json(file.attrs["recording"])
            columns = {name: column[...] for name, column in file["parameters"].items()}
        self.parameters = pd.DataFrame(
            {name: v.astype("U") if v.dtype.kind == "S" else v for name, v in columns.items()}
        )

    def __len__(self) -> int:
        return len(self.parameters)

    def times(self, index: int) -> Float[np.ndarray, " time"]:
        """Times of the frames of a sequence, in seconds."""
        return self._read(index, "times")

    def frames(self, index: int) -> Float[np.ndarray, "time position row col"]:
        """Noise-free frames of a sequence, float32, in fractions of the beam."""
        return self._read(index, "frames")

    def structure(self, index: int) -> Float[np.ndarray, "row col"]:
        """Squared structure factors of the undisturbed crystal on the detector's pixels."""
        return self._read(index, "structure")

    def positions_angstrom(self, index: int) -> Float[np.ndarray, "position 2"]:
        """Probe positions (slow, fast)."""
        return self._read(index, "positions_angstrom")

    def of(self, part: str, process: str | None = None) -> list[int]:
        """Indices of the sequences of a part, of all processes or of one."""
        chosen = self.parameters["part"] == part
        if process is not None:
            chosen &= self.parameters["process"] == process
        return np.flatnonzero(chosen).tolist()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file, in hexadecimal digits."""
        with self.path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()

    def _read(self, index: int, name: str) -> np.ndarray:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        with open_hdf5(self.path) as file:
            return file[f"sequence_{index % len(self):04d}/{name}"][...]
