"""Samples of training sets by their index, in memory or in their file, and of several sets as one.

In memory a sample takes 0.14 MB as it is stored, in half precision: 7 GB for 50,000, 104 GB for
the paper's 742,688. Larger sets stay in their file, of which every batch takes what it needs; the
samples are the same, bit by bit.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from hashlib import file_digest

import pandas as pd
import torch
from jaxtyping import Bool, Complex, Float, Int

from rephase.microscope.optics import wavelength
from rephase.phase.exit_wave.frame import SIZE
from rephase.phase.exit_wave.sampling import Ranges
from rephase.phase.exit_wave.shards import TrainingSet

CHUNK = 256  # samples read at a time
SAMPLE_BYTES = 9 * SIZE**2 * 2 + 2 * SIZE**2 * 8  # patterns in half precision, two complex waves
READERS, AHEAD = 4, 6  # threads, and batches that they prepare while others are used
Indices = Int[torch.Tensor, "_"]  # groups may differ in length


@dataclass(frozen=True)
class Samples:
    """A training set in memory, on one device; or some samples of one.

    Parameters
    ----------
    amplitudes : tensor (sample, 9, 64, 64)
        Square roots of the noise-free patterns, in half precision.
    exit_wave, probe : tensor (sample, 64, 64)
    step_angstrom, box_angstrom : tensor (sample,)
    repeated : bool tensor (sample,)
        Where patterns are sums with data repetition.
    ranges : Ranges
        What the samples were drawn from.
    digest : str
        Of the file they come from.
    """

    amplitudes: Float[torch.Tensor, "sample 9 64 64"]
    exit_wave: Complex[torch.Tensor, "sample 64 64"]
    probe: Complex[torch.Tensor, "sample 64 64"]
    step_angstrom: Float[torch.Tensor, " sample"]
    box_angstrom: Float[torch.Tensor, " sample"]
    repeated: Bool[torch.Tensor, " sample"]
    ranges: Ranges = Ranges()
    digest: str = ""

    @classmethod
    def read(cls, stored: TrainingSet, device: torch.device | str = "cpu") -> Samples:
        """The whole of a training set, brought to a device.

        Parameters
        ----------
        stored : TrainingSet
        device : optional
        """
        source = StoredSamples(stored, device)
        whole = source.take(torch.zeros(1, dtype=torch.long))._empty(len(source))
        for rows in torch.arange(len(source)).split(CHUNK):
            part = source.take(rows)
            for name in ARRAYS:
                getattr(whole, name)[rows[0] : rows[-1] + 1] = getattr(part, name)
        return whole

    def __len__(self) -> int:
        return len(self.amplitudes)

    @property
    def device(self) -> torch.device:
        """Where the samples are."""
        return self.amplitudes.device

    def take(self, indices: Indices) -> Samples:
        """The samples of these indices."""
        at = indices.to(self.device)
        return replace(self, **{name: getattr(self, name)[at] for name in ARRAYS})

    def to(self, device: torch.device | str) -> Samples:
        """The same on another device."""
        return replace(self, **{name: getattr(self, name).to(device) for name in ARRAYS})

    def _empty(self, count: int) -> Samples:
        arrays = {name: getattr(self, name) for name in ARRAYS}
        return replace(
            self, **{name: values.new_empty(count, *values.shape[1:]) for name, values in arrays.items()}
        )


ARRAYS = tuple(field.name for field in fields(Samples) if field.name not in ("ranges", "digest"))


class StoredSamples:
    """A training set that stays in its file.

    Parameters
    ----------
    stored : TrainingSet
    device : optional
        Where samples are brought.
    """

    def __init__(self, stored: TrainingSet, device: torch.device | str = "cpu"):
        self.ranges, self.device, self._stored = stored.ranges, torch.device(device), stored
        with stored.path.open("rb") as file:
            self.digest = file_digest(file, "sha256").hexdigest()

    def __len__(self) -> int:
        return len(self._stored)

    def take(self, indices: Indices) -> Samples:
        """The samples of these indices, read from the file."""
        rows, device = indices.cpu().numpy(), self.device
        amplitudes, waves = (torch.from_numpy(values).to(device) for values in self._stored.stored(rows))
        table = self._stored.parameters.iloc[rows]
        step, box = (
            _column(table[name], torch.float32, device) for name in ("step_angstrom", "box_angstrom")
        )
        repeated = _column(table["repeat_box"] > 1, torch.bool, device)
        exit_wave, probe = torch.view_as_complex(waves.float()), probes(table, device)
        return Samples(amplitudes, exit_wave, probe, step, box, repeated, self.ranges, self.digest)


class JoinedSamples:
    """Several sets as one: the samples of the first, then those of the next, without a copy.

    Parameters
    ----------
    *parts : Samples, StoredSamples or JoinedSamples
        Samples are brought to the device of the first; what they were drawn from is also its.
    """

    def __init__(self, *parts: SampleSet):
        self.parts, self.ranges, self.device = parts, parts[0].ranges, parts[0].device
        self.digest = "+".join(part.digest for part in parts)
        self._ends = torch.tensor([len(part) for part in parts]).cumsum(0)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def take(self, indices: Indices) -> Samples:
        """The samples of these indices."""
        indices = indices.cpu()
        of = torch.bucketize(indices, self._ends, right=True)
        order = of.argsort(stable=True)
        taken = [
            part.take(indices[of == number] - (self._ends[number] - len(part))).to(self.device)
            for number, part in enumerate(self.parts)
            if (of == number).any()
        ]
        arrays = {name: torch.cat([getattr(some, name) for some in taken]) for name in ARRAYS}
        together = Samples(**arrays, ranges=self.ranges, digest=self.digest)
        return together.take(order.argsort())


SampleSet = Samples | StoredSamples | JoinedSamples


def sample_set(
    stored: TrainingSet, device: torch.device | str = "cpu", memory_bytes: float = 32 * 2**30
) -> Samples | StoredSamples:
    """A training set in memory if it fits in so many bytes, else in its file.

    Parameters
    ----------
    stored : TrainingSet
    device : optional
        Where to hold the samples, or to bring them.
    memory_bytes : float
        By default room for 246,000 samples.
    """
    fits = len(stored) * SAMPLE_BYTES <= memory_bytes
    return Samples.read(stored, device) if fits else StoredSamples(stored, device)


def batches(samples: SampleSet, groups: Iterable[Indices]) -> Iterator[Samples]:
    """The samples of each group; those in files are read by threads while earlier ones are used."""
    if in_memory(samples):
        yield from map(samples.take, groups)
        return
    with ThreadPoolExecutor(READERS) as readers:
        waiting = deque()
        for indices in groups:
            waiting.append(readers.submit(samples.take, indices))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def in_memory(samples: SampleSet) -> bool:
    """Whether all samples are in memory."""
    if isinstance(samples, JoinedSamples):
        return all(map(in_memory, samples.parts))
    return isinstance(samples, Samples)


def probes(table: pd.DataFrame, device: torch.device | str = "cpu") -> Complex[torch.Tensor, "sample 64 64"]:
    """Incident waves of samples from the table of their parameters: `Frame.probe` of many at once.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``energy_ev``, ``semiangle_mrad``, ``cs_angstrom``, ``defocus_angstrom``
        and ``box_angstrom``.
    device : optional
        Where to compute.
    """
    lengths = table["energy_ev"].map(wavelength)
    names = ("semiangle_mrad", "cs_angstrom", "defocus_angstrom", "box_angstrom")
    length, semiangle_mrad, cs, defocus, box = (
        _column(values, torch.float64, device)[:, None, None]
        for values in (lengths, *(table[name] for name in names))
    )
    pixel = torch.fft.fftfreq(SIZE, 1 / SIZE, dtype=torch.float64, device=device)
    k = torch.hypot(pixel[:, None] / box, pixel / box)
    amplitude = ((semiangle_mrad * 1e-3 / length - k) * box + 0.5).clamp(0, 1)
    amplitude = amplitude / torch.linalg.vector_norm(amplitude, dim=(1, 2), keepdim=True)
    angle = k * length
    phase = 2 * math.pi / length * (cs * angle**4 / 4 - defocus * angle**2 / 2)
    waves = torch.fft.ifft2(torch.polar(amplitude, -phase)) * SIZE
    return torch.fft.fftshift(waves, dim=(1, 2)).to(torch.complex64)


def _column(values: pd.Series, dtype: torch.dtype, device: torch.device | str) -> torch.Tensor:
    return torch.tensor(values.to_numpy(), dtype=dtype, device=device)
