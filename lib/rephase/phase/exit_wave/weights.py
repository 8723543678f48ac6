"""Files of trained networks: safetensors with the architecture, the training ranges and a checksum inside.

What lies beside the tensors is one JSON text under the key ``rephase``: several keys would be written
in an order that changes from run to run. The same network gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from rephase.errors import InputError
from rephase.files import invalid
from rephase.hdf5 import renamed_when_whole
from rephase.phase.exit_wave.network import Architecture, ExitWaveNet
from rephase.phase.exit_wave.sampling import Ranges

KEY = "rephase"
Tensors = Mapping[str, torch.Tensor]


class _Record(BaseModel):
    """What lies beside the tensors."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    architecture: Architecture
    ranges: Ranges
    lineage: dict[str, Any]
    sha256: str


@dataclass(frozen=True)
class Weights:
    """A trained network and where it comes from.

    Parameters
    ----------
    net : ExitWaveNet
        In evaluation mode.
    architecture : Architecture
    ranges : Ranges
        What its training samples were drawn from.
    lineage : mapping
        What else made it: settings, seed, data.
    sha256 : str
        Checksum of the tensors, see `checksum`.
    """

    net: ExitWaveNet
    architecture: Architecture
    ranges: Ranges
    lineage: Mapping[str, Any]
    sha256: str


def save_weights(
    path: Path | str, net: ExitWaveNet, ranges: Ranges | Mapping[str, Any], lineage: Mapping[str, Any]
) -> Path:
    """Write a network's weights, whole or not at all.

    Parameters
    ----------
    path : path
        The file, usually ``*.safetensors``; folders are made.
    net : ExitWaveNet
    ranges : Ranges or mapping
        What its training samples were drawn from.
    lineage : mapping
        Made of what JSON knows.

    Returns
    -------
    path

    Raises
    ------
    InputError
        If a weight is NaN or infinite, or ranges or lineage cannot be stored.
    OSError
        If the disk is full or the folder cannot be written to; what lay there is untouched.
    """
    path, tensors = Path(path), _tensors(net)
    for name, values in tensors.items():
        if not torch.isfinite(values).all():
            raise InputError(f"{path}: {name}", "NaN or infinite weights", "finite ones")
    try:
        dumped = ranges.model_dump() if isinstance(ranges, Ranges) else dict(ranges)
        about = {"architecture": net.architecture, "ranges": dumped, "sha256": checksum(tensors)}
        record = _Record(**about, lineage={}).model_dump(mode="json") | {"lineage": dict(lineage)}
        text = json.dumps(record, sort_keys=True, allow_nan=False)
    except ValidationError as error:
        raise invalid(f"{path}", error) from None
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: lineage", error, "text, finite numbers, lists and mappings") from None
    with renamed_when_whole(path) as part:
        part.write(save(tensors, metadata={KEY: text}))
    return path


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
        If the file is missing, truncated, damaged or something else; if its metadata is
        missing or wrong; if it holds another architecture than expected, or tensors that
        do not fit the one it names, or others than its checksum was taken of.
    """
    path = Path(path)
    text, tensors = _read(path)
    record = _parsed(path, text)
    if expected is not None and record.architecture != expected:
        raise InputError(f"{path}: architecture", record.architecture, f"{expected}")
    net = ExitWaveNet(record.architecture)
    _check_shapes(path, tensors, net.state_dict())
    if (found := checksum(tensors)) != record.sha256:
        raise InputError(f"{path}: checksum of the weights", found, f"{record.sha256}, an unaltered file")
    net.load_state_dict(tensors)
    return Weights(net.eval(), record.architecture, record.ranges, record.lineage, record.sha256)


def checksum(tensors: Tensors) -> str:
    """SHA-256 over names, types, shapes and bytes of tensors, in the order of names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        values = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()


def _tensors(net: ExitWaveNet) -> dict[str, torch.Tensor]:
    return {name: values.detach().cpu().contiguous() for name, values in net.state_dict().items()}


def _read(path: Path) -> tuple[str, dict[str, torch.Tensor]]:
    if not path.is_file():
        raise InputError(f"{path}", "no such file", "a file of weights")
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get(KEY, ""), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}", f"no readable safetensors ({reason})", "a whole file of weights"
        ) from None


def _parsed(path: Path, text: str) -> _Record:
    if not text:
        raise InputError(f"{path}: metadata", "nothing", f"the key {KEY!r} that save_weights writes")
    try:
        return _Record.model_validate(json.loads(text))
    except ValidationError as error:
        raise invalid(f"{path}: metadata", error) from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: metadata", f"no JSON ({error})", "what save_weights writes") from None


def _check_shapes(path: Path, found: Tensors, expected: Tensors) -> None:
    for name in sorted(found.keys() | expected.keys()):
        shapes = [
            f"{tensors[name].dtype} {tuple(tensors[name].shape)}".removeprefix("torch.")
            if name in tensors
            else "no such tensor"
            for tensors in (found, expected)
        ]
        if shapes[0] != shapes[1]:
            raise InputError(f"{path}: {name}", *shapes)
