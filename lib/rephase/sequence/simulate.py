"""From the settings of a sequence to its frames.

The crystal is tilted by a shear, ``x -> x + z tan(tilt)``: the box stays periodic, and for
a few mrad a sheared crystal is a tilted one. Every slice of every frame has its own
thermal displacements, those of an atom staying as they are in all frames, so that no slice
is like another and the whole thickness is computed. A strain along the beam moves atoms, but
slices stay as thick as they are and keep their atoms: the few per cent that a tetragonal slab gains
or loses in height do not lengthen the way of the beam.

The denser its electrons, the further a crystal scatters and the finer are the wave's pixels (``PIXELS``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from ase import Atoms
from jaxtyping import Float

from rephase.microscope.optics import Optics
from rephase.microscope.potential import scattering_factor
from rephase.microscope.sequence import acquire_sequence
from rephase.sequence.processes import SCANNED, SequenceSettings, crystal
from rephase.specimen import amorphization, gliding, transition
from rephase.specimen.trajectory import Trajectory

EVOLVE = {
    "transition": transition.evolve,
    "dislocation": gliding.evolve,
    "damage": amorphization.evolve,
}
PIXELS = ((1.0, 0.2), (1.5, 0.16), (math.inf, 0.13))
"""Electrons per cubic angstrom, and the pixels in angstrom that suffice up to this density."""

SLICE_ANGSTROM = 5.0
_LONG_AGO_S = -1e9
_WEAKEST = 1e-6  # reflections, relative to the central one


@dataclass(frozen=True)
class Simulated:
    """A sequence as it was computed.

    Parameters
    ----------
    times : array (time,)
        In seconds.
    frames : array (time, position, row, col)
        Fractions of the beam, noise-free.
    structure : array (row, col)
        Squared structure factors of the undisturbed crystal, as `structure` gives them.
    positions_angstrom : array (position, 2)
        Probe positions (slow, fast).
    box_angstrom : array (3,)
        Periods along (slow, fast), and height.
    """

    times: Float[np.ndarray, " time"]
    frames: Float[np.ndarray, "time position row col"]
    structure: Float[np.ndarray, "row col"]
    positions_angstrom: Float[np.ndarray, "position 2"]
    box_angstrom: Float[np.ndarray, " 3"]


def simulate(settings: SequenceSettings, device: torch.device | str = "cpu") -> Simulated:
    """Compute the frames of a sequence.

    Parameters
    ----------
    settings : SequenceSettings
    device : optional
        Where to compute.
    """
    recording = settings.recording
    moving = trajectory(settings, recording.times)
    at = scan_positions(settings, moving.box_angstrom)
    frames = acquire_sequence(
        moving,
        Optics(energy_ev=settings.energy_ev, semiangle_mrad=settings.semiangle_mrad),
        at,
        detector_px=recording.detector_px,
        detector_mrad=settings.pixel_mrad * recording.detector_px / 2,
        slice_angstrom=SLICE_ANGSTROM / recording.fineness,
        pixel_angstrom=pixel_angstrom(crystal(settings.process, settings.material)) / recording.fineness,
        thermal_rms_angstrom=settings.thermal_rms_angstrom,
        configurations=recording.configurations,
        seed=settings.phonon_seed,
        device=device,
    )
    return Simulated(recording.times, frames, structure(settings), at, np.array(moving.box_angstrom))


def trajectory(settings: SequenceSettings, times: Float[np.ndarray, " time"]) -> Trajectory:
    """The atoms of the tilted specimen at these times.

    Parameters
    ----------
    settings : SequenceSettings
    times : array (time,)
        Increasing, in seconds.
    """
    upright = EVOLVE[settings.process](crystal(settings.process, settings.material), settings.motion, times)
    positions = upright.positions.copy()
    height = positions[..., 2:] - upright.box_angstrom[2] / 2
    positions[..., :2] += height * np.tan(1e-3 * np.array(settings.tilt_mrad, dtype=np.float32))
    return replace(upright, positions=positions)


def scan_positions(
    settings: SequenceSettings, box_angstrom: tuple[float, float, float]
) -> Float[np.ndarray, "position 2"]:
    """Probe positions (slow, fast) in angstrom, within the middle of the box, slow axis first."""
    side = settings.recording.side
    steps = SCANNED * ((np.arange(side) + 0.5) / side - 0.5)
    grid = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    return (grid + settings.scan_centre) * box_angstrom[:2]


def pixel_angstrom(cell: Atoms) -> float:
    """Pixels of the wave that a crystal needs, in angstrom."""
    density = cell.numbers.sum() / cell.get_volume()
    return next(pixel for most, pixel in PIXELS if density <= most)


def structure(settings: SequenceSettings) -> Float[np.ndarray, "row col"]:
    """Squared structure factors of the undisturbed crystal on the detector's pixels.

    The kinematic pattern of a probe that stands on the projected crystal without tilt, strain or
    thermal motion: a disc as wide as the aperture around each reflection g of the zone,

        |F(k)|^2 = sum_g |F(g)|^2 / |F(0)|^2 [|k - g| <= aperture] / (pixels of a disc)

    with ``F(g) = sum_atoms f(|g|) exp(-2 pi i g r)`` of Lobato's scattering factors, so that the
    central disc sums to 1. Of a transition it is the cubic parent.

    Parameters
    ----------
    settings : SequenceSettings
    """
    still = EVOLVE[settings.process](
        crystal(settings.process, settings.material), settings.motion, np.array([_LONG_AGO_S])
    )
    reach = settings.recording.detector_px / settings.recording.box_angstrom
    places, weights = _reflections(still, reach)
    centre = np.arange(settings.recording.detector_px) - settings.recording.detector_px // 2
    radius_px = settings.semiangle_mrad / settings.pixel_mrad

    def disc(row: float, col: float) -> np.ndarray:
        return (radius_px + 0.5 - np.hypot(centre[:, None] - row, centre - col)).clip(0, 1)

    places_px = settings.recording.box_angstrom * places
    pattern = sum(weight * disc(*place) for place, weight in zip(places_px, weights, strict=True))
    return (pattern / disc(0.0, 0.0).sum()).astype(np.float32)


def _reflections(
    still: Trajectory, reach: float
) -> tuple[Float[np.ndarray, "reflection 2"], Float[np.ndarray, " reflection"]]:
    """Places within ``reach`` along each axis, in 1/angstrom, and ``|F|^2 / |F(0)|^2`` of the projection."""
    rows, cols = (
        np.arange(-int(reach * side), int(reach * side) + 1) / side for side in still.box_angstrom[:2]
    )
    k2 = torch.from_numpy(rows[:, None] ** 2 + cols**2)
    total = np.zeros(k2.shape, dtype=complex)
    for number in np.unique(still.numbers):
        at = still.positions[0, still.numbers == number].astype(float)
        one, other = (np.exp(-2j * np.pi * np.outer(k, at[:, axis])) for axis, k in enumerate((rows, cols)))
        total += scattering_factor(int(number), k2).numpy() * (one @ other.T)
    strength = np.abs(total) ** 2
    strength /= strength[len(rows) // 2, len(cols) // 2]
    kept = strength > _WEAKEST
    return np.stack(np.meshgrid(rows, cols, indexing="ij"), axis=-1)[kept], strength[kept]
