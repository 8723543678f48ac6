"""Grids: Parseval, shifts and resampling of band-limited images, abTEM's antialiasing aperture."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rephase.microscope.grid import (
    antialias_cutoff,
    antialias_mask,
    fourier_resample,
    fourier_shift,
    frequencies,
    resize_spectrum,
)

sizes = st.integers(5, 20)


def image(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_frequencies_are_those_of_numpy():
    ky, kx = frequencies((6, 5), (0.2, 0.3))
    np.testing.assert_array_equal(ky[:, 0].numpy(), np.fft.fftfreq(6, 0.2))
    np.testing.assert_array_equal(kx[0].numpy(), np.fft.fftfreq(5, 0.3))


@pytest.mark.parametrize("pixel", [0.1, (0.1, 0.13)])
def test_antialias_mask_is_abtem_s(pixel):
    from abtem.antialias import antialias_aperture

    pair = pixel if isinstance(pixel, tuple) else (pixel, pixel)
    expected = antialias_aperture((50, 64), pair, np)
    np.testing.assert_allclose(antialias_mask((50, 64), pixel).numpy(), expected, atol=1e-4)
    ky, kx = frequencies((50, 64), pixel)
    assert antialias_mask((50, 64), pixel)[torch.hypot(ky, kx) >= antialias_cutoff(pixel)].max() == 0


def test_products_of_masked_images_do_not_alias_back_into_the_mask():
    mask = antialias_mask((64, 64), 0.1, tapered=False)
    one, two = (torch.fft.ifft2(mask * torch.fft.fft2(image(seed, 64, 64))) for seed in (0, 1))
    fine = fourier_resample(one, (128, 128)) * fourier_resample(two, (128, 128))
    unaliased = resize_spectrum(torch.fft.fft2(fine), (64, 64)) / 4
    torch.testing.assert_close(mask * torch.fft.fft2(one * two), mask * unaliased)


@given(rows=sizes, cols=sizes, more=st.integers(1, 9), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_resampling_up_and_down_gives_the_image_back(rows, cols, more, seed):
    start = image(seed, 2, rows, cols)
    finer = fourier_resample(start, (rows + more, cols + 2 * more))
    torch.testing.assert_close(fourier_resample(finer, (rows, cols)), start)
    torch.testing.assert_close(finer.mean((-2, -1)), start.mean((-2, -1)))


def test_resampling_doubles_a_wave_exactly():
    phase = 2 * np.pi * (torch.arange(12, dtype=torch.float64) / 12)
    wave = torch.cos(3 * phase)[:, None] * torch.sin(2 * phase)[None]
    torch.testing.assert_close(fourier_resample(wave, (24, 24))[::2, ::2], wave)


@given(rows=sizes, cols=sizes, by=st.tuples(st.integers(-5, 5), st.integers(-5, 5)))
@settings(deadline=None, max_examples=40)
def test_whole_pixel_shifts_roll(rows, cols, by):
    start = image(0, rows, cols)
    rolled = torch.roll(start, by, (0, 1))
    torch.testing.assert_close(fourier_shift(start, tuple(map(float, by))), rolled)


@given(dy=st.floats(-4, 4), dx=st.floats(-4, 4))
@settings(deadline=None, max_examples=30)
def test_shifts_add_up_and_conserve_power(dy, dx):
    start = torch.complex(image(0, 15, 17), image(1, 15, 17))
    there = fourier_shift(start, (dy, dx))
    torch.testing.assert_close(fourier_shift(there, (-dy, -dx)), start)
    torch.testing.assert_close(torch.linalg.vector_norm(there), torch.linalg.vector_norm(start))


def test_each_image_of_a_batch_may_have_its_own_shift():
    start = image(0, 2, 9, 9)
    both = fourier_shift(start, torch.tensor([[1.0, 0.0], [0.5, -2.0]], dtype=torch.float64))
    torch.testing.assert_close(both[0], torch.roll(start[0], 1, 0))
    torch.testing.assert_close(both[1], fourier_shift(start[1], (0.5, -2.0)))
