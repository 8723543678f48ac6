"""One training as Lightning runs it: what a step, a validation and a checkpoint are.

Everything random is seeded by the seed and the step, and the learning rate follows from the step:
a training that goes on from a checkpoint cannot tell that it was interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule

from rephase.nets.training import check_lineage, seed_of
from rephase.sequence.networks.loss import Term, errors, terms
from rephase.sequence.networks.model import SequenceNet
from rephase.sequence.networks.samples import Batch, Epoch, Sequences, batch_of
from rephase.sequence.networks.schedule import FitSettings
from rephase.sequence.sampling import Arm, draw_mask

Report = Callable[[int, int], None]
ARMS: tuple[Arm, ...] = ("synchronous", "staggered")
VALIDATION_DOSE = 1e5  # electrons per pattern


class Course(LightningModule):
    """One training: what a step, a validation and a checkpoint are.

    Parameters
    ----------
    training, validation : Sequences
    settings : FitSettings
    seed : int
    lineage : mapping
        What tells this training from others.
    losses : mapping
        Terms of physics, by name; weights are in the settings.
    report : callable, optional
        As in `fit`.
    """

    def __init__(
        self,
        training: Sequences,
        validation: Sequences,
        settings: FitSettings,
        seed: int,
        lineage: dict[str, Any],
        losses: Mapping[str, Term],
        report: Report | None = None,
    ):
        super().__init__()
        self.net = SequenceNet(settings.architecture)
        self.net.precision = settings.precision
        self.samples = {"training": training, "validation": validation}
        self.settings, self.seed, self.lineage, self.report = settings, seed, lineage, report
        self.losses = {name: losses[name] for name in settings.weights}
        self.history: list[dict[str, float]] = []
        self._trained: list[dict[str, torch.Tensor]] = []
        self._validated: list[tuple[Arm, torch.Tensor]] = []

    def train_dataloader(self) -> Epoch:
        settings = self.settings
        sizes = settings.batch, settings.wanted, settings.steps_per_epoch
        return Epoch(self.samples["training"], settings.draws, *sizes, self.seed, self.current_epoch)

    def val_dataloader(self) -> Validation:
        return Validation(self.samples["validation"], self.settings)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        return batch  # drawn where the sequences are

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.net.parameters(), weight_decay=self.settings.weight_decay)

    def configure_gradient_clipping(self, optimizer: torch.optim.Optimizer, **_: Any) -> None:
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.settings.clip)

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        for group in self.optimizers().param_groups:
            group["lr"] = self.settings.rate(self.global_step)
        predicted = self._predicted(batch)
        found = terms(predicted, batch, self.losses)
        error = errors(predicted, batch, self.settings.relative_to).mean()
        value = error + sum(self.settings.weights[name] * term for name, term in found.items())
        found |= {"training_loss": value, "training_nmse": errors(predicted, batch, "energy").mean()}
        found["evaluations"] = torch.tensor(float(self.net.evaluations))
        self._trained.append({name: term.detach() for name, term in found.items()})
        if self.report:
            self.report(self.global_step + 1, self.settings.steps)
        return value

    def validation_step(self, named: tuple[Arm, Batch], index: int) -> None:
        arm, batch = named
        predicted = self._predicted(batch).clamp_min(0)
        kinds = self.settings.relative_to, "energy"
        self._validated.append((arm, torch.stack([errors(predicted, batch, kind) for kind in kinds])))

    def on_train_epoch_end(self) -> None:
        """Add a row to the history and refuse to go on from a loss that is not finite."""
        row = {"epoch": self.current_epoch, "learning_rate": self.optimizers().param_groups[0]["lr"]}
        for name in self._trained[0]:
            row[name] = float(torch.stack([found[name] for found in self._trained]).mean())
        both = [self._mean(arm) for arm in ARMS]
        row["validation_loss"] = float(np.mean([loss for loss, _ in both]))
        row |= {f"validation_nmse_{arm}": nmse for arm, (_, nmse) in zip(ARMS, both, strict=True)}
        if not all(map(math.isfinite, row.values())):
            broken = ", ".join(f"{name} = {value}" for name, value in row.items() if not math.isfinite(value))
            raise FloatingPointError(f"{broken} in epoch {self.current_epoch}")
        self.history.append(row)
        self._trained.clear()
        self._validated.clear()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"], checkpoint["lineage"] = self.history, self.lineage

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        check_lineage(checkpoint["lineage"], self.lineage)
        self.history = checkpoint["history"]

    def _predicted(self, batch: Batch) -> torch.Tensor:
        return self.net(batch.observed, batch.at)

    def _mean(self, arm: Arm) -> tuple[float, float]:
        """Loss and NMSE of the validation sequences of one arm."""
        found = torch.cat([values for name, values in self._validated if name == arm], dim=1)
        loss, nmse = found.mean(dim=1).tolist()
        return loss, nmse


class Validation:
    """All validation sequences, with masks and noise that are the same for every training.

    Parameters
    ----------
    sequences : Sequences
    settings : FitSettings
    """

    def __init__(self, sequences: Sequences, settings: FitSettings):
        self.sequences, self.settings = sequences, settings

    def __len__(self) -> int:
        return len(ARMS) * math.ceil(len(self.sequences) / self.settings.batch)

    def __iter__(self) -> Iterator[tuple[Arm, Batch]]:
        frames, positions = self.sequences.frames.shape[1:3]
        wanted = min(self.settings.validation_wanted, frames)
        at = np.linspace(0, frames - 1, wanted).round().astype(int)
        parts = np.array_split(np.arange(len(self.sequences)), len(self) // len(ARMS))
        for arm in ARMS:
            for number, rows in enumerate(parts):
                mask = draw_mask(frames, positions, self.settings.validation_sparsity, number, arm=arm)
                yield arm, batch_of(self.sequences, rows, mask, VALIDATION_DOSE, at, seed_of(number))
