"""Physical limits of phase imaging with counted electrons, each with its assumptions.

N is the number of electrons per resolution element: dose times its area.
Sources: Dwyer and Paganin, PRB 110, 024110 (2024); Bouchet et al., Optics
Express 29, 16736 (2021); Varnavides et al., arXiv 2309.05250 and 2507.19476.
Other limits have been argued: Vega Ibanez and Verbeeck, arXiv 2408.10590.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import torch
from jaxtyping import Float

from rephase.errors import InputError

WEAK_PHASE_RAD = 0.5


def quantum_variance(electrons: float) -> float:
    """Least variance of a phase in rad^2, by any measurement with N electrons: 1 / (4N).

    Assumes an unbiased estimate, a pure phase object, counting statistics alone
    and no prior knowledge. Zernike's microscope reaches it for a weak object.
    """
    return 1 / (4 * _require_electrons(electrons))


def diffraction_variance(electrons: float) -> float:
    """Least MEAN variance over all modes in rad^2, for 4D-STEM with N electrons: 1 / (2N).

    Assumes an unbiased estimate of every mode from counts in the diffraction
    plane, a pure phase object and no prior knowledge. It is no floor for one
    frequency: a defocused probe does better than this at low ones. Methods that
    are band-limited, and so biased, may pass it.
    """
    return 1 / (2 * _require_electrons(electrons))


def psnr_ceiling(phase_range: float, electrons: float) -> float:
    """PSNR in dB of an unbiased 4D-STEM estimate at the limit 1 / (2N): 10 log10(R^2 2N).

    Assumes what `diffraction_variance` does, for a phase of range R in rad. A learned or
    regularised method may pass it: that is prior knowledge.
    """
    return 10 * math.log10(phase_range**2 / diffraction_variance(electrons))


def fisher_matrix(
    intensities: Callable[[Float[torch.Tensor, " parameter"]], Float[torch.Tensor, "*detector"]],
    parameters: Float[torch.Tensor, " parameter"],
    electrons: float,
) -> Float[torch.Tensor, "parameter parameter"]:
    """Fisher matrix of counted electrons, F_jl = N_total sum (d_j I)(d_l I) / I.

    Assumes Poisson counts without background. Nothing is assumed of the object:
    through a multislice Jacobian it holds for thick specimens. Pixels darker than
    the machine precision of the brightest count nothing.

    Parameters
    ----------
    intensities : callable
        Differentiable model, parameters -> intensities of all detector pixels and
        probe positions together, normalised to sum 1.
    parameters : tensor (parameter)
        Where to evaluate; float64 is advised.
    electrons : float
        All electrons of the scan, N_total.

    Raises
    ------
    InputError
        If the intensities do not sum to 1, one is negative, or the electrons are not above 0.
    """
    _require_electrons(electrons)
    values = intensities(parameters).flatten()
    if values.min() < 0 or abs(values.sum().item() - 1) > 1e-3:
        found = f"a sum of {values.sum().item():.6g}, least value {values.min().item():.3g}"
        raise InputError("intensities", found, "intensities of 0 or more that sum to 1")
    differentiate = torch.func.jacfwd if parameters.numel() <= values.numel() else torch.func.jacrev
    with warnings.catch_warnings():  # torch's own rules for jacfwd still use torch.jit
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        jacobian = differentiate(lambda p: intensities(p).flatten())(parameters)
    lit = values > values.max() * torch.finfo(values.dtype).eps
    weighted = jacobian[lit] / values[lit].sqrt()[:, None]
    return electrons * weighted.T @ weighted


def quantum_share(fisher: Float[torch.Tensor, "parameter parameter"], electrons: float) -> float:
    """Trace of a Fisher matrix over that of the quantum one, when the parameters are the pixels' phases.

    The quantum Fisher matrix of P phases, each seen by N = N_total / P electrons,
    has the trace 4 N_total. About 1/2 for 4D-STEM, which sees the real part of
    each wave's change and not its imaginary part.

    Parameters
    ----------
    fisher : tensor (parameter, parameter)
    electrons : float
        All electrons of the scan, as given to `fisher_matrix`.
    """
    return float(torch.trace(fisher) / (4 * _require_electrons(electrons)))


def depth_of_field(wavelength_angstrom: float, semiangle_mrad: float) -> float:
    """Thickness up to which a specimen acts as one plane, wavelength / alpha^2, in angstrom."""
    return wavelength_angstrom / (1e-3 * semiangle_mrad) ** 2


def weak_phase_line_applies(
    phase_max_rad: float, thickness_angstrom: float = 0.0, depth_of_field_angstrom: float = math.inf
) -> bool:
    """Whether a weak-phase limit may be drawn: max |phi| up to 0.5 rad, and a thin specimen.

    Parameters
    ----------
    phase_max_rad : float
        Largest |phase| of the specimen, in rad.
    thickness_angstrom : float
        Its thickness.
    depth_of_field_angstrom : float
        Thickness that still counts as thin, see `depth_of_field`.
    """
    return abs(phase_max_rad) <= WEAK_PHASE_RAD and thickness_angstrom <= depth_of_field_angstrom


def _require_electrons(electrons: float) -> float:
    if not (math.isfinite(electrons) and electrons > 0):
        raise InputError("electrons", electrons, "a finite number above 0")
    return electrons
