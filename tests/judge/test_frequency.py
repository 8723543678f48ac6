import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rephase.errors import InputError
from rephase.judge import frequency

PIXEL = (0.2, 0.25)


def noise(seed, shape=(96, 80)):
    return np.random.default_rng(seed).normal(size=shape)


@given(shape=st.tuples(st.integers(8, 40), st.integers(8, 40)), offset=st.floats(-5, 5))
@settings(max_examples=25, deadline=None)
def test_an_image_correlates_fully_with_itself(shape, offset):
    image = noise(0, shape)
    curve = frequency.fourier_ring_correlation(image, 2 * image + offset, PIXEL)
    np.testing.assert_allclose(curve.values, 1)


def test_independent_noise_correlates_by_chance_only():
    curves = [
        frequency.fourier_ring_correlation(noise(2 * i), noise(2 * i + 1), PIXEL).values for i in range(60)
    ]
    modes = frequency.power_spectrum(noise(0), PIXEL).modes
    z = np.array(curves)[:, 3:] * np.sqrt(modes[3:])
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert z.std() == pytest.approx(1, abs=0.07)


def test_correlation_of_halves_and_with_truth_follow_the_signal_to_noise_ratio():
    truth, shape = noise(0, (256, 256)), (256, 256)
    a, b = truth + 2 * noise(1, shape), truth + 2 * noise(2, shape)
    halves = frequency.fourier_ring_correlation(a, b, PIXEL)
    whole = frequency.fourier_ring_correlation((a + b) / 2, truth, PIXEL)
    weights = halves.modes
    assert np.average(halves.values, weights=weights) == pytest.approx(1 / 5, abs=0.02)
    assert np.average(whole.values, weights=weights) == pytest.approx(np.sqrt(1 / 3), abs=0.02)


def test_thresholds():
    many = np.array([10**12])
    assert frequency.half_bit_threshold(many)[0] == pytest.approx(0.2071 / 1.2071, abs=1e-5)
    assert frequency.half_bit_threshold(np.array([100]))[0] == pytest.approx(0.39812 / 1.29812)
    assert frequency.truth_threshold(many)[0] == pytest.approx(np.sqrt(0.41421 / 1.41421), abs=1e-5)
    assert frequency.truth_threshold(np.array([25]), snr=0.0)[0] == pytest.approx(1 / 5)


def test_both_thresholds_stand_for_the_same_half_bit():
    snr = 2 ** np.array(0.5) - 1
    half = snr / 2
    many = np.array([10**12])
    assert frequency.half_bit_threshold(many)[0] == pytest.approx(half / (1 + half), abs=1e-4)
    assert frequency.truth_threshold(many)[0] == pytest.approx(np.sqrt(snr / (1 + snr)), abs=1e-4)


@pytest.mark.parametrize("pixel", [(0.2, 0.2), (0.2, 0.16)])
def test_resolution_is_where_the_signal_was_cut(pixel):
    shape, cut = (240, 300), 1.1
    keep = frequency.radial_frequency(shape, pixel) <= cut
    truth = np.fft.ifft2(np.fft.fft2(noise(0, shape)) * keep).real
    a, b = truth + 0.1 * noise(1, shape), truth + 0.1 * noise(2, shape)
    assert frequency.half_bit_resolution(a, b, pixel) == pytest.approx(1 / cut, rel=0.03)
    assert frequency.resolution_against_truth(a, truth, pixel) == pytest.approx(1 / cut, rel=0.03)
    assert frequency.highest_resolved_frequency(a, pixel, noise_from=1.5) == pytest.approx(cut, rel=0.03)


def test_no_signal_has_no_resolution():
    assert frequency.half_bit_resolution(noise(0), -noise(0), PIXEL) == np.inf
    assert frequency.highest_resolved_frequency(noise(7), PIXEL, noise_from=1.0) == 0
    with pytest.raises(InputError, match="noise_from"):
        frequency.highest_resolved_frequency(noise(7), PIXEL, noise_from=10.0)


def test_white_noise_has_a_flat_spectrum_of_its_variance():
    curve = frequency.power_spectrum(3 * noise(0, (256, 200)), PIXEL)
    assert np.average(curve.values, weights=curve.modes) == pytest.approx(9, rel=0.02)
    scatter = (curve.values / 9 - 1) * np.sqrt(curve.modes / 2)
    assert scatter[3:].std() == pytest.approx(1, abs=0.2)


def test_rings_of_a_rectangular_field_hold_a_wave_at_its_frequency():
    shape, pixel = (60, 90), (0.3, 0.1)
    j = np.arange(shape[1]) * pixel[1]
    wave = np.tile(np.cos(2 * np.pi * 8 / 9 * j), (shape[0], 1))
    curve = frequency.power_spectrum(wave, pixel)
    assert curve.frequency[np.argmax(curve.values)] == pytest.approx(8 / 9, abs=0.06)
    assert curve.frequency.max() <= 0.5 / 0.3 + 0.06


def test_rings_take_each_mode_once():
    shape = (32, 48)
    ring = frequency.ring_index(shape, (0.2, 0.2))
    radius = frequency.radial_frequency(shape, (0.2, 0.2))
    assert ring[0, 0] == -1
    assert ((ring >= 0) == ((radius > 0) & (np.rint(radius * 6.4) <= 16))).all()


def test_a_tapered_image_ends_in_zero():
    image = frequency.tapered(noise(0) + 5)
    assert np.abs(image[[0, -1]]).max() == 0
    assert np.abs(image[:, [0, -1]]).max() == 0


def test_images_of_different_shapes_are_refused():
    with pytest.raises(InputError, match="one shape"):
        frequency.fourier_ring_correlation(noise(0), noise(0)[1:], PIXEL)
