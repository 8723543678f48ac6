"""Work on one core each: narrow networks and small transforms gain little from a second."""

from __future__ import annotations

import copyreg
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

import numpy as np
import torch

from rephase.arrays import Arrays
from rephase.checkpoint import resume
from rephase.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")


def _parts(error: InputError) -> tuple[type[InputError], tuple[Any, ...]]:
    """What an error is made of again in another process."""
    return type(error), (error.where, error.found, error.expected)


copyreg.pickle(InputError, _parts)


def each(work: Callable[[Item], Result], items: Sequence[Item], workers: int = 0) -> Iterator[Result]:
    """Do the same with each item, several at a time.

    Parameters
    ----------
    work : callable
        A function of a module, which another process can import, or a partial of one.
    items : sequence
    workers : int
        Processes, each on one thread; by default this process does one item after the other.

    Yields
    ------
    result
        Of each item, in the order given.
    """
    if workers == 0:
        yield from map(work, items)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield from pool.map(work, items)


def resume_each(
    parts: Mapping[str, Callable[[], Arrays]], workers: int = 0
) -> Iterator[dict[str, np.ndarray]]:
    """Parts of a long stage, several at a time; what an interrupted run left is read.

    Parameters
    ----------
    parts : mapping
        What `rephase.checkpoint.resume` takes, by name.
    workers : int
        As for `each`.

    Yields
    ------
    dict of array
        Of each part, in the order given.
    """
    yield from each(_resumed, list(parts.items()), workers)


def _resumed(part: tuple[str, Callable[[], Arrays]]) -> dict[str, np.ndarray]:
    return resume(*part)
