"""``params.yaml`` as validated models: one model a notebook, one block a scale."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML, YAMLError

from rephase.errors import InputError

ScaleName = Literal["smoke", "laptop", "gpu", "paper"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Seeds = Annotated[int, Field(ge=2, description="noise seeds; with fewer than two there is no variance")]
Doses = Annotated[list[Positive], Field(min_length=1, description="e/A^2, besides infinite dose")]
Ladder = Annotated[list[Positive], Field(min_length=5, description="e/A^2, enough to fit a power law")]
Thicknesses = Annotated[list[Literal[2, 5, 10, 20]], Field(min_length=1, description="as simulated")]


class Settings(BaseModel):
    """Immutable, and strict about names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
    seed: Annotated[int, Field(ge=0)]


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


class Experimental(Settings):
    """``experimental/1_rotavirus``: a real scan."""

    parallax_iterations: Count
    ptychography_iterations: Count


class OwnData(Settings):
    """``own_data/1_reconstruct``: a file of the reader's."""

    file: str
    ptychography_iterations: Annotated[int, Field(ge=0)]


class Params(Settings):
    """All of ``params.yaml``."""

    scales: list[ScaleName]
    baselines: dict[ScaleName, Baselines]
    experimental: dict[ScaleName, Experimental]
    own_data: dict[ScaleName, OwnData]

    def section(self, paper: str, scale: str, name: str | None = None) -> Settings:
        """The block of one paper at one scale, or one notebook's part of it.

        Raises
        ------
        InputError
            If the paper, the scale or the part is not in ``params.yaml``.
        """
        block = self
        for key in (paper, scale, name):
            if key is None:
                continue
            known = block if isinstance(block, dict) else type(block).model_fields
            if key not in known:
                raise InputError("params.yaml", key, f"one of {', '.join(known)}")
            block = block[key] if isinstance(block, dict) else getattr(block, key)
        return block


def read_params(path: Path | str = "params.yaml") -> Params:
    """Read and validate ``params.yaml``.

    Raises
    ------
    InputError
        Naming the file, the key, what stood there and what would be right.
    """
    try:
        content = YAML(typ="safe").load(Path(path).read_text())
    except FileNotFoundError:
        raise InputError(str(path), "no such file", "the parameters of the pipeline") from None
    except YAMLError as error:
        raise InputError(str(path), " ".join(str(error).split()), "valid YAML") from None
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"] if part != "[key]")
        found = "nothing" if first["type"] == "missing" else repr(first["input"])
        raise InputError(f"{path}: {key}", found, first["msg"]) from None
