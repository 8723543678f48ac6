"""The bridge to py4DSTEM: scans into its data cubes, its methods without noise or traces.

py4DSTEM 0.14 plots, prints and draws from NumPy's global generator, knows one
step and one detector pixel for both axes, and estimates the beam's position and
the scan's rotation from the data. Here a method gets all of these from the
`Scan` and leaves nothing behind. It is imported only when a method is called.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from rephase.errors import InputError
from rephase.measurement import Scan
from rephase.microscope.optics import Optics


def load_py4dstem() -> ModuleType:
    """Import py4DSTEM without the deprecation warnings of its own imports."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import py4DSTEM
    return py4DSTEM


@contextmanager
def quiet(seed: int) -> Iterator[None]:
    """Seed NumPy's global generator, which py4DSTEM draws from, and hide py4DSTEM's warnings.

    The generator's state and the warning filters are put back on leaving.
    """
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.filterwarnings("ignore", module=r"py4DSTEM|emdfile")
            yield
    finally:
        np.random.set_state(state)


def unmirrored(scan: Scan) -> Scan:
    """The same scan in memory with its detector columns reversed if it was mirrored.

    Raises
    ------
    InputError
        If an intensity is negative, infinite or not a number, or all are 0.
    """
    intensities = scan.load()
    if not np.isfinite(intensities).all() or intensities.min() < 0:
        raise InputError(
            "scan.intensities", "negative, infinite or missing values", "finite values of 0 or more"
        )
    if not intensities.any():
        raise InputError("scan.intensities", "no electron at all", "at least one count")
    if not scan.mirrored:
        return scan.with_intensities(intensities)
    row, col = scan.centre_px
    return scan.with_intensities(
        np.ascontiguousarray(intensities[..., ::-1]),
        centre_px=(row, scan.shape[3] - 1 - col),
        rotation_deg=-scan.rotation_deg,
        mirrored=False,
    )


def data_cube(scan: Scan, scale: float = 1.0) -> Any:
    """py4DSTEM's DataCube of an unmirrored scan, intensities multiplied by ``scale``."""
    cube = load_py4dstem().DataCube(np.asarray(scan.intensities * np.float32(scale), dtype=np.float32))
    cube.calibration.set_R_pixel_size(scan.step_angstrom[0])
    cube.calibration.set_R_pixel_units("A")
    cube.calibration.set_Q_pixel_size(scan.pixel_mrad[0])
    cube.calibration.set_Q_pixel_units("mrad")
    return cube


def calibrated(method: type, scan: Scan, optics: Optics) -> type:
    """A py4DSTEM method that takes step and detector pixel of both axes from the scan.

    A py4DSTEM calibration has room for one number each.
    """

    class Calibrated(method):
        def _extract_intensities_and_calibrations_from_datacube(self, *args, **kwargs):
            intensities = super()._extract_intensities_and_calibrations_from_datacube(*args, **kwargs)
            self._scan_sampling = scan.step_angstrom
            self._angular_sampling = scan.pixel_mrad
            self._reciprocal_sampling = tuple(
                pixel * 1e-3 / optics.wavelength_angstrom for pixel in scan.pixel_mrad
            )
            return intensities

    return Calibrated
