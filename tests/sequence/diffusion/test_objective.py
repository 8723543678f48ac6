"""The loss is a relative square error in intensity."""

import math

import pytest
import torch

from rephase.sequence.diffusion.examples import Epoch
from rephase.sequence.diffusion.network import Architecture, DiffusionNet
from rephase.sequence.diffusion.objective import errors, line_errors, spread_angles
from rephase.sequence.diffusion.process import PURE_NOISE
from rephase.sequence.networks.samples import Draws


def examples(peaks):
    return next(iter(Epoch(peaks(3), Draws(), 3, None, 1, 0)))


@pytest.mark.parametrize("angle", [0.0, 0.7, PURE_NOISE])
def test_of_a_network_that_knows_nothing(peaks, angle):
    """Velocity 0 estimates cos(angle) x; at pure noise that is the line alone."""
    drawn, net = examples(peaks), DiffusionNet(Architecture(positions=2, channels=8))
    noise = torch.randn(drawn.x0.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = errors(net, drawn, noise, torch.full((3,), angle))
    for index in range(3):
        scale, x0 = drawn.line.scale[index], drawn.x0[index]
        x = math.cos(angle) * x0 + math.sin(angle) * noise[index]
        wrong = (scale * (math.cos(angle) * x - x0)).square().mean()
        most = drawn.line.unit[index].square() + (scale * x0).square().mean()
        assert float(found[index]) == pytest.approx(float(wrong / most), rel=1e-4, abs=1e-9)
    if angle == PURE_NOISE:
        assert (found < 1).all() and torch.allclose(line_errors(drawn), found, atol=1e-6)


def test_angles_are_spread_over_the_whole_range():
    angles = spread_angles(50, torch.Generator().manual_seed(0))
    assert torch.equal((angles.sort().values / PURE_NOISE * 50).floor(), torch.arange(50.0))
    assert not torch.equal(angles, angles.sort().values)
