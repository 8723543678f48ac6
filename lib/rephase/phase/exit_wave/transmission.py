"""Transmission functions of many small boxes of atoms, fast: plane waves by doubling, without trigonometry.

The potential is that of `rephase.microscope.potential.sliced_potential`, structure
factors times Lobato's form factors, in single precision. There most of the time goes
into ``exp(-2 pi i n x / L)`` for every atom and frequency n; here the waves of n to
2 n - 1 are those of 0 to n - 1 times one factor an atom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Complex, Float, Int

from rephase.microscope.grid import fourier_resample, frequencies
from rephase.microscope.optics import interaction_parameter
from rephase.microscope.potential import VOLTS_PER_SCATTERING_FACTOR, scattering_factor


def transmission(
    positions: Float[np.ndarray, "atom 3"],
    numbers: Int[np.ndarray, " atom"],
    side_angstrom: float,
    thicknesses_angstrom: Sequence[float],
    energy_ev: float,
    points: int,
    pixel_angstrom: float = math.inf,
    device: torch.device | str | None = None,
) -> Complex[torch.Tensor, "slice row col"]:
    """Transmission functions ``exp(i sigma V)`` of all slices, up to the grid's Nyquist frequency.

    Those of `rephase.microscope.multislice` stop at 2/3 of it, which costs a focused
    wave part of what it scatters to the detector's rim; what aliases here needs a wave
    that was scattered widely before.

    Parameters
    ----------
    positions, numbers
        The atoms, as for `slice_potential`.
    side_angstrom : float
        Side of the square box.
    thicknesses_angstrom : sequence of float
        Thickness of each slice.
    energy_ev : float
        Energy of the beam.
    points : int
        Points along each side of the result.
    pixel_angstrom : float
        Largest pixel of the grid that the potential is computed on, a multiple of the result's.
    device : optional
        Where to compute.
    """
    fine = points * max(1, math.ceil(side_angstrom / (points * pixel_angstrom)))
    slices = slice_potential(positions, numbers, side_angstrom, thicknesses_angstrom, fine, device)
    slices *= interaction_parameter(energy_ev)
    passed = torch.complex(slices.cos(), slices.sin())  # three times faster than torch.polar
    return passed if fine == points else fourier_resample(passed, (points, points))


def slice_potential(
    positions: Float[np.ndarray, "atom 3"],
    numbers: Int[np.ndarray, " atom"],
    side_angstrom: float,
    thicknesses_angstrom: Sequence[float],
    points: int,
    device: torch.device | str | None = None,
) -> Float[torch.Tensor, "slice row col"]:
    """Projected potential of each slice in a periodic square box, in V angstrom.

    Parameters
    ----------
    positions : array (atom, 3)
        Coordinates along (axis 0, axis 1, beam), in angstrom; atoms beyond a surface
        belong to the outermost slice.
    numbers : array (atom,)
        Atomic numbers.
    side_angstrom, thicknesses_angstrom, points, device
        As for `transmission`; ``points`` is even.

    Raises
    ------
    InputError
        If an element is unknown.
    """
    half = points // 2
    layer = np.searchsorted(np.cumsum(thicknesses_angstrom)[:-1], positions[:, 2], side="right")
    group = 128 * layer + numbers  # atoms of one species in one slice
    order = np.argsort(group, kind="stable")
    where = torch.from_numpy(positions[order, :2] / side_angstrom).to(device)
    rows, cols = _plane_waves(where[:, 0], half + 1), _plane_waves(where[:, 1], half + 1)
    rows[half] = rows[half].real.to(rows.dtype)  # Nyquist's frequency stands for both signs
    rows = torch.cat([rows[:half], rows[1:].conj().flip(0)])
    k_row, k_col = frequencies((points, points), side_angstrom / points, device=device)
    k2 = (k_row**2 + k_col[:, : half + 1] ** 2).float()
    factors = {number: scattering_factor(number, k2) for number in np.unique(numbers).tolist()}
    spectra = rows.new_zeros(len(thicknesses_angstrom), points, half + 1)
    groups, first = np.unique(group[order], return_index=True)
    for one, (start, end) in zip(groups.tolist(), pairwise([*first.tolist(), len(order)]), strict=True):
        at, number = divmod(one, 128)
        spectra[at] += factors[number] * (rows[:, start:end] @ cols[:, start:end].T)
    volts = VOLTS_PER_SCATTERING_FACTOR * (points / side_angstrom) ** 2
    return volts * torch.fft.irfft2(spectra, s=(points, points))


def _plane_waves(at: Float[torch.Tensor, " atom"], count: int) -> Complex[torch.Tensor, "{count} atom"]:
    """``exp(-2 pi i n x)`` for n = 0 ... count - 1, in single precision."""
    waves = torch.ones(1, len(at), dtype=torch.complex64, device=at.device)
    while (known := len(waves)) < count:
        angle = -2 * math.pi * torch.remainder(known * at, 1)
        turned = torch.complex(angle.cos(), angle.sin()).to(waves.dtype)
        waves = torch.cat([waves, waves * turned])
    return waves[:count].clone()
