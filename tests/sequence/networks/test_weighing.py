"""Weights with which observed frames make up others."""

import pytest
import torch

from rephase.sequence.networks.weighing import REACHES, Weighing

AT = torch.arange(30)


def weights_of(observed, alter=None) -> torch.Tensor:
    torch.manual_seed(0)
    weighing = Weighing(5, 4, 2)
    if alter:
        with torch.no_grad():
            alter(weighing)
    condition, keys = torch.randn(1, 30, 5), torch.randn(1, len(observed.knots), 4)
    return weighing(condition, keys, observed, AT)[0].detach()


def opened(head: int):
    """One head alone, which heeds only time."""

    def alter(weighing: Weighing) -> None:
        weighing.query.weight.zero_()
        weighing.query.bias.zero_()
        weighing.rate.weight.zero_()
        weighing.gate.bias.unflatten(0, (len(REACHES), 2))[head] = 1

    return alter


@pytest.fixture(params=["synchronous", "staggered"])
def observed(request, moving, seen):
    return seen(moving(1, 0), arm=request.param)[0]


def test_they_sum_to_one_over_the_position_s_own_observations(observed):
    found = weights_of(observed, lambda weighing: weighing.gate.weight.normal_())
    assert torch.allclose(found.sum(-1), torch.ones(2, 30), atol=1e-4)
    assert not found.movedim(1, -1)[~observed.seen.T].any()
    assert not torch.allclose(found, observed.weights, atol=1e-2)


def test_at_first_they_are_those_of_linear_interpolation(observed):
    assert torch.allclose(weights_of(observed), observed.weights, atol=1e-6)


@pytest.mark.parametrize("head", range(len(REACHES)))
def test_a_head_that_heeds_only_time_falls_off_over_its_reach(observed, head):
    found = weights_of(observed, opened(head))
    for position, seen in enumerate(observed.seen.T):
        times = observed.times[observed.knots[seen]]
        gap = 1 / len(times)
        expected = torch.softmax(-(observed.times[:, None] - times).abs() / gap / REACHES[head], dim=1)
        assert torch.allclose(found[position][:, seen], expected, atol=1e-4)


def test_states_that_are_alike_are_preferred_however_far_in_time(observed):
    torch.manual_seed(0)
    weighing = Weighing(4, 4, 2, width=4)
    with torch.no_grad():
        opened(2)(weighing)
        weighing.key.weight.copy_(torch.eye(4).repeat(3, 1))
        weighing.query.weight.copy_(20 * torch.eye(4).repeat(3, 1))
    keys = torch.eye(4)[torch.arange(len(observed.knots)) % 4][None]
    condition = keys[:, :1].expand(-1, 30, -1)
    found = weighing(condition, keys, observed, AT)[0]
    alike = (torch.arange(len(observed.knots)) % 4 == 0)[None] & observed.seen.T
    assert all(found[p][:, alike[p]].sum(-1).min() > 0.98 for p in range(2) if alike[p].any())
