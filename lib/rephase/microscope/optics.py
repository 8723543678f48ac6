"""The electron probe: wavelength, interaction with a potential, aperture and aberrations."""

from __future__ import annotations

import math
import re

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from rephase.errors import InputError

PLANCK_LIGHT_EV_ANGSTROM = 12.398419843320026e3  # h c
ELECTRON_REST_ENERGY_EV = 510998.95

# order n -> the azimuthal symmetries m of the aberrations C_nm, up to fifth order
SYMMETRIES = {1: (0, 2), 2: (1, 3), 3: (0, 2, 4), 4: (1, 3, 5), 5: (0, 2, 4, 6)}
ABERRATIONS = frozenset(
    name
    for n, symmetries in SYMMETRIES.items()
    for m in symmetries
    for name in ((f"C{n}{m}", f"phi{n}{m}") if m else (f"C{n}{m}",))
)
FIELDS_OF_THEIR_OWN = {"C10": "defocus_angstrom", "C30": "cs_angstrom"}


def wavelength(energy_ev: float) -> float:
    """Relativistic de Broglie wavelength (Kirkland 2010, Eq. 2.5), in angstrom."""
    return PLANCK_LIGHT_EV_ANGSTROM / math.sqrt(energy_ev * (2 * ELECTRON_REST_ENERGY_EV + energy_ev))


def interaction_parameter(energy_ev: float) -> float:
    """Interaction parameter sigma (Kirkland 2010, Eq. 5.6), in rad/(V angstrom)."""
    rest = ELECTRON_REST_ENERGY_EV
    return 2 * math.pi / (wavelength(energy_ev) * energy_ev) * (rest + energy_ev) / (2 * rest + energy_ev)


class Optics(BaseModel):
    """Settings of a probe-forming microscope.

    Signs and names are abTEM's: a positive ``defocus_angstrom`` is an
    underfocus, ``C10 = -defocus``; further aberrations are polar coefficients
    ``Cnm`` in angstrom with their angles ``phinm`` in rad.

    Raises
    ------
    InputError
        If an energy or angle is not above 0, a number is not finite, or a
        name is unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    energy_ev: float = Field(gt=0)
    semiangle_mrad: float = Field(gt=0)
    defocus_angstrom: float = 0.0
    cs_angstrom: float = 0.0
    aberrations: dict[str, float] = {}

    def __init__(self, **settings):
        try:
            super().__init__(**settings)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(("optics", *map(str, first["loc"])))
            raise InputError(where, repr(first["input"]), _in_plain_words(first)) from None

    @field_validator("aberrations")
    @classmethod
    def _known_names(cls, aberrations: dict[str, float]) -> dict[str, float]:
        for name in aberrations:
            if name in FIELDS_OF_THEIR_OWN:
                raise ValueError(f"{FIELDS_OF_THEIR_OWN[name]} to hold {name}")
            if name not in ABERRATIONS:
                raise ValueError(f"names among {', '.join(sorted(ABERRATIONS - FIELDS_OF_THEIR_OWN.keys()))}")
        return aberrations

    @property
    def wavelength_angstrom(self) -> float:
        """Relativistic de Broglie wavelength, in angstrom."""
        return wavelength(self.energy_ev)

    @property
    def sigma(self) -> float:
        """Interaction parameter in rad/(V angstrom): phase = sigma V_z."""
        return interaction_parameter(self.energy_ev)

    @property
    def aperture_radius(self) -> float:
        """Radius of the aperture in spatial frequency, in 1/angstrom."""
        return self.semiangle_mrad * 1e-3 / self.wavelength_angstrom

    @property
    def scherzer_defocus_angstrom(self) -> float:
        """Underfocus ``sqrt(3/2 Cs wavelength)`` that balances the spherical aberration, in angstrom."""
        return math.copysign(
            math.sqrt(1.5 * abs(self.cs_angstrom) * self.wavelength_angstrom), self.cs_angstrom
        )

    @property
    def coefficients(self) -> dict[str, float]:
        """All non-zero aberrations by abTEM's names, ``C10`` and ``C30`` among them."""
        own = {"C10": -self.defocus_angstrom, "C30": self.cs_angstrom}
        return {name: value for name, value in {**own, **self.aberrations}.items() if value}


def _in_plain_words(error: dict) -> str:
    """What would have been right, from pydantic's message."""
    message = re.sub(r"^(Value error, |Input should be )", "", error["msg"])
    return "a known name" if error["type"] == "extra_forbidden" else message


def aberration_phase(
    optics: Optics, ky: Float[torch.Tensor, "*#shape"], kx: Float[torch.Tensor, "*#shape"]
) -> Float[torch.Tensor, "*shape"]:
    """Aberration phase chi(k) in rad; the probe is ``A(k) exp(-i chi(k))`` in k space.

    chi = (2 pi / wavelength) sum_nm C_nm alpha^(n+1) cos(m (phi - phi_nm)) / (n + 1)

    with alpha = wavelength |k| and phi the angle from axis 0 towards axis 1
    (Kirkland 2010, Sec. 2.7; names as in abTEM).

    Parameters
    ----------
    optics : Optics
    ky, kx : tensors that broadcast
        Spatial frequencies along array axes 0 and 1, in 1/angstrom.
    """
    alpha = torch.hypot(ky, kx) * optics.wavelength_angstrom
    coefficients, path = optics.coefficients, torch.zeros_like(alpha)
    for n, symmetries in SYMMETRIES.items():
        for m in symmetries:
            if magnitude := coefficients.get(f"C{n}{m}"):
                term = magnitude * alpha ** (n + 1) / (n + 1)
                if m:
                    azimuth = torch.atan2(kx, ky) - coefficients.get(f"phi{n}{m}", 0.0)
                    term = term * torch.cos(m * azimuth)
                path = path + term
    return 2 * math.pi / optics.wavelength_angstrom * path


def aperture(
    optics: Optics,
    ky: Float[torch.Tensor, "*#shape"],
    kx: Float[torch.Tensor, "*#shape"],
    edge: tuple[float, float] | None = None,
) -> Float[torch.Tensor, "*shape"]:
    """The probe-forming aperture A(k): 1 inside, 0 outside.

    Parameters
    ----------
    optics : Optics
    ky, kx : tensors that broadcast
        Spatial frequencies along array axes 0 and 1, in 1/angstrom.
    edge : (float, float), optional
        Width of a linear ramp at the edge along (ky, kx), in 1/angstrom: one
        frequency step of the grid gives abTEM's soft aperture. Hard without.
    """
    k = torch.hypot(ky, kx)
    if edge is None:
        return (k <= optics.aperture_radius).to(k.dtype)
    width = torch.hypot(ky * edge[0], kx * edge[1]) / k.clamp_min(torch.finfo(k.dtype).tiny)
    width = torch.where(k == 0, torch.ones_like(width), width)
    ramp = (optics.aperture_radius - k) / width + 0.5
    return torch.where(k == 0, torch.ones_like(k), ramp.clamp(0, 1))
