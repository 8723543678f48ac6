"""Training of video diffusion: same settings, sequences and seed, same weights, also after a kill."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch

from rephase.errors import InputError
from rephase.hdf5 import renamed_when_whole
from rephase.nets.training import repeatable, run, seed_of
from rephase.sequence.diffusion.course import Course, Report
from rephase.sequence.diffusion.schedule import FitSettings
from rephase.sequence.diffusion.weights import save_weights
from rephase.sequence.networks.samples import Sequences

CHECKPOINT, HISTORY, WEIGHTS = "last.ckpt", "history.csv", "weights.safetensors"


def fit(
    training: Sequences,
    validation: Sequences,
    settings: FitSettings,
    folder: Path | str,
    seed: int,
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
        ``history.csv``: of each epoch the learning rate, the training and validation loss, and
        on the validation the error of the mean (one step from pure noise) and of the line alone.
    seed : int
        Of the first weights, masks, noise and the order of sequences.
    report : callable, optional
        Told the number of steps done, and of all steps, after each step.

    Returns
    -------
    path
        Of the weights.

    Raises
    ------
    InputError
        If the folder holds a training with other settings, sequences or seed, or the sequences
        have not the architecture's number of positions.
    FloatingPointError
        If the loss is no longer finite.
    """
    folder, positions = Path(folder), settings.architecture.positions
    for name, sequences in (("training", training), ("validation", validation)):
        if (found := sequences.frames.shape[2]) != positions:
            raise InputError(f"{name} sequences", f"{found} positions", f"{positions}")
    folder.mkdir(parents=True, exist_ok=True)
    lineage = {
        "settings": settings.model_dump(mode="json"),
        "seed": seed,
        "training": training.digest,
        "validation": validation.digest,
    }
    device = training.device
    with repeatable(device):
        torch.manual_seed(seed_of(seed))
        course = Course(training, validation, settings, seed, lineage, report)
        run(course, folder / CHECKPOINT, settings.epochs, device)
    with renamed_when_whole(folder / HISTORY) as part:
        part.write(pd.DataFrame(course.history).to_csv(index=False).encode())
    return save_weights(folder / WEIGHTS, course.net, lineage)
