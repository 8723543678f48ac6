"""Data of others, known by name, source, licence and checksum in ``data/external.yaml``.

rephase does not contain these files and does not fetch them. It looks in the
folder named by the environment variable ``REPHASE_DATA``, by default
``../shared/data`` beside the repository. An entry may say that the file's name
or checksum is ``unknown``; it is not used before a person has entered them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pooch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML

from rephase.errors import InputError
from rephase.files import invalid
from rephase.foreign import import_scan
from rephase.measurement import Scan
from rephase.microscope.optics import Optics

REPOSITORY = Path(__file__).parents[2]
REGISTRY = REPOSITORY / "data" / "external.yaml"
UNKNOWN = "unknown"


class External(BaseModel):
    """One file of others: where it lies in the folder, whose it is, how it is read and calibrated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    what: str
    source: str
    licence: str
    sha256: str = Field(pattern=f"^([0-9a-f]{{64}}|{UNKNOWN})$")
    reader: str = ""
    optics: Optics
    calibration: dict[str, Any]


def registry(path: Path | None = None) -> dict[str, External]:
    """All entries of the registry by name; of the project's own unless another file is given.

    Raises
    ------
    InputError
        If the registry is missing, or an entry lacks a key or holds a wrong one.
    """
    path = path or REGISTRY
    if not path.is_file():
        raise InputError(f"{path}", "no such file", "the registry, which `dvc pull data.dvc` brings")
    entries = {}
    for name, entry in YAML(typ="safe").load(path).items():
        try:
            entries[name] = External.model_validate(entry)
        except ValidationError as error:
            raise invalid(f"{path}: {name}", error) from None
    return entries


def folder() -> Path:
    """Where data of others are looked for."""
    return Path(os.environ.get("REPHASE_DATA") or REPOSITORY.parent / "shared" / "data")


def find(name: str, data: Path | str | None = None) -> Path | None:
    """Path of a file of others whose checksum is right; None where it is absent or its name unknown.

    Parameters
    ----------
    name : str
        Name in the registry.
    data : path, optional
        Folder to look in; `folder()` by default.

    Raises
    ------
    InputError
        If the registry has no such name, or the file is not the one it names, or the registry
        has no checksum that could tell.
    """
    entries = registry()
    if name not in entries:
        raise InputError(f"{REGISTRY.name}: {name}", "no such entry", f"one of {sorted(entries)}")
    entry = entries[name]
    path = Path(data or folder()) / entry.file
    if entry.file == UNKNOWN or not path.is_file():
        return None
    found = pooch.file_hash(str(path), alg="sha256")
    if entry.sha256 == UNKNOWN:
        wanted = (
            f"that checksum in {REGISTRY.name}: {name}, once the file is known to be that of {entry.source}"
        )
        raise InputError(f"{path}", f"sha256 {found} and none to hold it against", wanted)
    if found != entry.sha256:
        raise InputError(f"{path}", f"sha256 {found}", f"{entry.sha256}, the file that {name} names")
    return path


def absence(name: str) -> str:
    """A plain sentence for where the file is not at hand: what it is and where it comes from."""
    entry = registry()[name]
    missing = [key for key in ("file", "sha256") if getattr(entry, key) == UNKNOWN]
    enter = f" Then enter its {' and '.join(missing)} in {REGISTRY.name}: {name}." if missing else ""
    return (
        f"{name if 'file' in missing else entry.file} is not at hand, so this part is skipped. It holds "
        f"{entry.what}. Get it from {entry.source} (licence: {entry.licence}) and name its folder in "
        f"REPHASE_DATA.{enter} {entry.reader}"
    ).rstrip()


def open_external(name: str, data: Path | str | None = None) -> tuple[Scan, Optics] | None:
    """A scan of others, calibrated as the registry says; None where the file is absent.

    Raises
    ------
    InputError
        As `find` and `rephase.foreign.import_scan`.
    """
    path = find(name, data)
    if path is None:
        return None
    entry = registry()[name]
    scan, optics = import_scan(path, entry.optics, **entry.calibration)
    keys = ("file", "source", "licence", "sha256")
    lineage = {"external": name} | {key: getattr(entry, key) for key in keys}
    return scan.with_intensities(scan.intensities, lineage=lineage), optics
