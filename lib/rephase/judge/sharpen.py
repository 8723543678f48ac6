"""A control for claims of super-resolution: an image sharpened point by point.

Any increasing curve applied to the pixels of a band-limited image makes
frequencies beyond the band: harmonics of what the image holds already. Spots
beyond the limit therefore prove nothing by themselves. A reconstruction knows
something beyond the limit only if it agrees with the truth there better than
the best such curve.

The curve's harmonics reach far beyond the band, and fold back on a grid that is too
coarse for them. The control is then too weak: on fields of atom pairs its ring
agreement just beyond the band was 0.04 lower with 2.5 pixels to the shortest period
of the band than on the finest grid, less than 0.01 lower with 4, and right from 5 on.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.polynomial import Polynomial

from rephase.errors import InputError
from rephase.judge.frequency import RingCurve, crossing, fourier_ring_correlation

Image = Float[np.ndarray, "slow fast"]


def sharpening_curve(image: Image, truth: Image, degree: int = 7) -> Polynomial:
    """The polynomial of an image's pixels that comes closest to the truth, in least squares.

    Fit it on one specimen and apply it to another, or it knows what it is judged on.

    Parameters
    ----------
    image, truth : array (slow, fast)
        On one grid, with pixels of a quarter of the shortest period of the image's band or less.
    degree : int
        Of the polynomial.
    """
    if image.shape != truth.shape:
        raise InputError("image", f"shape {image.shape}", f"the truth's shape, {truth.shape}")
    return Polynomial.fit(image.ravel().astype(float), truth.ravel().astype(float), degree)


def sharpened(image: Image, curve: Polynomial) -> Image:
    """Apply a curve to each pixel; beyond the range that it was fitted on it stays constant.

    The image's pixels must be as fine as for `sharpening_curve`.
    """
    return curve(np.clip(image.astype(float), *curve.domain))


def ring_agreement(
    estimate: Image, truth: Image, pixel_angstrom: tuple[float, float], low: float, high: float
) -> float:
    """Fourier ring correlation with the truth, mean over the rings between two frequencies (1/angstrom).

    Raises
    ------
    InputError
        If no ring lies between the two.
    """
    curve = fourier_ring_correlation(estimate, truth, pixel_angstrom)
    between = (curve.frequency >= low) & (curve.frequency <= high)
    if not between.any():
        raise InputError("rings", f"none from {low:.3g} to {high:.3g} 1/angstrom", "a range within the image")
    return float(np.average(curve.values[between], weights=curve.modes[between]))


def highest_frequency(
    image: Image,
    truth: Image,
    pixel_angstrom: tuple[float, float],
    threshold: float = 0.541,
    lowest: float = 0.0,
) -> float:
    """Frequency up to which an image agrees with the truth, in 1/angstrom.

    Where the Fourier ring correlation first falls below a threshold, linear between
    rings; 0 where the first ring asked for is below already.

    Parameters
    ----------
    image, truth : array (slow, fast)
        On one grid. Fields that are not periodic want
        :func:`rephase.judge.frequency.tapered` first.
    pixel_angstrom : (float, float)
    threshold : float
        0.541 is half a bit a pixel, see :func:`rephase.judge.frequency.truth_threshold`.
    lowest : float
        Rings below this frequency are not asked: they hold few modes, and many a method
        hardly sees them.

    Raises
    ------
    InputError
        If the shapes differ or no ring is left.
    """
    curve = fourier_ring_correlation(image, truth, pixel_angstrom)
    asked = curve.frequency >= lowest
    if not asked.any():
        raise InputError("lowest", f"{lowest:.3g} 1/angstrom", f"at most {curve.frequency[-1]:.3g}")
    rings = RingCurve(curve.frequency[asked], curve.values[asked], curve.modes[asked])
    return crossing(rings, np.full(len(rings.values), threshold))
