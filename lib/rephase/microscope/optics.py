"""The electron probe: wavelength, interaction with a potential, aperture and aberrations."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, Field


class Optics(BaseModel):
    """Settings of a probe-forming microscope.

    Signs and names are abTEM's: a positive ``defocus_angstrom`` is an
    underfocus, ``C10 = -defocus``; further aberrations are polar coefficients
    ``Cnm`` in angstrom with their angles ``phinm`` in rad.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    energy_ev: float = Field(gt=0)
    semiangle_mrad: float = Field(gt=0)
    defocus_angstrom: float = 0.0
    cs_angstrom: float = 0.0
    aberrations: dict[str, float] = {}

    @property
    def wavelength_angstrom(self) -> float:
        """Relativistic de Broglie wavelength (Kirkland 2010, Eq. 2.5), in angstrom."""
        return 12.398419843320026e3 / math.sqrt(self.energy_ev * (2 * 510998.95 + self.energy_ev))

    @property
    def aperture_radius(self) -> float:
        """Radius of the aperture in spatial frequency, in 1/angstrom."""
        return self.semiangle_mrad * 1e-3 / self.wavelength_angstrom
