"""Several trainings at a time, each on one core: a narrow network gains nothing from a second."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch

Training = TypeVar("Training")


def fit_each(
    fit: Callable[[Training, torch.device | str], Path],
    trainings: Sequence[Training],
    workers: int = 0,
    device: torch.device | str = "cpu",
) -> Iterator[Path]:
    """Train networks that do not depend on each other.

    Parameters
    ----------
    fit : callable
        Does one training on a device and returns the path of the weights; a function of a
        module, which another process can import.
    trainings : sequence
    workers : int
        Processes, each on one thread of the CPU; by default this process trains one after
        the other on ``device``.
    device : optional

    Yields
    ------
    path
        The weights of each, in the order given.
    """
    if workers == 0:
        yield from (fit(one, device) for one in trainings)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield from pool.map(fit, trainings, ["cpu"] * len(trainings))
