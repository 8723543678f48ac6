"""Video diffusion: whole sequences drawn from noise by a trained network, given what was observed.

What is drawn is the deviation x0 of the sequence from the straight lines between observed frames,
in units of its expected size (`rephase.sequence.diffusion.interpolation`). That is 0 at observed
frames without noise, which thus stay as they are, and the noise of counting at others: the network
tells from all frames how much of it to take back.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from pydantic import Field, field_validator

from rephase.phase.settings import MethodSettings
from rephase.sequence.checks import check_sequence
from rephase.sequence.completed import Completed, Frames, Mask, Times
from rephase.sequence.diffusion.interpolation import Line, Stack, interpolated, stacked
from rephase.sequence.diffusion.network import DiffusionNet
from rephase.sequence.diffusion.objective import estimate
from rephase.sequence.diffusion.process import ddim, opposite_noise
from rephase.sequence.diffusion.weights import load_weights
from rephase.sequence.networks.known import known


class DiffusionSettings(MethodSettings):
    """Settings of video diffusion.

    Parameters
    ----------
    weights : path
        File of the trained network.
    energy_ev, thickness_angstrom : float
        Of the beam, and an estimate of the specimen's.
    dose : float, optional
        Electrons per pattern; without noise if not given.
    steps : int
        Of DDIM; one gives the network's own estimate of the mean.
    samples : int
        Sequences drawn, of which the result is the mean: 1, or an even number.
    seed : int
        Of the noise that they start from.
    device : str
        Where torch computes: 'cpu', 'cuda', ...
    precision : {'32', 'bf16'}
        Of the network's layers.
    """

    weights: Path
    energy_ev: float = Field(gt=0)
    thickness_angstrom: float = Field(gt=0)
    dose: float | None = Field(default=None, gt=0)
    steps: int = Field(default=8, ge=1)
    samples: int = Field(default=4, ge=1)
    seed: int = Field(default=0, ge=0)
    device: str = "cpu"
    precision: str = Field(default="32", pattern="^(32|bf16)$")

    @field_validator("samples")
    @classmethod
    def _paired(cls, samples: int) -> int:
        if samples > 1 and samples % 2:
            raise ValueError("1 or an even number, for starts come in opposite pairs")
        return samples


def complete(times: Times, frames: Frames, mask: Mask, settings: DiffusionSettings) -> Completed:
    """Mean and standard deviation of sequences drawn from noise, given the observed frames.

    Returns
    -------
    Completed
        ``deviation`` is that of the drawn sequences, and missing where only one was drawn;
        ``details`` has the ``sha256`` of the weights.

    Raises
    ------
    InputError
        If the sequence cannot be completed (see `rephase.sequence.checks`), the weights cannot be
        used, or the network was made for another number of positions or cannot divide the patterns.
    """
    check_sequence(times, frames, mask)
    weights = load_weights(settings.weights)
    dose = math.inf if settings.dose is None else settings.dose
    facts = (np.array([value]) for value in (settings.energy_ev, settings.thickness_angstrom, dose))
    tensor = torch.from_numpy(np.ascontiguousarray(frames, dtype=np.float32)).to(settings.device)
    line = interpolated(times, tensor, mask, dose, known(*facts)[0])
    drawn = draw(weights.net.to(settings.device), line, settings)
    result = line.frames + line.scale * drawn.mean(0)
    deviation = None
    if settings.samples > 1:
        deviation = (line.scale * drawn.std(0, correction=0)).cpu().numpy()
    return Completed(result.cpu().numpy(), deviation, {"sha256": weights.sha256})


@torch.no_grad()
def draw(net: DiffusionNet, line: Line, settings: DiffusionSettings) -> Stack:
    """Deviations from the line (draw, time, position, row, col) in units of its scale."""
    device, lines = line.frames.device, stacked([line])
    generator = torch.Generator(device).manual_seed(settings.seed)

    def denoise(x: Stack, angle: float) -> Stack:
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
            return estimate(net, x, x.new_full((1,), angle), lines)

    starts = opposite_noise(line.frames.shape, settings.samples, generator)
    return torch.cat([ddim(denoise, start[None], settings.steps) for start in starts])
