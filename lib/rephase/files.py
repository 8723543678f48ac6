"""Measurement files: scans with their optics, calibration and lineage in one HDF5 file.

The layout is EMD 1.0, so that ``py4DSTEM.read(path)`` and
``hyperspy.api.load(path, file_format="EMD")`` open it; in a file of several
scans each is an EMD root of its own (``py4DSTEM.read(path, datapath=name)``).
What rephase itself reads back is the bundle ``<name>/metadatabundle/rephase``:
calibration, optics and lineage, each as JSON. Axes and the bundle
``calibration`` repeat it for other programs.

Counts are compressed (gzip 1 with byte shuffle: 4 to 25 % of the size at 100 to
300 MB/s); floats are stored as they are (they would shrink to 80 % only, at
50 MB/s). Every chunk carries a checksum. The same scan gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rephase.errors import InputError
from rephase.hdf5 import PartFile, open_hdf5, renamed_when_whole
from rephase.measurement import Scan, check_intensities, check_line
from rephase.microscope.optics import Optics

CHUNK_BYTES = 2**20
Pair = tuple[float, float]


class Calibration(BaseModel):
    """All of a `Scan` but its intensities and lineage, under the same names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    step_angstrom: Pair
    pixel_mrad: Pair
    centre_px: Pair | None = None
    unit: Literal["fraction", "electrons"] = "fraction"
    rotation_deg: float = 0.0
    mirrored: bool = False


class _Record(BaseModel):
    """What lies beside the intensities of one scan in a measurement file."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    calibration: Calibration
    optics: Optics
    lineage: dict[str, Any] = Field(default_factory=dict)


def write_scan(path: Path | str, scan: Scan, optics: Optics, name: str = "scan") -> None:
    """Write one scan into a measurement file, as `write_scans` writes several."""
    write_scans(path, {name: (scan, optics)})


def write_scans(path: Path | str, scans: Mapping[str, tuple[Scan, Optics]]) -> None:
    """Write scans into a measurement file, all of them whole or none.

    The file is written beside its place and renamed. Scans of other names that
    it already holds stay in it; those of the same names are replaced.

    Parameters
    ----------
    path : path
        The file; folders are made. By its suffix ``.emd`` HyperSpy knows the
        format without being told; ``.h5`` is as good otherwise.
    scans : mapping
        The scan's name in the file -> the scan and its optics. A scan is read and
        checked one slow line at a time; its ``lineage`` must be made of what JSON
        knows. A slash in a name is stored as a dot, because EMD roots do not nest.

    Raises
    ------
    InputError
        If an intensity is NaN, infinite or negative, or the lineage is not JSON.
    OSError
        If the disk is full or the folder cannot be written to; what lay at
        ``path`` before is untouched.
    """
    path = Path(path)
    texts = {name: _record_as_json(f"{path}: {name}", *pair) for name, pair in scans.items()}
    with renamed_when_whole(path) as part, h5py.File(part, "w") as file:
        file.attrs.update({"emd_group_type": "file", "version_major": 1, "version_minor": 0})
        if path.exists():
            _copy_others(path, file, {_stored(name) for name in scans})
        for name, (scan, _) in scans.items():
            root = file.create_group(_stored(name))
            root.attrs.update({"emd_group_type": "root", "python_class": "Root", "scan": name})
            _write_metadata(root, scan, texts[name])
            _write_intensities(root, scan, f"{path}: {name}", part)


def open_scan(path: Path | str, name: str | None = None, check: bool = True) -> tuple[Scan, Optics]:
    """Open a scan of a measurement file; its intensities stay on disk.

    Parameters
    ----------
    path : path
    name : str, optional
        Which scan; may be left out if the file holds one.
    check : bool
        Whether to read all intensities once, line by line, and check them.

    Returns
    -------
    scan : Scan
        Its ``intensities`` are an HDF5 data set that keeps the file open.
    optics : Optics

    Raises
    ------
    InputError
        If the file is missing, truncated, damaged or not HDF5; if it holds no
        scan of that name; if part of the calibration is missing or wrong; if an
        intensity is NaN, infinite or negative.
    """
    path = Path(path)
    file = open_hdf5(path)
    names = [key for key, item in file.items() if item.attrs.get("emd_group_type") == "root"]
    if name is None and len(names) != 1:
        raise InputError(f"{path}", f"{len(names)} scans", f"the name of one of {names}")
    name = names[0] if name is None else _stored(name)
    if name not in names:
        raise InputError(f"{path}: {name}", "no such scan", f"one of {names}")
    record = _read_record(path, file[name])
    intensities = file[name].get("datacube/data")
    if not isinstance(intensities, h5py.Dataset):
        raise InputError(f"{path}: {name}/datacube/data", "nothing", "the intensities")
    if check:
        try:
            check_intensities(intensities, f"{path}: {name}/datacube/data")
        except OSError as error:
            raise InputError(f"{path}: {name}/datacube/data", error, "an undamaged file") from None
    return Scan(intensities, lineage=record.lineage, **dict(record.calibration)), record.optics


def scan_names(path: Path | str) -> list[str]:
    """Names of the scans in a measurement file as they were given, in alphabetical order."""
    with open_hdf5(Path(path)) as file:
        return [item.attrs["scan"] for item in file.values() if "scan" in item.attrs]


def _stored(name: str) -> str:
    return name.strip("/").replace("/", ".")


def _record_as_json(where: str, scan: Scan, optics: Optics) -> dict[str, str]:
    try:
        calibration = Calibration(**{key: getattr(scan, key) for key in Calibration.model_fields})
        record = {
            "calibration": calibration.model_dump(),
            "optics": optics.model_dump(),
            "lineage": dict(scan.lineage),
        }
        return {key: json.dumps(value, sort_keys=True, allow_nan=False) for key, value in record.items()}
    except ValidationError as error:
        raise invalid(f"{where}.calibration", error) from None
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}.lineage", error, "text, finite numbers, lists and mappings") from None


def _copy_others(path: Path, file: h5py.File, replaced: Collection[str]) -> None:
    with open_hdf5(path) as old:
        for key in old:
            if key not in replaced:
                old.copy(key, file)


def _write_metadata(root: h5py.Group, scan: Scan, texts: dict[str, str]) -> None:
    bundle = root.create_group("metadatabundle")
    bundle.attrs["emd_group_type"] = "metadatabundle"
    for_py4dstem = {
        "Q_pixel_size": scan.pixel_mrad[0],
        "Q_pixel_units": "mrad",
        "R_pixel_size": scan.step_angstrom[0],
        "R_pixel_units": "A",
        "_root_treepath": "",
    }
    calibration = _write_texts_and_numbers(bundle, "calibration", "Calibration", for_py4dstem)
    targets = calibration.create_group("_target_paths")
    targets.attrs.update({"type": "list_of_strings", "length": 1})
    targets.create_dataset("0", data="/datacube", track_times=False)
    _write_texts_and_numbers(bundle, "rephase", "Metadata", texts)


def _write_texts_and_numbers(
    bundle: h5py.Group, title: str, python_class: str, values: dict[str, Any]
) -> h5py.Group:
    group = bundle.create_group(title)
    group.attrs.update({"emd_group_type": "metadata", "python_class": python_class})
    for key, value in values.items():
        item = group.create_dataset(key, data=value, track_times=False)
        item.attrs["type"] = "string" if isinstance(value, str) else "number"
    return group


def _write_intensities(root: h5py.Group, scan: Scan, where: str, part: PartFile) -> None:
    cube = root.create_group("datacube")
    cube.attrs.update({"emd_group_type": "array", "python_class": "DataCube"})
    slow, fast, rows, cols = scan.shape
    dtype = np.dtype(scan.intensities.dtype)
    compression = (
        {"compression": "gzip", "compression_opts": 1, "shuffle": True} if dtype.kind in "ui" else {}
    )
    per_chunk = min(fast, max(1, CHUNK_BYTES // (rows * cols * dtype.itemsize)))
    data = cube.create_dataset(
        "data",
        shape=scan.shape,
        dtype=dtype,
        chunks=(1, per_chunk, rows, cols),
        fletcher32=True,
        track_times=False,
        **compression,
    )
    data.attrs["units"] = scan.unit
    axes = zip(
        ("Rx", "Ry", "Qx", "Qy"),
        (*scan.step_angstrom, *scan.pixel_mrad),
        ("A", "A", "mrad", "mrad"),
        strict=True,
    )
    for i, (label, size, unit) in enumerate(axes):
        axis = cube.create_dataset(f"dim{i}", data=[0.0, float(size)], track_times=False)
        axis.attrs.update({"name": label, "units": unit})
    for i in range(slow):
        line = np.asarray(scan.intensities[i])
        check_line(line, f"{where}.intensities[{i}]")
        data[i] = line
        part.raise_error()


def _read_record(path: Path, root: h5py.Group) -> _Record:
    where = f"{path}: {root.name[1:]}/metadatabundle/rephase"
    bundle = root.get("metadatabundle/rephase")
    texts = {} if bundle is None else {key: item[()] for key, item in bundle.items()}
    try:
        return _Record.model_validate({key: json.loads(text) for key, text in texts.items()})
    except ValidationError as error:
        raise invalid(where, error) from None
    except (ValueError, TypeError) as error:
        raise InputError(where, error, "JSON") from None


def invalid(where: str, error: ValidationError) -> InputError:
    """The first thing that a model found wrong, as an `InputError` that names file and key."""
    first = error.errors()[0]
    inner = first.get("ctx", {}).get("error")
    if isinstance(inner, InputError):
        return InputError(f"{where}: {inner.where}", inner.found, inner.expected)
    key = ".".join(str(part) for part in first["loc"])
    found = "nothing" if first["type"] == "missing" else repr(first["input"])
    expected = {"missing": "a value", "extra_forbidden": "no such key"}.get(first["type"], first["msg"])
    return InputError(f"{where}: {key}", found, expected)
