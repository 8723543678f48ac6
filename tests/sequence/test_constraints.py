"""The constraints hold where their laws do, in closed form, and the cost of forcing them is known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rephase.errors import InputError
from rephase.sequence import constraints
from rephase.sequence.metrics import centre_of_mass

SHAPES = [(8, 8), (7, 7), (8, 7)]


def drawn(seed, shape=(5, 2, 8, 8)):
    return np.random.default_rng(seed).random(shape)


def coordinates(shape):
    """Distances of the pixels from the beam along rows and columns."""
    return np.meshgrid(*(np.arange(n) - n // 2 for n in shape), indexing="ij")


def power(values):
    return float(np.sum(np.square(values)))


@pytest.mark.parametrize("shape", SHAPES)
def test_pixels_without_a_partner_are_left_out(shape):
    """Every coordinate that is kept, and no other, has its negative on the detector."""
    for axis in coordinates(shape):
        kept = constraints.paired(axis)
        assert np.array_equal(kept[::-1, ::-1], -kept)
    rows, cols = (set(np.unique(axis)) for axis in coordinates(shape))
    partners = [(i, j) for i in rows for j in cols if -i in rows and -j in cols]
    assert kept.size == len(partners)


@pytest.mark.parametrize("shape", SHAPES)
def test_friedels_law_holds_for_even_functions_of_the_scattering_vector(shape):
    row, col = coordinates(shape)
    even = np.exp(-(row**2) / 9 - (col**2) / 4 - row * col / 7)
    assert constraints.friedel(torch.tensor(even[None, None])) < 1e-30
    odd = np.sign(row + 0.3 * col)
    mixed = torch.tensor((even + 0.2 * odd * even)[None, None])
    both = constraints.paired(even), 0.2 * constraints.paired(odd * even)
    share = power(both[1]) / (power(both[0]) + power(both[1]))
    assert float(constraints.friedel(mixed)) == pytest.approx(share)


def test_pixels_without_a_partner_break_no_law():
    frames = drawn(0)
    other = frames.copy()
    other[..., 0, :], other[..., :, 0] = 7, 9
    losses = [float(constraints.friedel(torch.tensor(values))) for values in (frames, other)]
    assert losses[0] == losses[1] > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_friedels_law_forces_the_centre_of_mass_to_zero(shape):
    """sum_k k (M(k) + M(-k)) / 2 = 0, whatever the pattern: no deflection is left to see."""
    frames = drawn(1, (4, 3, *shape))
    true = centre_of_mass(frames)
    assert np.abs(true).min() > 1e-3
    exact = constraints.symmetrised(frames)
    assert np.abs(centre_of_mass(exact)).max() < 1e-15
    assert float(constraints.friedel(torch.tensor(exact))) < 1e-30
    assert exact.sum() == pytest.approx(frames.sum())
    assert centre_of_mass(constraints.symmetrised(frames, 0.3)) == pytest.approx(0.7 * true)


@pytest.mark.parametrize("weight", [0.05, 0.5, 5.0])
def test_a_penalty_on_asymmetry_damps_the_centre_of_mass_in_proportion(weight):
    """The minimum of |E - M|^2 + weight sum |E(k) - E(-k)|^2 is where the gradient vanishes."""
    frames = drawn(2, (2, 1, 8, 8))
    damped = constraints.symmetrised(frames, 4 * weight / (1 + 4 * weight))
    estimate = torch.tensor(damped, requires_grad=True)
    both = estimate[..., 1:, 1:]
    cost = (estimate - torch.tensor(frames)).square().sum()
    cost = cost + weight * (both - both.flip((-1, -2))).square().sum()
    cost.backward()
    assert estimate.grad.abs().max() < 1e-13
    assert centre_of_mass(damped) == pytest.approx(centre_of_mass(frames) / (1 + 4 * weight))


def test_kinematic_scattering_holds_for_what_is_proportional_to_the_structure_also_where_it_is_zero():
    structure = drawn(3, (9, 8))
    structure[2:5] = 0
    amplitude = drawn(4, (5, 2, 1, 1))
    frames = torch.tensor(amplitude * structure, requires_grad=True)
    loss = constraints.kinematic(frames, torch.tensor(1e5 * structure))
    assert loss.item() < 1e-30
    loss.backward()
    assert torch.isfinite(frames.grad).all()
    assert float(constraints.kinematic(torch.tensor(drawn(5, (5, 2, 9, 8))), torch.tensor(structure))) > 0.1


def test_kinematic_loss_is_the_papers_times_the_square_of_the_structure():
    """On a fine grid, with F = 2 + cos and all gradients by hand."""
    x = np.linspace(0, 2 * np.pi, 2001)[:, None] + np.zeros(4)
    f, slope_f = 2 + np.cos(x), -np.sin(x)
    m, slope_m = np.exp(-x / 3), -np.exp(-x / 3) / 3
    gap = slope_m - 2 * m * slope_f / f  # Eq. 6
    sides = math.sqrt(power(f**2 * slope_m)), math.sqrt(power(2 * m * f * slope_f))
    expected = power(f**2 * gap) / sum(sides) ** 2
    found = constraints.kinematic(torch.tensor(m[None, None]), torch.tensor(f**2))
    assert float(found) == pytest.approx(expected, rel=1e-3)


def test_energy_loss_of_a_sequence_that_is_too_bright():
    frames = np.full((6, 2, 4, 4), 1.1 / 16)
    found = constraints.energy(torch.tensor(frames), torch.tensor(1.0, dtype=torch.float64))
    assert float(found) == pytest.approx((0.1 / 2.1) ** 2)
    frames[::2] = 0.9 / 16
    found = constraints.energy(torch.tensor(frames), torch.tensor(1.0, dtype=torch.float64))
    assert float(found) == pytest.approx(0.01 / (1 + math.sqrt(1.01)) ** 2)


@settings(max_examples=10)
@given(st.integers(0, 1000), st.sampled_from([1e-6, 1.0, 1e6]))
def test_violations_lie_between_0_and_1_and_do_not_depend_on_the_dose(seed, dose):
    frames, structure = drawn(seed) ** 8, drawn(seed + 1, (8, 8)) ** 8
    first = constraints.violations(frames, structure, 3.0)
    scaled = constraints.violations(dose * frames, structure / dose, 3.0 * dose)
    for name, value in first.items():
        assert 0 < value <= 1
        assert scaled[name] == pytest.approx(value)
    parts = [first[name] for name in ("friedel", "kinematic", "energy")]
    assert first["total"] == pytest.approx(np.mean(parts))
    losses = constraints.physics(*map(torch.tensor, (frames, structure, 3.0)))
    assert float(losses) == pytest.approx(power(parts), rel=1e-5)


def test_sequences_of_a_batch_do_not_see_each_other():
    frames = torch.tensor(drawn(6, (3, 5, 2, 8, 8)))
    structure, intensity = torch.tensor(drawn(7, (3, 8, 8))), torch.tensor([20.0, 30.0, 40.0])
    times = torch.tensor(np.sort(drawn(8, (3, 5))))
    together = constraints.physics(frames, structure, intensity), constraints.temporal(frames, times)
    for i in range(3):
        alone = constraints.physics(frames[i], structure[i], intensity[i])
        assert float(together[0][i]) == pytest.approx(float(alone))
        assert float(together[1][i]) == pytest.approx(float(constraints.temporal(frames[i], times[i])))


def test_gradients_are_right_and_finite_for_frames_of_nothing():
    frames = torch.tensor(drawn(9, (3, 1, 3, 2)), requires_grad=True)
    structure, times = torch.tensor(drawn(10, (3, 2))), torch.tensor([0.0, 1.0, 3.0]).double()
    intensity = torch.tensor(5.0).double()
    assert torch.autograd.gradcheck(lambda f: constraints.physics(f, structure, intensity), frames)
    assert torch.autograd.gradcheck(lambda f: constraints.temporal(f, times), frames)
    dark = torch.zeros(3, 1, 3, 2, requires_grad=True)
    (constraints.physics(dark, structure, intensity) + constraints.temporal(dark, times)).backward()
    assert torch.isfinite(dark.grad).all()


def test_half_precision_is_not_used_for_squares_of_small_fractions():
    frames = torch.tensor(1e-4 * drawn(11))
    expected = float(constraints.friedel(frames))
    assert float(constraints.friedel(frames.half())) == pytest.approx(expected, rel=1e-2)


def test_smoothness_spares_what_is_linear_and_measures_what_is_quadratic_in_uneven_time():
    times = np.array([0.0, 0.3, 1.0, 2.5, 2.6, 4.0])
    slope, bend = drawn(12, (2, 1, 2, 3, 3))
    straight = 5 + slope * times[:, None, None, None]
    assert float(constraints.temporal(torch.tensor(straight), torch.tensor(times))) < 1e-28
    curve = straight + bend * times[:, None, None, None] ** 2
    gap = np.diff(times).mean()
    time_counted = (times[2:] - times[:-2]).sum() / 2 / gap
    expected = power(2 * gap**2 * bend) * time_counted / power(curve)
    assert float(constraints.temporal(torch.tensor(curve), torch.tensor(times))) == pytest.approx(expected)


def test_first_order_smoothness_at_even_times_is_that_of_the_paper():
    frames, times = drawn(13), torch.arange(5.0) * 3
    paper = sum(power(frames[t + 1] - frames[t]) for t in range(4))  # Eq. 13
    found = constraints.temporal(torch.tensor(frames), times, order=1)
    assert float(found) == pytest.approx(paper / power(frames))


def test_controls_obey_the_laws_that_they_enforce():
    frames = drawn(14).astype(np.float32)
    fair = constraints.projected(frames, 2.5)
    broken = constraints.violations(fair, drawn(15, (8, 8)), 2.5)
    assert broken["friedel"] < 1e-6 and broken["energy"] < 1e-6 < broken["kinematic"]
    assert fair.dtype == np.float32 and frames.max() <= 1
    mean = frames.mean(axis=0)
    assert constraints.shrunk(frames, 1.0)[3] == pytest.approx(mean, rel=1e-5)
    assert constraints.shrunk(frames, 0.25) == pytest.approx(0.75 * frames + 0.25 * mean, rel=1e-5)


def test_mean_intensity_is_that_of_observed_frames():
    frames, mask = drawn(16), drawn(17, (5, 2)) < 0.5
    frames[~mask] = np.nan
    expected = np.mean([frames[t, r].sum() for t, r in np.argwhere(mask)])
    assert constraints.mean_intensity(frames, mask) == pytest.approx(expected)


def test_what_makes_no_sense_is_refused_in_one_line():
    frames, structure = drawn(18), drawn(19, (8, 8))
    with pytest.raises(InputError, match=r"structure: found shape \(8, 7\)"):
        constraints.violations(frames, structure[:, 1:], 1.0)
    with pytest.raises(InputError, match="structure: found negative"):
        constraints.violations(frames, -structure, 1.0)
    with pytest.raises(InputError, match="intensity: found 0"):
        constraints.violations(frames, structure, 0)
    with pytest.raises(InputError, match="share: found 1.5"):
        constraints.symmetrised(frames, 1.5)
    with pytest.raises(InputError, match="share: found -1"):
        constraints.shrunk(frames, -1)
    with pytest.raises(InputError, match="frames: found a frame of total intensity 0"):
        constraints.rescaled(0 * frames, 1.0)
