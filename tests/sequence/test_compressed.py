"""CS-STEM: only observed frames count, units are units, and noise goes where frames are sparse."""

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, minimize

from rephase.errors import InputError
from rephase.sequence.compressed import CompressedSettings, complete
from rephase.sequence.linear import complete as linear
from rephase.sequence.sampling import draw_mask
from rephase.sequence.sparsity import differences

TIMES = np.linspace(0.0, 1.0, 40)
STRONG = {"temporal": 1.0, "wavelet": 0.1}
ARMS = pytest.mark.parametrize("arm", ["synchronous", "staggered"])


def growing_discs(electrons=None, seed=0, size=12):
    """Two positions of discs of which some grow and others fade, and as counted."""
    rng = np.random.default_rng(seed)
    row, col = np.mgrid[:size, :size]
    truth = np.full((len(TIMES), 2, size, size), 1e-3)
    for position in range(2):
        for centre in ((6, 6), (2, 6), (9, 3), (9, 9)):
            disc = np.hypot(row - centre[0], col - centre[1]) < 2
            truth[:, position] += (1 + rng.uniform(-1, 1) * np.tanh(8 * (TIMES - 0.5)))[:, None, None] * disc
    truth /= truth.sum(axis=(2, 3), keepdims=True).max()
    if electrons is None:
        return truth.astype(np.float32)
    return truth, (rng.poisson(truth * electrons) / electrons).astype(np.float32)


def error(found, truth):
    return np.sum((found.frames - truth) ** 2) / np.sum(truth**2)


@ARMS
@pytest.mark.parametrize("electrons", [None, 3000.0])
@pytest.mark.parametrize("junk", [np.nan, 1e30])
def test_only_observed_frames_count(arm, electrons, junk):
    _, frames = growing_discs(3000)
    mask, settings = draw_mask(40, 2, 0.8, 1, arm=arm), CompressedSettings(electrons=electrons)
    hidden = np.where(mask[..., None, None], frames, np.float32(junk))
    one, two = complete(TIMES, frames, mask, settings), complete(TIMES, hidden, mask, settings)
    assert np.isfinite(one.frames).all() and one.frames.dtype == np.float32
    assert np.array_equal(one.frames, two.frames) and one.details == two.details


@ARMS
@pytest.mark.parametrize("order", [1, 2])
def test_another_unit_of_intensity_or_time_changes_nothing_else(arm, order):
    _, frames = growing_discs(3000)
    mask, settings = draw_mask(40, 2, 0.8, 2, arm=arm), CompressedSettings(order=order)
    one = complete(TIMES, frames, mask, settings)
    for times, factor in ((TIMES, 1e4), (7 * TIMES + 3, 1.0)):
        other = complete(times, np.float32(factor) * frames, mask, settings)
        assert other.frames / factor == pytest.approx(one.frames, rel=1e-3, abs=1e-5)
        assert other.details["noise"] == pytest.approx(factor * one.details["noise"], rel=1e-5)
    counted = complete(TIMES, frames, mask, CompressedSettings(order=order, electrons=3000))
    electrons = complete(TIMES, 3000 * frames, mask, CompressedSettings(order=order, electrons=1))
    assert electrons.frames / 3000 == pytest.approx(counted.frames, rel=1e-3, abs=1e-5)


@ARMS
@pytest.mark.parametrize("electrons", [None, 3000.0])
def test_noise_goes(arm, electrons):
    """The changes of these frames are sparse: hardly half the error of linear interpolation."""
    truth, frames = growing_discs(3000)
    mask = draw_mask(40, 2, 0.7, 3, arm=arm)
    settings = CompressedSettings(electrons=electrons, **STRONG)
    found = complete(TIMES, frames, mask, settings)
    assert found.details["converged"] and found.details["distance"] <= 0.02
    assert error(found, truth) < 0.6 * error(linear(TIMES, frames, mask), truth)


def test_each_term_takes_noise_away():
    truth, frames = growing_discs(3000)
    mask = draw_mask(40, 2, 0.7, 3)
    none = {"temporal": 0.0, "spatial": 0.0, "wavelet": 0.0, "electrons": 3000.0}
    straight = complete(TIMES, frames, mask, CompressedSettings(**none))
    assert straight.frames == pytest.approx(linear(TIMES, frames, mask).frames, abs=1e-7)
    for one in ({"temporal": 1.0}, {"temporal": 1.0, "order": 2}, {"spatial": 0.2}, {"wavelet": 0.5}):
        found = complete(TIMES, frames, mask, CompressedSettings(**(none | one)))
        assert error(found, truth) < 0.95 * error(straight, truth)


def test_known_counting_noise_helps():
    truth, frames = growing_discs(1000, seed=1)
    mask = draw_mask(40, 2, 0.5, 3)
    known, estimated = (
        error(complete(TIMES, frames, mask, CompressedSettings(electrons=electrons, **STRONG)), truth)
        for electrons in (1000.0, None)
    )
    assert known < estimated


def test_the_noise_is_estimated():
    rng, truth = np.random.default_rng(5), growing_discs()
    frames = (truth + rng.normal(scale=0.01, size=truth.shape)).astype(np.float32)
    found = complete(TIMES, frames, draw_mask(40, 2, 0.5, 0)).details["noise"]
    assert found == pytest.approx(0.01, rel=0.1)


@pytest.mark.parametrize("order", [1, 2])
def test_straight_lines_between_observed_frames_are_a_minimum(order):
    """The whole problem of one curve, missing times and all, as a quadratic program."""
    rng = np.random.default_rng(order)
    times = np.cumsum(rng.uniform(0.2, 2, 11))
    seen = np.array([0, 2, 3, 7, 10])
    curve = rng.normal(scale=2, size=11) + 10
    frames = np.broadcast_to(curve[:, None, None, None], (11, 1, 1, 1)).astype(np.float32)
    mask = np.isin(np.arange(11), seen)[:, None]
    settings = {"temporal": 1.0, "spatial": 0.0, "wavelet": 0.0, "electrons": 10.0}
    settings |= {"tolerance": 1e-4, "iterations": 5000}
    found = complete(times, frames, mask, CompressedSettings(order=order, **settings))
    noise = found.details["noise"]
    unit = np.diff(times[seen]).mean() / np.diff(times).mean() if order == 2 else 1.0
    variation = unit * differences(times, order)

    def whole(x):
        return np.sum((x[seen] - frames[seen, 0, 0, 0] / noise) ** 2) / 2

    def program(z):  # x, and bounds of |variation of x|
        return whole(z[:11]) + z[11:].sum()

    sides = [np.hstack([sign * variation, np.eye(11)]) for sign in (1, -1)]
    start = np.append(np.full(11, curve.mean() / noise), np.full(11, 50.0))
    best = minimize(
        program, start, constraints=LinearConstraint(np.vstack(sides), 0, np.inf),
        method="SLSQP", options={"maxiter": 500, "ftol": 1e-10},
    )  # fmt: skip
    ours = found.frames[:, 0, 0, 0].astype(float) / noise
    assert best.success
    assert whole(ours) + np.abs(variation @ ours).sum() == pytest.approx(best.fun, rel=1e-3)


@ARMS
def test_frames_between_observed_ones_lie_on_straight_lines(arm):
    _, frames = growing_discs(3000)
    mask = draw_mask(40, 2, 0.8, 4, arm=arm)
    found = complete(TIMES, frames, mask)
    assert found.frames == pytest.approx(linear(TIMES, found.frames, mask).frames, abs=1e-7)


@ARMS
def test_what_stands_still_is_found_again(arm):
    frames = np.repeat(growing_discs()[:1], 40, axis=0)
    found = complete(TIMES, frames, draw_mask(40, 2, 0.8, 3, arm=arm))
    assert found.frames == pytest.approx(frames, abs=1e-6) and found.details["converged"]


@pytest.mark.parametrize("wavelets", ["frame", "time", "both"])
def test_two_observed_frames_of_odd_size_are_enough(wavelets):
    truth, frames = growing_discs(3000, size=13)
    mask = draw_mask(40, 2, 0.99, 3, arm="staggered")
    settings = CompressedSettings(electrons=3000, wavelet=0.5, wavelets=wavelets)
    assert error(complete(TIMES, frames, mask, settings), truth) < 1 / 3


def test_the_limit_of_iterations_is_said_or_refused():
    _, frames = growing_discs(3000)
    mask, few = draw_mask(40, 2, 0.7, 3), {"iterations": 3, "tolerance": 1e-6}
    details = complete(TIMES, frames, mask, CompressedSettings(**few)).details
    assert not details["converged"] and details["iterations"] == 3 and details["distance"] > 1e-6
    with pytest.raises(InputError, match="iterations: found the limit of 3 reached .* from the minimiser"):
        complete(TIMES, frames, mask, CompressedSettings(**few, unconverged="refuse"))


def test_noise_of_single_pixels_must_be_known():
    _, frames = growing_discs(3000)
    one = frames[..., 5:6, 5:6]
    with pytest.raises(InputError, match="frames: found 1 x 1 pixels, expected .* electrons"):
        complete(TIMES, one, draw_mask(40, 2, 0.7, 3))
    with pytest.raises(InputError, match="mask: found shape"):
        complete(TIMES, one, np.ones((40, 3), dtype=bool))


def test_wavelets_of_frames_leave_their_means_alone():
    _, frames = growing_discs(3000, size=8)
    settings = CompressedSettings(temporal=0, spatial=0, wavelet=3, wavelets="frame")
    found = complete(TIMES[:16], frames[:16], np.ones((16, 2), dtype=bool), settings).frames
    assert found.mean(axis=(2, 3)) == pytest.approx(frames[:16].mean(axis=(2, 3)), rel=1e-4, abs=1e-7)
    assert found.std() < 0.95 * frames[:16].std()


def test_the_noise_of_counting_is_that_of_the_mean_number_of_electrons():
    """Terms that weigh nothing leave the counts; the noise is told in the unit of the frames."""
    truth, _ = growing_discs(3000)
    flat = np.full_like(truth, 0.01)
    for electrons in (100.0, 1e4):
        frames = np.random.default_rng(0).poisson(flat * electrons) / electrons
        settings = CompressedSettings(electrons=electrons)
        found = complete(TIMES, frames.astype(np.float32), np.ones((40, 2), bool), settings)
        assert found.details["noise"] == pytest.approx(np.sqrt(0.01 / electrons), rel=0.05)
