import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from rephase.errors import InputError
from rephase.measurement import Scan
from rephase.microscope.optics import Optics
from rephase.microscope.probe import probe
from rephase.phase import com
from rephase.phase.dpc import DPCSettings, reconstruct

BOX, PIXELS, POSITIONS = 12.0, 48, 16
OPTICS = Optics(energy_ev=300e3, semiangle_mrad=20)


@pytest.fixture(scope="module")
def phase():
    spots = np.zeros((PIXELS, PIXELS))
    spots[12, 10], spots[20, 34], spots[38, 20] = 1, 0.7, 0.5
    smooth = gaussian_filter(spots, 5, mode="wrap")
    return 0.3 * smooth / smooth.max()


@pytest.fixture(scope="module")
def scan(phase):
    at = np.stack(np.meshgrid(*2 * [np.arange(POSITIONS) * BOX / POSITIONS], indexing="ij"), axis=-1)
    wave = probe(OPTICS, phase.shape, (BOX, BOX), torch.as_tensor(at.reshape(-1, 2)))
    exit_wave = wave * torch.exp(1j * torch.as_tensor(phase))
    patterns = torch.fft.fftshift(torch.fft.fft2(exit_wave).abs() ** 2, dim=(-2, -1)).numpy()
    patterns = patterns.reshape(POSITIONS, POSITIONS, PIXELS, PIXELS).astype(np.float32)
    return Scan(patterns, 2 * (BOX / POSITIONS,), 2 * (OPTICS.wavelength_angstrom * 1e3 / BOX,))


def relative_error(values, expected):
    return np.linalg.norm(values - expected) / np.linalg.norm(expected)


def centred(phase):
    return phase - phase.mean()


def test_agrees_with_the_fourier_integral_of_the_centre_of_mass(scan):
    image = reconstruct(scan, OPTICS, DPCSettings(periodic=True))
    centre = np.stack(
        [
            np.tensordot(scan.intensities, k, 2)
            for k in np.meshgrid(*2 * [np.arange(-24, 24) / BOX], indexing="ij")
        ]
    )
    k = np.fft.fftfreq(POSITIONS, BOX / POSITIONS)
    ky, kx = np.meshgrid(k, k, indexing="ij")
    square = np.where(ky**2 + kx**2 == 0, np.inf, ky**2 + kx**2)
    spectrum = -1j * (ky * np.fft.fft2(centre[0]) + kx * np.fft.fft2(centre[1])) / square
    assert relative_error(image.values, np.fft.ifft2(spectrum).real) < 0.1


def test_gives_the_phase_of_a_smooth_object_in_rad(scan, phase):
    for periodic in (True, False):
        image = reconstruct(scan, OPTICS, DPCSettings(periodic=periodic))
        assert relative_error(image.values, centred(phase[::3, ::3])) < 0.25
        assert image.pixel_angstrom == scan.step_angstrom
        assert relative_error(image.values.T, centred(phase[::3, ::3])) > 0.5


def test_agrees_with_direct_integration(scan):
    ours = com.reconstruct(scan, OPTICS)
    image = reconstruct(scan, OPTICS, DPCSettings(periodic=True))
    assert relative_error(image.values, ours.values) < 0.1


def test_steps_of_the_two_axes_may_differ(scan, phase):
    sparse = Scan(scan.intensities[:, ::2], (BOX / 16, BOX / 8), scan.pixel_mrad)
    image = reconstruct(sparse, OPTICS, DPCSettings(periodic=True))
    assert relative_error(image.values, centred(phase[::3, ::6])) < 0.35


@pytest.mark.parametrize("angle", [0.0, 35.0])
def test_rotation_and_mirror_are_undone(scan, angle):
    """A detector that turns and mirrors the deflection leaves the image as it is."""
    expected = reconstruct(scan, OPTICS).values
    turn = math.radians(angle)
    k = np.arange(-24, 24)
    row, col = np.meshgrid(k, k, indexing="ij")
    slow = np.tensordot(scan.intensities, row, 2)
    fast = -np.tensordot(scan.intensities, col, 2)
    rows = math.cos(turn) * slow + math.sin(turn) * fast
    cols = -math.sin(turn) * slow + math.cos(turn) * fast
    patterns = np.full_like(scan.intensities, 0)
    for sign in (1, -1):  # four pixels whose centre of mass is (rows, cols)
        patterns[..., 24 + 10 * sign, 24] = 0.25 * (1 + sign * rows / 5)
        patterns[..., 24, 24 + 10 * sign] = 0.25 * (1 + sign * cols / 5)
    turned = scan.with_intensities(patterns, rotation_deg=angle, mirrored=True)
    np.testing.assert_allclose(reconstruct(turned, OPTICS).values, expected, atol=2e-4)


def test_error_per_iteration_falls_and_calls_repeat(scan):
    first, second = (reconstruct(scan, OPTICS) for _ in range(2))
    error = first.details["error"]
    assert list(error) == sorted(error, reverse=True)
    np.testing.assert_array_equal(first.values, second.values)


def test_a_pattern_without_counts_is_no_obstacle(scan):
    counts = np.random.default_rng(0).poisson(scan.intensities * 1e4).astype(np.float32)
    counts[2, 3] = 0
    assert np.isfinite(reconstruct(scan.with_intensities(counts, unit="electrons"), OPTICS).values).all()


def test_no_electrons_at_all_is_named(scan):
    with pytest.raises(InputError, match="no electron"):
        reconstruct(scan.with_intensities(scan.intensities * 0), OPTICS)
