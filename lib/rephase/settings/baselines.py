"""Settings of ``notebooks/baselines``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rephase.settings.fields import Count, Doses, Positive, Seed, Seeds, Settings

Ladder = Annotated[list[Positive], Field(min_length=5, description="e/A^2, enough to fit a power law")]
Thicknesses = Annotated[list[Literal[2, 5, 10, 20]], Field(min_length=1, description="as simulated")]


class Simulate(Settings):
    """``baselines/1_simulate``: specimens to noise-free scans."""

    energy_ev: Positive
    semiangle_mrad: Positive
    defocus_angstrom: float
    thin_box_angstrom: Positive
    thick_box_angstrom: Positive
    step_angstrom: Positive
    pixel_angstrom: Positive
    slice_angstrom: Positive
    detector_mrad: Positive
    phonon_configurations: Count
    thermal_rms_angstrom: Positive
    white_noise_positions: Annotated[int, Field(ge=16)]
    white_noise_rms_rad: Positive
    seed: Seed


class Direct(Settings):
    """``baselines/2_direct``: the dose ladder of the direct methods."""

    doses: Ladder
    seeds: Seeds


class Iterative(Settings):
    """``baselines/3_iterative``: parallax and ptychography."""

    doses: Doses
    multislice_doses: Doses
    seeds: Seeds
    iterations: Count
    multislice_iterations: Count
    multislice_slices: Annotated[int, Field(ge=2, description="slabs of 20 nm; thinner ones in proportion")]
    thicknesses_nm: Thicknesses


class Dqe(Settings):
    """``baselines/4_dqe``: detective quantum efficiency by Monte-Carlo."""

    dose: Positive
    draws: Annotated[int, Field(ge=8)]


class Baselines(Settings):
    """The classical methods, judged."""

    simulate: Simulate
    direct: Direct
    iterative: Iterative
    dqe: Dqe
