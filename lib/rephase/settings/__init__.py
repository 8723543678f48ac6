"""``params.yaml`` as validated models: one module a paper, one model a notebook, one block a scale."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ValidationError
from ruamel.yaml import YAML, YAMLError

from rephase.errors import InputError
from rephase.settings.baselines import Baselines
from rephase.settings.exit_wave_cnn import ExitWaveCnn
from rephase.settings.fields import Settings
from rephase.settings.neural_cde import NeuralCde
from rephase.settings.real_data import Experimental, OwnData

ScaleName = Literal["smoke", "laptop", "gpu", "paper"]


class Params(Settings):
    """All of ``params.yaml``."""

    scales: list[ScaleName]
    baselines: dict[ScaleName, Baselines]
    exit_wave_cnn: dict[ScaleName, ExitWaveCnn]
    neural_cde: dict[ScaleName, NeuralCde]
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
