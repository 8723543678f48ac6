"""Files of trained networks of video diffusion: safetensors with the architecture and a checksum inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from rephase.files import invalid
from rephase.nets.stored import CHECKSUM, check_tensors, read_tensors, write_tensors
from rephase.sequence.diffusion.network import Architecture, DiffusionNet


class _Record(BaseModel):
    """What lies beside the tensors."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    architecture: Architecture
    lineage: dict[str, Any]


@dataclass(frozen=True)
class Weights:
    """A trained network and where it comes from.

    Parameters
    ----------
    net : DiffusionNet
        In evaluation mode, on the CPU.
    lineage : mapping
        What made it: settings, seed, data.
    sha256 : str
        Checksum of the tensors.
    """

    net: DiffusionNet
    lineage: Mapping[str, Any]
    sha256: str


def save_weights(path: Path | str, net: DiffusionNet, lineage: Mapping[str, Any]) -> Path:
    """Write a network's weights, whole or not at all.

    Parameters
    ----------
    path : path
        The file, usually ``*.safetensors``; folders are made.
    net : DiffusionNet
    lineage : mapping
        Made of what JSON knows.

    Raises
    ------
    InputError
        If a weight is NaN or infinite, or the lineage cannot be stored.
    OSError
        If the file cannot be written; what lay there is untouched.
    """
    about = {"architecture": net.architecture.model_dump(mode="json"), "lineage": dict(lineage)}
    return write_tensors(path, net.state_dict(), about)


def load_weights(path: Path | str) -> Weights:
    """Read a trained network, on the CPU.

    Raises
    ------
    InputError
        If the file is missing, damaged or something else, or holds tensors that do not fit the
        architecture it names.
    """
    tensors, about = read_tensors(path)
    sha256 = about.pop(CHECKSUM)
    try:
        record = _Record.model_validate(about)
    except ValidationError as error:
        raise invalid(f"{path}: metadata", error) from None
    net = DiffusionNet(record.architecture)
    check_tensors(path, tensors, net.state_dict())
    net.load_state_dict(tensors)
    return Weights(net.eval(), record.lineage, sha256)
