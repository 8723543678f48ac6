"""Solutions are those of closed forms, and what cannot be solved says so."""

import re

import pytest
import torch
from torch import nn

from rephase.sequence.networks.path import hermite_path, linear_path
from rephase.sequence.networks.solver import SolverError, SolverSettings, VectorField, solve

TIMES = torch.linspace(0, 1, 9, dtype=torch.float64) ** 1.5


class Linear(nn.Module):
    """f(z) = (A_1 z, A_2 z): dz = sum A_i z dX_i."""

    def __init__(self, matrices):
        super().__init__()
        self.matrices = nn.Parameter(matrices)

    def forward(self, u, z):
        return torch.einsum("cij,...j->...ic", self.matrices, z)


def commuting(seed=0):
    torch.manual_seed(seed)
    one = 0.5 * torch.randn(4, 4, dtype=torch.float64)
    return torch.stack([one, 0.3 * one @ one + 0.2 * torch.eye(4, dtype=torch.float64)])


def curve():
    x = torch.stack([torch.sin(3 * TIMES), TIMES**2], dim=-1)
    return hermite_path(x[None], TIMES)


PRECISE = SolverSettings(method="dopri5", absolute_tolerance=1e-8, relative_tolerance=1e-8)


@pytest.mark.parametrize(("settings", "tolerance"), [(PRECISE, 1e-6), (SolverSettings(steps=8), 1e-6)])
def test_a_linear_field_gives_the_exponential_of_the_path(settings, tolerance):
    matrices, start, path = commuting(), torch.randn(1, 4, dtype=torch.float64), curve()
    solution = solve(path, Linear(matrices), start, settings)
    begin = path.evaluate(torch.tensor(0.0, dtype=torch.float64))
    for knot in range(9):
        rise = path.evaluate(torch.tensor(float(knot), dtype=torch.float64)) - begin
        exact = torch.matrix_exp(torch.einsum("c,cij->ij", rise[0], matrices)) @ start[0]
        assert solution.states[0, knot].detach() == pytest.approx(exact.detach(), abs=tolerance)


def test_between_knots_the_solution_is_as_exact():
    matrices, start = commuting(1), torch.randn(1, 4, dtype=torch.float64)
    fine = torch.linspace(0, 1, 65, dtype=torch.float64)
    path = hermite_path(torch.stack([torch.sin(3 * fine), fine**2], dim=-1)[None], fine)
    u = torch.tensor([0.5, 10.3, 63.9], dtype=torch.float64)
    found = solve(path, Linear(matrices), start, SolverSettings()).at(u)
    begin = path.evaluate(u[0] * 0)
    for at, z in zip(u, found[0], strict=True):
        exact = torch.matrix_exp(torch.einsum("c,cij->ij", (path.evaluate(at) - begin)[0], matrices))
        assert z.detach() == pytest.approx((exact @ start[0]).detach(), abs=1e-5)


def test_the_clock_does_not_matter():
    """A path through the same points at other times, if straight between them, drives z as far."""
    torch.manual_seed(2)
    points = torch.randn(1, 7, 3, dtype=torch.float64)
    field = VectorField(4, 3, 8, 2).double()
    start = torch.randn(1, 4, dtype=torch.float64)
    often = torch.stack([(points[:, :-1] + points[:, 1:]) / 2, points[:, 1:]], dim=2).flatten(1, 2)
    often = torch.cat([points[:, :1], often], dim=1)
    ends = [solve(linear_path(x), field, start, PRECISE).states[:, -1] for x in (points, often)]
    assert torch.allclose(*ends, atol=1e-6)


@pytest.mark.parametrize("adjoint", [False, True])
def test_gradients_reach_start_field_and_control(adjoint):
    settings = SolverSettings(steps=4, adjoint=adjoint)
    torch.manual_seed(3)
    x = torch.randn(1, 4, 2, dtype=torch.float64, requires_grad=True)
    start = torch.randn(1, 4, dtype=torch.float64, requires_grad=True)
    field = VectorField(4, 2, 8, 2).double()

    def end(values, first):
        return solve(hermite_path(values, TIMES[:4]), field, first, settings).states[:, -1].sum()

    found = torch.autograd.grad(end(x, start), [x, start, *field.parameters()])
    step = torch.zeros_like(x)
    step[0, 2, 1] = 1e-4
    with torch.no_grad():
        expected = (end(x + step, start) - end(x - step, start)) / 2e-4
    assert found[0][0, 2, 1] == pytest.approx(float(expected), rel=1e-2 if adjoint else 1e-5)
    assert all(gradient.abs().max() > 1e-6 for gradient in found)


class Explodes(nn.Module):
    def forward(self, u, z):
        return (z**2)[..., None]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (SolverSettings(method="dopri5", most_steps=3), "max_num_steps exceeded"),
        (SolverSettings(steps=64), "values that are not finite"),
    ],
)
def test_what_cannot_be_solved_says_when_and_how_large_the_state_was(settings, reason):
    path = linear_path(4 * torch.linspace(0, 1, 3, dtype=torch.float64)[None, :, None])
    with pytest.raises(SolverError, match="the solver stopped") as caught:
        solve(path, Explodes(), torch.ones(1, 1, dtype=torch.float64), settings)
    message = str(caught.value)
    assert re.search(reason, message) and "\n" not in message
    assert re.search(r"at time [\d.]+ of 2 intervals .* the state's norm is \S+$", message)


def test_evaluations_are_counted():
    start = torch.zeros(1, 4, dtype=torch.float64)
    found = solve(curve(), Linear(commuting()), start, SolverSettings(steps=2)).evaluations
    assert found == 8 * 2 * 4 + 2  # torchcde tries the field once; and once for all slopes
