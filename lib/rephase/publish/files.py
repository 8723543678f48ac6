"""Files that are whole or not there."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rephase.errors import InputError


def write_whole(path: Path, content: bytes) -> None:
    """Write ``content`` beside ``path`` and rename it, so that no reader sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> Path:
    """Write a text whole."""
    write_whole(Path(path), text.encode())
    return Path(path)


def write_json(path: Path | str, content: Any) -> Path:
    """Write JSON whole, with sorted keys; NaN and infinity are refused."""
    return write_text(path, json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path | str) -> Any:
    """Read what :func:`write_json` wrote."""
    return json.loads(Path(path).read_text())


def write_formats(out: Path | str, name: str, formats: Mapping[str, bytes]) -> dict[str, Path]:
    """Write the renderings of one table or figure as ``out/name.<format>``.

    Parameters
    ----------
    out : path
        Folder; made where it is missing.
    name : str
        File name without its ending: letters, digits, ``_`` and ``-``.
    formats : mapping of str to bytes
        Content of each file by its ending, as ``{'svg': b'...'}``.

    Returns
    -------
    dict of str to Path
        The file of each format.

    Raises
    ------
    InputError
        If ``name`` is not a plain file name.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise InputError("name", repr(name), "letters, digits, '_' and '-' only")
    paths = {ending: Path(out) / f"{name}.{ending}" for ending in formats}
    for ending, content in formats.items():
        write_whole(paths[ending], content)
    return paths


def require_text(where: str, text: str) -> str:
    """Return ``text`` on one line without outer blanks; raise InputError where nothing is left of it."""
    line = " ".join(text.split())
    if not line:
        raise InputError(where, "no text", "a sentence that tells the reader what is shown")
    return line
