"""Training of an exit-wave network: same settings, samples and seed, same weights, also after a kill."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch

from rephase.hdf5 import renamed_when_whole
from rephase.nets.training import repeatable, run, seed_of
from rephase.phase.exit_wave.course import Course, Report
from rephase.phase.exit_wave.samples import SampleSet
from rephase.phase.exit_wave.schedule import FitSettings
from rephase.phase.exit_wave.weights import save_weights

CHECKPOINT, HISTORY, WEIGHTS = "last.ckpt", "history.csv", "weights.safetensors"


def fit(
    training: SampleSet,
    validation: SampleSet,
    settings: FitSettings,
    folder: Path | str,
    seed: int,
    device: torch.device | str | None = None,
    report: Report | None = None,
) -> Path:
    """Train a network, or go on where an interrupted training of the same kind stopped.

    Parameters
    ----------
    training, validation : Samples, StoredSamples or JoinedSamples
        Held in memory on the device that trains or elsewhere, or in a file.
    settings : FitSettings
    folder : path
        Keeps the state after the last whole epoch, and then ``weights.safetensors`` and
        ``history.csv`` (losses, learning rate and validation terms of each epoch).
    seed : int
        Of the first weights, the order of samples, noise and dropout.
    device : optional
        Where to train; by default where the training samples are.
    report : callable, optional
        Told the number of steps done, and of all steps, after each step.

    Returns
    -------
    path
        Of the weights.

    Raises
    ------
    InputError
        If the folder holds a training with other settings, samples or seed.
    FloatingPointError
        If the loss is no longer finite.
    """
    folder, device = Path(folder), torch.device(device or training.device)
    folder.mkdir(parents=True, exist_ok=True)
    lineage = {
        "settings": settings.model_dump(mode="json"),
        "seed": seed,
        "training": training.digest,
        "validation": validation.digest,
    }
    with repeatable(device):
        torch.manual_seed(seed_of(seed))
        course = Course(training, validation, settings, seed, lineage, report)
        run(course, folder / CHECKPOINT, settings.all_epochs, device, settings.largest_gradient)
    with renamed_when_whole(folder / HISTORY) as part:
        part.write(pd.DataFrame(course.history).to_csv(index=False).encode())
    return save_weights(folder / WEIGHTS, course.net.cpu(), training.ranges, lineage)
