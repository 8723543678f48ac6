"""Centre of mass of each pattern, and its integral, the iCOM image.

For a phase object the centre of mass is the mean slope of the phase under the
probe, ``CoM(r) = (|psi|^2 * grad phi)(r) / (2 pi)`` with ``*`` a correlation, so
its integral is the phase blurred by the probe's intensity (Lazic, Bosch, Lazar,
Ultramicroscopy 160, 265 (2016)). The transfer of iCOM is the autocorrelation
of the aperture, in focus ``o(x) = 2/pi (acos(x/2) - x/2 sqrt(1 - x^2/4))`` at
x = q / aperture radius: 1 at low frequencies, 0 from x = 2 on.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from pydantic import Field

from rephase.measurement import Scan
from rephase.microscope.optics import Optics
from rephase.phase.detect import detect, pixel_angles, require_disk
from rephase.phase.image import PhaseImage
from rephase.phase.integrate import Boundary, integrate
from rephase.phase.settings import MethodSettings


class ICOMSettings(MethodSettings):
    """Settings of iCOM.

    Parameters
    ----------
    boundary : {'periodic', 'mirror'}
        How the specimen goes on beyond the scan: repeated, or reflected (for a
        field of view that does not close on itself; an error of the scan's
        ``centre_px`` then shows as a ramp).
    high_pass_inverse_angstrom : float
        Frequency in 1/angstrom below which undulations are suppressed; 0: none.
    per_pattern : bool
        Divide by the electrons of each pattern rather than by their mean: rids
        of a drifting beam current, costs signal at a few electrons per pattern.
    """

    boundary: Boundary = "periodic"
    high_pass_inverse_angstrom: float = Field(default=0.0, ge=0)
    per_pattern: bool = False


def centre_of_mass(scan: Scan, optics: Optics, per_pattern: bool = False) -> Float[np.ndarray, "2 slow fast"]:
    """Centre of mass of each pattern about the undeflected beam, in 1/angstrom.

    Parameters
    ----------
    scan : Scan
    optics : Optics
        Only the wavelength and the semi-angle are used.
    per_pattern : bool
        As in `ICOMSettings`.

    Returns
    -------
    array (2, slow, fast)
        Components along the scan's (slow, fast) axes, its rotation and mirroring
        undone. Times 2 pi it is the slope of the phase in rad/angstrom.

    Raises
    ------
    InputError
        If the bright-field disk is not whole on the detector, or intensities
        are not finite or all 0.
    """
    require_disk(scan, optics)
    k = np.stack(np.broadcast_arrays(*pixel_angles(scan))) * (1e-3 / optics.wavelength_angstrom)
    return np.tensordot(scan.detector_to_scan, detect(scan, k, per_pattern), axes=1)


def reconstruct(scan: Scan, optics: Optics, settings: ICOMSettings | None = None) -> PhaseImage:
    """iCOM image: the integral of the centre of mass.

    Parameters
    ----------
    scan : Scan
        The detector should hold all scattered electrons.
    optics : Optics
        Only the wavelength and the semi-angle are used: aberrations blur the
        image but do not change its scale.
    settings : ICOMSettings, optional

    Returns
    -------
    PhaseImage
        Phase in rad of mean 0, blurred by the probe's intensity;
        ``details['com']`` is `centre_of_mass`.

    Raises
    ------
    InputError
        As `centre_of_mass`.
    """
    settings = settings or ICOMSettings()
    com = centre_of_mass(scan, optics, settings.per_pattern)
    phase = integrate(
        2 * math.pi * com, scan.step_angstrom, settings.boundary, settings.high_pass_inverse_angstrom
    )
    return PhaseImage(values=phase, pixel_angstrom=scan.step_angstrom, details={"com": com})
