"""The camera: Poisson statistics, transfer at Nyquist, and where distortions move a pattern."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats

from rephase.errors import InputError
from rephase.measurement import Scan
from rephase.microscope.camera import (
    blur,
    check_intensities,
    defects,
    distort,
    distortion,
    dose_of,
    electrons_per_pattern,
    expose,
    gain_map,
    poisson_counts,
    with_defects,
)


def disk(radius: float = 9.0, pixels: int = 48) -> np.ndarray:
    """A smooth disk at (pixels // 2, pixels // 2) that sums to 1."""
    rows, cols = np.indices((pixels, pixels)) - pixels // 2
    image = 1 / (1 + np.exp((np.hypot(rows, cols) - radius) / 0.8))
    return image / image.sum()


def moments(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre of mass and covariance of an image."""
    centre = np.array(ndimage.center_of_mass(image))
    away = np.indices(image.shape) - centre[:, None, None]
    return centre, np.einsum("irc,jrc,rc->ij", away, away, image) / image.sum()


def scan(**fields) -> Scan:
    return Scan(np.tile(disk().astype(np.float32), (3, 4, 1, 1)), (0.5, 0.4), (1.0, 1.0), **fields)


@given(dose=st.floats(1e-3, 1e9), dy=st.floats(0.01, 10), dx=st.floats(0.01, 10))
def test_dose_and_electrons_are_inverse(dose, dy, dx):
    assert dose_of(electrons_per_pattern(dose, (dy, dx)), (dy, dx)) == pytest.approx(dose)
    assert electrons_per_pattern(dose, (dy, dx)) == pytest.approx(dose * dy * dx)


def test_counts_have_equal_mean_and_variance():
    fractions = np.tile(disk(pixels=24), (400, 25, 1, 1))
    counts = poisson_counts(fractions, 2000.0, seed=1).astype(float)
    bright = fractions[0, 0] * 2000 > 1
    mean, variance = counts.mean((0, 1))[bright], counts.var((0, 1), ddof=1)[bright]
    np.testing.assert_allclose(mean, fractions[0, 0][bright] * 2000, rtol=0.06)
    fano = variance / mean
    n, pixels = 10_000, bright.sum()
    low, high = stats.norm.interval(1 - 1e-6, 1, np.sqrt(2 / (n - 1) * 1.5 / pixels))
    assert low < fano.mean() < high
    assert counts.sum((-2, -1)).mean() == pytest.approx(2000, abs=5 * np.sqrt(2000 / n))


def test_counts_are_whole_and_repeat_with_their_seed():
    fractions = scan().load()
    first, again, other = (poisson_counts(fractions, 500.0, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, np.round(first))
    assert (first != other).any() and not np.array_equal(first[0], first[1])


def test_an_exposure_carries_its_dose_and_an_infinite_one_changes_nothing():
    exposed = expose(scan(lineage={"from": "disk"}), 1e4, seed=7)
    assert exposed.unit == "electrons"
    assert exposed.lineage == {"from": "disk", "dose_e_per_angstrom2": 1e4, "noise_seed": 7}
    assert exposed.load().sum((-2, -1)).mean() == pytest.approx(1e4 * 0.2, rel=0.05)
    np.testing.assert_array_equal(exposed.load(), poisson_counts(scan().load(), 2000.0, 7))
    noise_free = scan()
    assert expose(noise_free, np.inf, seed=7) is noise_free


@pytest.mark.parametrize("dose", [0.0, -1.0, float("nan")])
def test_a_dose_that_is_not_above_0_is_refused(dose):
    with pytest.raises(InputError, match="dose: found .*, expected a dose above 0"):
        expose(scan(), dose, seed=0)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -0.1])
def test_wrong_intensities_are_named_with_their_place(wrong):
    values = scan().load()
    values[1, 2, 3, 4] = wrong
    with pytest.raises(InputError, match=rf"found {wrong:g} at \(1, 2, 3, 4\)"):
        expose(scan().with_intensities(values), 100.0, seed=0)
    with pytest.raises(InputError, match="scan.intensities"):
        check_intensities(values)


def test_counts_cannot_be_exposed_again():
    with pytest.raises(InputError, match="scan.unit: found electrons"):
        expose(scan(unit="electrons"), 100.0, seed=0)


@given(st.floats(0.01, 0.99))
@settings(max_examples=20)
def test_blur_has_the_given_transfer_at_nyquist(mtf):
    stripes = 1 + 0.5 * (-1.0) ** np.arange(64)[:, None] * np.ones(64)
    blurred = blur(stripes, mtf)[20:-20, 20:-20]
    assert np.ptp(blurred) / np.ptp(stripes) == pytest.approx(mtf, rel=1e-6)
    assert blur(stripes.T, mtf) == pytest.approx(blur(stripes, mtf).T)


@given(st.floats(0.01, 1))
@settings(max_examples=20)
def test_blur_keeps_electrons_positive_and_in_number(mtf):
    point = np.zeros((2, 40, 40))
    point[:, 1, 20] = 1
    blurred = blur(point, mtf)
    assert blurred.min() >= 0
    assert blurred.sum((-2, -1)) == pytest.approx(1)


def test_gains_have_mean_1_and_their_spread():
    gains = gain_map((128, 128), 0.1, seed=2)
    assert gains.mean() == pytest.approx(1, abs=0.005) and gains.std() == pytest.approx(0.1, rel=0.05)
    assert gains.min() > 0
    np.testing.assert_array_equal(gains, gain_map((128, 128), 0.1, seed=2))
    assert (gains != gain_map((128, 128), 0.1, seed=3)).any()
    np.testing.assert_array_equal(gain_map((4, 5), 0.0, seed=2), 1)


@given(hot=st.integers(0, 12), dead=st.integers(0, 12), seed=st.integers(0, 99))
def test_defects_are_as_many_as_asked_and_do_not_overlap(hot, dead, seed):
    is_hot, is_dead = defects((4, 6), hot, dead, seed)
    assert (is_hot.sum(), is_dead.sum(), (is_hot & is_dead).sum()) == (hot, dead, 0)
    patterns = np.random.default_rng(0).random((2, 4, 6)).astype(np.float32)
    broken = with_defects(patterns, is_hot, is_dead, 9.0)
    assert broken.dtype == np.float32
    assert (broken[:, is_hot] == 9).all() and (broken[:, is_dead] == 0).all()
    untouched = ~(is_hot | is_dead)
    np.testing.assert_array_equal(broken[:, untouched], patterns[:, untouched])


def test_defects_differ_between_seeds():
    assert (defects((32, 32), 20, 0, 0)[0] != defects((32, 32), 20, 0, 1)[0]).any()


@given(dy=st.floats(-8, 8), dx=st.floats(-8, 8))
def test_a_shift_moves_the_centre_of_mass_by_itself(dy, dx):
    moved = distort(disk(), shift_px=(dy, dx))
    assert np.array(ndimage.center_of_mass(moved)) - 24 == pytest.approx([dy, dx], abs=1e-3)
    assert moved.sum() == pytest.approx(1, abs=1e-3) and moved.min() >= 0


@given(ratio=st.floats(1.05, 1.6), axis=st.floats(-80, 80))
def test_an_ellipse_has_its_axes_and_its_area(ratio, axis):
    image = distort(disk(), distortion(axis_ratio=ratio, axis_deg=axis))
    centre, covariance = moments(image)
    variances, directions = np.linalg.eigh(covariance)
    assert np.sqrt(variances[1] / variances[0]) == pytest.approx(ratio, rel=0.02)
    long = np.degrees(np.arctan2(directions[1, 1], directions[0, 1]))
    assert abs((long - axis + 90) % 180 - 90) < 2
    assert image.sum() == pytest.approx(1, rel=0.01) and centre == pytest.approx([24, 24], abs=0.02)


@given(st.floats(0.8, 1.5))
def test_a_longer_camera_makes_a_larger_pattern_of_as_many_electrons(length):
    image = distort(disk(), distortion(camera_length=length))
    spread = np.sqrt(np.trace(moments(image)[1]) / np.trace(moments(disk())[1]))
    assert spread == pytest.approx(length, rel=0.02)
    assert image.sum() == pytest.approx(1, rel=0.01)


def test_the_inverse_takes_a_distortion_back():
    matrix = distortion(1.1, 1.2, 30.0)
    there = distort(np.stack([disk()] * 2), matrix, centre_px=(20.0, 26.0))
    back = distort(there, np.linalg.inv(matrix), centre_px=(20.0, 26.0))
    np.testing.assert_allclose(back, np.stack([disk()] * 2), atol=0.05 * disk().max())


def test_no_distortion_changes_nothing():
    np.testing.assert_allclose(distort(disk(), distortion()), disk(), atol=1e-15)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: distortion(camera_length=0.0),
        lambda: distortion(axis_ratio=-1.0),
        lambda: blur(disk(), 0.0),
        lambda: gain_map((4, 4), -0.1, 0),
        lambda: defects((2, 2), 3, 2, 0),
        lambda: dose_of(0.0, (1.0, 1.0)),
        lambda: poisson_counts(disk(), 0.0, 0),
    ],
)
def test_what_no_camera_does_is_refused(wrong):
    with pytest.raises(InputError):
        wrong()
