"""An image from its gradient, in Fourier space."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from jaxtyping import Float

Boundary = Literal["periodic", "mirror"]


def integrate(
    gradient: Float[np.ndarray, "2 slow fast"],
    step_angstrom: tuple[float, float],
    boundary: Boundary = "periodic",
    high_pass_inverse_angstrom: float = 0.0,
) -> Float[np.ndarray, "slow fast"]:
    """Image of mean 0 whose gradient is, in the least-squares sense, the given one.

    phi(q) = -i q.g(q) / (2 pi (q^2 + q_c^2))

    (Lazic, Bosch, Lazar, Ultramicroscopy 160, 265 (2016); q_c = 0 is the exact
    integral). At Nyquist the sign of a slope is unknown: those terms are left out.

    Parameters
    ----------
    gradient : array (2, slow, fast)
        Derivatives along (slow, fast), per angstrom.
    step_angstrom : (float, float)
        Distance of neighbouring pixels, in angstrom.
    boundary : {'periodic', 'mirror'}
        How the image goes on beyond its edges: repeated, or reflected.
    high_pass_inverse_angstrom : float
        Frequency q_c, in 1/angstrom, at which slow undulations are halved.
    """
    slow, fast = gradient.shape[1:]
    if boundary == "mirror":
        gradient = _mirrored(gradient)
    shape = gradient.shape[1:]
    q_slow = np.fft.fftfreq(shape[0], step_angstrom[0])[:, None]
    q_fast = np.fft.rfftfreq(shape[1], step_angstrom[1])[None, :]
    square = q_slow**2 + q_fast**2 + high_pass_inverse_angstrom**2
    square[0, 0] = 1.0
    along_slow, along_fast = np.fft.rfft2(gradient)
    image = (q_slow * along_slow + q_fast * along_fast) / (2j * math.pi * square)
    image[signless(shape)] = 0
    return np.fft.irfft2(image, s=shape)[:slow, :fast]


def signless(shape: tuple[int, int]) -> np.ndarray:
    """Mask of the terms of ``rfft2`` that stand for both signs of a frequency: 0 and Nyquist."""
    mask = np.zeros((shape[0], shape[1] // 2 + 1), dtype=bool)
    mask[0, 0] = True
    if shape[0] % 2 == 0:
        mask[shape[0] // 2] = True
    if shape[1] % 2 == 0:
        mask[:, shape[1] // 2] = True
    return mask


def _mirrored(gradient: Float[np.ndarray, "2 slow fast"]) -> np.ndarray:
    """Gradient of the image continued by its reflections: the derivative across an edge changes sign."""
    along_slow, along_fast = gradient
    along_slow = np.concatenate([along_slow, -along_slow[::-1]], axis=0)
    along_fast = np.concatenate([along_fast, along_fast[::-1]], axis=0)
    along_slow = np.concatenate([along_slow, along_slow[:, ::-1]], axis=1)
    along_fast = np.concatenate([along_fast, -along_fast[:, ::-1]], axis=1)
    return np.stack([along_slow, along_fast])
