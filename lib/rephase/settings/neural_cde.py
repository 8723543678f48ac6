"""Settings of ``notebooks/neural_cde``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rephase.settings.fields import Count, Positive, Settings

Part = Literal["train", "validation", "test", "test_seen"]
Term = Literal["friedel", "kinematic", "energy"]
Group = Literal["full", "cde", "others", "ablations"]
Sparsities = Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Field(min_length=1)]


class Simulate(Settings):
    """``neural_cde/1_simulate``: sequences of three processes."""

    sequences: dict[Part, Count]
    frames: Annotated[int, Field(ge=3)]
    detector_px: Annotated[int, Field(ge=8)]
    side: Count
    box_angstrom: Positive
    configurations: Count


class Train(Settings):
    """``neural_cde/2_train``: networks that complete sequences."""

    channels: Count
    levels: Count
    patch: Count
    fourier: Count
    latent: Count
    hidden: Count
    layers: Count
    steps: Count
    batch: Count
    window: Annotated[int, Field(ge=2)]
    learning_rate: Positive
    physics: dict[Term, Positive]
    temporal: Positive
    tuned: dict[str, dict[str, Positive]]
    seeds: dict[Group, Count]
    precision: Literal["32", "bf16"]


class Complete(Settings):
    """``neural_cde/3_complete``: test sequences by every method."""

    sparsities: Sparsities
    electrons: Positive
    other_electrons: list[Positive]
    patterns: Annotated[list[Literal["irregular", "regular", "bursty"]], Field(min_length=1)]
    largest_count: Count
    diffusion_samples: Count
    tuned: dict[str, dict[str, int | float | str]]


class NeuralCde(Settings):
    """Sparse sequences by neural controlled differential equations."""

    simulate: Simulate
    train: Train
    complete: Complete
