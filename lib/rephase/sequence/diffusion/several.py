"""Several trainings at a time, each on one core: a narrow network gains nothing from a second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import torch

from rephase.parallel import each
from rephase.sequence.diffusion.fit import fit
from rephase.sequence.diffusion.schedule import FitSettings
from rephase.sequence.networks.samples import Sequences
from rephase.sequence.store import SequenceSet

Source = tuple[Path, tuple[int, ...]]  # a set's file, and which of its sequences


@dataclass(frozen=True)
class Training:
    """One call of :func:`rephase.sequence.diffusion.fit.fit`, its sequences named by file and rows.

    Parameters
    ----------
    training, validation : (path, tuple of int)
        File of a `SequenceSet`, and indices of the sequences.
    settings : FitSettings
    folder : path
    seed : int
    """

    training: Source
    validation: Source
    settings: FitSettings
    folder: Path
    seed: int


def fit_several(
    trainings: Sequence[Training], workers: int = 0, device: torch.device | str = "cpu"
) -> Iterator[Path]:
    """Train networks that do not depend on each other.

    Parameters
    ----------
    trainings : sequence of Training
    workers : int
        Processes, each on one thread of the CPU and with sequences of its own in memory;
        by default this process trains one after the other on ``device``. The number
        of processes does not change the weights, as long as it is not 0.
    device : optional

    Yields
    ------
    path
        The weights of each, in the order given.
    """
    yield from each(partial(_fit, device="cpu" if workers else device), trainings, workers)


def _fit(one: Training, device: torch.device | str) -> Path:
    training, validation = (_sequences(*source, str(device)) for source in (one.training, one.validation))
    return fit(training, validation, one.settings, one.folder, one.seed)


@lru_cache(maxsize=4)
def _sequences(path: Path, rows: tuple[int, ...], device: str) -> Sequences:
    return Sequences.read(SequenceSet(path), rows, device=device)
