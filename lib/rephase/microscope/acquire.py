"""Scans of one specimen under several optics, from one set of frozen phonons.

Potentials and displacements are abTEM's; the waves pass through them by
:mod:`rephase.microscope.multislice`, on the GPU where there is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float

from rephase.measurement import Scan
from rephase.microscope.field import Field
from rephase.microscope.multislice import scan_4d
from rephase.microscope.optics import Optics
from rephase.microscope.simulate import potential_slices
from rephase.microscope.simulation import Simulation


def default_device() -> str:
    """``cuda`` where there is a GPU, ``cpu`` elsewhere."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def positions(field: Field) -> Float[torch.Tensor, "slow fast 2"]:
    """Probe positions over one period, in angstrom."""
    axes = [torch.arange(n) * s for n, s in zip(field.scan_shape, field.step_angstrom, strict=True)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).double()


def scan_of(
    patterns: Float[np.ndarray, "slow fast row col"],
    field: Field,
    optics: Optics,
    lineage: Mapping[str, Any],
) -> Scan:
    """Patterns with the calibration of their field."""
    return Scan(patterns, field.step_angstrom, field.detector_pixel_mrad(optics), lineage=dict(lineage))


def acquire(
    atoms: Atoms,
    optics: Mapping[str, Optics],
    field: Field,
    simulation: Simulation,
    device: str | None = None,
    window: tuple[slice, slice] = (slice(None), slice(None)),
) -> dict[str, np.ndarray]:
    """Noise-free scans of a specimen, one for each optics, and the truth they should show.

    Parameters
    ----------
    atoms : ase.Atoms
        In an orthogonal cell, periodic along its first two axes.
    optics : mapping
        Name of each scan -> its optics, all at one energy.
    field : Field
        Sampling of the cell.
    simulation : Simulation
        Slices and frozen phonons; its ``gpts`` must be the field's.
    device : str, optional
        torch device; the GPU where there is one.
    window : (slice, slice)
        Which of the field's positions are scanned, along (slow, fast); all by default.

    Returns
    -------
    dict of array
        For each optics the patterns (slow, fast, row, col) in fractions of the beam,
        averaged over the phonon configurations; and as ``phase`` (row, col) their mean
        projected phase ``sigma V_z`` in rad, on the grid of the wave.

    Raises
    ------
    InputError
        As :func:`rephase.microscope.multislice.scan_4d`.
    """
    device = device or default_device()
    at = positions(field)[window]
    count = simulation.configurations
    patterns = {name: torch.zeros(*at.shape[:2], *field.detector_shape, device=device) for name in optics}
    projected = np.zeros(field.gpts)
    for index in range(count):
        slices, thicknesses = potential_slices(atoms, simulation, index)
        projected += slices.sum(0, dtype=np.float64) / count
        stack = torch.as_tensor(slices, device=device)[None]
        for name, lens in optics.items():
            patterns[name] += (
                scan_4d(stack, thicknesses.tolist(), lens, field.box_angstrom, at, field.detector_shape)
                / count
            )
    sigma = next(iter(optics.values())).sigma
    return {name: seen.cpu().numpy() for name, seen in patterns.items()} | {"phase": sigma * projected}


def acquire_phase_object(
    phase: Float[np.ndarray, "row col"],
    optics: Mapping[str, Optics],
    field: Field,
    device: str | None = None,
    soft: bool = False,
) -> dict[str, np.ndarray]:
    """Noise-free scans of a pure phase object without thickness, as `acquire` returns them.

    The aperture's edge is hard, as the closed forms of :mod:`rephase.judge.dqe` have it,
    unless a soft one is asked for.

    Parameters
    ----------
    phase : array (row, col)
        In rad, on the grid of the wave.
    optics, field, device
        As for `acquire`.
    soft : bool
        Whether the aperture's edge is one frequency step wide, or hard.
    """
    device, thin = device or default_device(), 1e-6
    scans, at = {"phase": phase}, positions(field)
    for name, lens in optics.items():
        slices = torch.as_tensor(phase / lens.sigma, dtype=torch.float32, device=device)[None, None]
        seen = scan_4d(slices, thin, lens, field.box_angstrom, at, field.detector_shape, soft=soft)
        scans[name] = seen.cpu().numpy()
    return scans


def white_noise_phase(field: Field, rms_rad: float, cutoff: float, seed: int) -> Float[np.ndarray, "row col"]:
    """A phase whose power is the same at every frequency below ``cutoff`` (1/angstrom) and 0 above."""
    noise = np.random.default_rng(seed).standard_normal(field.gpts)
    frequency = np.hypot(
        *np.meshgrid(
            *(np.fft.fftfreq(n, p) for n, p in zip(field.gpts, field.pixel_angstrom, strict=True)),
            indexing="ij",
        )
    )
    spectrum = np.fft.fft2(noise)
    phases = spectrum / np.abs(spectrum)
    band = np.fft.ifft2(phases * ((frequency <= cutoff) & (frequency > 0))).real
    return band * rms_rad / band.std()
