"""What a network sees of a 3x3 kernel of patterns: two representations, by name.

``paper`` is the input of Friedrich et al. (2022): the patterns themselves, compressed.

``real_space`` is ours. For a thin phase object, ``T = exp(i phi)``, pattern n changes by

    I_n(k) - |Psi_n(k)|^2 = 2 Re[ conj(Psi_n(k)) F[i phi psi_n](k) ] + O(phi^2)

with psi_n the probe of pattern n in the frame of the central one and Psi_n its spectrum. The
adjoint of this linear map carries a pattern's deviation back to where it arose,

    b_n(r) = conj(psi_n(r)) F^-1[ (I_n - |Psi_n|^2) Psi_n ](r) / (|psi_n(r)|^2 + c max |psi_n|^2)

whose imaginary part answers to the phase and whose real part to the amplitude of the object. It
is linear in the counts, so that noise adds variance to it and no bias, and all nine share the
object's coordinates. Scattering beyond the aperture does not enter b_n: its fraction of each
pattern, nine pixels of a dark-field image, is given apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float

from rephase.errors import InputError
from rephase.phase.exit_wave.frame import KERNEL, SIZE, diffracted, focused

Counts = Float[torch.Tensor, "batch 9 64 64"]
Probe = Complex[torch.Tensor, "batch 64 64"]
Lengths = Float[torch.Tensor, " batch"]
Features = Float[torch.Tensor, "batch channel row col"]

STEP_SCALE_PER_ANGSTROM = 50  # Eq. 10
COMPRESSION = 0.1
REGULARISATION = 0.05  # c above
DARK = 0.02  # of the aperture's intensity; its edge ends here
LEAST_DARK_FIELD = 1e-4  # of the beam
LEAST_DEVIATION = 1e-6  # of channels that are constant


@dataclass(frozen=True)
class Representation:
    """How patterns become a network's input.

    Parameters
    ----------
    channels : int
        Feature maps.
    size : int
        Side of the maps, in pixels of real space around the probe.
    compute : callable
        As `features`, without the name.
    """

    channels: int
    size: int
    compute: Callable[[Counts, Probe, Lengths, Lengths], Features]


def features(
    name: str, counts: Counts, probe: Probe, step_angstrom: Lengths, box_angstrom: Lengths
) -> Features:
    """Input of a network from kernels of patterns; does not depend on the patterns' unit.

    Parameters
    ----------
    name : str
        A key of `REPRESENTATIONS`.
    counts : tensor (batch, 9, 64, 64)
        Patterns in the order of `KERNEL`, as electrons or fractions of the beam.
    probe : tensor (batch, 64, 64)
        Incident wave of the central pattern in real space, ``sum |psi|^2 = 1``.
    step_angstrom, box_angstrom : tensor (batch,)
        Distance of neighbouring probes, side of the frame.

    Returns
    -------
    tensor (batch, channel, row, col)
        Finite, also where no electron was counted.

    Raises
    ------
    InputError
        If there is no representation of this name.
    """
    return representation(name).compute(counts, probe, step_angstrom, box_angstrom)


def representation(name: str) -> Representation:
    """The representation of this name, or an `InputError`."""
    if name not in REPRESENTATIONS:
        raise InputError("representation", repr(name), f"one of {', '.join(REPRESENTATIONS)}")
    return REPRESENTATIONS[name]


def cropped(maps: torch.Tensor, size: int) -> torch.Tensor:
    """The central ``size`` x ``size`` pixels of 64 x 64, pixel (32, 32) in the middle."""
    start = (SIZE - size) // 2
    return maps[..., start : start + size, start : start + size]


def neighbour_weights(step_angstrom: Lengths) -> Float[torch.Tensor, "batch 9"]:
    """Weights zeta of the patterns (Eq. 10): ``1 / (50 distance)``, and 1 for the central one."""
    distance = torch.tensor([math.hypot(*offset) for offset in KERNEL], device=step_angstrom.device)
    scaled = STEP_SCALE_PER_ANGSTROM * step_angstrom[:, None] * distance
    return torch.where(distance == 0, torch.ones_like(scaled), 1 / scaled.clamp_min(1e-6))


def compressed_patterns(
    counts: Counts, probe: Probe, step_angstrom: Lengths, box_angstrom: Lengths
) -> Features:
    """The paper's input: nine compressed patterns, the probe's amplitude and its phase.

    Counts to the power 0.1, times zeta (Eq. 10), then the nine patterns together to zero mean
    and unit standard deviation; amplitude and phase of the probe in real space each by itself.
    This is the order of the paper's text. Its public code multiplies by zeta before the power,
    which leaves ``zeta ** 0.1`` of the weight.
    """
    patterns = counts**COMPRESSION * neighbour_weights(step_angstrom)[..., None, None]
    amplitude, phase = probe.abs()[:, None], probe.angle()[:, None]
    return torch.cat([standardised(group) for group in (patterns, amplitude, phase)], dim=1)


def back_projections(counts: Counts, probe: Probe, step_angstrom: Lengths, box_angstrom: Lengths) -> Features:
    """Our input: what each pattern says of the object around the probe, in the object's coordinates.

    On the central 32 x 32 pixels: the imaginary parts of the nine b_n, their real parts, and the
    probe (real and imaginary part), each group with unit standard deviation. Then maps that are
    constant: the logarithm of the imaginary parts' own deviation, which tells the noise, and nine
    of the fraction beyond the aperture.
    """
    maps = cropped(back_projected(counts, probe, step_angstrom, box_angstrom), 32)
    level = maps.imag.std(dim=(1, 2, 3), keepdim=True).clamp_min(LEAST_DEVIATION).log10()
    dark = 1 + 0.5 * (dark_field(counts, probe)[..., None, None] + LEAST_DARK_FIELD).log10()
    near = cropped(probe, 32)[:, None]
    groups = (maps.imag, maps.real, torch.cat([near.real, near.imag], dim=1))
    shown = [standardised(group) for group in groups]
    return torch.cat([*shown, *(constant.expand(-1, -1, 32, 32) for constant in (level, dark))], dim=1)


def dark_field(counts: Counts, probe: Probe) -> Float[torch.Tensor, "batch 9"]:
    """Fraction of the beam that each pattern has beyond the aperture."""
    beam = diffracted(probe).abs().square()[:, None]
    beyond = beam < DARK * beam.amax(dim=(-2, -1), keepdim=True)
    return (fractions(counts) * beyond).sum(dim=(-2, -1))


def fractions(counts: Counts) -> Counts:
    """Patterns in units of their mean total; 0 where nothing was counted."""
    mean_total = counts.sum(dim=(1, 2, 3), keepdim=True) / len(KERNEL)
    return counts / mean_total.clamp_min(torch.finfo(counts.dtype).tiny)


def back_projected(
    counts: Counts, probe: Probe, step_angstrom: Lengths, box_angstrom: Lengths
) -> Complex[torch.Tensor, "batch 9 64 64"]:
    """The nine b_n of a kernel of patterns, see the module; 0 where the patterns are the probe's own."""
    spectra = shifted_spectra(probe, step_angstrom / box_angstrom)
    change = fractions(counts) - spectra.abs().square()
    waves, back = focused(spectra), focused(spectra * change)
    power = waves.abs().square()
    return waves.conj() * back / (power + REGULARISATION * power.amax(dim=(-2, -1), keepdim=True))


def shifted_spectra(
    probe: Probe, step_fraction: Float[torch.Tensor, " batch"]
) -> Complex[torch.Tensor, "batch 9 64 64"]:
    """Spectra of the nine probes of a kernel, the step given in units of the box."""
    frequency = torch.arange(SIZE, device=probe.device) - SIZE // 2
    offsets = torch.tensor((-1, 0, 1), device=probe.device)
    cycles = step_fraction[:, None, None] * offsets[:, None] * frequency
    ramp = torch.polar(torch.ones_like(cycles), -2 * math.pi * cycles)
    kernel = ramp[:, :, None, :, None] * ramp[:, None, :, None, :]
    return diffracted(probe)[:, None] * kernel.flatten(1, 2)


def standardised(maps: Features) -> Features:
    """Each sample's maps together to zero mean and unit standard deviation."""
    centred = maps - maps.mean(dim=(1, 2, 3), keepdim=True)
    deviation = centred.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return centred / deviation.clamp_min(LEAST_DEVIATION)


REPRESENTATIONS = {
    "paper": Representation(11, SIZE, compressed_patterns),
    "real_space": Representation(30, 32, back_projections),
}
"""Inputs of a network, by name."""
