"""Virtual bright-field and dark-field images: the electrons between two angles."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from rephase.measurement import Scan
from rephase.microscope.detectors import annulus, largest_angle
from rephase.microscope.optics import Optics
from rephase.phase.detect import detect, require_disk
from rephase.phase.image import PhaseImage
from rephase.phase.settings import MethodSettings

BANDS = {  # inner and outer angle, in units of the semi-angle
    "BF": (0.0, 1.0),
    "ABF": (0.5, 1.0),
    "LAADF": (1.0, 3.0),
    "HAADF": (3.0, math.inf),
}


class VirtualSettings(MethodSettings):
    """Settings of a virtual detector.

    Parameters
    ----------
    detector : {'BF', 'ABF', 'LAADF', 'HAADF'}
        Band of angles, by default: BF up to the semi-angle, ABF its outer half,
        LAADF from there to three times the semi-angle, HAADF all beyond.
    inner, outer : float, optional
        Other limits in place of the default ones, in ``unit``.
    unit : {'aperture', 'mrad'}
        Unit of the given limits: the semi-angle, or mrad.
    """

    detector: Literal["BF", "ABF", "LAADF", "HAADF"] = "BF"
    inner: float | None = Field(default=None, ge=0)
    outer: float | None = Field(default=None, gt=0)
    unit: Literal["aperture", "mrad"] = "aperture"

    def band_mrad(self, scan: Scan, optics: Optics) -> tuple[float, float]:
        """Inner and outer angle, in mrad; a default band ends at the detector's edge at the latest."""
        given = 1.0 if self.unit == "mrad" else optics.semiangle_mrad
        inner, outer = (angle * optics.semiangle_mrad for angle in BANDS[self.detector])
        return (
            inner if self.inner is None else self.inner * given,
            min(outer, largest_angle(scan)) if self.outer is None else self.outer * given,
        )


def reconstruct(scan: Scan, optics: Optics, settings: VirtualSettings | None = None) -> PhaseImage:
    """Image of the electrons scattered to angles ``inner <= angle < outer``.

    A pixel on a limit counts by its part inside, so that adjacent bands share
    nothing and miss nothing.

    Returns
    -------
    PhaseImage
        Fraction of the beam; ``details['band_mrad']`` has the limits.

    Raises
    ------
    InputError
        If the detector does not hold the band (or, for a band within it, the
        bright-field disk), or intensities are not finite or all 0.
    """
    settings = settings or VirtualSettings()
    inner, outer = settings.band_mrad(scan, optics)
    if inner < optics.semiangle_mrad:
        require_disk(scan, optics)
    (image,) = detect(scan, annulus(scan, inner, outer)[None])
    return PhaseImage(
        values=image,
        pixel_angstrom=scan.step_angstrom,
        unit="fraction",
        details={"band_mrad": (inner, outer)},
    )
