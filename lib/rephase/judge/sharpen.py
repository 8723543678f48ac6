"""A control for claims of super-resolution: an image sharpened point by point.

Any increasing curve applied to the pixels of a band-limited image makes
frequencies beyond the band: harmonics of what the image holds already. Spots
beyond the limit therefore prove nothing by themselves. A reconstruction knows
something beyond the limit only if it agrees with the truth there better than
the best such curve.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.polynomial import Polynomial

from rephase.errors import InputError
from rephase.judge.frequency import fourier_ring_correlation

Image = Float[np.ndarray, "slow fast"]


def sharpening_curve(image: Image, truth: Image, degree: int = 7) -> Polynomial:
    """The polynomial of an image's pixels that comes closest to the truth, in least squares.

    Fit it on one specimen and apply it to another, or it knows what it is judged on.
    """
    if image.shape != truth.shape:
        raise InputError("image", f"shape {image.shape}", f"the truth's shape, {truth.shape}")
    return Polynomial.fit(image.ravel().astype(float), truth.ravel().astype(float), degree)


def sharpened(image: Image, curve: Polynomial) -> Image:
    """Apply a curve to each pixel; beyond the range that it was fitted on it stays constant."""
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
