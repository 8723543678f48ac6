"""What a network of video diffusion is trained for: the error of its estimate, in units of intensity.

Square errors of a sequence are summed as intensities, which is what its NMSE counts, and divided
by what the line was expected to err by and did,

    sum scale^2 (estimate - x0)^2 / sum (unit^2 + scale^2 x0^2),

so that no sequence decides alone, not even one that changed while nobody looked.
"""

from __future__ import annotations

import torch
from jaxtyping import Float

from rephase.sequence.diffusion.examples import Examples
from rephase.sequence.diffusion.interpolation import Line, Stack
from rephase.sequence.diffusion.network import DiffusionNet
from rephase.sequence.diffusion.process import PURE_NOISE, denoised, noised

PerSequence = Float[torch.Tensor, " sequence"]


def estimate(net: DiffusionNet, x: Stack, angle: PerSequence, line: Line) -> Stack:
    """The network's estimate of x0 from sequences with noise."""
    return denoised(x, net(x, angle, line), angle[:, None, None, None, None])


def errors(net: DiffusionNet, examples: Examples, noise: Stack, angle: PerSequence) -> PerSequence:
    """Relative square error of the estimate from x0 with this noise; below 1, unless it harms."""
    line, x0 = examples.line, examples.x0
    found = estimate(net, noised(x0, noise, angle[:, None, None, None, None]), angle, line)
    return _relative((line.scale * (found - x0)).square(), examples)


def line_errors(examples: Examples) -> PerSequence:
    """The same of the line alone, which estimates x0 = 0."""
    return _relative((examples.line.scale * examples.x0).square(), examples)


def spread_angles(count: int, generator: torch.Generator) -> Float[torch.Tensor, " {count}"]:
    """One angle in each of so many equal parts of the range, in any order."""
    order = torch.randperm(count, generator=generator, device=generator.device)
    within = torch.rand(count, generator=generator, device=generator.device)
    return PURE_NOISE * (order + within) / count


def _relative(square: Stack, examples: Examples) -> PerSequence:
    line = examples.line
    most = line.unit.square() + (line.scale * examples.x0).square()
    return square.sum((1, 2, 3, 4)) / most.sum((1, 2, 3, 4))
