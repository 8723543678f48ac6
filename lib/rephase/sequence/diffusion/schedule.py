"""How long and how fast a network of video diffusion is trained, and on what."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, Field

from rephase.sequence.diffusion.network import Architecture
from rephase.sequence.networks.samples import Draws


class FitSettings(BaseModel):
    """How a network is trained.

    Parameters
    ----------
    architecture : Architecture
    epochs, steps_per_epoch : int
        After each epoch there is a validation and a checkpoint.
    batch : int
        Sequences in a batch, each with a mask of its own.
    window : int, optional
        Frames in succession that the network sees of each; all by default, as in validations.
    learning_rate, weight_decay : float
        Of AdamW; the rate falls to 0 along half a cosine.
    warm_up : float
        Share of the steps in which the rate rises from 0.
    clip : float
        Largest norm of the gradient.
    precision : {'32', 'bf16'}
        Of the layers.
    draws : Draws
    validation_uses : int
        Masks for each sequence of the validation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    architecture: Architecture = Architecture()
    epochs: int = Field(default=10, ge=1)
    steps_per_epoch: int = Field(default=200, ge=1)
    batch: int = Field(default=4, ge=1)
    window: int | None = Field(default=None, ge=2)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warm_up: float = Field(default=0.03, ge=0, lt=1)
    clip: float = Field(default=1.0, gt=0)
    precision: str = Field(default="32", pattern="^(32|bf16)$")
    draws: Draws = Draws()
    validation_uses: int = Field(default=2, ge=1)

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return self.epochs * self.steps_per_epoch

    def rate(self, step: int) -> float:
        """Learning rate of a step, the first being 0."""
        rising = self.warm_up * self.steps
        if step < rising:
            return self.learning_rate * (step + 1) / (rising + 1)
        return self.learning_rate * (1 + math.cos(math.pi * step / self.steps)) / 2
