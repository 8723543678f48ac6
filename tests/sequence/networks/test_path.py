"""Control paths pass their knots, and log-signatures are those of closed forms."""

import math

import pytest
import torch
import torchcde

from rephase.sequence.networks.path import hermite_path, joined, linear_path, log_signatures

torch.manual_seed(0)
VALUES = torch.randn(3, 6, 2, dtype=torch.float64)
TIMES = torch.tensor([0.0, 0.1, 0.35, 0.4, 0.8, 1.0], dtype=torch.float64)


@pytest.mark.parametrize("path", [hermite_path(VALUES, TIMES), linear_path(VALUES)])
def test_a_path_passes_its_knots(path):
    for knot in range(6):
        assert torch.allclose(path.evaluate(torch.tensor(float(knot), dtype=torch.float64)), VALUES[:, knot])


def test_on_the_clock_of_its_knots_a_path_is_that_of_torchcde_in_time():
    path = hermite_path(VALUES, TIMES)
    theirs = torchcde.CubicSpline(
        torchcde.hermite_cubic_coefficients_with_backward_differences(VALUES, TIMES), TIMES
    )
    for u in (0.25, 1.5, 4.9):
        u = torch.tensor(u, dtype=torch.float64)
        gap = TIMES[int(u) + 1] - TIMES[int(u)]
        time = TIMES[int(u)] + (u - int(u)) * gap
        assert torch.allclose(path.evaluate(u), theirs.evaluate(time))
        assert torch.allclose(path.derivative(u), gap * theirs.derivative(time))


def test_slopes_are_derivatives_at_both_ends_of_an_interval():
    path = joined(hermite_path(VALUES, TIMES), hermite_path(VALUES.flip(1), 1 - TIMES.flip(0)))
    first, last = path.slopes()
    for interval in range(5):
        begin, end = (torch.tensor(interval + s, dtype=torch.float64) for s in (1e-9, 1 - 1e-9))
        assert torch.allclose(first[:, interval], path.derivative(begin), atol=1e-6)
        assert torch.allclose(last[:, interval], path.derivative(end), atol=1e-6)


def circle(turns: float, steps: int, radius: float) -> torch.Tensor:
    angle = torch.linspace(0, 2 * math.pi * turns, steps + 1, dtype=torch.float64)
    return radius * torch.stack([angle.cos(), angle.sin()], dim=-1)[None]


def test_the_levy_area_of_a_circle_is_its_area():
    found = log_signatures(circle(1, 2000, 1.5), 2000)[0, 0]
    assert found[:2] == pytest.approx([0, 0], abs=1e-12)
    assert found[2] == pytest.approx(math.pi * 1.5**2, rel=1e-5)


def test_the_area_does_not_depend_on_speed_and_changes_sign_with_direction():
    path = circle(0.7, 90, 1.0)
    forward, backward = log_signatures(path, 90)[0, 0], log_signatures(path.flip(1), 90)[0, 0]
    assert torch.allclose(backward, -forward)
    twice = path.repeat_interleave(2, dim=1)  # waits at every knot
    assert torch.allclose(log_signatures(twice, twice.shape[1])[0, 0], forward)


def test_windows_join_by_the_formula_of_baker_campbell_and_hausdorff():
    torch.manual_seed(1)
    path = torch.randn(2, 9, 3, dtype=torch.float64)
    first, second = log_signatures(path, 4).unbind(1)
    (whole,) = log_signatures(path, 8).unbind(1)
    rows, cols = torch.triu_indices(3, 3, offset=1)
    bracket = first[:, rows] * second[:, cols] - first[:, cols] * second[:, rows]
    assert torch.allclose(whole[:, :3], first[:, :3] + second[:, :3])
    assert torch.allclose(whole[:, 3:], first[:, 3:] + second[:, 3:] + bracket / 2)


def test_a_last_window_may_be_shorter():
    path = torch.randn(1, 6, 2, dtype=torch.float64)
    found = log_signatures(path, 3)
    assert found.shape == (1, 2, 3)
    assert torch.allclose(found[:, 1], log_signatures(path[:, 3:], 2)[:, 0])
