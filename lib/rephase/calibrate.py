r"""Calibration from the scan itself: the beam's centre, the pixel, scan rotation and mirroring.

The centre of mass of the patterns, turned into the scan's axes, is the gradient
of an image, so its curl vanishes. With a turn by theta and mirroring m = +1, -1,

    curl(theta) = A cos(theta) + B sin(theta),
    A = m d_slow c_col - d_fast c_row,    B = m d_slow c_row + d_fast c_col,

whose mean square is ``const + R cos(2 (theta - theta_0))``: its minimum is
found in closed form for both m. The lower of the two is taken: with the wrong
mirroring the curl of an image without preferred direction does not depend on
theta.

The curl is the same for theta and theta + 180 degrees, which turn the image's
sign. Where more atoms stand, the phase is higher (they attract the electron)
and more electrons are scattered out of the bright-field disc: the sign is taken
for which minus the divergence of the centre of mass, which peaks with the
phase, correlates positively with the electrons missing from the disc. (The
skewness of the image does not serve: densely packed bright particles leave
dark gaps.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped
from scipy.ndimage import gaussian_filter
from skimage.measure import CircleModel, find_contours

from rephase.errors import InputError
from rephase.measurement import Scan, detector_to_scan
from rephase.microscope.optics import Optics


@dataclass(frozen=True)
class Disc:
    """The bright-field disc on the detector.

    Parameters
    ----------
    centre_px : (float, float)
        Its centre along (row, col); pixel centres have whole numbers.
    radius_px : float
    """

    centre_px: tuple[float, float]
    radius_px: float


@dataclass(frozen=True)
class Rotation:
    """How the scan's axes lie on the detector.

    Parameters
    ----------
    rotation_deg : float
        In (-180, 180], as `rephase.measurement.detector_to_scan` takes it.
    mirrored : bool
    curl : float
        Mean square of the curl over that of curl and divergence together: near 0
        for a gradient, 0.5 for noise.
    curl_if_other : float
        The least value with the other mirroring.
    sign_correlation : float
        Correlation that decided between the angle and its opposite.
    """

    rotation_deg: float
    mirrored: bool
    curl: float
    curl_if_other: float
    sign_correlation: float


def mean_pattern(scan: Scan) -> Float[np.ndarray, "row col"]:
    """Mean of all patterns, read one slow line at a time."""
    total = np.zeros(scan.shape[2:])
    for i in range(scan.shape[0]):
        total += np.sum(scan.intensities[i], axis=0, dtype=np.float64)
    return total / math.prod(scan.shape[:2])


def find_disc(pattern: Shaped[np.ndarray, "row col"]) -> Disc:
    """Circle through the edge of the bright-field disc, where the pattern falls to half its plateau.

    Parameters
    ----------
    pattern : array (row, col)
        Mean pattern.

    Raises
    ------
    InputError
        If there is no disc of at least 2 pixels radius.
    """
    pattern = np.asarray(pattern, dtype=np.float64)
    bright = pattern[pattern > pattern.max() / 4]
    plateau = float(np.median(bright)) if bright.size else 0.0
    contours = find_contours(np.pad(pattern, 1), plateau / 2) if plateau > 0 else []
    edge = max(contours, key=len, default=np.empty((0, 2))) - 1
    circle = CircleModel.from_estimate(edge) if len(edge) >= 8 else None
    if not circle or circle.radius < 2:
        raise InputError("mean pattern", "no disc", "a bright-field disc of at least 2 pixels radius")
    return Disc((float(circle.center[0]), float(circle.center[1])), float(circle.radius))


def centre_of_mass(scan: Scan) -> Float[np.ndarray, "2 slow fast"]:
    """Centre of mass of each pattern about the beam, along the detector's (row, col), in mrad.

    Read one slow line at a time. A pattern without electrons gives 0.
    """
    angles = [
        (np.arange(size) - middle) * pixel
        for size, middle, pixel in zip(scan.shape[2:], scan.centre_px, scan.pixel_mrad, strict=True)
    ]
    com = np.zeros((2, *scan.shape[:2]))
    for i in range(scan.shape[0]):
        line = np.asarray(scan.intensities[i], dtype=np.float64)
        total = line.sum(axis=(1, 2))
        moments = np.stack([line.sum(axis=2) @ angles[0], line.sum(axis=1) @ angles[1]])
        np.divide(moments, total, out=com[:, i], where=total > 0)
    return com


def disc_intensity(scan: Scan, disc: Disc) -> Float[np.ndarray, "slow fast"]:
    """Intensity inside the bright-field disc at each position, in the scan's unit."""
    row, col = np.indices(scan.shape[2:])
    inside = np.hypot(row - disc.centre_px[0], col - disc.centre_px[1]) <= disc.radius_px
    return np.stack(
        [
            np.asarray(scan.intensities[i], dtype=np.float64)[:, inside].sum(axis=1)
            for i in range(scan.shape[0])
        ]
    )


def find_rotation(
    com: Float[np.ndarray, "2 slow fast"],
    in_disc: Float[np.ndarray, "slow fast"],
    step_angstrom: tuple[float, float],
    smoothing_px: float = 1.0,
) -> Rotation:
    """Rotation and mirroring of a scan from the least curl of its centre of mass.

    Parameters
    ----------
    com : array (2, slow, fast)
        Centre of mass along the detector's (row, col), in any unit.
    in_disc : array (slow, fast)
        Intensity in the bright-field disc.
    step_angstrom : (float, float)
        Of the scan.
    smoothing_px : float
        Width of a Gaussian that both are smoothed with, in scan positions.

    Raises
    ------
    InputError
        If the centre of mass is the same everywhere.
    """
    smooth = [gaussian_filter(component, smoothing_px, mode="nearest") for component in com]
    slopes = [np.gradient(component, *step_angstrom) for component in smooth]
    (angle, curl), (other_angle, other_curl) = (_least_curl(slopes, mirrored) for mirrored in (False, True))
    mirrored = other_curl < curl
    if mirrored:
        angle, curl, other_curl = other_angle, other_curl, curl
    matrix = detector_to_scan(angle, mirrored)
    divergence = sum(matrix[i, k] * slopes[k][i] for i in range(2) for k in range(2))
    missing = -gaussian_filter(in_disc, smoothing_px, mode="nearest")
    correlation = _correlation(-divergence, missing)
    if correlation < 0:
        angle = angle + 180 if angle <= 0 else angle - 180
    return Rotation(angle, mirrored, curl, other_curl, abs(correlation))


def calibrate(scan: Scan, optics: Optics, smoothing_px: float = 1.0) -> Scan:
    """The scan with centre, detector pixel, rotation and mirroring found from its own intensities.

    The size of a detector pixel follows from the disc's radius and the optics'
    semi-angle, its two sides keeping their ratio.

    Raises
    ------
    InputError
        As `find_disc` and `find_rotation`.
    """
    disc = find_disc(mean_pattern(scan))
    scale = optics.semiangle_mrad / disc.radius_px / math.sqrt(math.prod(scan.pixel_mrad))
    pixel = (scan.pixel_mrad[0] * scale, scan.pixel_mrad[1] * scale)
    scan = scan.with_intensities(scan.intensities, centre_px=disc.centre_px, pixel_mrad=pixel)
    found = find_rotation(centre_of_mass(scan), disc_intensity(scan, disc), scan.step_angstrom, smoothing_px)
    return scan.with_intensities(scan.intensities, rotation_deg=found.rotation_deg, mirrored=found.mirrored)


def level(scan: Scan) -> Scan:
    """The scan with its centre moved to the mean centre of mass, so that no ramp is left in an integral.

    What lies around the disc, cut off by the detector's edges, pulls the centre
    of mass to one side; a specimen deflects the beam to no side on average.
    """
    mean = centre_of_mass(scan).mean(axis=(1, 2))
    row, col = (
        middle + float(shift) / pixel
        for middle, shift, pixel in zip(scan.centre_px, mean, scan.pixel_mrad, strict=True)
    )
    return scan.with_intensities(scan.intensities, centre_px=(row, col))


def _least_curl(slopes: list, mirrored: bool) -> tuple[float, float]:
    """Angle in (-90, 90] with the least curl, and that curl's share of curl and divergence."""
    (row_slow, row_fast), (col_slow, col_fast) = slopes
    sign = -1 if mirrored else 1
    cosine, sine = sign * col_slow - row_fast, sign * row_slow + col_fast
    mean = np.mean(cosine**2 + sine**2) / 2
    if mean == 0:
        raise InputError("centre of mass", "the same value everywhere", "a scan that shows a specimen")
    difference, product = np.mean(cosine**2 - sine**2) / 2, np.mean(cosine * sine)
    angle = 0.5 * math.degrees(math.atan2(-product, -difference))
    return angle, float((mean - math.hypot(difference, product)) / (2 * mean))


def _correlation(first: Float[np.ndarray, "slow fast"], second: Float[np.ndarray, "slow fast"]) -> float:
    first, second = first - first.mean(), second - second.mean()
    norm = math.sqrt(np.sum(first**2) * np.sum(second**2))
    return float(np.sum(first * second) / norm) if norm else 0.0
