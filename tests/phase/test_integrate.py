import math

import numpy as np
import pytest

from rephase.phase.integrate import integrate


def test_gradient_of_waves_integrates_to_the_waves():
    y, x = np.meshgrid(np.arange(30) * 0.3, np.arange(17) * 0.5, indexing="ij")
    a, b = 2 * math.pi * 3 / (30 * 0.3), 2 * math.pi * 2 / (17 * 0.5)
    image = np.sin(a * y - b * x) + 0.5 * np.cos(b * x)
    gradient = np.stack([a * np.cos(a * y - b * x), -b * np.cos(a * y - b * x) - 0.5 * b * np.sin(b * x)])
    assert np.allclose(integrate(gradient, (0.3, 0.5)), image, atol=1e-12)


def test_curl_and_mean_slope_leave_no_trace():
    y, x = np.meshgrid(np.arange(16), np.arange(12), indexing="ij")
    a, b = 2 * math.pi / 16, 2 * math.pi / 12
    curl = np.stack([b * np.cos(a * y + b * x), -a * np.cos(a * y + b * x)])
    assert np.abs(integrate(curl + np.array([0.3, -0.2])[:, None, None], (1.0, 1.0))).max() < 1e-12


def test_reflection_recovers_an_image_that_is_not_periodic():
    # half a period along each axis: its reflections are smooth, its repetitions are not
    y, x = np.meshgrid((np.arange(24) + 0.5) / 24, (np.arange(20) + 0.5) / 20, indexing="ij")
    image = np.cos(math.pi * y) + np.cos(math.pi * x) * np.cos(2 * math.pi * y)
    along_y = -math.pi * np.sin(math.pi * y) - 2 * math.pi * np.cos(math.pi * x) * np.sin(2 * math.pi * y)
    along_x = -math.pi * np.sin(math.pi * x) * np.cos(2 * math.pi * y)
    gradient, step = np.stack([along_y, along_x]), (1 / 24, 1 / 20)
    assert np.allclose(integrate(gradient, step, "mirror"), image, atol=1e-12)
    assert np.abs(integrate(gradient, step, "periodic") - image).max() > 0.1


@pytest.mark.parametrize("cycles", [1, 4])
def test_high_pass_damps_by_the_stated_factor(cycles):
    q = cycles / 32
    wave = np.sin(2 * math.pi * q * np.arange(32))[:, None] * np.ones(8)
    slope = 2 * math.pi * q * np.cos(2 * math.pi * q * np.arange(32))[:, None] * np.ones(8)
    image = integrate(np.stack([slope, 0 * slope]), (1.0, 1.0), high_pass_inverse_angstrom=2 / 32)
    assert np.allclose(image, wave * q**2 / (q**2 + (2 / 32) ** 2), atol=1e-12)


def test_reversing_an_axis_reverses_the_image():
    # holds for noise only if nothing is made of the frequency whose sign is unknown
    gradient = np.random.default_rng(0).normal(size=(2, 16, 12))
    image = integrate(gradient, (0.3, 0.4))
    upside_down = gradient[:, ::-1] * np.array([-1, 1])[:, None, None]
    assert np.allclose(integrate(upside_down, (0.3, 0.4)), image[::-1], atol=1e-12)
    left_right = gradient[:, :, ::-1] * np.array([1, -1])[:, None, None]
    assert np.allclose(integrate(left_right, (0.3, 0.4)), image[:, ::-1], atol=1e-12)
