"""Samples to learn from: the nine patterns of a kernel and the exit wave of the probe in its middle.

The wave lives on a grid of 96 x 96 points over the frame; what multislice keeps of its
diffraction plane, 2/3 of the Nyquist frequency, is the circle within the detector of
64 x 64 pixels: its corners, more than 32 pixels from the beam, are empty. Large frames
have pixels too coarse for the atoms' potentials, so that transmission functions are
computed on a finer grid and keep all frequencies of the coarse one.

With ``delta`` the part that depends on the atoms' displacements (Van Dyck 2009)

    <|psi|^2> = |<psi>|^2 + <|delta|^2>

patterns hold the mean intensity on the left, the exit wave is the coherent ``<psi>``.

With data repetition each pattern is the mean over a box of positions at half the step.
Neighbouring boxes overlap: 5 x 5 positions for each of nine patterns are 9 x 9 together.
Every configuration of the atoms is used for a few of them only, another for others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Complex, Float, Int

from rephase.errors import InputError
from rephase.microscope.grid import resize_spectrum
from rephase.microscope.multislice import propagator
from rephase.microscope.potential import slice_thicknesses
from rephase.microscope.probe import probe
from rephase.phase.exit_wave.frame import KERNEL, SIZE, Frame
from rephase.phase.exit_wave.sampling import Draw
from rephase.phase.exit_wave.transmission import transmission
from rephase.specimen.orient import cut_box, zone_rotation

GRID = 3 * SIZE // 2  # points along each side, so that 2/3 of Nyquist is the detector's edge
REPEAT = 2  # data repetition: the kernel's step in steps of the scan
PIXEL_ANGSTROM = 0.3  # largest pixel of a transmission function


@dataclass(frozen=True)
class Sample:
    """One sample.

    Parameters
    ----------
    patterns : array (9, 64, 64)
        Diffraction patterns of the neighbours in the order of `frame.KERNEL`, in
        fractions of the beam, averaged over the atoms' displacements and, with data
        repetition, over the positions of a box.
    exit_wave : array (64, 64)
        Exit wave of the central probe in the frame, averaged coherently; the
        incident wave has ``sum |psi|^2 = 1``.
    """

    patterns: Float[np.ndarray, "9 64 64"]
    exit_wave: Complex[np.ndarray, "64 64"]


def simulate(draw: Draw, device: torch.device | str = "cpu") -> Sample:
    """The sample that was drawn.

    Parameters
    ----------
    draw : Draw
    device : optional
        Where to compute. The result does not depend on how samples are grouped.
    """
    return kernel(
        specimen(draw),
        draw.frame,
        draw.step_angstrom,
        draw.slice_angstrom,
        draw.thermal_rms_angstrom,
        draw.configurations,
        draw.seed,
        device,
        draw.repeat_box,
    )


def specimen(draw: Draw) -> Atoms:
    """The atoms within the frame, cut out of the crystal; the central probe stands in the middle."""
    box = draw.frame.box_angstrom
    turned = zone_rotation(draw.unit_cell.cell.array, draw.zone_axis, draw.rotation_deg)
    crystal = draw.unit_cell.copy()
    crystal.translate(np.array([*draw.offset, 0]) * box @ turned - crystal.positions[draw.atom])
    return cut_box(crystal, draw.zone_axis, draw.rotation_deg, (box, box), draw.thickness_angstrom)


def kernel(
    atoms: Atoms,
    frame: Frame,
    step_angstrom: float,
    slice_angstrom: float = 3.0,
    thermal_rms_angstrom: float = 0.0,
    configurations: int = 1,
    seed: int = 0,
    device: torch.device | str = "cpu",
    repeat_box: int = 1,
) -> Sample:
    """Patterns and exit wave of any atoms in a frame, which is taken as periodic.

    Parameters
    ----------
    atoms : ase.Atoms
        In an orthogonal cell as wide as the frame, or none at all: vacuum.
    frame : Frame
        The central probe stands in its middle.
    step_angstrom : float
        Distance of neighbouring patterns.
    slice_angstrom : float
        Largest thickness of a slice; a thinner specimen is one slice.
    thermal_rms_angstrom, configurations, seed
        Displacements of the atoms, as for `displaced`.
    device : optional
        Where to compute.
    repeat_box : int
        Odd number of positions along each side of the boxes of data repetition,
        whose distance is half the step; 1 for one position at each step.

    Raises
    ------
    InputError
        If the cell has no depth, an element is unknown, or the box is even.
    """
    if repeat_box < 1 or repeat_box % 2 == 0:
        raise InputError("repeat_box", repeat_box, "an odd number of positions")
    device, side = torch.device(device), frame.box_angstrom
    lateral, depth = (side, side), float(atoms.cell.lengths()[2])
    thicknesses = slice_thicknesses(depth, min(slice_angstrom, depth))
    repeat = REPEAT if repeat_box > 1 else 1
    reach = repeat + repeat_box // 2
    along = torch.arange(-reach, reach + 1, dtype=torch.float64) * step_angstrom / repeat
    positions = torch.cartesian_prod(along, along)
    probes = probe(frame.optics, (GRID, GRID), lateral, side / 2 + positions, device=device)
    step = propagator((GRID, GRID), thicknesses[0], frame.optics.energy_ev, lateral, device=device)
    turns = in_turn(len(positions), configurations, seed)
    sums = torch.zeros(len(positions), SIZE, SIZE, device=device)
    coherent = torch.zeros(SIZE, SIZE, dtype=torch.complex64, device=device)
    moves = displaced(atoms.positions, thermal_rms_angstrom, configurations, seed)
    for moved, turn in zip(moves, turns, strict=True):
        at = torch.from_numpy(turn).to(device)
        passed = transmission(
            moved, atoms.numbers, side, thicknesses, frame.optics.energy_ev, GRID, PIXEL_ANGSTROM, device
        )
        spectra = resize_spectrum(_pass(probes[at], passed, step), (SIZE, SIZE))
        sums[at] += spectra.real.square() + spectra.imag.square()
        coherent += spectra[0]
    times = torch.from_numpy(np.bincount(turns.ravel())).to(device)
    means = (sums / times[:, None, None]).unflatten(0, (len(along), len(along)))
    boxes = means.unfold(0, repeat_box, repeat).unfold(1, repeat_box, repeat)
    patterns = torch.fft.fftshift(boxes.mean((-2, -1)).flatten(0, 1), dim=(-2, -1))
    exit_wave = torch.fft.ifft2(coherent / configurations, norm="forward") / SIZE
    return Sample(patterns.cpu().numpy(), exit_wave.cpu().numpy())


def in_turn(positions: int, configurations: int, seed: int) -> Int[np.ndarray, "configuration each"]:
    """Which probe positions each configuration of the atoms is used for.

    First the central one, for the exit wave; then others, each as often as any other,
    give or take one, and at least once. A configuration has as many positions as an
    ordinary kernel, or more where there are too few configurations.

    Parameters
    ----------
    positions : int
        Number of positions, the central one in the middle.
    configurations, seed : int
    """
    centre = positions // 2
    others = np.random.default_rng([seed, 2]).permutation(np.delete(np.arange(positions), centre))
    each = max(len(KERNEL) - 1, math.ceil(len(others) / configurations))
    turns = np.resize(others, (configurations, each))
    return np.column_stack([np.full(configurations, centre), turns])


def displaced(
    positions_angstrom: Float[np.ndarray, "atom 3"],
    thermal_rms_angstrom: float,
    configurations: int,
    seed: int,
) -> Float[np.ndarray, "configuration atom 3"]:
    """Atoms displaced at random, as if each moved by itself (Einstein's model).

    The first configurations of a longer series are those of a shorter one.

    Parameters
    ----------
    positions_angstrom : array (atom, 3)
        The atoms at rest.
    thermal_rms_angstrom : float
        Root mean square displacement along each axis.
    configurations, seed : int
    """
    rng = np.random.default_rng([seed, 1])
    moves = rng.standard_normal((configurations, *positions_angstrom.shape))
    return positions_angstrom + thermal_rms_angstrom * moves


def _pass(
    waves: Complex[torch.Tensor, "probe row col"],
    passed: Complex[torch.Tensor, "slice row col"],
    step: Complex[torch.Tensor, "row col"],
) -> Complex[torch.Tensor, "probe row col"]:
    """Spectra of the exit waves; fewer transforms than `multislice`, which returns waves."""
    spectra = torch.fft.fft2(waves * passed[0])
    spectra *= step
    for transmitted in passed[1:]:
        waves = torch.fft.ifft2(spectra)
        waves *= transmitted
        spectra = torch.fft.fft2(waves)
        spectra *= step
    return spectra
