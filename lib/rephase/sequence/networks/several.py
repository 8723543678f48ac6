"""Several trainings at a time, each on one core: a narrow network gains nothing from a second."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

import torch

from rephase.parallel import each
from rephase.sequence.networks.fit import fit
from rephase.sequence.networks.loss import TERMS, Term
from rephase.sequence.networks.samples import Sequences
from rephase.sequence.networks.schedule import FitSettings
from rephase.sequence.store import SequenceSet

Source = tuple[Path, tuple[int, ...]]  # a set's file, and which of its sequences


@dataclass(frozen=True)
class Training:
    """One call of :func:`rephase.sequence.networks.fit.fit`, its sequences named by file and rows.

    Parameters
    ----------
    training, validation : (path, tuple of int)
        File of a `SequenceSet`, and indices of the sequences.
    settings : FitSettings
    folder : path
    seed : int
    losses : mapping
        Terms of physics: functions of a module, which another process can import.
    """

    training: Source
    validation: Source
    settings: FitSettings
    folder: Path
    seed: int
    losses: Mapping[str, Term] = field(default_factory=lambda: TERMS)


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
    structure = "kinematic" in one.settings.weights
    training, validation = (
        _sequences(*source, structure, str(device)) for source in (one.training, one.validation)
    )
    return fit(training, validation, one.settings, one.folder, one.seed, one.losses)


@lru_cache(maxsize=4)
def _sequences(path: Path, rows: tuple[int, ...], structure: bool, device: str) -> Sequences:
    return Sequences.read(SequenceSet(path), rows, structure, device)
