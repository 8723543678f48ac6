"""iDPC from four detector segments: an estimate of the beam's deflection, integrated.

A four-segment detector splits an annulus into quadrants A, B, C, D. The
differences A - C and B - D grow with the deflection of the beam; the response
of this pair of signals to a small deflection of the disk in vacuum, along each
axis, calibrates it. With ``D(k)`` the calibrated vector response of
pixel k, a weak phase object is transferred with (Lazic, Bosch, Lazar,
Ultramicroscopy 160, 265 (2016))

    H(q) = sum_k q.D(k) Gamma(k, q) / q^2,  Gamma = A*(k) A(k - q) - A(k) A*(k + q)

which goes to 1 at low frequencies. For an ideal disk of radius K with its edge
in the annulus, the deflection along A is ``pi K / (2 sqrt 2) (A - C)``, signals in
fractions of the beam. D(k) = k would give iCOM.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field

from rephase.measurement import Scan
from rephase.microscope.detectors import segments
from rephase.microscope.optics import Optics, aperture
from rephase.phase.detect import detect, pixel_angles, require_disk
from rephase.phase.image import PhaseImage
from rephase.phase.integrate import Boundary, integrate
from rephase.phase.settings import MethodSettings

DIFFERENCES = np.array([[1.0, 0.0, -1.0, 0.0], [0.0, 1.0, 0.0, -1.0]])  # A - C and B - D
SUBPIXELS = 8  # points along each side of a pixel that share it out among the segments


class IDPCSettings(MethodSettings):
    """Settings of four-segment iDPC.

    Parameters
    ----------
    inner, outer : float
        Radii of the annulus, in units of the aperture's; the edge of the disk
        must lie between them.
    rotation_deg : float
        Direction of the first border, from the detector's row axis towards its
        column axis: at 0 the borders run along rows and columns.
    boundary, high_pass_inverse_angstrom, per_pattern
        As in `rephase.phase.com.ICOMSettings`.
    """

    inner: float = Field(default=0.0, ge=0, lt=1)
    outer: float = Field(default=1.5, gt=1)
    rotation_deg: float = 0.0
    boundary: Boundary = "periodic"
    high_pass_inverse_angstrom: float = Field(default=0.0, ge=0)
    per_pattern: bool = False


def deflection(scan: Scan, optics: Optics, settings: IDPCSettings) -> Float[np.ndarray, "2 slow fast"]:
    """Deflection of the beam by the four-segment detector, in 1/angstrom.

    Returns
    -------
    array (2, slow, fast)
        Components along the scan's (slow, fast) axes.

    Raises
    ------
    InputError
        If the annulus or the bright-field disk is not whole on the detector, or
        intensities are not finite or all 0.
    """
    require_disk(scan, optics)
    inner, outer = settings.inner * optics.semiangle_mrad, settings.outer * optics.semiangle_mrad
    masks = segments(scan, inner, outer, rotation_deg=settings.rotation_deg, subpixels=SUBPIXELS)
    vectors = np.tensordot(DIFFERENCES, masks, axes=1)
    calibrated = scan.detector_to_scan @ np.linalg.inv(_response(scan, optics, vectors)) @ DIFFERENCES
    return np.tensordot(calibrated, detect(scan, masks, settings.per_pattern), axes=1)


def _response(
    scan: Scan, optics: Optics, vectors: Float[np.ndarray, "2 row col"]
) -> Float[np.ndarray, "2 2"]:
    """Change of the signal vector per 1/angstrom of deflection along (row, col), of the disk in vacuum."""
    per_mrad = 1e-3 / optics.wavelength_angstrom
    edge = (scan.pixel_mrad[0] * per_mrad, scan.pixel_mrad[1] * per_mrad)
    k = [torch.tensor(angle * per_mrad) for angle in pixel_angles(scan)]

    def signal(shift: tuple[float, float]) -> np.ndarray:
        disk = aperture(optics, k[0] - shift[0], k[1] - shift[1], edge).square().numpy()
        return np.tensordot(vectors, disk / disk.sum(), axes=2)

    along_row = (signal((edge[0], 0.0)) - signal((-edge[0], 0.0))) / (2 * edge[0])
    along_col = (signal((0.0, edge[1])) - signal((0.0, -edge[1]))) / (2 * edge[1])
    return np.stack([along_row, along_col], axis=1)


def reconstruct(scan: Scan, optics: Optics, settings: IDPCSettings | None = None) -> PhaseImage:
    """iDPC image of a four-segment detector laid over the patterns.

    Parameters
    ----------
    scan : Scan
    optics : Optics
        Aperture and wavelength; aberrations are not compensated.
    settings : IDPCSettings, optional

    Returns
    -------
    PhaseImage
        Phase in rad of mean 0, with the transfer H(q) of the module's description.

    Raises
    ------
    InputError
        As `deflection`.
    """
    settings = settings or IDPCSettings()
    phase = integrate(
        2 * math.pi * deflection(scan, optics, settings),
        scan.step_angstrom,
        settings.boundary,
        settings.high_pass_inverse_angstrom,
    )
    return PhaseImage(values=phase, pixel_angstrom=scan.step_angstrom)
