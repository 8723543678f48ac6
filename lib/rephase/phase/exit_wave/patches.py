r"""Object patches from exit waves, stitched by complex summation.

At probe position n (Friedrich et al. (2022), Eqs 4-8)

    T_n(r) = omega_n(r) unit(psi_out,n(r) / psi_in,n(r)),    T(r) = sum_n T_n(r)
    omega_n = |psi_in,n|^2 / sum |psi_in,n|^2 where it exceeds a tenth of its maximum, else 0

Both waves are first moved to the position by a phase ramp in Fourier space,
``exp(-2 pi i k dr)`` (Eq. 4 leaves out the k). Only the part of the move below a
pixel needs that, and only the few pixels where omega is not 0: so the ramp and
its two transforms are written as one small matrix for each axis, the Dirichlet
kernel, which gives exactly these pixels.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Complex, Float, Int

from rephase.phase.image import PhaseImage

THRESHOLD = 0.1
Pair = tuple[float, float]


class Stitching:
    """The sum of the patches so far.

    The image has the pixel of the waves and reaches from the first probe position
    to the last.

    Parameters
    ----------
    probe : tensor (n, n)
        Incident wave in real space, its centre at pixel ``(n // 2, n // 2)``.
    pixel_angstrom : float
        Pixel of the waves.
    scan_shape : (int, int)
        Probe positions along (slow, fast).
    step_angstrom : (float, float)
        Their distances.
    threshold : float
        Fraction of the probe's greatest intensity above which patches are used.
    """

    def __init__(
        self,
        probe: Complex[torch.Tensor, "n n"],
        pixel_angstrom: float,
        scan_shape: tuple[int, int],
        step_angstrom: Pair,
        threshold: float = THRESHOLD,
    ):
        self.pixel_angstrom, self.threshold = pixel_angstrom, threshold
        self.scan_shape, self._size = tuple(scan_shape), probe.shape[-1]
        self._total = float(probe.abs().square().sum())
        self.reach = _reach(probe, threshold)
        self._pixels, self._moves = zip(
            *(
                self._axis(count, step / pixel_angstrom, probe.device)
                for count, step in zip(scan_shape, step_angstrom, strict=True)
            ),
            strict=True,
        )
        self._moves = (self._moves[0], self._moves[1].mT.contiguous())
        self._probe_rows = self._moves[0].to(probe.dtype) @ probe
        self.shape = tuple(int(pixels[-1]) + 1 for pixels in self._pixels)
        self._canvas = tuple(side + 2 * self.reach for side in self.shape)
        self._sum = torch.zeros(math.prod(self._canvas), 3, device=probe.device)

    def add(
        self, exit_waves: Complex[torch.Tensor, "batch n n"], positions: Int[torch.Tensor, " batch"]
    ) -> None:
        """Add the patches of some positions.

        Parameters
        ----------
        exit_waves : tensor (batch, n, n)
            Each with its probe in the middle, on the probe's grid.
        positions : tensor (batch,)
            Numbers of the positions, ``slow index * fast positions + fast index``.
        """
        slow, fast = (positions // self.scan_shape[1], positions % self.scan_shape[1])
        columns = self._moves[1][fast]
        outgoing = _along_columns(_along_rows(self._moves[0][slow], exit_waves), columns)
        incident = _along_columns(self._probe_rows[slow], columns)
        intensity = incident.abs().square()
        used = intensity > self.threshold * intensity.amax(dim=(-2, -1), keepdim=True)
        weight = torch.where(used, intensity / self._total, 0)
        patch = torch.sgn(outgoing * incident.conj()) * weight
        window = torch.arange(2 * self.reach + 1, device=positions.device)
        rows = self._pixels[0][slow][:, None] + window
        cols = self._pixels[1][fast][:, None] + window
        at = rows[:, :, None] * self._canvas[1] + cols[:, None, :]
        values = torch.stack([patch.real, patch.imag, weight], dim=-1)
        self._sum.index_add_(0, at.flatten(), values.flatten(0, 2))

    def image(self, **details) -> PhaseImage:
        """The phase so far: the angle of the sum, 0 where no patch has reached.

        Parameters
        ----------
        **details
            What else to put into the image's ``details``.

        Returns
        -------
        PhaseImage
            Phase in rad; ``details['coverage']`` is the sum of the weights on the
            same pixels, 0 in blanks.
        """
        real, imaginary, coverage = (
            self._sum.cpu()
            .numpy()
            .T.reshape(3, *self._canvas)[
                :, self.reach : self.reach + self.shape[0], self.reach : self.reach + self.shape[1]
            ]
        )
        return PhaseImage(
            values=np.arctan2(imaginary, real),
            pixel_angstrom=(self.pixel_angstrom, self.pixel_angstrom),
            details={"coverage": coverage.copy()} | details,
        )

    def _axis(
        self, count: int, step_px: float, device: torch.device
    ) -> tuple[Int[torch.Tensor, " count"], Float[torch.Tensor, "count window n"]]:
        """Nearest pixel of each position, and the matrix that moves a wave by the rest."""
        position = torch.arange(count, dtype=torch.float64) * step_px
        nearest = position.round()
        n = self._size
        window = torch.arange(-self.reach, self.reach + 1) + n // 2
        distance = window[:, None] - torch.arange(n) - (position - nearest)[:, None, None]
        return nearest.long().to(device), _dirichlet(distance, n).float().to(device)


def _dirichlet(distance: Float[torch.Tensor, "*shape"], n: int) -> Float[torch.Tensor, "*shape"]:
    """Trigonometric interpolation over ``n`` points, ``n`` even: ``sin(pi d) / (n tan(pi d / n))``."""
    whole = distance == distance.round()
    safe = torch.where(whole, 0.5, distance)
    between = torch.sin(math.pi * safe) / (n * torch.tan(math.pi * safe / n))
    return torch.where(whole, (distance % n == 0).to(distance.dtype), between)


def _reach(probe: Complex[torch.Tensor, "n n"], threshold: float) -> int:
    """Pixels from the probe's middle to the last that a patch uses, one more for moves below a pixel."""
    intensity, middle = probe.abs().square(), probe.shape[-1] // 2
    used = torch.nonzero(intensity > threshold * intensity.max())
    return min(int((used - middle).abs().max()) + 1, middle - 1)


def _along_rows(
    moves: Float[torch.Tensor, "batch window n"], waves: Complex[torch.Tensor, "batch n n"]
) -> Complex[torch.Tensor, "batch window n"]:
    parts = torch.view_as_real(waves).flatten(2)
    return torch.view_as_complex((moves @ parts).unflatten(2, (-1, 2)))


def _along_columns(
    waves: Complex[torch.Tensor, "batch window n"], moves: Float[torch.Tensor, "batch n window"]
) -> Complex[torch.Tensor, "batch window window"]:
    parts = torch.view_as_real(waves).movedim(3, 1).flatten(1, 2)
    return torch.complex(*(parts @ moves).unflatten(1, (2, -1)).unbind(1))
