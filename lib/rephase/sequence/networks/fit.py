"""Training of a sequence network: same settings, sequences and seed, same weights, also after a kill."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import torch

from rephase.errors import InputError
from rephase.hdf5 import renamed_when_whole
from rephase.nets.training import repeatable, run, seed_of
from rephase.sequence.networks.course import Course, Report
from rephase.sequence.networks.loss import TERMS, Term
from rephase.sequence.networks.samples import Sequences
from rephase.sequence.networks.schedule import FitSettings
from rephase.sequence.networks.weights import save_weights

CHECKPOINT, HISTORY, WEIGHTS = "last.ckpt", "history.csv", "weights.safetensors"


def fit(
    training: Sequences,
    validation: Sequences,
    settings: FitSettings,
    folder: Path | str,
    seed: int,
    losses: Mapping[str, Term] = TERMS,
    report: Report | None = None,
) -> Path:
    """Train a network, or go on where an interrupted training of the same kind stopped.

    Parameters
    ----------
    training, validation : Sequences
        On the device that trains.
    settings : FitSettings
    folder : path
        Keeps the state after the last whole epoch, and then ``weights.safetensors`` and
        ``history.csv`` (losses, terms, learning rate and evaluations of the field of each epoch).
    seed : int
        Of the first weights, masks, noise and the order of sequences.
    losses : mapping
        Terms of physics, by name: callables of predicted frames and a `Context`.
    report : callable, optional
        Told the number of steps done, and of all steps, after each step.

    Returns
    -------
    path
        Of the weights.

    Raises
    ------
    InputError
        If the folder holds a training with other settings, sequences or seed, if there is no
        term of a weight's name, or the frames have not the architecture's shape.
    FloatingPointError
        If the loss is no longer finite, or a differential equation is not solved.
    """
    folder = Path(folder)
    _check(training, validation, settings, losses)
    folder.mkdir(parents=True, exist_ok=True)
    lineage = {
        "settings": settings.model_dump(mode="json"),
        "seed": seed,
        "training": training.digest,
        "validation": validation.digest,
    }
    with repeatable(training.device):
        torch.manual_seed(seed_of(seed))
        course = Course(training, validation, settings, seed, lineage, losses, report)
        run(course, folder / CHECKPOINT, settings.epochs, training.device)
    with renamed_when_whole(folder / HISTORY) as part:
        part.write(pd.DataFrame(course.history).to_csv(index=False).encode())
    return save_weights(folder / WEIGHTS, course.net, lineage)


def _check(
    training: Sequences, validation: Sequences, settings: FitSettings, losses: Mapping[str, Term]
) -> None:
    for name in settings.weights:
        if name not in losses:
            raise InputError(f"weights: {name}", "no such term", f"one of {', '.join(losses)}")
    architecture = settings.architecture
    expected = (architecture.positions, architecture.size, architecture.size)
    for name, sequences in (("training", training), ("validation", validation)):
        found = tuple(sequences.frames.shape[2:])
        if found != expected:
            raise InputError(f"{name} sequences", f"(position, row, col) = {found}", f"{expected}")
