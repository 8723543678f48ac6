"""What each z(t) knows of the observations."""

import dataclasses

import pytest
import torch

from rephase.sequence.networks.latent import LATENTS, clock, control
from rephase.sequence.networks.solver import VectorField


def state(kind, codes, observed, at, small):
    torch.manual_seed(0)
    return LATENTS[kind](small.latent, small.positions)(codes, observed, at)


@pytest.fixture
def setting(moving, seen, small):
    torch.manual_seed(1)
    observed, mask = seen(moving(2, 0))
    codes = torch.randn(2, len(observed.knots), small.latent.code)
    return codes, observed, mask


def test_the_control_is_straight_between_knots_unless_cubics_are_asked_for(setting, small):
    codes, observed, _ = setting
    at = torch.arange(30)
    straight = state("cde", codes, observed, at, small)
    latent = small.latent.model_copy(update={"control": "hermite"})
    bent = state("cde", codes, observed, at, small.model_copy(update={"latent": latent}))
    assert straight.shape == bent.shape and not torch.allclose(straight, bent, atol=1e-4)


@pytest.mark.parametrize("kind", LATENTS)
def test_a_state_for_every_time_asked_for(kind, setting, small):
    codes, observed, _ = setting
    at = torch.tensor([0, 7, 29])
    alone = state(kind, codes[1:], observed_one(observed, 1), at, small)
    both = state(kind, codes, observed, at, small)
    assert both.shape == (2, 3, small.latent.state)
    assert torch.allclose(both[1:], alone, atol=1e-6)  # sequences do not know of each other
    assert torch.allclose(both[:, 1:2], state(kind, codes, observed, at[1:2], small), atol=1e-6)


def observed_one(observed, row):
    parts = {
        name: getattr(observed, name)[row : row + 1]
        for name in ("frames", "change", "mean", "spread", "known")
    }
    return dataclasses.replace(observed, **parts)


@pytest.mark.parametrize(
    ("kind", "reaches"),
    [("none", False), ("lstm", True), ("cde", True), ("log_ode", True), ("ode", False)],
)
def test_temporal_models_know_of_every_code_and_the_others_do_not(kind, reaches, setting, small):
    codes, observed, _ = setting
    codes.requires_grad_()
    state(kind, codes, observed, torch.tensor([0]), small).sum().backward()
    assert bool(codes.grad[:, -1].abs().max() > 1e-7) == reaches


def test_of_the_paper_s_ode_only_the_first_code_reaches_any_time(setting, small):
    codes, observed, _ = setting
    codes.requires_grad_()
    state("ode", codes, observed, torch.arange(30), small).sum().backward()
    assert codes.grad[:, 0].abs().max() > 0 and not codes.grad[:, 1:].any()


def test_eq_2_runs_from_zero_to_one_however_many_steps_it_takes(setting, small, monkeypatch):
    """A field of ones takes z from its start by one, and is asked at times from 0 to 1."""
    codes, observed, _ = setting
    length, asked = small.latent.state, []

    def ones(self, u, z):
        asked.append(z[..., length].detach())
        return torch.ones(*z.shape[:-1], length, 1)

    monkeypatch.setattr(VectorField, "forward", ones)
    for steps in (4, 16):
        torch.manual_seed(0)
        settings = small.latent.model_copy(update={"ode_steps": steps})
        ode = LATENTS["ode"](settings, small.positions)
        monkeypatch.setattr(ode, "read", torch.nn.Identity())
        moved = ode(codes, observed, torch.tensor([0, 29])) - ode.start(codes[:, 0])[:, None]
        assert torch.allclose(moved[:, 0], torch.zeros(()), atol=1e-5)
        assert torch.allclose(moved[:, 1], torch.ones(()), atol=1e-5)
        times = torch.cat([one.ravel() for one in asked])
        assert times.min() == 0 and times.max() == pytest.approx(1)


def test_the_control_holds_time_counts_and_codes(setting, small):
    codes, observed, mask = setting
    values, times = control(codes, observed)
    assert times[0] == 0 and times[-1] == 1
    assert torch.allclose(values[..., 0], times.expand(2, -1))
    counts = torch.from_numpy(mask.cumsum(axis=0) / mask.sum(axis=0))[(times * 29).round().long()]
    assert torch.allclose(values[0, :, 1:3], counts.float())
    inside = torch.isin((times * 29).round().long(), observed.knots)
    assert torch.equal(values[:, inside, 3:], codes)


def turned(observed):
    """The sequence from its end to its beginning."""
    return dataclasses.replace(
        observed,
        times=1 - observed.times.flip(0),
        knots=29 - observed.knots.flip(0),
        seen=observed.seen.flip(0),
    )


def test_the_reversed_control_is_that_of_the_reversed_sequence(setting):
    codes, observed, _ = setting
    for found, expected in zip(
        control(codes, observed, reverse=True), control(codes.flip(1), turned(observed)), strict=True
    ):
        assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["cde", "log_ode"])
def test_with_directions_exchanged_a_reversed_sequence_gives_reversed_states(kind, setting, small):
    """One field runs both ways: z differs by what tells the directions apart alone."""
    codes, observed, _ = setting
    torch.manual_seed(0)
    latent = LATENTS[kind](small.latent, small.positions)
    half = small.latent.state
    with torch.no_grad():
        latent.start.weight[:, -1] = 0  # the direction
        latent.read.weight[:, half:] = latent.read.weight[:, :half]
    at = torch.tensor([0, 11, 29])
    forward, backward = latent(codes, observed, at), latent(codes.flip(1), turned(observed), 29 - at)
    assert torch.allclose(forward, backward, atol=1e-5)


def test_the_field_of_log_signatures_does_not_grow_with_the_codes(small):
    """Areas of all pairs would: of 64 codes they are 2,000."""
    sizes = [
        sum(p.numel() for p in LATENTS["log_ode"](latent, small.positions).field.parameters())
        for latent in (small.latent, small.latent.model_copy(update={"code": 64}))
    ]
    assert sizes[0] == sizes[1]


def test_the_clock_ticks_at_the_knots():
    ticks = torch.tensor([0.0, 0.2, 1.0])
    assert clock(torch.tensor([0.0, 0.1, 0.2, 0.6, 1.0]), ticks) == pytest.approx(
        torch.tensor([0, 0.5, 1, 1.5, 2])
    )


@pytest.mark.parametrize("kind", ["cde", "log_ode"])
def test_the_start_knows_the_direction(kind, setting, small):
    """With one reading for both directions, only this tells a sequence from its reverse."""
    codes, observed, _ = setting
    torch.manual_seed(0)
    latent = LATENTS[kind](small.latent, small.positions)
    half = small.latent.state
    with torch.no_grad():
        latent.read.weight[:, half:] = latent.read.weight[:, :half]
    at = torch.tensor([0, 11, 29])
    forward, backward = latent(codes, observed, at), latent(codes.flip(1), turned(observed), 29 - at)
    assert not torch.allclose(forward, backward, atol=1e-3)
