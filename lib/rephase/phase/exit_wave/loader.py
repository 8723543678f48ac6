"""Batches of a training set: noise drawn afresh for every use, on the device that trains.

Draws depend on the seed, the epoch and the batch's number alone (and on the kind of device), not
on what was drawn before: an epoch can be repeated by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Complex, Float, Int

from rephase.nets.training import generator_of
from rephase.phase.exit_wave.inputs import shifted_spectra
from rephase.phase.exit_wave.noise import Noise, counted
from rephase.phase.exit_wave.samples import Samples, SampleSet, batches


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


def noisy(
    samples: Samples,
    electrons: Float[torch.Tensor, " batch"],
    vacuum: Bool[torch.Tensor, " batch"],
    generator: torch.Generator,
) -> Batch:
    """Samples with noise.

    Parameters
    ----------
    samples : Samples
        Those of the batch.
    electrons : tensor (batch,)
        Dose per pattern, or sum of patterns; infinite for fractions of the beam without noise.
    vacuum : bool tensor (batch,)
        Where the probe replaces the sample.
    generator : torch.Generator
        On the samples' device.
    """
    empty, dose = (values.to(samples.device) for values in (vacuum, electrons))
    probe, step, box = samples.probe, samples.step_angstrom, samples.box_angstrom
    fractions = samples.amplitudes.float().square()
    if bool(vacuum.any()):
        fractions[empty] = shifted_spectra(probe[empty], step[empty] / box[empty]).abs().square()
    exit_wave = torch.where(empty[:, None, None], probe, samples.exit_wave)
    counts = counted(fractions, dose, samples.repeated, generator)
    return Batch(counts, probe, exit_wave, step, box, dose)


@dataclass(frozen=True)
class Epoch:
    """The batches of one epoch, in an order and with noise of their own.

    Parameters
    ----------
    samples : Samples, StoredSamples or JoinedSamples
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

    samples: SampleSet
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
        groups = self._order().split(min(self.size, len(self.samples)))
        for number, samples in enumerate(batches(self.samples, groups)):
            drawn = generator_of("cpu", self.seed, self.number, number)
            electrons = self.noise.draw_doses(len(samples), drawn)
            vacuum = torch.rand(len(samples), generator=drawn) < self.noise.vacuum_share
            counting = generator_of(samples.device, self.seed, self.number, number, 1)
            yield noisy(samples, electrons, vacuum, counting)

    def _order(self) -> Int[torch.Tensor, " drawn"]:
        count = len(self.samples)
        if not self.shuffled:
            return torch.arange(count)
        generator = generator_of("cpu", self.seed, self.number)
        needed = len(self) * min(self.size, count)
        rounds = [torch.randperm(count, generator=generator) for _ in range(math.ceil(needed / count))]
        return torch.cat(rounds)[:needed]
