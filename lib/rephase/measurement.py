"""A 4D-STEM scan with its calibration, in memory or read when needed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from rephase.errors import InputError


@dataclass(frozen=True)
class Scan:
    """A 4D-STEM scan: one diffraction pattern for each probe position.

    Position ``[i, j]`` lies at ``(i * step[0], j * step[1])`` from the scan's
    origin; pattern pixel ``centre_px`` is the undeflected beam.

    Parameters
    ----------
    intensities : array (slow, fast, row, col)
        NumPy array, or an HDF5 data set that is read when needed.
    step_angstrom : (float, float)
        Distance of neighbouring positions along (slow, fast), in angstrom.
    pixel_mrad : (float, float)
        Size of a detector pixel along (row, col), in mrad.
    centre_px : (float, float), optional
        Detector position of the undeflected beam; ``(rows // 2, cols // 2)`` by default.
    unit : {'fraction', 'electrons'}
        Fraction of the incident beam, or counts in electrons.
    rotation_deg : float
        Angle from the scan's axes to the detector's axes, in degrees; see `detector_to_scan`.
    mirrored : bool
        Whether the fast axis of the scan runs against the detector's columns.
    lineage : mapping
        Where the numbers come from: inherited by everything derived from them.

    Raises
    ------
    InputError
        If the array has not four axes, a scan axis has fewer than two
        positions, or a step or pixel size is not above 0.
    """

    intensities: Any
    step_angstrom: tuple[float, float]
    pixel_mrad: tuple[float, float]
    centre_px: tuple[float, float] | None = None
    unit: Literal["fraction", "electrons"] = "fraction"
    rotation_deg: float = 0.0
    mirrored: bool = False
    lineage: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = tuple(self.intensities.shape)
        if len(shape) != 4:
            raise InputError("scan", f"an array of shape {shape}", "four axes (slow, fast, row, col)")
        if min(shape[:2]) < 2:
            raise InputError("scan", f"{shape[0]} x {shape[1]} positions", "at least 2 x 2 positions")
        for name in ("step_angstrom", "pixel_mrad"):
            value = getattr(self, name)
            if not all(np.isfinite(v) and v > 0 for v in value):
                raise InputError(f"scan.{name}", value, "two finite numbers above 0")
        if self.centre_px is None:
            object.__setattr__(self, "centre_px", (float(shape[2] // 2), float(shape[3] // 2)))

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Number of (slow, fast) positions and (row, col) pixels."""
        return tuple(self.intensities.shape)

    @property
    def detector_to_scan(self) -> Float[np.ndarray, "2 2"]:
        """Matrix that takes (row, col) components to (slow, fast) ones; see `detector_to_scan`."""
        return detector_to_scan(self.rotation_deg, self.mirrored)

    @property
    def extent_angstrom(self) -> tuple[float, float]:
        """Side lengths of the scanned field, in angstrom."""
        return self.shape[0] * self.step_angstrom[0], self.shape[1] * self.step_angstrom[1]

    def load(self, dtype: Any = np.float32) -> Float[np.ndarray, "slow fast row col"]:
        """Read all intensities into memory."""
        return np.asarray(self.intensities[...], dtype=dtype)

    def with_intensities(self, intensities: Any, **changes: Any) -> Scan:
        """The same scan with other intensities (and other fields, if given)."""
        return replace(self, intensities=intensities, **changes)


def detector_to_scan(rotation_deg: float, mirrored: bool) -> Float[np.ndarray, "2 2"]:
    """Matrix that takes a vector's (row, col) components to its (slow, fast) components.

    The fast axis is reversed if the scan is mirrored; then the scan's axes,
    turned by ``rotation_deg`` from slow towards fast, are the detector's. The
    matrix is orthogonal: its transpose goes the other way.
    """
    cos, sin = math.cos(math.radians(rotation_deg)), math.sin(math.radians(rotation_deg))
    turned = np.array([[cos, -sin], [sin, cos]])
    return np.diag([1.0, -1.0]) @ turned if mirrored else turned


def check_intensities(intensities: Any, where: str = "scan.intensities") -> None:
    """Raise unless all intensities are finite and none is negative.

    Reads one slow line at a time, so that a data set on disk never lies in
    memory as a whole.

    Parameters
    ----------
    intensities : array (slow, fast, row, col)
        NumPy array or HDF5 data set.
    where : str
        File and key, for the message.

    Raises
    ------
    InputError
        Naming the first line of the scan that holds NaN, an infinite or a
        negative value.
    """
    for i in range(intensities.shape[0]):
        check_line(np.asarray(intensities[i]), f"{where}[{i}]")


def check_line(line: np.ndarray, where: str) -> None:
    """Raise an InputError if an array holds NaN, an infinite or a negative value."""
    if line.dtype.kind not in "uif":
        raise InputError(where, f"values of type {line.dtype}", "real numbers")
    smallest, largest = line.min(), line.max()
    if np.isnan(smallest) or np.isinf(largest) or np.isinf(smallest):
        raise InputError(where, "NaN or infinite intensities", "finite intensities of 0 or more")
    if smallest < 0:
        raise InputError(where, f"an intensity of {smallest:g}", "finite intensities of 0 or more")
