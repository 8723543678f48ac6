"""How long and how fast a network is trained, and on what."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, Field

from rephase.sequence.networks.loss import Relative
from rephase.sequence.networks.model import PAPER, Architecture
from rephase.sequence.networks.samples import Draws


class FitSettings(BaseModel):
    """How a network is trained; architecture, rate, decay and epochs are the paper's by default.

    Parameters
    ----------
    architecture : Architecture
    epochs, steps_per_epoch : int
        After each epoch there is a validation and a checkpoint.
    batch, wanted : int
        Sequences in a batch, which share their mask, and frames of each that are decoded.
    learning_rate, weight_decay : float
        Of AdamW; the rate falls to 0 along half a cosine.
    warm_up : float
        Share of the steps in which the rate rises from 0.
    clip : float
        Largest norm of the gradient.
    relative_to : {'energy', 'variation', 'both', 'line'}
        See `rephase.sequence.networks.loss`.
    weights : mapping of str to float
        Of the terms of physics, by name.
    precision : {'32', 'bf16'}
        Of the layers.
    draws : Draws
    validation_sparsity : float
    validation_wanted : int
        Frames of each sequence that are decoded in validations, evenly spaced.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    architecture: Architecture = PAPER
    epochs: int = Field(default=150, ge=1)
    steps_per_epoch: int = Field(default=200, ge=1)
    batch: int = Field(default=4, ge=1)
    wanted: int = Field(default=6, ge=3)
    learning_rate: float = Field(default=3e-4, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    warm_up: float = Field(default=0.02, ge=0, lt=1)
    clip: float = Field(default=1.0, gt=0)
    relative_to: Relative = "line"
    weights: dict[str, float] = Field(default_factory=dict)
    precision: str = Field(default="32", pattern="^(32|bf16)$")
    draws: Draws = Draws()
    validation_sparsity: float = Field(default=0.9, ge=0, lt=1)
    validation_wanted: int = Field(default=16, ge=3)

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
