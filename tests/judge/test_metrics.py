import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import normalized_root_mse, peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from rephase.errors import InputError
from rephase.judge import metrics

PAIRS = (
    metrics.nmse,
    metrics.psnr,
    metrics.ssim,
    metrics.cross_correlation,
    metrics.phase_mse,
    metrics.wrapped_phase_mse,
)


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(40, 50)).cumsum(0).cumsum(1) / 50
    return truth + rng.normal(scale=0.1, size=truth.shape), truth


def test_agrees_with_scikit_image(pair):
    estimate, truth = pair
    span = np.ptp(truth)
    assert metrics.nmse(*pair) == pytest.approx(normalized_root_mse(truth, estimate) ** 2)
    assert metrics.psnr(*pair) == pytest.approx(peak_signal_noise_ratio(truth, estimate, data_range=span))
    assert metrics.ssim(*pair) == pytest.approx(structural_similarity(truth, estimate, data_range=span))
    narrower = structural_similarity(truth, estimate, data_range=span / 2)
    assert metrics.ssim(*pair, data_range=float(span / 2)) == pytest.approx(narrower)


def test_ms_ssim_agrees_with_torchmetrics():
    rng = np.random.default_rng(1)
    truth = rng.random((180, 190))
    estimate = truth + 0.3 * rng.random(truth.shape)
    batch = (torch.from_numpy(image)[None, None] for image in (estimate, truth))
    oracle = multiscale_structural_similarity_index_measure(*batch, data_range=float(np.ptp(truth)))
    assert metrics.ms_ssim(estimate, truth) == pytest.approx(float(oracle), abs=1e-6)


@pytest.mark.parametrize(("scales", "side"), [(1, 11), (2, 22), (3, 44), (4, 99), (5, 176)])
def test_ms_ssim_says_how_large_an_image_must_be(scales, side):
    truth = np.random.default_rng(2).random((side, side + 3))
    assert metrics.ms_ssim(truth, truth, scales=scales) == pytest.approx(1)
    with pytest.raises(InputError, match=f"at least {side} x {side} for {scales} scales"):
        metrics.ms_ssim(truth[1:], truth[1:], scales=scales)


def test_cross_correlation_is_pearsons_coefficient(pair):
    oracle = np.corrcoef(pair[0].ravel(), pair[1].ravel())[0, 1]
    assert metrics.cross_correlation(*pair) == pytest.approx(oracle)


@given(scale=st.floats(0.01, 100), offset=st.floats(-100, 100))
@settings(max_examples=25, deadline=None)
def test_cross_correlation_ignores_gain_and_offset(scale, offset):
    truth = np.random.default_rng(3).random((8, 9))
    assert metrics.cross_correlation(scale * truth + offset, truth) == pytest.approx(1, abs=1e-6)
    assert metrics.cross_correlation(-scale * truth + offset, truth) == pytest.approx(-1, abs=1e-6)


def test_a_constant_image_correlates_with_nothing(pair):
    assert metrics.cross_correlation(np.ones_like(pair[1]), pair[1]) == 0


@given(offset=st.floats(-50, 50), slopes=st.tuples(st.floats(-3, 3), st.floats(-3, 3)))
@settings(max_examples=25, deadline=None)
def test_phase_error_ignores_only_what_cannot_be_known(offset, slopes):
    truth = np.random.default_rng(4).normal(size=(12, 15))
    ramp = slopes[0] * np.arange(12)[:, None] + slopes[1] * np.arange(15)[None, :]
    assert metrics.phase_mse(truth + offset, truth) == pytest.approx(0, abs=1e-9)
    assert metrics.phase_mse(truth + offset + ramp, truth, ramp_free=True) == pytest.approx(0, abs=1e-9)
    assert metrics.phase_mse(truth + ramp, truth) == pytest.approx(np.var(ramp), abs=1e-9)
    assert metrics.wrapped_phase_mse(truth + offset, truth) == pytest.approx(0, abs=1e-9)


def test_phase_error_is_that_of_the_masked_pixels(pair):
    estimate, truth = pair
    mask = np.zeros(truth.shape, dtype=bool)
    mask[5:20, 7:30] = True
    spoilt = np.where(mask, estimate, 1e3)
    error = (estimate - truth)[mask]
    assert metrics.phase_mse(spoilt, truth, mask=mask) == pytest.approx(error.var())
    with pytest.raises(InputError, match="mask"):
        metrics.phase_mse(estimate, truth, mask=np.zeros(truth.shape, dtype=bool))


def test_wrapped_phase_error_forgives_whole_turns(pair):
    estimate, truth = pair
    turns = np.random.default_rng(5).integers(-3, 4, truth.shape)
    plain = metrics.phase_mse(estimate, truth)
    assert metrics.wrapped_phase_mse(estimate + 2 * np.pi * turns + 3, truth) == pytest.approx(
        plain, rel=1e-3
    )


def test_contrast_to_noise_of_a_known_step():
    image = np.random.default_rng(6).normal(scale=0.5, size=(200, 200))
    feature = np.zeros(image.shape, dtype=bool)
    feature[:100] = True
    image[feature] += 3
    assert metrics.contrast_to_noise(image, feature, ~feature) == pytest.approx(6, rel=0.02)
    assert metrics.contrast_to_noise(-image, feature, ~feature) == pytest.approx(6, rel=0.02)
    with pytest.raises(InputError, match="background"):
        metrics.contrast_to_noise(np.ones_like(image), feature, ~feature)


def test_equal_images_are_perfect(pair):
    _, truth = pair
    assert metrics.nmse(truth, truth) == 0
    assert metrics.psnr(truth, truth) == np.inf
    assert metrics.ssim(truth, truth) == pytest.approx(1)


@pytest.mark.parametrize("metric", PAIRS)
def test_what_cannot_be_compared_is_refused(metric, pair):
    estimate, truth = pair
    with pytest.raises(InputError, match=r"shape \(40, 49\)"):
        metric(estimate[:, 1:], truth)
    with pytest.raises(InputError, match="NaN"):
        metric(np.full_like(truth, np.nan), truth)


def test_a_truth_without_content_is_refused():
    flat = np.ones((16, 16))
    with pytest.raises(InputError, match="data_range"):
        metrics.psnr(flat, flat)
    with pytest.raises(InputError, match="truth"):
        metrics.nmse(flat, 0 * flat)
