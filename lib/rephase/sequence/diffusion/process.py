"""Noise that is added step by step, and its deterministic undoing (DDIM).

With unit variance kept, and the cosine schedule (Nichol, Dhariwal, ICML 2021) as the variable,

    x(angle) = cos(angle) x0 + sin(angle) noise,    0 <= angle <= pi / 2,

so that at pi / 2 nothing of x0 is left. A network is asked for the velocity dx/dangle
(Salimans, Ho, ICLR 2022); the estimate of x0 is then cos(angle) x - sin(angle) velocity,
and a velocity of 0 is right for white x0 of unit variance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float

# From x at an angle to the estimate of x0.
Denoiser = Callable[[Float[torch.Tensor, "draw *shape"], float], Float[torch.Tensor, "draw *shape"]]
Angle = float | Float[torch.Tensor, "#draw *_ones"]

PURE_NOISE = math.pi / 2


def noised(
    x0: Float[torch.Tensor, draw * shape], noise: Float[torch.Tensor, draw * shape], angle: Angle
) -> Float[torch.Tensor, draw * shape]:
    """x at an angle: cos(angle) x0 + sin(angle) noise."""
    cos, sin = _cos_sin(angle)
    return cos * x0 + sin * noise


def denoised(
    x: Float[torch.Tensor, draw * shape], velocity: Float[torch.Tensor, draw * shape], angle: Angle
) -> Float[torch.Tensor, draw * shape]:
    """The estimate of x0 that belongs to a velocity: cos(angle) x - sin(angle) velocity."""
    cos, sin = _cos_sin(angle)
    return cos * x - sin * velocity


def opposite_noise(
    shape: tuple[int, ...], draws: int, generator: torch.Generator
) -> Float[torch.Tensor, "{draws} ..."]:
    """Starts of normal noise in opposite pairs (one start, if only one is asked for).

    Where the denoiser is affine, as that of normally distributed x0, the mean over a pair is the
    exact mean of x0, however few steps are made, and the sum of squares over all draws, divided
    by their number, estimates the variance without bias.
    """
    half = torch.randn((draws + 1) // 2, *shape, generator=generator, device=generator.device)
    return torch.cat([half, -half])[:draws]


def ddim(
    denoise: Denoiser, start: Float[torch.Tensor, draw * shape], steps: int
) -> Float[torch.Tensor, draw * shape]:
    """Draws of x0 from starts of pure noise, by DDIM without noise of its own.

    Song, Meng, Ermon, ICLR 2021, Eq. 12 with sigma = 0, in equal steps of the angle: the
    estimate of x0 and the noise that it leaves are put together at the next angle. A single
    step gives the denoiser's mean of x0, whatever the start.

    Parameters
    ----------
    denoise : callable
        From x and the angle to the estimate of x0.
    start : tensor (draw, ...)
        See `opposite_noise`.
    steps : int
    """
    x = start
    for now, then in pairwise(torch.linspace(PURE_NOISE, 0, steps + 1, dtype=torch.float64).tolist()):
        x0 = denoise(x, now)
        noise = (x - math.cos(now) * x0) / math.sin(now)
        x = noised(x0, noise, then)
    return x


def _cos_sin(angle: Angle) -> tuple[Angle, Angle]:
    if isinstance(angle, float):
        return math.cos(angle), math.sin(angle)
    return angle.cos(), angle.sin()
