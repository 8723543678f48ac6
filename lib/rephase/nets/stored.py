"""Tensors of a network in a safetensors file, with what they belong to and a checksum inside.

What lies beside the tensors is one JSON text under the key ``rephase``: several keys would be written
in an order that changes from run to run. The same network gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from rephase.errors import InputError
from rephase.hdf5 import renamed_when_whole

KEY, CHECKSUM = "rephase", "sha256"
Tensors = Mapping[str, torch.Tensor]


def write_tensors(path: Path | str, tensors: Tensors, about: Mapping[str, Any]) -> Path:
    """Write tensors and what they belong to, whole or not at all.

    Parameters
    ----------
    path : path
        The file, usually ``*.safetensors``; folders are made.
    tensors : mapping
        On any device.
    about : mapping
        Made of what JSON knows.

    Raises
    ------
    InputError
        If a value is NaN or infinite, or ``about`` cannot be stored.
    OSError
        If the disk is full or the folder cannot be written to; what lay there is untouched.
    """
    path, tensors = Path(path), {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    for name, values in tensors.items():
        if not torch.isfinite(values).all():
            raise InputError(f"{path}: {name}", "NaN or infinite weights", "finite ones")
    try:
        text = json.dumps(dict(about) | {CHECKSUM: checksum(tensors)}, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: lineage", error, "text, finite numbers, lists and mappings") from None
    with renamed_when_whole(path) as part:
        part.write(save(tensors, metadata={KEY: text}))
    return path


def read_tensors(path: Path | str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors, on the CPU, and what was written with them, its checksum under 'sha256'.

    Raises
    ------
    InputError
        If the file is missing, truncated, damaged or something else, or its tensors are
        not those that the checksum was taken of.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}", "no such file", "a file of weights")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}", f"no readable safetensors ({reason})", "a whole file of weights"
        ) from None
    about = _parsed(path, text)
    if (found := checksum(tensors)) != about.get(CHECKSUM):
        raise InputError(
            f"{path}: checksum of the weights", found, f"{about.get(CHECKSUM)}, an unaltered file"
        )
    return tensors, about


def check_tensors(path: Path | str, found: Tensors, expected: Tensors) -> None:
    """Refuse tensors of other names, types or shapes.

    Raises
    ------
    InputError
        With the first difference.
    """
    for name in sorted(found.keys() | expected.keys()):
        shapes = [_kind(tensors.get(name)) for tensors in (found, expected)]
        if shapes[0] != shapes[1]:
            raise InputError(f"{path}: {name}", *shapes)


def checksum(tensors: Tensors) -> str:
    """SHA-256 over names, types, shapes and bytes of tensors, in the order of names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        values = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()


def _kind(values: torch.Tensor | None) -> str:
    if values is None:
        return "no such tensor"
    return f"{values.dtype} {tuple(values.shape)}".removeprefix("torch.")


def _parsed(path: Path, text: str | None) -> dict[str, Any]:
    try:
        about = json.loads(text or "")
    except json.JSONDecodeError:
        about = None
    if not isinstance(about, dict):
        raise InputError(f"{path}: metadata", repr(text), f"JSON under the key {KEY!r}")
    return about
