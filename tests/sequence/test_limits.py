"""Each limit is what its definition says: by least squares, in closed form, or by counting many times."""

import numpy as np
import pytest

from rephase.errors import InputError
from rephase.microscope.camera import poisson_counts
from rephase.sequence import limits
from rephase.sequence.linear import complete as linear
from rephase.sequence.sampling import draw_mask
from rephase.specimen.transition import order_parameter

TIMES = np.linspace(0, 10, 40)
SHAPE = (40, 2, 6, 6)


def patterns(seed, count=3):
    return np.random.default_rng(seed).random((count, *SHAPE[1:])) ** 2 / 20


def sequence(seed=0):
    """Frames of about 1 in all that change smoothly, of full rank in time."""
    rng = np.random.default_rng(seed)
    phases = rng.uniform(0, 2 * np.pi, SHAPE[1:])
    return patterns(seed, 1)[0] * (1.2 + np.sin(TIMES[:, None, None, None] * rng.uniform(0.2, 1) + phases))


def nmse(estimate, truth):
    return 100 * np.sum((estimate - truth) ** 2) / np.sum(truth**2)


def counted(truth, electrons, seed):
    return poisson_counts(truth, electrons, seed).astype(np.float64) / electrons


def transition_frames(onset, width):
    """Quadratic in the order parameter."""
    eta, (a, b, c) = order_parameter(TIMES, onset, width)[:, None, None, None], patterns(3)
    return a + eta * b + eta**2 * c


def test_second_moment_is_the_mean_product():
    truth = sequence()
    expected = np.einsum("trij,srij->ts", truth, truth) / truth[0].size
    assert limits.second_moment(truth) == pytest.approx(expected)


def test_without_noise_the_best_weights_are_those_of_least_squares():
    truth, mask = sequence(), draw_mask(40, 2, 0.9, 1)
    curves = truth.reshape(40, -1)
    weights, *_ = np.linalg.lstsq(curves[mask[:, 0]].T, curves.T, rcond=None)
    expected = (weights.T @ curves[mask[:, 0]]).reshape(SHAPE)
    frames = np.where(mask[..., None, None], truth, np.nan)
    found = limits.best_linear(frames, mask, limits.second_moment(truth))
    assert found == pytest.approx(expected, abs=1e-6)
    assert limits.best_linear_nmse(truth, mask) == pytest.approx(nmse(expected, truth), rel=1e-3)
    assert nmse(found, truth) < nmse(linear(TIMES, frames, mask).frames, truth)


def test_with_noise_they_are_those_of_least_squares_with_noise_as_further_curves():
    truth, mask, electrons = sequence(), draw_mask(40, 2, 0.8, 2), 500.0
    seen, curves = mask[:, 0], truth.reshape(40, -1)
    noise = np.sqrt(curves[seen].mean(axis=1) / electrons * curves.shape[1])
    inputs = np.hstack([curves[seen], np.diag(noise)])
    outputs = np.hstack([curves, np.zeros((40, seen.sum()))])
    weights, *_ = np.linalg.lstsq(inputs.T, outputs.T, rcond=None)
    expected = 100 * np.sum((outputs - weights.T @ inputs) ** 2) / np.sum(truth**2)
    assert limits.best_linear_nmse(truth, mask, electrons) == pytest.approx(expected, rel=1e-5)
    assert expected > limits.best_linear_nmse(truth, mask)


@pytest.mark.parametrize("arm", ["synchronous", "staggered"])
def test_expected_error_is_the_mean_over_many_counts(arm):
    truth, mask, electrons = sequence(), draw_mask(40, 2, 0.8, 3, arm=arm), 2000.0
    moment = limits.second_moment(truth)
    errors = []
    for seed in range(40):
        frames = np.where(mask[..., None, None], counted(truth, electrons, seed), np.nan)
        errors.append(nmse(limits.best_linear(frames, mask, moment, electrons), truth))
    assert np.mean(errors) == pytest.approx(limits.best_linear_nmse(truth, mask, electrons), rel=0.02)


def test_a_process_is_the_mean_of_its_sequences_each_of_unit_power():
    moments = [limits.second_moment(scale * sequence(seed)) for seed, scale in ((0, 1.0), (1, 7.0))]
    unit = [moment / np.mean(np.diag(moment)) for moment in moments]
    found = limits.process_moment(moments, 3.0)
    assert found == pytest.approx(1.5 * (unit[0] + unit[1]))
    truth, mask = sequence(), draw_mask(40, 2, 0.5, 4)
    power = np.mean([limits.observed_power(counted(truth, 300.0, seed), mask, 300.0) for seed in range(40)])
    assert power == pytest.approx(np.mean(truth[mask] ** 2), rel=0.02)


def test_counting_error_and_its_share_that_averaging_leaves():
    static = np.broadcast_to(sequence()[7], SHAPE)
    mask, electrons = draw_mask(40, 2, 0.8, 5, arm="staggered"), 400.0
    mask[:3, 0] = True  # one position is observed more often
    single, mean = [], []
    for seed in range(40):
        frames = counted(static, electrons, seed)
        single.append(nmse(frames, static))
        averages = [frames[mask[:, r], r].mean(axis=0) for r in range(2)]
        mean.append(nmse(np.broadcast_to(averages, SHAPE), static))
    assert np.mean(single) == pytest.approx(limits.counting_nmse(static, electrons), rel=0.02)
    assert np.mean(mean) == pytest.approx(limits.static_floor(static, mask, electrons), rel=0.1)
    whole = limits.static_floor(static, np.ones(SHAPE[:2], dtype=bool), electrons)
    assert whole == pytest.approx(limits.counting_nmse(static, electrons) / 40)


def test_the_floor_of_one_unknown_brightness_is_one_over_the_electrons_counted():
    pattern, mask = sequence(), draw_mask(40, 2, 0.8, 6, arm="staggered")
    found = limits.generator_floor(lambda p: p[0] * pattern, np.array([2.5]), mask, 1e3)
    assert found == pytest.approx(100 / (1e3 * 2.5 * pattern[mask].sum()))


def test_the_oracle_finds_when_another_course_of_the_specimen_began_and_how_fast_it_went():
    """A width of 0.9 instead of 0.6 s is two thirds of the rate; (5.0 - 5.0 - 1.2) of it lead to 4.2 s."""
    known, truth, mask = transition_frames(4.2, 0.6), transition_frames(5.0, 0.9), draw_mask(40, 2, 0.8, 7)
    render, starts = limits.course(TIMES, known)
    frames = np.where(mask[..., None, None], truth, np.nan)
    found = limits.fit(render, starts, frames, mask)
    assert found.converged
    assert found.parameters == pytest.approx([1.2, np.log(2 / 3)], abs=5e-3)
    assert nmse(found.frames, truth) < 1e-3
    assert not limits.fit(render, starts, frames, mask, evaluations=1).converged


@pytest.mark.parametrize(("known", "true"), [(2.0, 5.8), (3.0, 7.1), (6.0, 2.3), (5.0, 4.1), (2.0, 6.6)])
def test_the_oracle_finds_a_change_of_a_few_frames_far_from_where_it_looks_first(known, true):
    truth, mask = transition_frames(true, 0.15), draw_mask(40, 2, 0.8, 7)
    course = limits.course(TIMES, transition_frames(known, 0.15))
    found = limits.fit(*course, np.where(mask[..., None, None], truth, np.nan), mask)
    assert nmse(found.frames, truth) < 1


def test_the_oracle_errs_as_its_floor_foretells():
    truth, mask, electrons = transition_frames(5.1, 1.5), draw_mask(40, 2, 0.7, 8), 3e3
    render, starts = limits.course(TIMES, truth)
    fits = [
        limits.fit(render, starts, counted(truth, electrons, seed), mask, electrons) for seed in range(25)
    ]
    floor = limits.generator_floor(render, np.zeros(2), mask, electrons)
    assert np.mean([nmse(one.frames, truth) for one in fits]) == pytest.approx(floor, rel=0.5)
    assert floor < limits.static_floor(truth, mask, electrons) < limits.counting_nmse(truth, electrons)
    delays = np.array([one.parameters[0] for one in fits])
    assert delays.mean() == pytest.approx(0, abs=3 * delays.std() / 5)


def test_a_table_is_exact_for_cubics_and_stays_with_its_ends():
    order = np.array([1.0, 0.3, 0.0, 0.3 + 1e-6, 0.6, 0.8])
    a, b, c = patterns(9)

    def cubic(x):
        x = np.asarray(x)[:, None, None, None]
        return a + b * x - c * x**3

    table = limits.tabulated(order, cubic(order))
    wanted = np.array([0.5, 0.05, 0.3, 0.97])
    assert table(wanted) == pytest.approx(cubic(wanted), abs=1e-6)
    assert table(np.array([-4.0, 2.0])) == pytest.approx(cubic([0.0, 1.0]))


def test_what_cannot_be_computed_is_refused():
    truth, mask = sequence(), draw_mask(40, 2, 0.8, 10)
    with pytest.raises(InputError, match=r"moment: found shape \(39, 39\)"):
        limits.best_linear(truth, mask, np.eye(39))
    with pytest.raises(InputError, match="electrons: found 0"):
        limits.counting_nmse(truth, 0)
    with pytest.raises(InputError, match="order: found order parameters all alike"):
        limits.tabulated(np.ones(40), truth)
    with pytest.raises(InputError, match="mask: found frames that leave parameters undecided"):
        limits.generator_floor(lambda p: p[0] * p[1] * truth, np.array([1.0, 2.0]), mask, 1e3)
