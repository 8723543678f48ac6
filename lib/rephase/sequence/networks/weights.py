"""Files of trained sequence networks: safetensors with the architecture and a checksum inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from rephase.errors import InputError
from rephase.files import invalid
from rephase.nets.stored import CHECKSUM, check_tensors, read_tensors, write_tensors
from rephase.sequence.networks.model import Architecture, SequenceNet


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
    net : SequenceNet
        In evaluation mode.
    lineage : mapping
        What made it: settings, seed, data.
    sha256 : str
        Checksum of the tensors.
    """

    net: SequenceNet
    lineage: Mapping[str, Any]
    sha256: str


def save_weights(path: Path | str, net: SequenceNet, lineage: Mapping[str, Any]) -> Path:
    """Write a network's weights, whole or not at all.

    Parameters
    ----------
    path : path
    net : SequenceNet
    lineage : mapping
        Made of what JSON knows.

    Raises
    ------
    InputError
        If a weight is NaN or infinite, or the lineage cannot be stored.
    """
    about = {"architecture": net.architecture.model_dump(mode="json"), "lineage": dict(lineage)}
    return write_tensors(path, net.state_dict(), about)


def load_weights(path: Path | str, expected: Architecture | None = None) -> Weights:
    """Read a trained network, on the CPU.

    Parameters
    ----------
    path : path
    expected : Architecture, optional
        The only one that is accepted.

    Raises
    ------
    InputError
        If the file is missing, damaged or something else, holds another architecture than
        expected, or tensors that do not fit the one it names.
    """
    tensors, about = read_tensors(path)
    sha256 = about.pop(CHECKSUM)
    try:
        record = _Record.model_validate(about)
    except ValidationError as error:
        raise invalid(f"{path}: metadata", error) from None
    if expected is not None and record.architecture != expected:
        raise InputError(f"{path}: architecture", record.architecture, f"{expected}")
    net = SequenceNet(record.architecture)
    check_tensors(path, tensors, net.state_dict())
    net.load_state_dict(tensors)
    return Weights(net.eval(), record.lineage, sha256)
