"""One training as Lightning runs it: what a step, a validation and a checkpoint are.

Everything random is seeded by the seed and the step, and the learning rate follows from the step
and the validation losses so far: a checkpoint holds parameters, Adam's moments and these losses,
and a training that goes on from it cannot tell that it was interrupted. (Lightning would save the
state of a plateau scheduler before it has taken its step.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule

from rephase.nets.training import check_lineage, seed_of
from rephase.phase.exit_wave import loss as objective
from rephase.phase.exit_wave.inputs import cropped, features
from rephase.phase.exit_wave.loader import Batch, Epoch
from rephase.phase.exit_wave.network import ExitWaveNet
from rephase.phase.exit_wave.samples import SampleSet
from rephase.phase.exit_wave.schedule import FitSettings, learning_rate

Report = Callable[[int, int], None]
Waves = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
VALIDATION_SEED = 0  # the same noise for every training


class Course(LightningModule):
    """One training: what a step, a validation and a checkpoint are.

    Parameters
    ----------
    training, validation : Samples, StoredSamples or JoinedSamples
    settings : FitSettings
    seed : int
    lineage : mapping
        What tells this training from others.
    report : callable, optional
        As in `fit`.
    """

    def __init__(
        self,
        training: SampleSet,
        validation: SampleSet,
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
        check_lineage(checkpoint["lineage"], self.lineage)
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
