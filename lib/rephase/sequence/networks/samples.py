"""Sequences in memory, and the batches that a training draws from them.

For every step a mask, a dose and counting noise are drawn afresh: kept share uniform in its
logarithm, any pattern, whole frames missing or each position observed at its own times. Draws
depend on the seed and the step alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rephase.errors import InputError
from rephase.nets.training import generator_of, seed_of
from rephase.sequence.networks.known import known, thickness_estimates
from rephase.sequence.networks.observed import Observed, Wanted, observe
from rephase.sequence.sampling import Arm, Pattern, draw_mask

ALIKE = 1e-6  # of a sequence's length: times closer than this are the same
FACTS = ("energy_ev", "thickness_angstrom")


@runtime_checkable
class Stored(Protocol):
    """A set of sequences in a file; see `rephase.sequence.store.SequenceSet`."""

    parameters: pd.DataFrame
    digest: str

    def __len__(self) -> int: ...
    def times(self, index: int) -> Any: ...
    def frames(self, index: int) -> Any: ...
    def structure(self, index: int) -> Any: ...


@dataclass(frozen=True)
class Sequences:
    """Complete, noise-free sequences of the same times.

    Parameters
    ----------
    times : array (time,)
        From 0 to 1.
    frames : tensor (sequence, time, position, row, col)
        In fractions of the beam.
    facts : array (sequence, 2)
        Energy in eV and estimated thickness in angstrom.
    structure : tensor (sequence, row, col), optional
        |F(k)|^2, for the kinematic constraint.
    digest : str
        Of where they come from.
    """

    times: Float[np.ndarray, " time"]
    frames: Float[torch.Tensor, "sequence time position row col"]
    facts: Float[np.ndarray, "sequence 2"]
    structure: Float[torch.Tensor, "sequence row col"] | None = None
    digest: str = ""

    @classmethod
    def read(
        cls,
        stored: Stored,
        rows: Sequence[int] | None = None,
        structure: bool = False,
        device: torch.device | str = "cpu",
    ) -> Sequences:
        """Sequences of a set, in memory.

        Parameters
        ----------
        stored : SequenceSet
        rows : sequence of int, optional
            Which ones; all by default.
        structure : bool
            Whether |F|^2 is read, too.
        device : optional

        Raises
        ------
        InputError
            If the sequences do not share their times, but for offset and unit.
        """
        rows = list(range(len(stored)) if rows is None else map(int, rows))
        relative = [_relative(np.asarray(stored.times(row), dtype=float)) for row in rows]
        for row, times in zip(rows, relative, strict=True):
            if times.shape != relative[0].shape or np.abs(times - relative[0]).max() > ALIKE:
                raise InputError(f"times of sequence {row}", "others", f"those of sequence {rows[0]}")
        table = stored.parameters.iloc[rows]
        facts = np.stack([table["energy_ev"].to_numpy(dtype=float), thickness_estimates(table)], axis=1)
        return cls(
            relative[0],
            _stacked((stored.frames(row) for row in rows), len(rows), device),
            facts,
            _stacked((stored.structure(row) for row in rows), len(rows), device) if structure else None,
            f"{stored.digest} {rows}",
        )

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def device(self) -> torch.device:
        """Where the frames are."""
        return self.frames.device

    @cached_property
    def energy(self) -> Float[torch.Tensor, " sequence"]:
        """Sum of the squares of a frame, averaged over time."""
        return torch.stack([one.square().sum() / len(one) for one in self.frames])

    @cached_property
    def variation(self) -> Float[torch.Tensor, " sequence"]:
        """The same of a frame minus the temporal mean."""
        return torch.stack([(one - one.mean(0)).square().sum() / len(one) for one in self.frames])

    def known(self, rows: Int[np.ndarray, " sequence"], dose: float) -> Float[torch.Tensor, "sequence _"]:
        """p of these sequences at a dose in electrons per pattern."""
        energy_ev, thickness_angstrom = self.facts[rows].T
        return known(energy_ev, thickness_angstrom, np.full(len(rows), dose))

    def to(self, device: torch.device | str) -> Sequences:
        """The same on another device."""
        structure = None if self.structure is None else self.structure.to(device)
        return replace(self, frames=self.frames.to(device), structure=structure)


class Draws(BaseModel):
    """What is drawn afresh for every batch.

    Parameters
    ----------
    least_kept, most_kept : float
        Range of the share of observed frames.
    arms, patterns : tuple of str
        Each as likely; see `rephase.sequence.sampling.draw_mask`.
    least_electrons, most_electrons : float
        Range of the dose in electrons per pattern, uniform in its logarithm.
    noiseless_share : float
        Part of the batches without noise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    least_kept: float = Field(default=0.02, gt=0, lt=1)
    most_kept: float = Field(default=0.3, gt=0, lt=1)
    arms: tuple[Arm, ...] = Field(default=("synchronous", "staggered"), min_length=1)
    patterns: tuple[Pattern, ...] = Field(default=("irregular", "regular", "bursty"), min_length=1)
    least_electrons: float = Field(default=1e4, gt=0)
    most_electrons: float = Field(default=1e6, gt=0)
    noiseless_share: float = Field(default=0.1, ge=0, le=1)

    @model_validator(mode="after")
    def _ranges(self) -> Draws:
        for low, high in (("least_kept", "most_kept"), ("least_electrons", "most_electrons")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} of at most {high}")
        return self

    def mask(self, frames: int, positions: int, rng: np.random.Generator) -> Bool[np.ndarray, "_ _"]:
        """Draw a mask (time, position)."""
        sparsity = 1 - _log_uniform(rng, self.least_kept, self.most_kept)
        arm, pattern = (str(rng.choice(names)) for names in (self.arms, self.patterns))
        return draw_mask(frames, positions, sparsity, int(rng.integers(2**31)), arm=arm, pattern=pattern)

    def dose(self, rng: np.random.Generator) -> float:
        """Draw a dose; infinite without noise."""
        dose = _log_uniform(rng, self.least_electrons, self.most_electrons)
        return float("inf") if rng.uniform() < self.noiseless_share else dose


@dataclass(frozen=True)
class Batch:
    """Sequences to complete, and the truth at some times.

    Parameters
    ----------
    observed : Observed
    at : int tensor (wanted,)
        Indices of the times at which the truth is given, in their order.
    truth : tensor (sequence, wanted, position, row, col)
    energy, variation : tensor (sequence,)
        As of `Sequences`.
    structure : tensor (sequence, row, col), optional
    """

    observed: Observed
    at: Wanted
    truth: Float[torch.Tensor, "sequence wanted position row col"]
    energy: Float[torch.Tensor, " sequence"]
    variation: Float[torch.Tensor, " sequence"]
    structure: Float[torch.Tensor, "sequence row col"] | None = None


def batch_of(
    sequences: Sequences,
    rows: Int[np.ndarray, " sequence"],
    mask: Bool[np.ndarray, "time position"],
    dose: float,
    at: Int[np.ndarray, " wanted"],
    seed: int,
) -> Batch:
    """Some sequences, observed through a mask with counting noise.

    Parameters
    ----------
    sequences : Sequences
    rows : int array (sequence,)
    mask : bool array (time, position)
    dose : float
        Electrons per pattern; infinite without noise.
    at : int array (wanted,)
        Times at which the truth is given.
    seed : int
        Of the noise.
    """
    device = sequences.device
    index = torch.from_numpy(rows).to(device)
    knots, wanted = (torch.from_numpy(part).to(device) for part in (np.flatnonzero(mask.any(axis=1)), at))
    frames = sequences.frames[index[:, None], knots]
    if np.isfinite(dose):
        frames = torch.poisson(frames * dose, generator=generator_of(device, seed)) / dose
    observed = observe(sequences.times, frames, mask, sequences.known(rows, dose))
    truth = sequences.frames[index[:, None], wanted]
    structure = None if sequences.structure is None else sequences.structure[index]
    return Batch(observed, wanted, truth, sequences.energy[index], sequences.variation[index], structure)


@dataclass(frozen=True)
class Epoch:
    """The batches of one epoch of a training.

    Parameters
    ----------
    sequences : Sequences
    draws : Draws
    size, wanted : int
        Sequences in a batch, and times at which they are decoded.
    steps : int
    seed, number : int
        Of the training, and of the epoch.
    """

    sequences: Sequences
    draws: Draws
    size: int
    wanted: int
    steps: int
    seed: int
    number: int = 0

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Batch]:
        frames, positions = self.sequences.frames.shape[1:3]
        for step in range(self.number * self.steps, (self.number + 1) * self.steps):
            rng = np.random.default_rng(seed_of(self.seed, step))
            rows = rng.choice(len(self.sequences), min(self.size, len(self.sequences)), replace=False)
            mask, dose = self.draws.mask(frames, positions, rng), self.draws.dose(rng)
            at = np.sort(rng.choice(frames, min(self.wanted, frames), replace=False))
            yield batch_of(self.sequences, rows, mask, dose, at, seed_of(self.seed, step, 1))


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _relative(times: Float[np.ndarray, " time"]) -> Float[np.ndarray, " time"]:
    return (times - times[0]) / (times[-1] - times[0])


def _stacked(arrays: Iterator[Any], count: int, device: torch.device | str) -> Float[torch.Tensor, _ * _]:
    """Arrays in one tensor, without holding them twice."""
    whole = None
    for row, array in enumerate(arrays):
        values = torch.from_numpy(np.asarray(array, dtype=np.float32))
        if whole is None:
            whole = torch.empty(count, *values.shape, device=device)
        whole[row] = values
    return whole
