"""What a perfect network would reach: exact exit waves of a specimen, stitched like predicted ones."""

from __future__ import annotations

import math

import torch
from jaxtyping import Complex, Float

from rephase.microscope.grid import frequencies, pixel_size
from rephase.microscope.multislice import BATCH, Box, Thicknesses, multislice
from rephase.microscope.probe import probe
from rephase.phase.exit_wave.frame import SIZE, Frame
from rephase.phase.exit_wave.patches import THRESHOLD, Stitching
from rephase.phase.image import PhaseImage

Slices = Float[torch.Tensor, "configuration slice row col"]


def exit_waves(
    slices: Slices,
    thicknesses_angstrom: Thicknesses,
    box_angstrom: Box,
    positions_angstrom: Float[torch.Tensor, "batch 2"],
    frame: Frame,
) -> Complex[torch.Tensor, "batch 64 64"]:
    """Exit waves averaged over the phonon configurations, each in the frame around its probe.

    The waves of the specimen's grid are evaluated at the frame's pixels by
    trigonometric interpolation, without what the frame's pixels cannot hold.

    Parameters
    ----------
    slices : tensor (configuration, slice, row, col)
        Projected potentials in V angstrom, of a periodic box.
    thicknesses_angstrom, box_angstrom
        As for `rephase.microscope.multislice.multislice`.
    positions_angstrom : tensor (batch, 2)
    frame : Frame
        A box wider than the specimen's shows the specimen's wave repeated.
    """
    optics, shape = frame.optics, tuple(slices.shape[-2:])
    incident = probe(
        optics, shape, box_angstrom, positions_angstrom, dtype=slices.dtype.to_complex(), device=slices.device
    )
    waves = sum(
        multislice(incident, configuration, thicknesses_angstrom, optics.energy_ev, box_angstrom)
        for configuration in slices
    ) / len(slices)
    at = positions_angstrom.to(slices.device, torch.float64)
    row, col = (
        _evaluation(at[:, axis], k.flatten(), frame).to(waves.dtype)
        for axis, k in enumerate(frequencies(shape, pixel_size(box_angstrom, shape), device=slices.device))
    )
    scale = math.sqrt(math.prod(frame.box_angstrom / side for side in box_angstrom)) / SIZE
    return (scale * row @ torch.fft.fft2(waves) @ col.mT).to(torch.complex64)


def ceiling(
    slices: Slices,
    thicknesses_angstrom: Thicknesses,
    box_angstrom: Box,
    frame: Frame,
    scan_shape: tuple[int, int],
    step_angstrom: tuple[float, float],
    threshold: float = THRESHOLD,
    batch: int | None = None,
) -> PhaseImage:
    """Phase image from exact exit waves: the ceiling of any network on this frame.

    Parameters
    ----------
    slices, thicknesses_angstrom, box_angstrom, frame
        As for `exit_waves`.
    scan_shape : (int, int)
        Probe positions, the first at the specimen's origin.
    step_angstrom : (float, float)
        Their distances.
    threshold : float
        As for `Stitching`.
    batch : int, optional
        Waves at a time; by default as in multislice.
    """
    device = slices.device
    stitching = Stitching(frame.probe(device), frame.pixel_angstrom, scan_shape, step_angstrom, threshold)
    numbers = torch.arange(math.prod(scan_shape), device=device)
    for part in numbers.split(batch or BATCH[device.type]):
        at = torch.stack([part // scan_shape[1], part % scan_shape[1]], dim=1)
        positions = at.double() * torch.tensor(step_angstrom, dtype=torch.float64, device=device)
        stitching.add(exit_waves(slices, thicknesses_angstrom, box_angstrom, positions, frame), part)
    return stitching.image(frame=frame)


def ceiling_of_phase_object(
    phase: Float[torch.Tensor, "row col"],
    box_angstrom: Box,
    frame: Frame,
    scan_shape: tuple[int, int],
    step_angstrom: tuple[float, float],
    threshold: float = THRESHOLD,
) -> PhaseImage:
    """The `ceiling` of a pure phase object, in rad, without thickness."""
    slices = (phase / frame.optics.sigma)[None, None]
    return ceiling(slices, 1e-6, box_angstrom, frame, scan_shape, step_angstrom, threshold)


def _evaluation(
    at: Float[torch.Tensor, " batch"], k: Float[torch.Tensor, " frequency"], frame: Frame
) -> Complex[torch.Tensor, "batch 64 frequency"]:
    """Matrix from a spectrum to the wave at the frame's pixels around each position, along one axis."""
    pixel = torch.arange(SIZE, dtype=torch.float64, device=at.device) - SIZE // 2
    r = at[:, None] + pixel * frame.pixel_angstrom
    held = k.abs() < 0.5 / frame.pixel_angstrom
    return torch.polar(held.to(r.dtype).expand(len(at), SIZE, -1), 2 * math.pi * r[..., None] * k)
