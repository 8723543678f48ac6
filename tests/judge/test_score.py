"""Scores of stored stacks: the truth scores perfectly, noise is variance, a shift is bias."""

import numpy as np
import pytest

from rephase.judge.score import dose_laws, mean_interval, score, score_stacks, yardstick

RNG = np.random.default_rng(0)
TRUTH = RNG.standard_normal((24, 24))
TRUTH -= TRUTH.mean()


def noisy(sigma: float, seeds: int = 6) -> np.ndarray:
    return TRUTH + sigma * RNG.standard_normal((seeds, *TRUTH.shape))


def test_the_truth_has_no_error():
    row = score(np.stack([TRUTH, TRUTH]), TRUTH)
    assert row["mse"] == pytest.approx(0, abs=1e-20)
    assert row["correlation"] == pytest.approx(1)


def test_noise_is_variance_and_not_bias():
    row = score(noisy(0.5), TRUTH)
    assert row["variance"] == pytest.approx(0.25, rel=0.1)
    assert abs(row["bias2"]) < 0.03


def test_a_damped_image_is_biased_and_still_correlates():
    row = score(np.stack([0.5 * TRUTH] * 2), TRUTH)
    assert row["bias2"] == pytest.approx(0.25 * TRUTH.var(), rel=1e-6)
    assert row["correlation"] == pytest.approx(1)


def test_the_dose_law_of_counted_electrons_has_exponent_one():
    doses = (1e2, 1e3, 1e4, 1e5, 1e6)
    stacks = {f"s/icom/{dose:.0e}": noisy(10 / dose**0.5) for dose in doses}
    stacks |= {"s/truth": TRUTH, "s/band": np.array([1.0, 0.06]), "s/icom/infinite": TRUTH[None]}
    rows = score_stacks(stacks)
    (law,) = dose_laws(rows)
    assert [row["dose"] for row in rows] == [*doses, np.inf]
    assert law["s"] == pytest.approx(1, abs=0.05)


def test_the_yardstick_is_drawn_for_weak_specimens_only():
    band = np.array([0.5, 0.04])
    assert yardstick(0.1 * np.sign(TRUTH), band, 1e4)["weak"]
    assert not yardstick(np.sign(TRUTH), band, 1e4)["weak"]
    assert yardstick(TRUTH, band, 1e4)["limit"] == pytest.approx(0.5 / (2 * 400))


def test_students_interval_covers_the_mean():
    values = RNG.standard_normal((400, 5))
    inside = [i.low <= 0 <= i.high for i in map(mean_interval, values)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.04)
