"""Sequences as they are observed, with masks and noise drawn afresh, and what is to be found."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from rephase.nets.training import generator_of, seed_of
from rephase.sequence.diffusion.interpolation import Line, Stack, interpolated, stacked
from rephase.sequence.networks.samples import Draws, Sequences


@dataclass(frozen=True)
class Examples:
    """Some sequences as they are observed.

    Parameters
    ----------
    line : Line
        Linear interpolation of the observed frames.
    x0 : tensor (sequence, time, position, row, col)
        (truth - line) / scale, and 0 where the scale is.
    """

    line: Line
    x0: Stack


def draw_example(
    sequences: Sequences, row: int, draws: Draws, seed: int, window: int | None = None
) -> tuple[Line, Stack]:
    """Observe a sequence with a mask and noise that follow from the seed, and take the line from it.

    Parameters
    ----------
    sequences : Sequences
    row : int
        Which one.
    draws : Draws
    seed : int
    window : int, optional
        Frames in succession, anywhere, of which line and x0 are returned; all by default. The
        line is drawn through all observed frames before.
    """
    rng, truth = np.random.default_rng(seed), sequences.frames[row]
    mask, dose = draws.mask(*truth.shape[:2], rng), draws.dose(rng)
    frames = truth
    if math.isfinite(dose):
        frames = torch.poisson(truth * dose, generator=generator_of(truth.device, seed)) / dose
    line = interpolated(sequences.times, frames, mask, dose, sequences.known(np.array([row]), dose)[0])
    settled = line.scale == 0
    x0 = ((truth - line.frames) / line.scale.masked_fill(settled, 1)).masked_fill(settled, 0)
    if window is None or window >= len(truth):
        return line, x0
    first = int(rng.integers(len(truth) - window + 1))
    return line.window(first, window), x0[first : first + window]


@dataclass(frozen=True)
class Epoch:
    """The batches of one epoch of a training; each sequence has a mask and a dose of its own.

    Parameters
    ----------
    sequences : Sequences
    draws : Draws
    size : int
        Sequences in a batch.
    window : int, optional
        As of `draw_example`.
    steps : int
    seed, number : int
        Of the training, and of the epoch.
    shuffled : bool
        Whether sequences are drawn at random, or one after the other.
    """

    sequences: Sequences
    draws: Draws
    size: int
    window: int | None
    steps: int
    seed: int
    number: int = 0
    shuffled: bool = True

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Examples]:
        for step in range(self.number * self.steps, (self.number + 1) * self.steps):
            pairs = [
                draw_example(self.sequences, row, self.draws, seed_of(self.seed, step, at), self.window)
                for at, row in enumerate(self._rows(step))
            ]
            lines, x0 = zip(*pairs, strict=True)
            yield Examples(stacked(list(lines)), torch.stack(x0))

    def _rows(self, step: int) -> list[int]:
        count = len(self.sequences)
        if not self.shuffled:
            return [(step * self.size + at) % count for at in range(self.size)]
        rng = np.random.default_rng(seed_of(self.seed, step))
        return rng.choice(count, min(self.size, count), replace=False).tolist()
