"""How long and how fast an exit-wave network is trained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rephase.phase.exit_wave.loader import Noise
from rephase.phase.exit_wave.loss import DEFAULT, LossSettings
from rephase.phase.exit_wave.network import Architecture

FINE_TUNING_RATE = 0.1  # of the first rate, with the cosine schedule


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
    largest_gradient : float, optional
        Longer gradients, all parameters taken together, are shortened to this. The first gradients
        of the two scales are a thousand times longer than later ones, and Adam remembers their
        squares for a thousand steps: short trainings are over before it forgets them.
    schedule : {'plateau', 'cosine'}
        'plateau' halves the rate when the validation loss has not decreased for
        ``patience`` epochs; 'cosine' lowers it to 0 along half a wave, for short trainings, and
        again from a tenth for fine-tuning.
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
    largest_gradient: float | None = Field(default=None, gt=0)
    schedule: Literal["plateau", "cosine"] = "plateau"
    patience: int = Field(default=3, ge=1)
    fine_tune_object_weight: float = Field(default=10.0, ge=1)
    precision: Literal["32", "bf16"] = "32"
    noise: Noise = Noise()
    loss: LossSettings = DEFAULT

    @property
    def all_epochs(self) -> int:
        """Epochs with those of fine-tuning."""
        return self.epochs + self.fine_tune_epochs

    def object_weight(self, epoch: int) -> float:
        """Weight of the object's term in this epoch, the first being 0."""
        return self.fine_tune_object_weight if epoch >= self.epochs else 1.0


def learning_rate(settings: FitSettings, losses: Sequence[float], done: float) -> float:
    """Learning rate after epochs with these validation losses, when this fraction of all steps is done."""
    rate = settings.learning_rate
    if settings.schedule == "cosine":
        ordinary = settings.epochs / settings.all_epochs
        if done > ordinary:
            rate, done = FINE_TUNING_RATE * rate, (done - ordinary) / (1 - ordinary)
        else:
            done = done / ordinary
        return rate * 0.5 * (1 + math.cos(math.pi * done))
    for start, end in ((0, settings.epochs), (settings.epochs, settings.all_epochs)):
        best, waited = math.inf, 0
        for loss in losses[start:end]:
            waited = 0 if loss < best else waited + 1
            best = min(best, loss)
            if waited == settings.patience:
                rate, waited = rate / 2, 0
    return rate
