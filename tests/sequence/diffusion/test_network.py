"""The network sees frames together, sequences apart, and no order but that of time."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rephase.errors import InputError
from rephase.sequence.diffusion.interpolation import interpolated, stacked
from rephase.sequence.diffusion.network import Architecture, DiffusionNet
from rephase.sequence.sampling import draw_mask

ANGLE = torch.tensor([0.4, 1.2])


def lines(peaks, size=8):
    found = []
    for index in range(2):
        mask = draw_mask(16, 2, 0.7, index, arm="staggered")
        sequences = peaks(2, size=size)
        known = sequences.known(np.array([index]), 1e3)[0]
        found.append(interpolated(sequences.times, sequences.frames[index], mask, 1e3, known))
    return found


def noise(line, seed=0):
    return torch.randn(line.frames.shape, generator=torch.Generator().manual_seed(seed))


def test_it_is_zero_before_training(peaks):
    line = stacked(lines(peaks))
    net = DiffusionNet(Architecture(positions=2, channels=8))
    assert not net(noise(line), ANGLE, line).any()


@torch.no_grad()
def test_sequences_of_a_batch_do_not_know_each_other(net, peaks):
    both = stacked(lines(peaks))
    together = net(noise(both), ANGLE, both)
    for index, line in enumerate(lines(peaks)):
        alone = net(noise(both)[index : index + 1], ANGLE[index : index + 1], stacked([line]))
        assert torch.allclose(alone[0], together[index], atol=1e-5)


@torch.no_grad()
def test_only_times_tell_the_order_of_frames(net, peaks):
    line = lines(peaks)[0]
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    parts = {name: getattr(line, name)[order] for name in ("frames", "scale", "marks", "times")}
    shuffled = type(line)(mean=line.mean, unit=line.unit, **parts)
    found = net(noise(line)[None], ANGLE[:1], stacked([line]))
    other = net(noise(line)[order][None], ANGLE[:1], stacked([shuffled]))
    assert torch.allclose(other, found[:, order], atol=1e-5)


@torch.no_grad()
def test_every_frame_hears_of_a_change_and_the_less_the_further_it_is_in_time(net, peaks):
    line = stacked(lines(peaks)[:1])
    one = noise(line)
    two = one.clone()
    two[:, 8] += 1
    heard = []
    for times in (line.times, 100 * line.times):
        there = replace(line, times=times)
        change = net(two, ANGLE[:1], there) - net(one, ANGLE[:1], there)
        heard.append(change.square().mean((0, 2, 3, 4)).sqrt())
        assert (heard[-1] > 0).all() and heard[-1].argmax() == 8
    assert heard[1][[7, 9]].mean() < 0.9 * heard[0][[7, 9]].mean()


@torch.no_grad()
@pytest.mark.parametrize("changes", [{"patch": 1, "levels": 3}, {"patch": 4, "levels": 1}, {"channels": 16}])
def test_patterns_of_any_size_that_can_be_divided(make_net, peaks, changes):
    for size in (8, 16):
        line = stacked(lines(peaks, size))
        assert make_net(**changes)(noise(line), ANGLE, line).shape == (2, 16, 2, size, size)


def test_what_does_not_fit_is_named(net, make_net, peaks):
    line = stacked(lines(peaks, 6))
    with pytest.raises(InputError, match=r"patterns of \(6, 6\) px, expected multiples of 4 px"):
        net(noise(line), ANGLE, line)
    with pytest.raises(InputError, match="found 2 positions, expected 4"):
        make_net(positions=4)(noise(line), ANGLE, line)


def test_the_gradient_of_all_parameters_is_that_of_differences(make_net, peaks):
    """In double precision, along a random direction: nothing is cut off from training."""
    net, line = make_net().double(), stacked(lines(peaks))
    line = type(line)(**{name: getattr(line, name).double() for name in line.__dataclass_fields__})
    x, angle = noise(line).double(), ANGLE.double()
    net(x, angle, line).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())
    rng = torch.Generator().manual_seed(0)
    for p in net.parameters():
        direction = torch.randn(p.shape, generator=rng, dtype=p.dtype)
        slope, values = float((direction * p.grad).sum()), []
        with torch.no_grad():
            for step in (1e-5, -2e-5):
                p += step * direction
                values.append(float(net(x, angle, line).square().sum()))
            p += 1e-5 * direction
        assert (values[0] - values[1]) / 2e-5 == pytest.approx(slope, rel=1e-4, abs=1e-4)


def test_widths_are_multiples_of_the_groups():
    with pytest.raises(ValueError, match="multiple of 8"):
        Architecture(channels=12)
