"""Batches of a training set: noise drawn afresh for every use, on the device that trains.

A set is held in memory as it is stored, in half precision: 0.14 MB a sample, so 1 GB for 7,000
samples, 7 GB for 50,000 and 104 GB for the paper's 742,688.

Draws depend on the seed, the epoch and the batch's number alone (and on the kind of device), not
on what was drawn before: an epoch can be repeated by itself.

Samples with data repetition (`repetition`) are samples like any other: the dose is that of a
pattern as the network gets it, here of a sum, 25 times that of each position and 25 / 4 times that
of a pattern recorded at the kernel's step. Each sum is given noise of its own. That is an
approximation: sums at neighbouring positions share 15 of their 25 patterns and so 60 % of their
electrons, at diagonal ones 36 %, so that nine sums tell less than nine patterns of this noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from hashlib import file_digest

import numpy as np
import pandas as pd
import torch
from jaxtyping import Complex, Float, Int
from pydantic import BaseModel, ConfigDict, Field

from rephase.microscope.optics import Optics
from rephase.phase.exit_wave.frame import KERNEL, SIZE, Frame
from rephase.phase.exit_wave.inputs import shifted_spectra
from rephase.phase.exit_wave.sampling import Ranges
from rephase.phase.exit_wave.shards import TrainingSet

OPTICS = ["energy_ev", "semiangle_mrad", "cs_angstrom", "defocus_angstrom"]
CHUNK = 256  # samples read at a time
MANY_ELECTRONS = 1e4  # in one pixel; above, Poisson's distribution is drawn as a normal one


class Noise(BaseModel):
    """What is drawn afresh for every use of a sample.

    Parameters
    ----------
    least_electrons, most_electrons : float
        Range of the dose in electrons per pattern, or sum of patterns, uniform in its logarithm.
    noiseless_share : float
        Part of the samples without noise.
    vacuum_share : float
        Part of the samples replaced by the probe alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    least_electrons: float = Field(default=3.0, gt=0)
    most_electrons: float = Field(default=3e9, gt=0)
    noiseless_share: float = Field(default=0.0, ge=0, le=1)
    vacuum_share: float = Field(default=0.03, ge=0, le=1)

    def draw_doses(self, count: int, generator: torch.Generator) -> Float[torch.Tensor, " count"]:
        """Electrons per pattern of ``count`` samples; infinite where there is no noise."""
        low, high = math.log(self.least_electrons), math.log(self.most_electrons)
        doses = torch.exp(low + (high - low) * torch.rand(count, generator=generator))
        return doses.masked_fill(torch.rand(count, generator=generator) < self.noiseless_share, math.inf)


@dataclass
class Batch:
    """Kernels of patterns and the exit waves of their central positions.

    Parameters
    ----------
    counts : tensor (batch, 9, 64, 64)
        Electrons, or fractions of the beam where the dose is infinite.
    probe, exit_wave : tensor (batch, 64, 64)
        In real space, ``sum |probe|^2 = 1``.
    step_angstrom, box_angstrom, electrons : tensor (batch,)
        Step of the kernel, side of the frame, dose per pattern or sum of patterns.
    """

    counts: Float[torch.Tensor, "batch 9 64 64"]
    probe: Complex[torch.Tensor, "batch 64 64"]
    exit_wave: Complex[torch.Tensor, "batch 64 64"]
    step_angstrom: Float[torch.Tensor, " batch"]
    box_angstrom: Float[torch.Tensor, " batch"]
    electrons: Float[torch.Tensor, " batch"]

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device."""
        return Batch(*(getattr(self, part.name).to(device) for part in fields(self)))


@dataclass(frozen=True)
class Samples:
    """A training set in memory, on one device.

    Parameters
    ----------
    amplitudes : tensor (sample, 9, 64, 64)
        Square roots of the noise-free patterns, in half precision.
    exit_wave, probe : tensor (sample, 64, 64)
    step_angstrom, box_angstrom : tensor (sample,)
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
        count = len(stored)
        amplitudes = torch.empty(count, len(KERNEL), SIZE, SIZE, dtype=torch.float16, device=device)
        exit_wave = torch.empty(count, SIZE, SIZE, dtype=torch.complex64, device=device)
        for start in range(0, count, CHUNK):
            part = slice(start, min(start + CHUNK, count))
            patterns, waves = stored[part]
            amplitudes[part] = torch.from_numpy(np.sqrt(patterns)).half().to(device)
            exit_wave[part] = torch.from_numpy(waves).to(device)
        table = stored.parameters
        step, box = (
            torch.tensor(table[name].to_numpy(np.float32), device=device)
            for name in ("step_angstrom", "box_angstrom")
        )
        with stored.path.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        return cls(amplitudes, exit_wave, _probes(table, device), step, box, stored.ranges, digest)

    def __len__(self) -> int:
        return len(self.amplitudes)

    @property
    def device(self) -> torch.device:
        """Where the samples are."""
        return self.amplitudes.device

    def batch(
        self,
        indices: Int[torch.Tensor, " batch"],
        electrons: Float[torch.Tensor, " batch"],
        vacuum: torch.Tensor,
        generator: torch.Generator,
    ) -> Batch:
        """Samples with noise.

        Parameters
        ----------
        indices : tensor (batch,)
        electrons : tensor (batch,)
            Dose per pattern; infinite for fractions of the beam without noise.
        vacuum : bool tensor (batch,)
            Where the probe replaces the sample.
        generator : torch.Generator
            On the samples' device.
        """
        at, empty, dose = (values.to(self.device) for values in (indices, vacuum, electrons))
        probe, step, box = self.probe[at], self.step_angstrom[at], self.box_angstrom[at]
        fractions = self.amplitudes[at].float().square()
        if bool(vacuum.any()):
            fractions[empty] = shifted_spectra(probe[empty], step[empty] / box[empty]).abs().square()
        exit_wave = torch.where(empty[:, None, None], probe, self.exit_wave[at])
        return Batch(counted(fractions, dose, generator), probe, exit_wave, step, box, dose)


def _probes(table: pd.DataFrame, device: torch.device | str) -> Complex[torch.Tensor, "sample 64 64"]:
    """Incident waves of samples, from the table of their parameters."""
    optics = [Optics(**row) for row in table[OPTICS].to_dict("records")]
    frames = [Frame(lens, float(box)) for lens, box in zip(optics, table.box_angstrom, strict=True)]
    return torch.stack([frame.probe() for frame in frames]).to(device)


def counted(
    fractions: Float[torch.Tensor, "batch 9 64 64"],
    electrons: Float[torch.Tensor, " batch"],
    generator: torch.Generator,
) -> Float[torch.Tensor, "batch 9 64 64"]:
    """Patterns as so many electrons would draw them; fractions where the dose is infinite.

    Where more than ten thousand are expected in a pixel the draw is normal: it is
    faster, and single precision does not hold integers above 16 million.
    """
    dose = electrons[:, None, None, None]
    expected = fractions * dose.masked_fill(dose.isinf(), 0)
    many = expected > MANY_ELECTRONS
    few = torch.poisson(expected.masked_fill(many, 0), generator=generator)
    normal = torch.randn(expected.shape, generator=generator, device=expected.device)
    counts = torch.where(many, (expected + expected.sqrt() * normal).round(), few)
    return torch.where(dose.isinf(), fractions, counts)


@dataclass(frozen=True)
class Epoch:
    """The batches of one epoch, in an order and with noise of their own.

    Parameters
    ----------
    samples : Samples
    noise : Noise
    size : int
        Samples in a batch; where there are fewer, all of them.
    seed, number : int
        Of the training, and of the epoch.
    batches : int, optional
        How many; by default as many whole batches as the set holds. A longer
        epoch goes through the set again.
    shuffled : bool
        Whether the order is drawn; else the last batch may be a smaller one.
    """

    samples: Samples
    noise: Noise
    size: int
    seed: int
    number: int = 0
    batches: int | None = None
    shuffled: bool = True

    def __len__(self) -> int:
        whole = len(self.samples) / self.size
        return self.batches or (max(1, int(whole)) if self.shuffled else math.ceil(whole))

    def __iter__(self) -> Iterator[Batch]:
        for number, indices in enumerate(self._order().split(min(self.size, len(self.samples)))):
            drawn = generator_of("cpu", self.seed, self.number, number)
            electrons = self.noise.draw_doses(len(indices), drawn)
            vacuum = torch.rand(len(indices), generator=drawn) < self.noise.vacuum_share
            counting = generator_of(self.samples.device, self.seed, self.number, number, 1)
            yield self.samples.batch(indices, electrons, vacuum, counting)

    def _order(self) -> Int[torch.Tensor, " drawn"]:
        count = len(self.samples)
        if not self.shuffled:
            return torch.arange(count)
        generator = generator_of("cpu", self.seed, self.number)
        needed = len(self) * min(self.size, count)
        rounds = [torch.randperm(count, generator=generator) for _ in range(math.ceil(needed / count))]
        return torch.cat(rounds)[:needed]


def generator_of(device: torch.device | str, *numbers: int) -> torch.Generator:
    """A generator that starts from these numbers, in their order."""
    return torch.Generator(device).manual_seed(seed_of(*numbers))


def seed_of(*numbers: int) -> int:
    """One number from several, different for different ones."""
    told_apart = (len(numbers), *numbers)  # SeedSequence takes trailing zeros for none
    return int(np.random.SeedSequence(told_apart).generate_state(1, np.uint64)[0] >> np.uint64(1))
