"""One scan at many doses: every method's images on one grid and in one band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from rephase.judge.frequency import radial_frequency
from rephase.judge.register import band_limit, on_grid
from rephase.measurement import Scan
from rephase.microscope.camera import expose
from rephase.microscope.optics import Optics
from rephase.phase.image import PhaseImage
from rephase.phase.methods import reconstruct

INFINITE = float("inf")


def label(dose: float) -> str:
    """Name of a dose in files: ``infinite``, ``1e+04``."""
    return "infinite" if dose == INFINITE else f"{dose:.0e}"


def to_scan_grid(image: PhaseImage, scan: Scan, optics: Optics) -> Float[np.ndarray, "slow fast"]:
    """A periodic image on the scan's grid, limited to twice the aperture, of mean 0."""
    there = on_grid(image, scan.shape[:2], scan.step_angstrom)
    return common_band(there.values, scan, optics)


def common_band(
    values: Float[np.ndarray, "slow fast"], scan: Scan, optics: Optics
) -> Float[np.ndarray, "slow fast"]:
    """Values on the scan's grid, limited to twice the aperture, of mean 0: what all methods can share."""
    limited = band_limit(values - values.mean(), scan.step_angstrom, 2 * optics.aperture_radius)
    return limited.astype(np.float32)


def truth_on_scan(
    phase: Float[np.ndarray, "row col"],
    pixel_angstrom: tuple[float, float],
    scan: Scan,
    optics: Optics,
) -> Float[np.ndarray, "slow fast"]:
    """The true phase as the best method could show it: same grid, same band."""
    return to_scan_grid(PhaseImage(phase, pixel_angstrom), scan, optics)


def band_share(scan: Scan, optics: Optics) -> float:
    """Share of the scan's frequencies that the common band holds."""
    q = radial_frequency(scan.shape[:2], scan.step_angstrom)
    return float((q <= 2 * optics.aperture_radius).mean())


def climb(
    scan: Scan,
    optics: Optics,
    methods: Mapping[str, Mapping[str, Any]],
    doses: Sequence[float],
    seeds: int,
) -> dict[str, np.ndarray]:
    """Reconstruct one scan at every dose with every method.

    All methods see the same counts. Infinite dose has no noise and is done once.

    Parameters
    ----------
    scan : Scan
        Noise-free, in fractions of the beam.
    optics : Optics
    methods : mapping
        Method name -> settings.
    doses : sequence of float
        In e/A^2; ``inf`` for the noise-free scan.
    seeds : int
        Noise realisations of each finite dose.

    Returns
    -------
    dict of array
        ``method/dose`` -> images (seed, slow, fast) in rad on the scan's grid; of a
        method that iterates also ``method_error/dose`` -> its error (seed, iteration).
    """
    results: dict[str, list[np.ndarray]] = {}
    for dose in doses:
        for seed in range(1 if dose == INFINITE else seeds):
            seen = scan if dose == INFINITE else expose(scan, dose, seed)
            for name, settings in methods.items():
                image = reconstruct(name, seen, optics, **settings)
                results.setdefault(f"{name}/{label(dose)}", []).append(to_scan_grid(image, scan, optics))
                if len(error := image.details.get("error", ())) > 1:
                    results.setdefault(f"{name}_error/{label(dose)}", []).append(np.asarray(error))
    return {name: np.stack(stack) for name, stack in results.items()}
