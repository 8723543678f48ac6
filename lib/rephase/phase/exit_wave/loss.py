"""What a predicted exit wave costs, term by term: Eq. 11 to 14 of Friedrich et al. (2022).

    L = L2(|psi(k)|^2) + 3 (L2(sin phi(k)) + L2(cos phi(k)))
      + L2(|psi(r)|^2) + L2(sin phi(r)) + L2(cos phi(r)) + L2(phi_obj(r)) + L_xc(phi_obj(r))

The paper leaves open, and we choose:

- L2 is the mean over pixels and samples.
- Intensities are divided by the root mean square of the true ones. As fractions of the beam they
  are near 1/4096, and their squared differences would be lost beside those of sines. This is
  ``intensity_unit='rms'``; ``'fraction'`` is the other.
- A phase means little where there is no wave, and the diffraction plane is mostly that. Pixels are
  weighted by the true amplitude; ``phase_weight='none'`` weights them alike, as Eq. 11 reads.
- Where an amplitude is not far above ``FLOOR`` of the true wave's root mean square, sine, cosine and
  phase fade to 0. Exact ones have gradients as 1 / |psi|, 1e8 and more outside the aperture of
  a network's first prediction, the probe. Where a wave is wanted, its lack costs what a phase at random
  costs on average: if nothing were cheaper than what is not yet right, a network would first learn to
  scatter nothing beyond the aperture, and would be slow to leave off.
- The object's phase is that of ``psi conj(probe)``, which divides by nothing, weighted by Eq. 7: by
  the probe's intensity where that exceeds a tenth of its maximum. Its difference is taken on the
  circle, so that a heavy column's phase beyond pi is as near to what precedes it as it should be.
- The correlation (Eq. 14) has the same weights, and is 0 where one of the two is constant. Eq. 13 as
  printed is ``1 - xc / 2``: its minimum is 1/2, not 0.
- The penalty for phases beyond pi is on the phase that the network adds: the probe's own has pi in
  every second ring, and what is added there would be punished for its sign.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Complex, Float
from pydantic import Field

from rephase.phase.exit_wave.frame import diffracted
from rephase.phase.settings import MethodSettings

Wave = Complex[torch.Tensor, "batch row col"]
Maps = Float[torch.Tensor, "batch row col"]
Scalar = Float[torch.Tensor, ""]

FLOOR = 1e-3
LEAST_POWER = 1e-20  # below it, and far below FLOOR, the gradient of a phase is no number in float32
LEAST_CONTRAST_RAD = 1e-4
RANDOM_SINE, RANDOM_PHASE = 1 / 2, math.pi**2 / 3  # mean squares of a random phase's sine, and of itself
PROBE_THRESHOLD = 0.1  # Eq. 7


class LossSettings(MethodSettings):
    """Variants of the loss; by default Eq. 11 with the choices of this module.

    Parameters
    ----------
    phase_form : {'sin_cos', 'direct'}
        Whether sines and cosines of phases are compared, or the phases in (-pi, pi] themselves.
    k_phase_weight : float
        Of the phase terms in the diffraction plane.
    phase_weight : {'amplitude', 'intensity', 'none'}
        Weight of each pixel in the phase terms: true amplitude, true intensity, or all alike.
    intensity_unit : {'rms', 'fraction'}
        Unit of intensities: the true ones' root mean square, or the beam.
    """

    phase_form: Literal["sin_cos", "direct"] = "sin_cos"
    k_phase_weight: float = Field(default=3.0, ge=0)
    phase_weight: Literal["amplitude", "intensity", "none"] = "amplitude"
    intensity_unit: Literal["rms", "fraction"] = "rms"


DEFAULT = LossSettings()


def loss(
    predicted: Wave,
    true: Wave,
    probe: Wave,
    object_weight: float = 1.0,
    settings: LossSettings = DEFAULT,
    added_phase: Maps | None = None,
) -> Scalar:
    """The sum of Eq. 11 and the penalties.

    Parameters
    ----------
    predicted, true : tensor (batch, row, col)
        Exit waves in real space.
    probe : tensor (batch, row, col)
        Incident waves.
    object_weight : float
        Of the squared error of the object's phase; the paper's fine-tuning has 10.
    settings : LossSettings
    added_phase : tensor (batch, row, col), optional
        As `ExitWaveNet.wave_and_phase` returns it, for its penalty.
    """
    found = terms(predicted, true, probe, settings)
    weights = {"object_phase": object_weight}
    weights |= dict.fromkeys(("sin_k", "cos_k", "phase_k"), settings.k_phase_weight)
    total = sum(weights.get(name, 1.0) * value for name, value in found.items())
    return total + sum(penalties(predicted, added_phase).values())


def terms(predicted: Wave, true: Wave, probe: Wave, settings: LossSettings = DEFAULT) -> dict[str, Scalar]:
    """The terms of Eq. 11 by name, without their weights.

    Returns
    -------
    dict
        ``intensity_k``, ``sin_k``, ``cos_k`` in the diffraction plane; ``intensity_r``, ``sin_r``,
        ``cos_r`` in real space; ``object_phase``, ``object_xc``. With ``phase_form='direct'``
        ``phase_k`` and ``phase_r`` take the place of sines and cosines.
    """
    found = {}
    for plane, pair in (("k", (diffracted(predicted), diffracted(true))), ("r", (predicted, true))):
        found[f"intensity_{plane}"] = intensity_error(*pair, settings.intensity_unit)
        errors = phase_errors(*pair, settings.phase_form, settings.phase_weight)
        found |= {f"{name}_{plane}": error for name, error in errors.items()}
    return found | {
        "object_phase": object_phase_error(predicted, true, probe),
        "object_xc": object_correlation_error(predicted, true, probe),
    }


def penalties(predicted: Wave, added_phase: Maps | None = None) -> dict[str, Scalar]:
    """What the paper adds for impossible outputs, each a mean over the batch.

    ``excess_intensity`` is the integrated intensity above 1, ``excess_phase`` the mean over pixels
    of what exceeds pi or -pi.
    """
    total = _squared(predicted).sum(dim=(-2, -1))
    found = {"excess_intensity": (total - 1).clamp_min(0).mean()}
    if added_phase is not None:
        found["excess_phase"] = (added_phase.abs() - math.pi).clamp_min(0).mean()
    return found


def intensity_error(predicted: Wave, true: Wave, unit: Literal["rms", "fraction"] = "rms") -> Scalar:
    """Mean squared difference of intensities (Eq. 12)."""
    difference = _squared(predicted) - _squared(true)
    error = difference.square().mean(dim=(-2, -1))
    if unit == "rms":
        error = error / _squared(true).square().mean(dim=(-2, -1)).clamp_min(_tiny(true))
    return error.mean()


def phase_errors(
    predicted: Wave,
    true: Wave,
    form: Literal["sin_cos", "direct"] = "sin_cos",
    weight: Literal["amplitude", "intensity", "none"] = "amplitude",
) -> dict[str, Scalar]:
    """Weighted mean squared differences of phases: ``sin`` and ``cos``, or ``phase`` (Eq. 12)."""
    weights = _squared(true) ** {"amplitude": 0.5, "intensity": 1.0, "none": 0.0}[weight]
    scale = _rms(true)
    waves = predicted / scale, true / scale
    if form == "direct":
        found, wanted = map(_faded_phase, waves)
        errors = {"phase": (found - wanted).square() + RANDOM_PHASE * _missing(*waves, 2)}
    else:
        found, wanted = map(_faded_unit, waves)
        missing = _missing(*waves, 1)
        errors = {
            "sin": (found.imag - wanted.imag).square() + RANDOM_SINE * missing,
            "cos": (found.real - wanted.real).square() + RANDOM_SINE * missing,
        }
    return {name: _weighted_mean(error, weights).mean() for name, error in errors.items()}


def object_weights(probe: Wave) -> Maps:
    """Where an exit wave tells the object, by Eq. 7: the probe's intensity above a tenth of its maximum."""
    intensity = _squared(probe)
    near = intensity > PROBE_THRESHOLD * intensity.amax(dim=(-2, -1), keepdim=True)
    return intensity * near / intensity.sum(dim=(-2, -1), keepdim=True).clamp_min(_tiny(probe))


def object_phase(wave: Wave, probe: Wave) -> Maps:
    """Phase of the object, ``arg(psi conj(probe))``; means something where `object_weights` are not 0."""
    product = wave * probe.conj()
    return _faded_phase(product / _rms(probe) ** 2)


def object_phase_error(predicted: Wave, true: Wave, probe: Wave) -> Scalar:
    """Weighted mean squared difference of the objects' phases, on the circle; the probe's phase cancels."""
    found, wanted = (wave * true.conj() / _rms(true) ** 2 for wave in (predicted, true))
    error = _faded_phase(found).square() + RANDOM_PHASE * _missing(found, wanted, 2)
    return _weighted_mean(error, object_weights(probe)).mean()


def object_correlation_error(predicted: Wave, true: Wave, probe: Wave) -> Scalar:
    """``1 - xc / 2`` of the objects' phases (Eq. 13), 1/2 at best."""
    phases = object_phase(predicted, probe), object_phase(true, probe)
    return (1 - correlation(*phases, object_weights(probe)) / 2).mean()


def correlation(first: Maps, second: Maps, weights: Maps) -> Float[torch.Tensor, " batch"]:
    """Correlation of each pair of maps (Eq. 14), pixels weighted; 0 if a map is constant."""
    first, second = (values - _weighted_mean(values, weights)[:, None, None] for values in (first, second))
    covariance = _weighted_mean(first * second, weights)
    variances = (_weighted_mean(values.square(), weights) for values in (first, second))
    deviations = ((variance + LEAST_CONTRAST_RAD**2).sqrt() for variance in variances)
    return covariance / math.prod(deviations)


def _present(wave: Wave) -> Maps:
    """1 where there is a wave, 0 far below `FLOOR`."""
    power = _squared(wave)
    return power / (power + FLOOR**2)


def _missing(found: Wave, wanted: Wave, power: int) -> Maps:
    """1 where a wave is wanted and there is none; fading to this power."""
    return (_present(wanted) ** power - _present(found) ** power).clamp_min(0)


def _faded_unit(wave: Wave) -> Wave:
    """``exp(i phase)``, which fades where the amplitude is below `FLOOR`; its square is `_present`."""
    return wave / (_squared(wave) + FLOOR**2).sqrt()


def _faded_phase(wave: Wave) -> Maps:
    """The phase, which fades where the amplitude is below `FLOOR`; its gradient is finite at 0."""
    safe = torch.where(_squared(wave) > LEAST_POWER, wave, torch.ones_like(wave))
    return safe.angle() * _present(wave)


def _weighted_mean(values: Maps, weights: Maps) -> Float[torch.Tensor, " batch"]:
    total = weights.sum(dim=(-2, -1)).clamp_min(_tiny(weights))
    return (values * weights).sum(dim=(-2, -1)) / total


def _squared(wave: Wave) -> Maps:
    return wave.real.square() + wave.imag.square()


def _rms(wave: Wave) -> Float[torch.Tensor, "batch 1 1"]:
    return _squared(wave).mean(dim=(-2, -1), keepdim=True).clamp_min(_tiny(wave)).sqrt()


def _tiny(values: torch.Tensor) -> float:
    return torch.finfo(values.dtype).tiny ** 0.5
