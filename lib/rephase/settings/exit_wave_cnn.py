"""Settings of ``notebooks/exit_wave_cnn``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rephase.settings.fields import Count, Doses, Positive, Seed, Settings

Fields = Literal["graphene", "pairs", "MoS2", "MgO", "faujasite", "thick"]


class Simulate(Settings):
    """``exit_wave_cnn/1_simulate``: the training set and the test scans."""

    samples: Count
    table_s1_samples: Count
    validation_samples: Count
    shard_samples: Count
    training_configurations: Count
    largest_box_angstrom: Positive | None
    exclude_types: list[str]
    repeated_share: Annotated[float, Field(ge=0, le=1)]
    configurations: Count
    thermal_rms_angstrom: Positive
    slice_angstrom: Positive
    pixel_angstrom: Positive
    least_box_angstrom: Positive
    pair_count: Count
    field_angstrom: Positive
    particle_angstrom: Positive
    steps_angstrom: dict[Fields, Positive]
    atom_step_angstrom: Positive
    every_element: Count
    lamella_angstrom: Positive
    bend_mrad: float
    rod_angstrom: Positive
    seed: Seed


class Train(Settings):
    """``exit_wave_cnn/2_train``: networks from the training set."""

    channels: Annotated[int, Field(ge=2)]
    batch: Count
    learning_rate: Positive
    largest_gradient: Positive | None
    epochs: Count
    fine_tuning_epochs: Count
    variants_of: Literal["own", "paper"]
    variant_epochs: Count
    training_seeds: Annotated[int, Field(ge=1)]
    precision: Literal["32", "bf16"]


class Reconstruct(Settings):
    """``exit_wave_cnn/3_reconstruct``: scans to phase images."""

    doses: Doses
    ladder: Doses
    noise_seeds: Count
    few_noise_seeds: Count
    low_dose: Positive
    batch: Count
    precision: Literal["float32", "bfloat16"]
    ptychography_iterations: Count
    limit_every: Count


class ExitWaveCnn(Settings):
    """Phase objects by deep learning."""

    simulate: Simulate
    train: Train
    reconstruct: Reconstruct
