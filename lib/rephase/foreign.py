"""Scans from other programs and detectors, brought into one form.

What a file says about itself is taken from it; what it leaves out is read from
a sidecar beside it (``scan.yaml`` or ``scan.json`` for ``scan.mib``), and
arguments go before both. A sidecar may hold these keys::

    optics: {energy_ev: 300000, semiangle_mrad: 21.4}
    calibration: {step_angstrom: [0.4, 0.4], pixel_mrad: [1.1, 1.1], unit: electrons}
    scan_shape: [256, 256]
    lineage: {specimen: SrTiO3}
"""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML, YAMLError

from rephase.errors import InputError
from rephase.files import Calibration, invalid, open_scan, scan_names
from rephase.hdf5 import open_hdf5
from rephase.measurement import Scan, check_intensities
from rephase.microscope.optics import Optics

ROSETTA = {".hspy": "hspy", ".zspy": "zspy", ".mib": "quantumdetector"}
HDF5 = (".h5", ".hdf5", ".emd")
ANGSTROM = {"Å": 1.0, "A": 1.0, "angstrom": 1.0, "nm": 10.0, "um": 1e4, "µm": 1e4, "μm": 1e4, "pm": 0.01}
MRAD = {"mrad": 1.0, "rad": 1e3}
INVERSE_ANGSTROM = {"1/Å": 1.0, "Å^-1": 1.0, "A^-1": 1.0, "1/A": 1.0, "1/nm": 0.1, "nm^-1": 0.1}


class Sidecar(BaseModel):
    """What a person writes down about a scan whose file does not say it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    optics: Optics | None = None
    calibration: dict[str, Any] = Field(default_factory=dict)
    scan_shape: tuple[int, int] | None = None
    lineage: dict[str, Any] = Field(default_factory=dict)


def import_scan(
    path: Path | str,
    optics: Optics | None = None,
    scan_shape: tuple[int, int] | None = None,
    check: bool = True,
    **calibration: Any,
) -> tuple[Scan, Optics]:
    """Open a scan of ours, of py4DSTEM, HyperSpy or a Merlin detector, or a bare array.

    Parameters
    ----------
    path : path
        ``.h5``, ``.hdf5``, ``.emd``: a measurement file, an EMD file of py4DSTEM,
        or any HDF5 file with one data set of four axes; ``.hspy``, ``.zspy``,
        ``.mib``, ``.npy``. Axes are (slow, fast, row, col).
    optics : Optics, optional
        Instead of what file or sidecar say.
    scan_shape : (int, int), optional
        Number of (slow, fast) positions, where the file is a mere list of patterns.
    check : bool
        Whether to read all intensities once, line by line, and check them.
    **calibration
        Fields of `rephase.files.Calibration`, instead of what file or sidecar say:
        ``step_angstrom``, ``pixel_mrad``, ``centre_px``, ``unit``, ...

    Returns
    -------
    scan : Scan
        Its intensities stay on disk.
    optics : Optics

    Raises
    ------
    InputError
        If the file cannot be read, part of the calibration is in none of the
        three places, or an intensity is NaN, infinite or negative.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}", "no such file", "a measurement file")
    if path.suffix in HDF5 and scan_names(path):
        scan, own_optics = open_scan(path, check=check)
        return scan.with_intensities(scan.intensities, **calibration), optics or own_optics
    sidecar = read_sidecar(path)
    intensities, axes, stated_optics = _read(path, scan_shape or sidecar.scan_shape)
    optics = optics or sidecar.optics or stated_optics
    if optics is None:
        raise InputError(f"{path}: optics", "nothing", f"energy_ev and semiangle_mrad {_places(path)}")
    stated = _calibration_of_axes(axes, optics)
    calibration = _validated(path, stated | sidecar.calibration | calibration)
    scan = Scan(intensities, lineage={"file": path.name} | sidecar.lineage, **calibration)
    if check:
        check_intensities(scan.intensities, f"{path}")
    return scan, optics


def read_sidecar(path: Path) -> Sidecar:
    """The sidecar of a file: YAML or JSON of the same name; an empty one if there is none."""
    for suffix in (".yaml", ".yml", ".json"):
        beside = path.with_suffix(suffix)
        if beside.exists():
            try:
                return Sidecar.model_validate(YAML(typ="safe").load(beside) or {})
            except YAMLError as error:
                raise InputError(f"{beside}", " ".join(str(error).split()), "YAML or JSON") from None
            except ValidationError as error:
                raise invalid(f"{beside}", error) from None
    return Sidecar()


def _places(path: Path) -> str:
    return f"as an argument or in {path.with_suffix('.yaml').name} beside the file"


def _validated(path: Path, calibration: dict[str, Any]) -> dict[str, Any]:
    for key in ("step_angstrom", "pixel_mrad"):
        if key not in calibration:
            raise InputError(f"{path}: calibration.{key}", "nothing", f"two numbers {_places(path)}")
    try:
        return dict(Calibration.model_validate(calibration))
    except ValidationError as error:
        raise invalid(f"{path}: calibration", error) from None


def _read(path: Path, scan_shape: tuple[int, int] | None) -> tuple[Any, list[dict], Optics | None]:
    """Intensities that stay on disk, their axes as RosettaSciIO describes them, and stated optics."""
    if path.suffix == ".npy":
        return _shaped(path, _read_npy(path), scan_shape), [], None
    if path.suffix in ROSETTA:
        return _read_rosetta(path, ROSETTA[path.suffix], scan_shape)
    if path.suffix not in HDF5:
        raise InputError(
            f"{path}", f"suffix '{path.suffix}'", f"one of {', '.join([*HDF5, *ROSETTA, '.npy'])}"
        )
    file = open_hdf5(path)
    if file.attrs.get("emd_group_type") == "file":
        return _read_rosetta(path, "emd", scan_shape)
    return _only_data_set(path, file), [], None


def _read_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{path}", error, "a whole .npy file of numbers") from None


def _only_data_set(path: Path, file: h5py.File) -> h5py.Dataset:
    found: list[h5py.Dataset] = []

    def collect(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim == 4:
            found.append(item)

    file.visititems(collect)
    if len(found) != 1:
        raise InputError(f"{path}", f"{len(found)} data sets of four axes", "one, (slow, fast, row, col)")
    return found[0]


def _read_rosetta(
    path: Path, module: str, scan_shape: tuple[int, int] | None
) -> tuple[Any, list[dict], Optics | None]:
    options: dict[str, Any] = {"mode": "r"} if path.suffix == ".zspy" else {}
    if scan_shape and path.suffix == ".mib":
        options["navigation_shape"] = scan_shape[::-1]
    try:
        signals = importlib.import_module(f"rsciio.{module}").file_reader(str(path), lazy=True, **options)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}", reason, f"a whole {path.suffix} file") from None
    signals = [signal for signal in signals if len(signal["data"].shape) == 4 or scan_shape]
    if len(signals) != 1:
        raise InputError(
            f"{path}", f"{len(signals)} scans of four axes", "one; for a list of patterns, scan_shape"
        )
    signal = signals[0]
    intensities = _shaped(path, signal["data"], scan_shape)
    axes = signal["axes"] if len(signal["axes"]) == 4 else []
    return intensities, axes, _stated_optics(signal["metadata"])


def _shaped(path: Path, patterns: Any, scan_shape: tuple[int, int] | None) -> Any:
    if scan_shape is None or len(patterns.shape) == 4:
        return patterns
    if len(patterns.shape) != 3 or math.prod(scan_shape) != len(patterns):
        raise InputError(f"{path}", f"an array of shape {patterns.shape}", f"{scan_shape} patterns")
    return patterns.reshape(*scan_shape, *patterns.shape[1:])


def _stated_optics(metadata: dict) -> Optics | None:
    """Optics from HyperSpy's metadata, if beam energy and convergence angle are there."""
    microscope = metadata.get("Acquisition_instrument", {}).get("TEM", {})
    if not {"beam_energy", "convergence_angle"} <= microscope.keys():
        return None
    return Optics(
        energy_ev=float(microscope["beam_energy"]) * 1e3,
        semiangle_mrad=float(microscope["convergence_angle"]),
    )


def _calibration_of_axes(axes: list[dict], optics: Optics) -> dict[str, Any]:
    """Step, detector pixel and centre from axes whose units are known."""
    if not axes:
        return {}
    stated = {}
    to_mrad = {unit: scale * optics.wavelength_angstrom * 1e3 for unit, scale in INVERSE_ANGSTROM.items()}
    units = [str(axis.get("units") or "").replace(" ", "") for axis in axes]
    scales = [abs(float(axis["scale"])) for axis in axes]
    for key, known, pair in (
        ("step_angstrom", ANGSTROM, slice(0, 2)),
        ("pixel_mrad", MRAD | to_mrad, slice(2, 4)),
    ):
        if all(unit in known for unit in units[pair]):
            stated[key] = tuple(known[u] * s for u, s in zip(units[pair], scales[pair], strict=True))
    if all(axis["offset"] for axis in axes[2:]):
        stated["centre_px"] = tuple(-float(axis["offset"]) / float(axis["scale"]) for axis in axes[2:])
    return stated
