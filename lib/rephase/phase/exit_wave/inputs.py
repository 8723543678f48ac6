"""What a network sees of a 3x3 kernel of patterns: two representations, by name.

Both see a pattern within 31 pixels of the beam. The training set's patterns end there, at 2/3 of
Nyquist of the grid that they were computed on; a detector that shows more would show what no
network has seen, and electrons in the corners are made visible by the compression below.

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

What depends on the probe alone is computed by `prepare`, for a whole scan once. Psi_n ends with
the aperture and b_n is wanted around the probe, so that F^-1 is a small matrix on each side.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float

from rephase.errors import InputError
from rephase.phase.exit_wave.frame import KERNEL, SIZE, diffracted

Counts = Float[torch.Tensor, "batch 9 64 64"]
Probe = Complex[torch.Tensor, "batch 64 64"]
Lengths = Float[torch.Tensor, " batch"]
Features = Float[torch.Tensor, "batch channel row col"]
Compute = Callable[[Counts], Features]

REACH_PX = 31  # of patterns around the beam
STEP_SCALE_PER_ANGSTROM = 50  # Eq. 10
COMPRESSION = 0.1
NEAR = 32  # pixels a side around the probe that the real-space input shows
REGULARISATION = 0.05  # c above
DARK = 0.02  # of the aperture's intensity; its edge ends here
NOTHING = 1e-10  # of the aperture's intensity: rounding
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
    prepare : callable
        As the function `prepare`, without the name.
    """

    channels: int
    size: int
    prepare: Callable[[Probe, Lengths, Lengths], Compute]


def features(
    name: str, counts: Counts, probe: Probe, step_angstrom: Lengths, box_angstrom: Lengths
) -> Features:
    """Input of a network from kernels of patterns; does not depend on the patterns' unit.

    Parameters
    ----------
    name : str
        A key of `REPRESENTATIONS`.
    counts : tensor (batch, 9, 64, 64)
        Patterns in the order of `KERNEL`, as electrons or fractions of the beam; what lies
        further than 31 pixels from the beam is not seen.
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
    return prepare(name, probe, step_angstrom, box_angstrom)(counts)


def prepare(name: str, probe: Probe, step_angstrom: Lengths, box_angstrom: Lengths) -> Compute:
    """What makes `features` of any number of kernels taken with one probe, or of one with each.

    Parameters
    ----------
    name, probe, step_angstrom, box_angstrom
        As for `features`; with a batch of 1 for all kernels.

    Returns
    -------
    callable
        From counts to features.

    Raises
    ------
    InputError
        As `features`.
    """
    compute = representation(name).prepare(probe, step_angstrom, box_angstrom)
    seen = within_reach(probe.device)
    return lambda counts: compute(counts * seen)


def representation(name: str) -> Representation:
    """The representation of this name, or an `InputError`."""
    if name not in REPRESENTATIONS:
        raise InputError("representation", repr(name), f"one of {', '.join(REPRESENTATIONS)}")
    return REPRESENTATIONS[name]


def within_reach(device: torch.device | str) -> Float[torch.Tensor, "64 64"]:
    """1 at the pixels of a pattern that are seen, 0 at the others."""
    offset = torch.arange(SIZE, device=device) - SIZE // 2
    return (offset[:, None] ** 2 + offset**2 <= REACH_PX**2).float()


def cropped(maps: torch.Tensor, size: int) -> torch.Tensor:
    """The central ``size`` x ``size`` pixels of 64 x 64, pixel (32, 32) in the middle."""
    start = (SIZE - size) // 2
    return maps[..., start : start + size, start : start + size]


def standardised(maps: Features) -> Features:
    """Each sample's maps together to zero mean and unit standard deviation."""
    centred = maps - maps.mean(dim=(1, 2, 3), keepdim=True)
    deviation = centred.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return centred / deviation.clamp_min(LEAST_DEVIATION)


@dataclass(frozen=True)
class CompressedPatterns:
    """The paper's input: nine compressed patterns, the probe's amplitude and its phase.

    Counts to the power 0.1, times zeta (Eq. 10), then the nine patterns together to zero mean
    and unit standard deviation; amplitude and phase of the probe in real space each by itself.
    This is the order of the paper's text. Its public code multiplies by zeta before the power,
    which leaves ``zeta ** 0.1`` of the weight.

    Parameters
    ----------
    weights : tensor (probe, 9)
        Zeta.
    probe : tensor (probe, 2, 64, 64)
        Standardised amplitude and phase.
    """

    weights: Float[torch.Tensor, "probe 9"]
    probe: Float[torch.Tensor, "probe 2 64 64"]

    @classmethod
    def of(cls, probe: Probe, step_angstrom: Lengths, box_angstrom: Lengths) -> CompressedPatterns:
        """For these probes."""
        shown = [standardised(part[:, None]) for part in (probe.abs(), probe.angle())]
        return cls(neighbour_weights(step_angstrom), torch.cat(shown, dim=1))

    def __call__(self, counts: Counts) -> Features:
        patterns = standardised(counts**COMPRESSION * self.weights[..., None, None])
        return torch.cat([patterns, self.probe.expand(len(counts), -1, -1, -1)], dim=1)


def neighbour_weights(step_angstrom: Lengths) -> Float[torch.Tensor, "batch 9"]:
    """Weights zeta of the patterns (Eq. 10): ``1 / (50 distance)``, and 1 for the central one."""
    distance = torch.tensor([math.hypot(*offset) for offset in KERNEL], device=step_angstrom.device)
    scaled = STEP_SCALE_PER_ANGSTROM * step_angstrom[:, None] * distance
    return torch.where(distance == 0, torch.ones_like(scaled), 1 / scaled.clamp_min(1e-6))


@dataclass(frozen=True)
class BackProjections:
    """Our input: what each pattern says of the object around the probe, in the object's coordinates.

    On the central 32 x 32 pixels: the imaginary parts of the nine b_n, their real parts, and the
    probe (real and imaginary part), each group with unit standard deviation. Then maps that are
    constant: the logarithm of the imaginary parts' own deviation, which tells the noise, and nine
    of the fraction beyond the aperture.

    Parameters
    ----------
    spectra : tensor (probe, 9, band, band)
        Psi_n, as far as the aperture reaches.
    gain : tensor (probe, 9, 32, 32)
        ``conj(psi_n) / (|psi_n|^2 + c max |psi_n|^2)``.
    beyond : tensor (probe, 1, 64, 64)
        1 beyond the aperture, 0 within.
    probe : tensor (probe, 2, 32, 32)
        Standardised real and imaginary part.
    """

    spectra: Complex[torch.Tensor, "probe 9 band band"]
    gain: Complex[torch.Tensor, "probe 9 32 32"]
    beyond: Float[torch.Tensor, "probe 1 64 64"]
    probe: Float[torch.Tensor, "probe 2 32 32"]

    @classmethod
    def of(cls, probe: Probe, step_angstrom: Lengths, box_angstrom: Lengths) -> BackProjections:
        """For these probes."""
        beam = squared(diffracted(probe))[:, None]
        highest = beam.amax(dim=(-2, -1), keepdim=True)
        spectra = shifted_spectra(probe, step_angstrom / box_angstrom, _band(beam / highest))
        waves = focused_near(spectra, SIZE)
        power = squared(waves)
        damped = power + REGULARISATION * power.amax(dim=(-2, -1), keepdim=True)
        gain = cropped(waves, NEAR).conj() * cropped(damped, NEAR).reciprocal()
        near = cropped(probe, NEAR)
        shown = standardised(torch.stack([near.real, near.imag], dim=1))
        return cls(spectra, gain, (beam < DARK * highest).float(), shown)

    def __call__(self, counts: Counts) -> Features:
        shares = fractions(counts)
        maps = self.maps(shares)
        level = maps.imag.std(dim=(1, 2, 3), keepdim=True).clamp_min(LEAST_DEVIATION).log10()
        dark = 1 + 0.5 * (self.dark_field(shares)[..., None, None] + LEAST_DARK_FIELD).log10()
        probe = self.probe.expand(len(counts), -1, -1, -1)
        constant = (values.expand(-1, -1, NEAR, NEAR) for values in (level, dark))
        return torch.cat([standardised(maps.imag), standardised(maps.real), probe, *constant], dim=1)

    def maps(self, shares: Counts) -> Complex[torch.Tensor, "batch 9 32 32"]:
        """The nine b_n of patterns in units of their mean total; 0 where these are the probe's own."""
        change = cropped(shares, self.spectra.shape[-1]) - squared(self.spectra)
        return self.gain * focused_near(self.spectra * change, NEAR)

    def dark_field(self, shares: Counts) -> Float[torch.Tensor, "batch 9"]:
        """Part of the patterns that is beyond the aperture."""
        return (shares * self.beyond).sum(dim=(-2, -1))


def squared(wave: Complex[torch.Tensor, "*shape"]) -> Float[torch.Tensor, "*shape"]:
    """Intensity of a wave; faster than the square of ``abs``."""
    return wave.real.square() + wave.imag.square()


def fractions(counts: Counts) -> Counts:
    """Patterns in units of their mean total; 0 where nothing was counted."""
    mean_total = counts.sum(dim=(1, 2, 3), keepdim=True) / len(KERNEL)
    return counts / mean_total.clamp_min(torch.finfo(counts.dtype).tiny)


def shifted_spectra(
    probe: Probe, step_fraction: Float[torch.Tensor, " batch"], size: int = SIZE
) -> Complex[torch.Tensor, "batch 9 row col"]:
    """Spectra of the nine probes of a kernel, the step given in units of the box.

    Their central ``size`` x ``size`` pixels.
    """
    frequency = torch.arange(size, device=probe.device) - size // 2
    offsets = torch.tensor((-1, 0, 1), device=probe.device)
    cycles = step_fraction[:, None, None] * offsets[:, None] * frequency
    ramp = torch.polar(torch.ones_like(cycles), -2 * math.pi * cycles)
    kernel = ramp[:, :, None, :, None] * ramp[:, None, :, None, :]
    return cropped(diffracted(probe), size)[:, None] * kernel.flatten(1, 2)


def focused_near(
    spectra: Complex[torch.Tensor, "*batch band band"], size: int
) -> Complex[torch.Tensor, "*batch size size"]:
    """Central pixels of waves from the central pixels of their spectra: `focused` without the rest.

    Parameters
    ----------
    spectra : tensor (..., band, band)
        Zero beyond.
    size : int
        Side of what is wanted, in pixels.
    """
    band = spectra.shape[-1]
    position = torch.arange(size, device=spectra.device) - size // 2
    frequency = torch.arange(band, device=spectra.device) - band // 2
    cycles = (position[:, None] * frequency % SIZE).to(spectra.real.dtype) / SIZE
    matrix = torch.polar(torch.full_like(cycles, SIZE**-0.5), 2 * math.pi * cycles)
    return matrix @ (spectra @ matrix.mT)


def _band(beam: Float[torch.Tensor, "batch 1 64 64"]) -> int:
    """Side of the central square that holds all apertures: half the pattern's as a rule, or all of it."""
    half = SIZE // 2
    held = torch.zeros(SIZE, SIZE, dtype=torch.bool, device=beam.device)
    cropped(held, half).fill_(True)
    return half if bool((beam.masked_fill(held, 0) < NOTHING).all()) else SIZE


REPRESENTATIONS = {
    "paper": Representation(11, SIZE, CompressedPatterns.of),
    "real_space": Representation(30, NEAR, BackProjections.of),
}
"""Inputs of a network, by name."""
