"""Several trainings at a time, each on one core: a narrow network gains nothing from a second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import torch

from rephase.parallel import each
from rephase.phase.exit_wave.fit import fit
from rephase.phase.exit_wave.samples import JoinedSamples, SampleSet, sample_set
from rephase.phase.exit_wave.schedule import FitSettings
from rephase.phase.exit_wave.shards import TrainingSet


@dataclass(frozen=True)
class Training:
    """One call of :func:`rephase.phase.exit_wave.fit.fit`, its samples named by their files.

    Parameters
    ----------
    training : sequence of path
        Sets of samples, taken together.
    validation : path
    settings : FitSettings
    folder : path
    seed : int
    """

    training: Sequence[Path]
    validation: Path
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
        Processes, each on one thread of the CPU and with samples of its own in memory;
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
    parts = [_samples(Path(path), str(device)) for path in one.training]
    training = parts[0] if len(parts) == 1 else JoinedSamples(*parts)
    return fit(training, _samples(Path(one.validation), str(device)), one.settings, one.folder, one.seed)


@lru_cache
def _samples(path: Path, device: str) -> SampleSet:
    return sample_set(TrainingSet(path), device)
