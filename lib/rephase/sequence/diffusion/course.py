"""One training as Lightning runs it: what a step, a validation and a checkpoint are.

Everything random is seeded by the seed and the step, and the learning rate follows from the step:
a training that goes on from a checkpoint cannot tell that it was interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule

from rephase.nets.training import check_lineage, generator_of
from rephase.sequence.diffusion.examples import Epoch, Examples
from rephase.sequence.diffusion.network import DiffusionNet
from rephase.sequence.diffusion.objective import PerSequence, errors, line_errors, spread_angles
from rephase.sequence.diffusion.process import PURE_NOISE
from rephase.sequence.diffusion.schedule import FitSettings
from rephase.sequence.networks.samples import Sequences

Report = Callable[[int, int], None]
VALIDATION_SEED = 0  # the same masks and noise for every training


class Course(LightningModule):
    """One training: what a step, a validation and a checkpoint are.

    Parameters
    ----------
    training, validation : Sequences
    settings : FitSettings
    seed : int
    lineage : mapping
        What tells this training from others.
    report : callable, optional
        As in `rephase.sequence.diffusion.fit.fit`.
    """

    def __init__(
        self,
        training: Sequences,
        validation: Sequences,
        settings: FitSettings,
        seed: int,
        lineage: dict[str, Any],
        report: Report | None = None,
    ):
        super().__init__()
        self.net = DiffusionNet(settings.architecture)
        self.samples = {"training": training, "validation": validation}
        self.settings, self.seed, self.lineage, self.report = settings, seed, lineage, report
        self.history: list[dict[str, float]] = []
        self._losses: list[torch.Tensor] = []
        self._validated: list[dict[str, torch.Tensor]] = []

    def train_dataloader(self) -> Epoch:
        settings = self.settings
        sizes = settings.batch, settings.window, settings.steps_per_epoch
        return Epoch(self.samples["training"], settings.draws, *sizes, self.seed, self.current_epoch)

    def val_dataloader(self) -> Epoch:
        sequences, settings = self.samples["validation"], self.settings
        steps = settings.validation_uses * len(sequences)
        return Epoch(sequences, settings.draws, 1, None, steps, VALIDATION_SEED, shuffled=False)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        return batch  # drawn where the sequences are

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.net.parameters(), weight_decay=self.settings.weight_decay)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.settings.clip)

    def training_step(self, batch: Examples, index: int) -> torch.Tensor:
        for group in self.optimizers().param_groups:
            group["lr"] = self.settings.rate(self.global_step)
        generator = generator_of(batch.x0.device, self.seed, self.global_step)
        value = self._errors(batch, spread_angles(len(batch.x0), generator), generator).mean()
        self._losses.append(value.detach())
        if self.report:
            self.report(self.global_step + 1, self.settings.steps)
        return value

    def validation_step(self, batch: Examples, index: int) -> None:
        generator = generator_of(batch.x0.device, VALIDATION_SEED, index)
        angle = spread_angles(len(batch.x0), generator)
        found = {
            "validation_loss": self._errors(batch, angle, generator),
            "mean_error": self._errors(batch, torch.full_like(angle, PURE_NOISE), generator),
            "line_error": line_errors(batch),
        }
        self._validated.append({name: value.mean().detach() for name, value in found.items()})

    def on_train_epoch_end(self) -> None:
        """Add a row to the history and refuse to go on from a loss that is not finite."""
        row = {
            "epoch": self.current_epoch,
            "learning_rate": self.optimizers().param_groups[0]["lr"],
            "training_loss": float(torch.stack(self._losses).mean()),
        }
        for name in self._validated[0]:
            row[name] = float(torch.stack([found[name] for found in self._validated]).mean())
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

    def _errors(self, batch: Examples, angle: PerSequence, generator: torch.Generator) -> PerSequence:
        noise = torch.randn(batch.x0.shape, generator=generator, device=generator.device)
        enabled = self.settings.precision == "bf16"
        with torch.autocast(noise.device.type, torch.bfloat16, enabled=enabled):
            return errors(self.net, batch, noise, angle)
