"""The camera: dose, counting noise, blur, pixel defects and geometric distortions.

Every function takes and returns arrays; what is random comes from a seed.
Images may have any number of leading axes.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage
from scipy.optimize import brentq

from rephase.errors import InputError
from rephase.measurement import Scan

BLUR_RADIUS_PX = 16  # a Gaussian is cut off here


def electrons_per_pattern(dose_e_per_angstrom2: float, step_angstrom: tuple[float, float]) -> float:
    """Electrons in one pattern: dose x step x step. An infinite dose stays infinite.

    Raises
    ------
    InputError
        If the dose is not above 0.
    """
    if not dose_e_per_angstrom2 > 0:
        raise InputError("dose", dose_e_per_angstrom2, "a dose above 0 e/A^2")
    return dose_e_per_angstrom2 * step_angstrom[0] * step_angstrom[1]


def dose_of(electrons: float, step_angstrom: tuple[float, float]) -> float:
    """Dose in e/A^2 that gives this many electrons in a pattern.

    Raises
    ------
    InputError
        If the number is not above 0.
    """
    if not electrons > 0:
        raise InputError("electrons per pattern", electrons, "a number above 0")
    return electrons / (step_angstrom[0] * step_angstrom[1])


def check_intensities(intensities: Float[np.ndarray, "*any"], where: str = "scan.intensities") -> None:
    """Refuse intensities that are not finite numbers of at least 0.

    Raises
    ------
    InputError
        Naming the first wrong value and its index.
    """
    wrong = ~(np.isfinite(intensities) & (intensities >= 0))
    if wrong.any():
        index = tuple(int(i) for i in np.unravel_index(wrong.argmax(), wrong.shape))
        raise InputError(where, f"{intensities[index]:g} at {index}", "finite values of at least 0")


def poisson_counts(
    fractions: Float[np.ndarray, "*scan row col"], electrons: float, seed: int
) -> Float[np.ndarray, "*scan row col"]:
    """Electrons counted when each pattern is an exposure of ``electrons`` beam electrons.

    Parameters
    ----------
    fractions : array (..., row, col)
        Expected intensities as fractions of the beam.
    electrons : float
        Beam electrons in a pattern; infinite means without noise, and returns
        the fractions.
    seed : int
        Of ``numpy.random.default_rng``.

    Raises
    ------
    InputError
        If an intensity is negative or not finite, or the number not above 0.
    """
    check_intensities(fractions)
    if not electrons > 0:
        raise InputError("electrons per pattern", electrons, "a number above 0")
    if math.isinf(electrons):
        return fractions
    rng, counts = np.random.default_rng(seed), np.empty(fractions.shape, np.float32)
    for index in np.ndindex(fractions.shape[:1]):
        counts[index] = rng.poisson(fractions[index].astype(np.float64) * electrons)
    return counts


def expose(scan: Scan, dose_e_per_angstrom2: float, seed: int) -> Scan:
    """The scan as counted at a dose; the same scan at an infinite dose.

    Raises
    ------
    InputError
        If the scan holds no fractions of the beam, an intensity is negative or
        not finite, or the dose is not above 0.
    """
    electrons = electrons_per_pattern(dose_e_per_angstrom2, scan.step_angstrom)
    if scan.unit != "fraction":
        raise InputError("scan.unit", scan.unit, "fractions of the beam, of which a dose makes counts")
    fractions = scan.load()
    check_intensities(fractions)
    if math.isinf(electrons):
        return scan
    lineage = {**scan.lineage, "dose_e_per_angstrom2": dose_e_per_angstrom2, "noise_seed": seed}
    counts = poisson_counts(fractions, electrons, seed)
    return scan.with_intensities(counts, unit="electrons", lineage=lineage)


def blur(
    patterns: Float[np.ndarray, "*scan row col"], mtf_at_nyquist: float
) -> Float[np.ndarray, "*scan row col"]:
    """Blur by a Gaussian point spread whose modulation transfer at Nyquist is given.

    The sampled Gaussian is positive, and its own transfer along either axis is
    exactly ``mtf_at_nyquist`` at 1/2 cycle per pixel. Electrons are conserved
    (mirrored at the edges).

    Raises
    ------
    InputError
        If the transfer is not above 0 and at most 1.
    """
    if not 0 < mtf_at_nyquist <= 1:
        raise InputError("mtf_at_nyquist", mtf_at_nyquist, "a transfer above 0 and at most 1")
    if mtf_at_nyquist == 1:
        return patterns
    offsets = np.arange(-BLUR_RADIUS_PX, BLUR_RADIUS_PX + 1)

    def excess(width: float) -> float:
        weights = np.exp(-(offsets**2) / (2 * width**2))
        return float(np.sum(weights * (-1.0) ** offsets) / np.sum(weights)) - mtf_at_nyquist

    width = brentq(excess, 0.05, 3.0)
    return ndimage.gaussian_filter(patterns, width, radius=BLUR_RADIUS_PX, axes=(-2, -1))


def gain_map(shape: tuple[int, int], spread: float, seed: int) -> Float[np.ndarray, "row col"]:
    """Gain of each pixel, to multiply patterns with: mean 1, standard deviation ``spread``.

    Gamma-distributed, so always above 0.

    Raises
    ------
    InputError
        If the spread is negative or not finite.
    """
    if not 0 <= spread < math.inf:
        raise InputError("gain spread", spread, "a finite standard deviation of at least 0")
    if spread == 0:
        return np.ones(shape)
    return np.random.default_rng(seed).gamma(1 / spread**2, spread**2, shape)


def defects(
    shape: tuple[int, int], hot: int, dead: int, seed: int
) -> tuple[Bool[np.ndarray, "row col"], Bool[np.ndarray, "row col"]]:
    """Masks of hot and of dead pixels, at random places that differ.

    Raises
    ------
    InputError
        If there are more defects than pixels, or fewer than none.
    """
    size = shape[0] * shape[1]
    if min(hot, dead) < 0 or hot + dead > size:
        raise InputError("defects", f"{hot} hot and {dead} dead pixels", f"0 to {size} in all")
    places = np.random.default_rng(seed).permutation(size)[: hot + dead]
    masks = np.zeros((2, size), bool)
    masks[0, places[:hot]] = masks[1, places[hot:]] = True
    return masks[0].reshape(shape), masks[1].reshape(shape)


def with_defects(
    patterns: Float[np.ndarray, "*scan row col"],
    hot: Bool[np.ndarray, "row col"],
    dead: Bool[np.ndarray, "row col"],
    hot_value: float,
) -> Float[np.ndarray, "*scan row col"]:
    """Patterns in which hot pixels always read ``hot_value`` and dead ones 0."""
    return np.where(hot, patterns.dtype.type(hot_value), np.where(dead, patterns.dtype.type(0), patterns))


def distortion(
    camera_length: float = 1.0, axis_ratio: float = 1.0, axis_deg: float = 0.0
) -> Float[np.ndarray, "2 2"]:
    """Linear distortion of a pattern: a change of the camera length and an ellipse.

    Parameters
    ----------
    camera_length : float
        True over nominal camera length: 1.02 makes the pattern 2 % larger.
    axis_ratio : float
        Long over short axis of the ellipse that a circle becomes; its area stays.
    axis_deg : float
        Direction of the long axis, from the row axis towards the column axis.

    Raises
    ------
    InputError
        If a ratio is not finite and above 0.
    """
    for name, value in (("camera_length", camera_length), ("axis_ratio", axis_ratio)):
        if not 0 < value < math.inf:
            raise InputError(name, value, "a finite ratio above 0")
    angle = math.radians(axis_deg)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    stretch = np.diag([math.sqrt(axis_ratio), 1 / math.sqrt(axis_ratio)])
    return camera_length * turn @ stretch @ turn.T


def distort(
    patterns: Float[np.ndarray, "*scan row col"],
    matrix: Float[np.ndarray, "2 2"] | None = None,
    shift_px: tuple[float, float] = (0.0, 0.0),
    centre_px: tuple[float, float] | None = None,
) -> Float[np.ndarray, "*scan row col"]:
    """Patterns as a distorting camera sees them: ``r -> centre + matrix (r - centre) + shift``.

    Linear interpolation, once, so nothing becomes negative; divided by the
    matrix' determinant, so electrons are conserved up to what leaves the
    detector and the interpolation.

    Parameters
    ----------
    patterns : array (..., row, col)
    matrix : array (2, 2), optional
        From `distortion`; none by default. Its inverse takes the distortion back.
    shift_px : (float, float)
        Shift of the whole pattern, in pixels.
    centre_px : (float, float), optional
        Point that the matrix leaves in place; ``(rows // 2, cols // 2)`` by default.
    """
    rows, cols = patterns.shape[-2:]
    centre = np.array(centre_px or (rows // 2, cols // 2), float)
    back = np.linalg.inv(np.eye(2) if matrix is None else matrix)
    offset = centre - back @ (centre + np.array(shift_px))
    area, distorted = abs(np.linalg.det(back)), np.empty_like(patterns)
    for index in np.ndindex(patterns.shape[:-2]):
        distorted[index] = area * ndimage.affine_transform(
            patterns[index], back, offset, order=1, mode="grid-constant"
        )
    return distorted
