"""Every measure agrees with scikit-image or a closed form, over all frames and over those not observed."""

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.metrics import normalized_root_mse, peak_signal_noise_ratio, structural_similarity

from rephase.errors import InputError
from rephase.sequence import metrics
from rephase.sequence.constraints import symmetrised, violations
from rephase.sequence.metrics import Context, centre_of_mass, measure, relative_error

SHAPE = (12, 3, 16, 14)


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    truth = gaussian_filter(rng.random(SHAPE), (2, 0, 1, 1)) ** 4
    truth[..., 6:11, 5:10] += 3
    estimate = truth + rng.normal(scale=0.02, size=SHAPE)
    mask = rng.random(SHAPE[:2]) < 0.3
    return estimate, truth, mask, Context(0.5, 1.4, rng.random(SHAPE[2:]), float(truth.sum((2, 3)).mean()))


@pytest.mark.parametrize("suffix", ["", "_unobserved"])
def test_errors_agree_with_scikit_image(case, suffix):
    estimate, truth, mask, _ = case
    judged = ~mask if suffix else np.ones_like(mask)
    e, m = estimate[judged], truth[judged]
    mean = np.broadcast_to(truth.mean(axis=0), SHAPE)[judged]
    found = {name.removesuffix(suffix): value for name, value in measure(*case).items() if suffix in name}
    assert found["nmse"] == pytest.approx(100 * normalized_root_mse(m, e) ** 2)
    assert found["nmse_of_temporal_mean"] == pytest.approx(100 * normalized_root_mse(m, mean) ** 2)
    assert found["nmse_dynamic"] == pytest.approx(100 * normalized_root_mse(m - mean, e - mean) ** 2)
    psnr = peak_signal_noise_ratio(m, e, data_range=truth.max())
    assert found["psnr"] == pytest.approx(psnr)
    ssim = [structural_similarity(x, y, data_range=truth.max()) for x, y in zip(m, e, strict=True)]
    assert found["ssim"] == pytest.approx(np.mean(ssim))


def test_nmse_relative_to_the_temporal_variance_is_that_of_the_change(case):
    found = measure(*case)
    variance = case[1].var(axis=0).sum() / np.square(case[1]).sum() * len(case[1])
    assert found["nmse_of_temporal_mean"] == pytest.approx(100 * variance)
    assert found["nmse_dynamic"] == pytest.approx(found["nmse"] / variance)


def test_the_temporal_mean_knows_nothing_of_the_change(case):
    _, truth, mask, context = case
    found = measure(np.broadcast_to(truth.mean(axis=0), SHAPE), truth, mask, context)
    assert found["nmse_dynamic"] == found["nmse_dynamic_unobserved"] == pytest.approx(100)
    assert found["nmse"] == pytest.approx(found["nmse_of_temporal_mean"])
    assert found["tcs"] == 1


def test_a_perfect_estimate(case):
    _, truth, mask, context = case
    found = measure(truth.astype(np.float32), truth.astype(np.float32), mask, context)
    for suffix in ("", "_unobserved"):
        for name in ("nmse", "nmse_outside_disc", "nmse_dynamic", "com_error_px", "com_error_mrad"):
            assert found[name + suffix] == 0
        assert found["psnr" + suffix] == math.inf
        assert found["ssim" + suffix] == pytest.approx(1)
    assert found["tcs"] == found["tcs_of_truth"]


def test_outside_the_disc_no_part_of_a_pixel_is_inside(case):
    estimate, truth, mask, context = case
    outer = metrics.outside_disc(context, SHAPE[2:])
    row, col = (np.abs(np.arange(n) - n // 2) * context.pixel_mrad for n in SHAPE[2:])
    nearest = np.hypot(*np.ix_((row - 0.25).clip(0), (col - 0.25).clip(0)))
    assert nearest[outer].min() > context.semiangle_mrad
    assert nearest[~outer].max() < context.semiangle_mrad + context.pixel_mrad
    found = measure(np.where(outer, truth, estimate), truth, mask, context)
    assert found["nmse_outside_disc"] == 0 < found["nmse"]
    expected = 100 * np.square((estimate - truth)[..., outer]).sum() / np.square(truth[..., outer]).sum()
    assert measure(*case)["nmse_outside_disc"] == pytest.approx(expected)


def test_centre_of_mass_is_where_a_spot_is_and_not_moved_by_what_is_everywhere():
    row, col = np.meshgrid(np.arange(24) - 12, np.arange(21) - 10, indexing="ij")
    spots = [np.exp(-((row - y) ** 2 + (col - x) ** 2) / 4) for y, x in ((0, 0), (1.25, -0.5), (-2, 1))]
    centres = centre_of_mass(np.array(spots)[:, None])
    assert centres[0, :, 0] == pytest.approx([0, 1.25, -2], abs=1e-5)
    assert centres[1, :, 0] == pytest.approx([0, -0.5, 1], abs=1e-5)
    assert centre_of_mass(np.ones((1, 1, 24, 21))) == pytest.approx(0, abs=1e-12)


def test_friedels_law_errs_by_the_whole_deflection(case):
    _, truth, mask, context = case
    found = measure(symmetrised(truth), truth, mask, context)
    distance = np.sqrt(np.square(centre_of_mass(truth)).sum(axis=0).mean())
    assert found["com_error_px"] == pytest.approx(distance)
    assert found["com_error_mrad"] == pytest.approx(0.5 * distance)
    assert found["com_true_mrad"] == pytest.approx(0.5 * distance)
    assert found["violation_friedel"] < 1e-15


def test_temporal_consistency_of_even_steps_is_one_over_e_and_flicker_lowers_it():
    rng = np.random.default_rng(1)
    steps = rng.normal(size=(9, 2, 3, 3))
    steps /= np.linalg.norm(steps.reshape(9, -1), axis=1)[:, None, None, None]
    truth = 9 + np.cumsum(steps, axis=0)
    assert metrics.temporal_consistency(truth, truth) == pytest.approx(math.exp(-1))
    assert metrics.temporal_consistency(7 + 2 * (truth - 9), truth) == pytest.approx(math.exp(-4))
    flicker = truth + 0.2 * (-1.0) ** np.arange(9)[:, None, None, None]
    assert metrics.temporal_consistency(flicker, truth) < 0.8 * math.exp(-1)


def test_violations_are_those_of_the_constraints(case):
    estimate, *_, context = case
    found = measure(*case)
    for name, value in violations(estimate, context.structure, context.intensity).items():
        assert found[f"violation_{name}"] == value


def test_similarity_of_many_frames_is_that_of_a_fixed_sample():
    rng = np.random.default_rng(2)
    truth = rng.random((100, 4, 8, 8))
    estimate = truth + rng.normal(scale=0.1, size=truth.shape)
    at = np.argwhere(np.ones((100, 4), dtype=bool))
    span = truth.max()
    each = [structural_similarity(truth[t, r], estimate[t, r], data_range=span) for t, r in at]
    found = metrics.mean_ssim(estimate, truth, at)
    assert found == metrics.mean_ssim(estimate, truth, at)
    assert found == pytest.approx(np.mean(each), abs=4 * np.std(each) / math.sqrt(metrics.SSIM_FRAMES))


def test_frames_that_were_observed_do_not_count_as_unobserved(case):
    estimate, truth, mask, context = case
    better = np.where(mask[..., None, None], truth, estimate)
    first, second = measure(*case), measure(better, truth, mask, context)
    assert second["nmse"] < first["nmse"]
    for name in ("nmse", "psnr", "ssim", "com_error_px", "nmse_outside_disc", "nmse_dynamic"):
        assert second[name + "_unobserved"] == first[name + "_unobserved"]
    complete = measure(estimate, truth, np.ones_like(mask), context)
    assert math.isnan(complete["nmse_unobserved"]) and math.isnan(complete["ssim_unobserved"])


def test_what_cannot_be_compared_is_refused(case):
    estimate, truth, mask, context = case
    with pytest.raises(InputError, match="estimate: found shape"):
        measure(estimate[1:], truth, mask, context)
    with pytest.raises(InputError, match="mask: found shape"):
        measure(estimate, truth, mask[1:], context)
    with pytest.raises(InputError, match=r"truth: found \(6, 14\) pixels, expected at least 7 x 7"):
        measure(estimate[:, :, :6], truth[:, :, :6], mask, context)
    with pytest.raises(InputError, match="estimate: found values that are NaN"):
        measure(np.where(mask[..., None, None], np.nan, estimate), truth, mask, context)
    with pytest.raises(InputError, match="truth: found frames that never change"):
        measure(estimate, np.ones_like(truth), mask, context)
    with pytest.raises(InputError, match="frames: found a frame of total intensity 0"):
        measure(0 * estimate, truth, mask, context)


def test_the_relative_error_is_the_nmse_of_one_estimate_or_of_one_frame_for_all(case):
    estimate, truth, *_ = case
    assert relative_error(estimate, truth) == pytest.approx(measure(*case)["nmse"])
    assert relative_error(truth.mean(axis=0), truth) == pytest.approx(measure(*case)["nmse_of_temporal_mean"])
