"""Differential phase contrast: the centre of mass of each pattern, integrated by py4DSTEM.

The centre of mass of a pattern is ``grad(phi) / (2 pi)`` smoothed with the
probe's intensity, in 1/angstrom. py4DSTEM looks for the image whose central
differences fit it (Savitzky et al., Microsc. Microanal. 27, 712 (2021)), without
the factor ``2 pi``.
"""

from __future__ import annotations

import math

import numpy as np
from pydantic import Field

from rephase.measurement import Scan
from rephase.microscope.optics import Optics
from rephase.phase.image import PhaseImage
from rephase.phase.py4dstem import calibrated, data_cube, load_py4dstem, quiet, unmirrored
from rephase.phase.settings import MethodSettings


class DPCSettings(MethodSettings):
    """Settings of iterative DPC.

    Parameters
    ----------
    iterations : int
        Most iterations; they stop earlier once the step falls below 1e-6.
    periodic : bool
        Whether the scan covers one whole period of the specimen; else the image
        is padded to twice its size and no gradient is asked for in the padding.
    """

    iterations: int = Field(default=64, ge=1)
    periodic: bool = False


def reconstruct(scan: Scan, optics: Optics, settings: DPCSettings | None = None) -> PhaseImage:
    """Phase image of a scan by iterative differential phase contrast.

    Parameters
    ----------
    scan : Scan
        Fractions or counts; patterns without any count have their centre of mass at 0.
    optics : Optics
        Only the wavelength is used.
    settings : DPCSettings, optional

    Returns
    -------
    PhaseImage
        Phase in rad, of mean 0, on the scan's grid; ``details`` holds the
        relative ``error`` of each iteration.

    Raises
    ------
    InputError
        If an intensity is negative or not finite, or all are 0.
    """
    settings = settings or DPCSettings()
    scan = unmirrored(scan)
    with quiet(seed=0):
        method = calibrated(load_py4dstem().process.phase.DPC, scan, optics)
        dpc = method(datacube=data_cube(scan), energy=optics.energy_ev, verbose=False)
        dpc.preprocess(
            padding_factor=1 if settings.periodic else 2,
            force_com_shifts=scan.centre_px,
            force_com_rotation=scan.rotation_deg,
            force_com_transpose=False,
            vectorized_com_calculation=True,
            plot_center_of_mass=False,
            plot_rotation=False,
        )
        dpc.reconstruct(max_iter=settings.iterations, progress_bar=False)
    phase = 2 * math.pi * np.asarray(dpc.object_phase, dtype=np.float32)
    return PhaseImage(
        values=phase - phase.mean(),
        pixel_angstrom=scan.step_angstrom,
        details={"error": tuple(dpc.error_iterations)},
    )
