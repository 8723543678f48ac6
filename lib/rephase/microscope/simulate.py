"""Reference simulations by abTEM: 4D-STEM scans, exit waves and defocus series.

Thermal motion is that of frozen phonons: the multislice is repeated for atoms
displaced at random, and intensities are averaged. Configuration ``i`` depends
on ``(seed, i)`` only, so a longer average contains a shorter one.

Array axis 0 is the atoms' x and axis 1 their y; the beam runs along +z.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import scipy.fft
import torch
from ase import Atoms
from jaxtyping import Complex, Float

from rephase.errors import InputError
from rephase.measurement import Scan
from rephase.microscope.grid import frequencies, pixel_size
from rephase.microscope.optics import Optics, aberration_phase, aperture, interaction_parameter
from rephase.microscope.probe import check_aperture
from rephase.microscope.simulation import Simulation, check_atoms, displacements

ROUNDING = 1e-9  # of a thickness: abTEM drops atoms that lie on the exit surface or rounded beyond it


@dataclass(frozen=True)
class ExitWaves:
    """Exit waves of probes, averaged over frozen phonons in both ways.

    The two differ by the thermal diffuse scattering,
    ``<|psi|^2> = |<psi>|^2 + <|delta|^2>`` in k space (Van Dyck 2009).

    Parameters
    ----------
    coherent : array (position, row, col)
        Mean exit wave in real space; ``sum |fft2|^2 <= 1``.
    intensities : array (position, row, col)
        Mean diffraction pattern as a fraction of the beam, undeflected beam at
        ``(rows // 2, cols // 2)``.
    """

    coherent: Complex[np.ndarray, "position row col"]
    intensities: Float[np.ndarray, "position row col"]


def configuration(atoms: Atoms, simulation: Simulation, index: int) -> Atoms:
    """The atoms of frozen-phonon configuration ``index``.

    Atoms that a displacement carries through the entrance or exit surface stay
    in the outermost slice instead of reappearing on the other side.

    Raises
    ------
    InputError
        If the cell is not orthogonal or thinner than a slice, an atom lies
        above or below the cell, or an element has no displacement.
    """
    import abtem

    check_atoms(atoms, simulation)
    moved = atoms.copy()
    if sigmas := displacements(atoms, simulation):
        seed = int(np.random.SeedSequence([simulation.seed, index]).generate_state(1)[0])
        moved = abtem.FrozenPhonons(atoms, 1, sigmas, seed=(seed,)).randomize(atoms)
    last = moved.cell.lengths()[2] * (1 - ROUNDING)
    moved.positions[:, 2] = moved.positions[:, 2].clip(0, last)
    return moved


def configurations(atoms: Atoms, simulation: Simulation) -> Iterator[Atoms]:
    """All frozen-phonon configurations in turn; one if the atoms are at rest."""
    for index in range(simulation.configurations if displacements(atoms, simulation) else 1):
        yield configuration(atoms, simulation, index)


def potential_slices(
    atoms: Atoms, simulation: Simulation, index: int = 0
) -> tuple[Float[np.ndarray, "slice row col"], Float[np.ndarray, " slice"]]:
    """abTEM's potential of one configuration: slices in V angstrom, thicknesses in angstrom."""
    with _abtem(simulation):
        potential = _potential(configuration(atoms, simulation, index), simulation)
        return potential.array, np.asarray(potential.slice_thickness)


def projected_potential(atoms: Atoms, simulation: Simulation) -> Float[np.ndarray, "row col"]:
    """Potential projected along the beam, averaged over configurations, in V angstrom."""
    height = float(atoms.cell.lengths()[2])
    whole = replace(simulation, slice_angstrom=height or simulation.slice_angstrom)
    with _abtem(simulation):
        return _mean(_potential(moved, whole).array.sum(0) for moved in configurations(atoms, whole))


def true_phase(atoms: Atoms, energy_ev: float, simulation: Simulation) -> Float[np.ndarray, "row col"]:
    """Phase of the projected potential, ``sigma V_z`` in rad: the truth for thin specimens."""
    return interaction_parameter(energy_ev) * projected_potential(atoms, simulation)


def simulate_scan(
    atoms: Atoms,
    optics: Optics,
    simulation: Simulation,
    scan_shape: tuple[int, int],
    detector_shape: tuple[int, int],
    origin_angstrom: tuple[float, float] = (0.0, 0.0),
    extent_angstrom: tuple[float, float] | None = None,
) -> Scan:
    """A noise-free 4D-STEM scan, averaged over frozen phonons.

    Parameters
    ----------
    atoms : ase.Atoms
        In an orthogonal cell that is periodic along x and y.
    optics : Optics
    simulation : Simulation
    scan_shape : (int, int)
        Number of positions along (slow, fast).
    detector_shape : (int, int)
        Pixels around the undeflected beam that are kept.
    origin_angstrom : (float, float)
        Position ``[0, 0]`` of the scan.
    extent_angstrom : (float, float), optional
        Side lengths of the scanned field, ``scan_shape`` steps; the whole cell by default.

    Returns
    -------
    Scan
        Fractions of the beam; what was scattered beyond the antialiasing
        aperture is lost.

    Raises
    ------
    InputError
        If the aperture or the detector reaches beyond the antialiased band, or
        the atoms are not fit for it (see `configuration`).
    """
    import abtem

    box = _box(atoms)
    extent = extent_angstrom or box
    end = (origin_angstrom[0] + extent[0], origin_angstrom[1] + extent[1])
    positions = abtem.GridScan(start=origin_angstrom, end=end, gpts=scan_shape, endpoint=False)
    detector = abtem.PixelatedDetector(max_angle="cutoff")
    with _abtem(simulation):
        probe = _probe(optics, simulation, box)
        _check_detector(detector_shape, probe.antialias_cutoff_gpts)
        patterns = _mean(
            _crop(
                probe.scan(_potential(moved, simulation), positions, detector).compute().array, detector_shape
            )
            for moved in configurations(atoms, simulation)
        )
    return Scan(
        patterns,
        step_angstrom=(extent[0] / scan_shape[0], extent[1] / scan_shape[1]),
        pixel_mrad=tuple(1e3 * optics.wavelength_angstrom / side for side in box),
        lineage={
            "simulator": f"abTEM {abtem.__version__}",
            "optics": optics.model_dump(),
            "simulation": asdict(simulation),
        },
    )


def exit_waves(
    atoms: Atoms,
    optics: Optics,
    simulation: Simulation,
    positions_angstrom: Float[np.ndarray, "position 2"],
) -> ExitWaves:
    """Exit waves of probes at the given positions, averaged over frozen phonons.

    Raises
    ------
    InputError
        As `simulate_scan`.
    """
    import abtem

    coherent, intensities, count = 0, 0, 0
    with _abtem(simulation):
        probe = _probe(optics, simulation, _box(atoms))
        positions = abtem.CustomScan(positions_angstrom, squeeze=False)
        for count, moved in enumerate(configurations(atoms, simulation), 1):  # noqa: B007
            waves = probe.multislice(_potential(moved, simulation), positions).compute().array
            coherent = coherent + waves
            intensities = intensities + np.abs(scipy.fft.fft2(waves)) ** 2
    return ExitWaves(coherent / count, np.fft.fftshift(intensities / count, axes=(-2, -1)))


def plane_wave_exit_waves(
    atoms: Atoms, energy_ev: float, simulation: Simulation
) -> Complex[np.ndarray, "configuration row col"]:
    """Exit waves of a plane wave of amplitude 1, one for each configuration.

    Their mean is the coherent wave.
    """
    import abtem

    with _abtem(simulation):
        wave = abtem.PlaneWave(energy=energy_ev)
        return np.stack(
            [
                wave.multislice(_potential(moved, simulation)).compute().array
                for moved in configurations(atoms, simulation)
            ]
        )


def defocus_series(
    atoms: Atoms,
    optics: Optics,
    simulation: Simulation,
    defocus_angstrom: Float[np.ndarray, " focus"],
) -> Float[np.ndarray, "focus row col"]:
    """Plane-wave images at several defoci, averaged over frozen phonons.

    ``optics`` is the imaging lens: its semiangle is the objective aperture (hard
    edge), its aberrations apply, and its own defocus is replaced. A positive
    defocus is an underfocus; intensity 1 is that without a specimen.

    Raises
    ------
    InputError
        As `simulate_scan`.
    """
    pixel = pixel_size(_box(atoms), simulation.gpts)
    check_aperture(optics, pixel)
    ky, kx = frequencies(simulation.gpts, pixel)
    lenses = [optics.model_copy(update={"defocus_angstrom": float(focus)}) for focus in defocus_angstrom]
    chi = torch.stack([aberration_phase(lens, ky, kx) for lens in lenses]).numpy()
    transfer = aperture(optics, ky, kx).numpy() * np.exp(-1j * chi)
    spectra = scipy.fft.fft2(plane_wave_exit_waves(atoms, optics.energy_ev, simulation))
    images = _mean(np.abs(scipy.fft.ifft2(transfer * spectrum)) ** 2 for spectrum in spectra)
    return images.astype(simulation.precision)


@contextmanager
def _abtem(simulation: Simulation) -> Iterator[None]:
    """abTEM as used here: FFTW plans that do not depend on timing, and no progress bars."""
    import abtem

    settings: dict[str, Any] = {
        "fft": "fftw",
        "fftw.planning_effort": "FFTW_ESTIMATE",
        "fftw.threads": 1,
        "precision": simulation.precision,
        "device": "cpu",
        "diagnostics.progress_bar": False,
        "diagnostics.task_progress": False,
    }
    with abtem.config.set(settings):
        yield


def _potential(atoms: Atoms, simulation: Simulation) -> Any:
    import abtem

    height = float(atoms.cell.lengths()[2])
    count = max(1, math.ceil(height / simulation.slice_angstrom * (1 - ROUNDING)))
    return abtem.Potential(
        atoms,
        gpts=simulation.gpts,
        slice_thickness=(height / count,) * count,
        parametrization="lobato",
        projection="infinite",
    ).build(lazy=False)


def _probe(optics: Optics, simulation: Simulation, box: tuple[float, float]) -> Any:
    import abtem

    check_aperture(optics, pixel_size(box, simulation.gpts))
    return abtem.Probe(
        energy=optics.energy_ev,
        semiangle_cutoff=optics.semiangle_mrad,
        aberrations=optics.coefficients,
        gpts=simulation.gpts,
        extent=box,
    )


def _check_detector(shape: tuple[int, int], largest: tuple[int, int]) -> None:
    if any(n < 1 or n > most for n, most in zip(shape, largest, strict=True)):
        raise InputError(
            "detector_shape", shape, f"at most {largest[0]} x {largest[1]} pixels, the antialiased band"
        )


def _box(atoms: Atoms) -> tuple[float, float]:
    lengths = atoms.cell.lengths()
    return float(lengths[0]), float(lengths[1])


def _crop(
    patterns: Float[np.ndarray, "*scan row col"], shape: tuple[int, int]
) -> Float[np.ndarray, "*scan rows cols"]:
    """The pixels around the undeflected beam, which stays at ``n // 2``."""
    first = [old // 2 - new // 2 for old, new in zip(patterns.shape[-2:], shape, strict=True)]
    return patterns[..., first[0] : first[0] + shape[0], first[1] : first[1] + shape[1]]


def _mean(arrays: Any) -> np.ndarray:
    """Mean of arrays that come one by one."""
    total, count = 0, 0
    for count, array in enumerate(arrays, 1):  # noqa: B007
        total = total + array
    return total / count
