"""What every training with Lightning needs to be quiet, repeatable and resumable.

Same settings, data and seed give the same weights, also after a kill: everything random is seeded
by numbers such as the seed and the step, and a checkpoint is whole or not there.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from rephase.errors import InputError


def seed_of(*numbers: int) -> int:
    """One number from several, different for different ones."""
    told_apart = (len(numbers), *numbers)  # SeedSequence takes trailing zeros for none
    return int(np.random.SeedSequence(told_apart).generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator_of(device: torch.device | str, *numbers: int) -> torch.Generator:
    """A generator that starts from these numbers, in their order."""
    return torch.Generator(device).manual_seed(seed_of(*numbers))


class EveryEpoch(Checkpoint):
    """Keeps the state after each whole epoch, beside and renamed.

    Parameters
    ----------
    path : path
        Of the checkpoint.
    """

    def __init__(self, path: Path):
        self.path = path

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        part = self.path.with_name(f"{self.path.name}.part")
        trainer.save_checkpoint(part)
        os.replace(part, self.path)


def run(
    course: LightningModule,
    checkpoint: Path,
    epochs: int,
    device: torch.device | str,
    largest_gradient: float | None = None,
) -> None:
    """Train, from the checkpoint if there is one.

    Parameters
    ----------
    course : LightningModule
    checkpoint : path
        Read if it exists, written after every epoch.
    epochs : int
        In all, with those before the checkpoint.
    device : torch.device or str
    largest_gradient : float, optional
        Length to which longer gradients are shortened.
    """
    device = torch.device(device)
    with _quiet():
        trainer = Trainer(
            accelerator="gpu" if device.type == "cuda" else device.type,
            devices=[device.index or 0] if device.type == "cuda" else 1,
            max_epochs=epochs,
            gradient_clip_val=largest_gradient,
            callbacks=[EveryEpoch(checkpoint)],
            default_root_dir=checkpoint.parent,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            reload_dataloaders_every_n_epochs=1,
        )
        trainer.fit(course, ckpt_path=checkpoint if checkpoint.exists() else None, weights_only=True)


@contextmanager
def repeatable(device: torch.device | str) -> Iterator[None]:
    """Deterministic algorithms on a CPU, and the caller's random numbers left as they were."""
    device = torch.device(device)
    before = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.use_deterministic_algorithms(device.type == "cpu" or before)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)


def check_lineage(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Refuse to go on from the checkpoint of another training.

    Raises
    ------
    InputError
        With the first difference.
    """
    there = _leaves(found)
    for name, value in _leaves(expected).items():
        if there.get(name) != value:
            raise InputError(
                f"the folder's training: {name}", there.get(name), f"{value}, or an empty folder"
            )


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values of nested mappings by their names, joined with dots."""
    found = {}
    for name, value in tree.items():
        found |= _leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found


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
