"""Images are scored against the truth of their scan; leads have intervals over noise and training."""

import numpy as np
import pytest

from rephase.judge.region import inner_correlation
from rephase.judge.register import band_limit
from rephase.judge.scores import correlations, lead, table_of

RNG = np.random.default_rng(0)
TRUTH = RNG.normal(size=(40, 40))
KNOWN = {"a/truth": TRUTH, "a/step_angstrom": np.array([0.2, 0.2]), "a/cutoff": np.array(1.5)}


def test_each_image_of_each_stack_is_scored():
    stack = np.stack([TRUTH, TRUTH + RNG.normal(size=TRUTH.shape)])
    rows = correlations(KNOWN | {"a/net/1e+04": stack, "a_x2/net/infinite": stack[:1]}, 1.0)
    assert [(r["scan"], r["dose"], r["noise"]) for r in rows] == [
        ("a", 1e4, 0),
        ("a", 1e4, 1),
        ("a_x2", np.inf, 0),
    ]
    assert rows[0]["xc"] == pytest.approx(1) and rows[0]["xc_full"] == pytest.approx(1)
    assert 0.6 < rows[1]["xc_full"] < 0.8


def test_what_lies_beyond_the_cutoff_counts_in_the_full_score_only():
    step, cutoff = (0.2, 0.2), 1.5
    q = np.hypot(*np.meshgrid(*[np.fft.fftfreq(40, 0.2)] * 2))
    beyond = np.fft.ifft2(np.fft.fft2(RNG.normal(size=TRUTH.shape)) * (q > cutoff + 0.1)).real
    (row,) = correlations(KNOWN | {"a/net/infinite": (TRUTH + 3 * beyond)[None]}, 0.4)
    assert row["xc"] > 0.999 > 0.9 > row["xc_full"] and step == (0.2, 0.2)


def test_the_slope_is_what_is_left_of_the_amplitude_in_the_band():
    noise = np.random.default_rng(5).normal(size=(200, *TRUTH.shape))
    stack = 0.6 * TRUTH + noise
    rows = correlations(KNOWN | {"a/net/1e+04": stack, "a/own/infinite": 0.6 * TRUTH[None]}, 1.0)
    assert table_of(rows, "a", ["own"], np.inf, "slope") == pytest.approx(0.6)
    assert table_of(rows, "a", ["net"], 1e4, "slope").mean() == pytest.approx(0.6, abs=0.02)


def test_the_cut_at_the_edges_of_an_image_does_not_bias_its_correlation():
    """Against a cut in a field so wide that its edges are far away."""
    pixel, cutoff, margin = (0.1, 0.1), 2.03, 1.2
    part, gaps = np.s_[100:160, 100:200], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        truth, other = (band_limit(rng.normal(size=(256, 300)), pixel, 3.0) for _ in range(2))
        image = truth + 0.7 * other
        wide = [band_limit(values, pixel, cutoff)[part] for values in (image, truth)]
        known = {"b/truth": truth[part], "b/step_angstrom": np.array(pixel), "b/cutoff": np.array(cutoff)}
        (row,) = correlations(known | {"b/net/infinite": image[part][None]}, margin)
        gaps.append(row["xc"] - inner_correlation(*wide, pixel, margin))
    assert abs(np.mean(gaps)) < 0.003 and np.abs(gaps).max() < 0.02


def test_scores_are_arranged_by_noise_and_method():
    rows = correlations(
        KNOWN | {"a/p/1e+04": np.stack([TRUTH] * 3), "a/q/1e+04": -np.stack([TRUTH] * 3)}, 1.0
    )
    assert table_of(rows, "a", ["p", "q"], 1e4) == pytest.approx(np.tile([1.0, -1.0], (3, 1)))


@pytest.mark.parametrize(("shape", "wide"), [((1, 1), False), ((1, 3), True), ((4, 3), True)])
def test_a_lead_holds_its_mean(shape, wide):
    values = np.random.default_rng(1).normal(0.5, 0.1, shape)
    found = lead(values)
    assert found.value == pytest.approx(values.mean())
    assert (found.high > found.low) == wide
