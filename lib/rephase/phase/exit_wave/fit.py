"""Training of an exit-wave network: same settings, samples and seed, same weights, also after a kill."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import torch
from lightning.pytorch import Trainer

from rephase.hdf5 import renamed_when_whole
from rephase.phase.exit_wave.course import Course, EveryEpoch, Report
from rephase.phase.exit_wave.loader import seed_of
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
    with _quiet(), _repeatable(device):
        torch.manual_seed(seed_of(seed))
        course = Course(training, validation, settings, seed, lineage, report)
        trainer = _trainer(settings, folder, device)
        last = folder / CHECKPOINT
        trainer.fit(course, ckpt_path=last if last.exists() else None, weights_only=True)
    with renamed_when_whole(folder / HISTORY) as part:
        part.write(pd.DataFrame(course.history).to_csv(index=False).encode())
    return save_weights(folder / WEIGHTS, course.net.cpu(), training.ranges, lineage)


def _trainer(settings: FitSettings, folder: Path, device: torch.device) -> Trainer:
    return Trainer(
        accelerator="gpu" if device.type == "cuda" else device.type,
        devices=[device.index or 0] if device.type == "cuda" else 1,
        max_epochs=settings.all_epochs,
        gradient_clip_val=settings.largest_gradient,
        callbacks=[EveryEpoch(folder / CHECKPOINT)],
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=1,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning without its lines on hardware, its advertisement and a warning meant for its authors."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`isinstance\\(treespec, LeafSpec\\)`", FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _repeatable(device: torch.device) -> Iterator[None]:
    """Deterministic algorithms on a CPU, and the caller's random numbers left as they were."""
    before = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.use_deterministic_algorithms(device.type == "cpu" or before)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)
