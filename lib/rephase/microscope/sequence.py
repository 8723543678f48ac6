"""4D-STEM sequences: the patterns of every probe position while the atoms move.

At each time the transmission functions of all slices are computed once and shared by
all positions. Thermal displacements are those of frozen phonons, drawn for each atom
once and kept at all times, and an atom stays in the slice that holds its mean height:
a sequence changes as its trajectory does, without flicker or jumps of its own, however
few configurations are averaged and however atoms lie to the faces of slices.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
import scipy.fft
import torch
from ase import Atoms
from ase.data import chemical_symbols
from jaxtyping import Complex, Float, Int

from rephase.errors import InputError
from rephase.microscope.grid import antialias_cutoff, pixel_size
from rephase.microscope.multislice import BATCH, propagator
from rephase.microscope.optics import Optics
from rephase.microscope.potential import ROUNDING, slice_thicknesses
from rephase.microscope.probe import probe
from rephase.microscope.separable import antialiased_transmission, layer_of, layer_potential
from rephase.microscope.simulation import Simulation, displacements
from rephase.specimen.trajectory import Trajectory

STACK_BYTES = {"cpu": 2**23, "cuda": 2**30}  # of transmission functions at a time


def acquire_sequence(
    trajectory: Trajectory,
    optics: Optics,
    positions_angstrom: Float[np.ndarray, "position 2"],
    *,
    detector_px: int,
    detector_mrad: float,
    slice_angstrom: float = 2.0,
    pixel_angstrom: float | None = None,
    gpts: tuple[int, int] | None = None,
    repeats: int = 1,
    thermal_rms_angstrom: float | Mapping[str, float] = 0.0,
    configurations: int = 1,
    seed: int = 0,
    precision: Literal["float32", "float64"] = "float32",
    device: torch.device | str = "cpu",
) -> Float[np.ndarray, "time position row col"]:
    """Noise-free patterns of a probe at each position and time, in fractions of the beam.

    What is scattered beyond the detector is missing: each pattern sums to 1 at most.

    Parameters
    ----------
    trajectory : Trajectory
        Atoms that are not present, wherever they are said to be, scatter nothing.
        Atoms move by less than a slice along the beam.
    optics : Optics
        The probe.
    positions_angstrom : array (position, 2)
        Probe positions along (axis 0, axis 1).
    detector_px : int
        Pixels along each side of the detector, the undeflected beam at ``detector_px // 2``.
    detector_mrad : float
        Half width of the detector: a pixel is ``2 detector_mrad / detector_px`` wide.
    slice_angstrom : float
        Largest thickness of a slice.
    pixel_angstrom : float
        Largest pixel of the wave; the grid has the next number of points that is
        fast to transform. Either this or ``gpts``. A thick specimen of heavy atoms
        needs fine ones: ``bench/sequence.py`` shows what coarse ones cost.
    gpts : (int, int)
        Grid points of the wave.
    repeats : int
        How many times the beam passes the box: a repeating cell is given only once.
    thermal_rms_angstrom : float or mapping of element to float
        Root mean square displacement along each axis, for all atoms or by symbol.
    configurations : int
        Frozen-phonon configurations, over which intensities are averaged. Displacements
        depend on the seed, the configuration and the atom's index, not on the time.
    seed : int
    precision : {"float32", "float64"}
    device : torch.device or str

    Raises
    ------
    InputError
        If a number is out of its range, a probe position is not finite, an element is
        unknown or has no displacement, or the detector reaches beyond the antialiased
        band, cuts the bright-field disc or has pixels finer than the wave's frequencies.
    """
    box, device = tuple(map(float, trajectory.box_angstrom)), torch.device(device)
    gpts = _grid(box, pixel_angstrom, gpts)
    simulation = Simulation(gpts, slice_angstrom, thermal_rms_angstrom, configurations, seed, precision)
    thicknesses = slice_thicknesses(box[2], slice_angstrom)
    _check(positions_angstrom, repeats)
    rows, cols = _detector(detector_px, detector_mrad, optics, box, gpts)
    dtype = getattr(torch, precision)
    rows, cols = (weights.to(device, dtype) for weights in (rows, cols))
    kind, at = dtype.to_complex(), torch.from_numpy(np.ascontiguousarray(positions_angstrom))
    probes = probe(optics, gpts, box[:2], at, dtype=kind, device=device)
    step = propagator(gpts, thicknesses[0], optics.energy_ev, box[:2], kind, device)
    moves, heights = _thermal_moves(trajectory, simulation), _mean_heights(trajectory)
    frames = torch.zeros(len(trajectory.times), len(at), detector_px, detector_px, dtype=dtype, device=device)
    stack_bytes = len(thicknesses) * math.prod(gpts) * kind.itemsize
    at_once = max(1, min(STACK_BYTES[device.type] // stack_bytes, BATCH[device.type] // len(at)))
    for some in np.split(np.arange(len(frames)), range(at_once, len(frames), at_once)):
        for move in moves:
            layer = layer_of(torch.from_numpy(heights + move[:, 2]), thicknesses)
            volts = _potential(trajectory, some, move, layer, len(thicknesses), gpts, dtype, device)
            stack = antialiased_transmission(volts, optics.energy_ev, box[:2])
            for part in torch.arange(len(at), device=device).split(max(1, BATCH[device.type] // len(some))):
                spectra = _pass(probes[part], stack, step, repeats)
                intensities = spectra.real.square() + spectra.imag.square()
                frames[some[0] : some[-1] + 1, part] += rows @ intensities @ cols.T
    return (frames / len(moves)).cpu().numpy()


def _grid(
    box: tuple[float, ...], pixel_angstrom: float | None, gpts: tuple[int, int] | None
) -> tuple[int, int]:
    if (pixel_angstrom is None) == (gpts is None):
        raise InputError("gpts", f"{gpts}, and pixel_angstrom {pixel_angstrom}", "one of the two")
    if gpts is not None:
        return gpts
    if not pixel_angstrom > 0:
        raise InputError("pixel_angstrom", pixel_angstrom, "a length above 0 angstrom")
    rows, cols = (
        scipy.fft.next_fast_len(2 * math.ceil(side / pixel_angstrom / 2 - ROUNDING)) for side in box[:2]
    )
    return rows, cols


def _check(positions: np.ndarray, repeats: int) -> None:
    if repeats < 1:
        raise InputError("repeats", repeats, "a number of passes of 1 or more")
    if not (len(positions) and np.isfinite(positions).all()):
        raise InputError("positions_angstrom", positions.tolist(), "finite positions, at least one")


def _detector(
    pixels: int, half_mrad: float, optics: Optics, box: tuple[float, ...], gpts: tuple[int, int]
) -> list[Float[torch.Tensor, "pixel frequency"]]:
    """Share of each frequency, as wide as their distance, that falls on each pixel, along both axes."""
    if pixels < 1:
        raise InputError("detector_px", pixels, "at least one pixel")
    mrad, pixel = 1e3 * optics.wavelength_angstrom, 2 * half_mrad / pixels
    most = mrad * antialias_cutoff(pixel_size(box[:2], gpts))
    least = optics.semiangle_mrad * pixels / (2 * ((pixels + 1) // 2) - 1)
    least = max(least, pixels / 2 * mrad / min(box[:2]))
    if not least * (1 - 1e-6) <= half_mrad <= most * (1 + 1e-6):
        expected = (
            f"{least:.4g} mrad, to hold the bright-field disc on pixels no finer than"
            f" the wave's frequencies, to {most:.4g} mrad, 2/3 of Nyquist"
        )
        raise InputError("detector_mrad", half_mrad, expected)
    edges = torch.arange(pixels + 1, dtype=torch.float64) - pixels // 2 - 0.5
    weights = []
    for points, side in zip(gpts, box[:2], strict=True):
        width = mrad / side / pixel
        lower = (torch.fft.fftfreq(points, 1 / points, dtype=torch.float64) - 0.5) * width
        covered = ((edges[:, None] - lower) / width).clamp(0, 1)
        weights.append(covered.diff(dim=0))
    return weights


def _thermal_moves(trajectory: Trajectory, simulation: Simulation) -> list[Float[np.ndarray, "atom 3"]]:
    """Displacements of each configuration; the first of more configurations are those of fewer."""
    numbers = np.asarray(trajectory.numbers)
    by_element = displacements(Atoms(numbers), simulation)
    if not by_element:
        return [np.zeros((len(numbers), 3))]
    rms = np.array([by_element[chemical_symbols[number]] for number in numbers])[:, None]
    return [
        rms * np.random.default_rng([simulation.seed, index]).standard_normal((len(numbers), 3))
        for index in range(simulation.configurations)
    ]


def _mean_heights(trajectory: Trajectory) -> Float[np.ndarray, " atom"]:
    """Mean coordinate along the beam of each atom while it is present."""
    heights = np.where(trajectory.present, trajectory.positions[..., 2], 0).sum(0, dtype=np.float64)
    return heights / trajectory.present.sum(0).clip(1)


def _potential(
    trajectory: Trajectory,
    frames: Int[np.ndarray, " frame"],
    move: Float[np.ndarray, "atom 3"],
    layer: Int[torch.Tensor, " atom"],
    layers: int,
    gpts: tuple[int, int],
    dtype: torch.dtype,
    device: torch.device,
) -> Float[torch.Tensor, "frame {layers} row col"]:
    """Projected potential of the slices of some frames, in V angstrom."""
    frame, atom = np.nonzero(trajectory.present[frames])
    plane = trajectory.positions[frames[frame], atom, :2] + move[atom, :2]
    numbers, where = torch.from_numpy(np.asarray(trajectory.numbers)[atom]), layers * torch.from_numpy(frame)
    volts = layer_potential(
        torch.from_numpy(plane).to(device),
        numbers.to(device),
        (where + layer[atom]).to(device),
        layers * len(frames),
        tuple(map(float, trajectory.box_angstrom[:2])),
        gpts,
        dtype,
    )
    return volts.unflatten(0, (len(frames), layers))


def _pass(
    probes: Complex[torch.Tensor, "position row col"],
    stack: Complex[torch.Tensor, "frame slice row col"],
    step: Complex[torch.Tensor, "row col"],
    repeats: int,
) -> Complex[torch.Tensor, "frame position row col"]:
    """Spectra of the exit waves behind all slices: two transforms a slice."""
    spectra = torch.fft.fft2(probes * stack[:, None, 0])
    spectra *= step
    for index in range(1, repeats * stack.shape[1]):
        waves = torch.fft.ifft2(spectra)
        waves *= stack[:, None, index % stack.shape[1]]
        spectra = torch.fft.fft2(waves)
        spectra *= step
    return spectra
