"""Training of an exit-wave network: same settings and seed, same weights, also after a kill.

Everything random is seeded by the seed and the step, and the learning rate follows from the step
and the validation losses so far: a checkpoint holds parameters, Adam's moments and these losses,
and a training that goes on from it cannot tell that it was interrupted.
"""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from pydantic import BaseModel, ConfigDict, Field

from rephase.errors import InputError
from rephase.phase.exit_wave import loss as objective
from rephase.phase.exit_wave.inputs import cropped, features
from rephase.phase.exit_wave.loader import Batch, Epoch, Noise, Samples, seed_of
from rephase.phase.exit_wave.network import Architecture, ExitWaveNet
from rephase.phase.exit_wave.weights import save_weights

Report = Callable[[int, int], None]
Waves = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
CHECKPOINT, HISTORY, WEIGHTS = "last.ckpt", "history.csv", "weights.safetensors"
VALIDATION_SEED = 0  # the same noise for every training


class FitSettings(BaseModel):
    """How a network is trained; the defaults are the paper's.

    Parameters
    ----------
    architecture : Architecture
    epochs, fine_tune_epochs : int
        Epochs with the loss of Eq. 11, and further ones in which the square
        error of the object's phase weighs ``fine_tune_object_weight`` times more.
    steps_per_epoch : int, optional
        Batches in an epoch; by default the whole set once.
    batch : int
    learning_rate, momentum : float
        Of Adam, whose first moment has this ``beta1``.
    schedule : {'plateau', 'cosine'}
        'plateau' halves the rate when the validation loss has not decreased for
        ``patience`` epochs; 'cosine' lowers it to 0 along half a wave, for short trainings.
    patience : int
    fine_tune_object_weight : float
    precision : {'32', 'bf16'}
        Of the network's layers; inputs, outputs and loss are in single precision.
    noise : Noise
    loss : LossSettings
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    architecture: Architecture = Architecture()
    epochs: int = Field(default=50, ge=1)
    fine_tune_epochs: int = Field(default=10, ge=0)
    steps_per_epoch: int | None = Field(default=None, ge=1)
    batch: int = Field(default=256, ge=2)
    learning_rate: float = Field(default=5e-4, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    schedule: Literal["plateau", "cosine"] = "plateau"
    patience: int = Field(default=3, ge=1)
    fine_tune_object_weight: float = Field(default=10.0, ge=1)
    precision: Literal["32", "bf16"] = "32"
    noise: Noise = Noise()
    loss: objective.LossSettings = objective.DEFAULT

    @property
    def all_epochs(self) -> int:
        """Epochs with those of fine-tuning."""
        return self.epochs + self.fine_tune_epochs

    def object_weight(self, epoch: int) -> float:
        """Weight of the object's term in this epoch, the first being 0."""
        return self.fine_tune_object_weight if epoch >= self.epochs else 1.0


def fit(
    training: Samples,
    validation: Samples,
    settings: FitSettings,
    folder: Path | str,
    seed: int,
    device: torch.device | str | None = None,
    report: Report | None = None,
) -> Path:
    """Train a network, or go on where an interrupted training of the same kind stopped.

    Parameters
    ----------
    training, validation : Samples
        Held on the device that trains, or elsewhere.
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
    history = pd.DataFrame(course.history)
    history.to_csv(folder / HISTORY, index=False)
    return save_weights(folder / WEIGHTS, course.net.cpu(), training.ranges, lineage)


class Course(LightningModule):
    """One training: what a step, a validation and a checkpoint are.

    Parameters
    ----------
    training, validation : Samples
    settings : FitSettings
    seed : int
    lineage : mapping
        What tells this training from others.
    report : callable, optional
        As in `fit`.
    """

    def __init__(
        self,
        training: Samples,
        validation: Samples,
        settings: FitSettings,
        seed: int,
        lineage: dict[str, Any],
        report: Report | None = None,
    ):
        super().__init__()
        self.net = ExitWaveNet(settings.architecture).to(memory_format=torch.channels_last)
        self.samples = {"training": training, "validation": validation}
        self.settings, self.seed, self.lineage, self.report = settings, seed, lineage, report
        self.history: list[dict[str, float]] = []
        self._losses: list[torch.Tensor] = []
        self._validated: list[dict[str, torch.Tensor]] = []

    def train_dataloader(self) -> Epoch:
        settings, number = self.settings, self.current_epoch
        samples = self.samples["training"]
        return Epoch(samples, settings.noise, settings.batch, self.seed, number, settings.steps_per_epoch)

    def val_dataloader(self) -> Epoch:
        noise, size = self.settings.noise, self.settings.batch
        return Epoch(self.samples["validation"], noise, size, VALIDATION_SEED, shuffled=False)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch.to(device)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        betas = (self.settings.momentum, 0.999)
        return torch.optim.Adam(self.net.parameters(), self.settings.learning_rate, betas)

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        step, steps = self.global_step, self.settings.all_epochs * self.trainer.num_training_batches
        losses = [row["validation_loss"] for row in self.history]
        torch.manual_seed(seed_of(self.seed, step))
        for group in self.optimizers().param_groups:
            group["lr"] = learning_rate(self.settings, losses, step / steps)
        value = self._loss(*self._waves(batch))
        self._losses.append(value.detach())
        if self.report:
            self.report(step + 1, steps)
        return value

    def validation_step(self, batch: Batch, index: int) -> None:
        waves, added_phase = self._waves(batch)
        found = objective.terms(*waves, self.settings.loss)
        found["validation_loss"] = self._loss(waves, added_phase)
        self._validated.append({name: value.detach() * len(batch.counts) for name, value in found.items()})

    def on_train_epoch_end(self) -> None:
        """Add a row to the history and refuse to go on from a loss that is not finite."""
        count = len(self.samples["validation"])
        names = self._validated[0]
        row = {
            "epoch": self.current_epoch,
            "object_weight": self.settings.object_weight(self.current_epoch),
            "learning_rate": self.optimizers().param_groups[0]["lr"],
            "training_loss": float(torch.stack(self._losses).mean()),
            **{name: float(sum(found[name] for found in self._validated)) / count for name in names},
        }
        if not all(map(math.isfinite, row.values())):
            broken = ", ".join(f"{name} = {value}" for name, value in row.items() if not math.isfinite(value))
            raise FloatingPointError(f"{broken} in epoch {self.current_epoch}")
        self.history.append(row)
        self._losses.clear()
        self._validated.clear()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"], checkpoint["lineage"] = self.history, self.lineage

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for name, value in _leaves(self.lineage).items():
            if (found := _leaves(checkpoint["lineage"]).get(name)) != value:
                raise InputError(f"an unfinished training's {name}", found, f"{value}, or an empty folder")
        self.history = checkpoint["history"]

    def _waves(self, batch: Batch) -> tuple[Waves, torch.Tensor]:
        """Predicted wave, true wave and probe; and the phase that the network added to the probe's."""
        architecture = self.settings.architecture
        seen = features(
            architecture.representation, batch.counts, batch.probe, batch.step_angstrom, batch.box_angstrom
        ).contiguous(memory_format=torch.channels_last)
        probe, true = (cropped(wave, architecture.size) for wave in (batch.probe, batch.exit_wave))
        with torch.autocast(seen.device.type, torch.bfloat16, enabled=self.settings.precision == "bf16"):
            predicted, added_phase = self.net.wave_and_phase(seen, probe)
        return (predicted, true, probe), added_phase

    def _loss(self, waves: Waves, added_phase: torch.Tensor) -> torch.Tensor:
        weight = self.settings.object_weight(self.current_epoch)
        return objective.loss(*waves, weight, self.settings.loss, added_phase)


class EveryEpoch(Checkpoint):
    """Keeps the state after each whole epoch, beside and renamed."""

    def __init__(self, path: Path):
        self.path = path

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        part = self.path.with_name(f"{self.path.name}.part")
        trainer.save_checkpoint(part)
        os.replace(part, self.path)


def learning_rate(settings: FitSettings, losses: Sequence[float], done: float) -> float:
    """Learning rate after epochs with these validation losses, when this fraction of all steps is done."""
    rate = settings.learning_rate
    if settings.schedule == "cosine":
        return rate * 0.5 * (1 + math.cos(math.pi * done))
    for start, end in ((0, settings.epochs), (settings.epochs, settings.all_epochs)):
        best, waited = math.inf, 0
        for loss in losses[start:end]:
            waited = 0 if loss < best else waited + 1
            best = min(best, loss)
            if waited == settings.patience:
                rate, waited = rate / 2, 0
    return rate


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values of nested mappings by their names, joined with dots."""
    found = {}
    for name, value in tree.items():
        found |= _leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found


def _trainer(settings: FitSettings, folder: Path, device: torch.device) -> Trainer:
    return Trainer(
        accelerator="gpu" if device.type == "cuda" else device.type,
        devices=[device.index or 0] if device.type == "cuda" else 1,
        max_epochs=settings.all_epochs,
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
