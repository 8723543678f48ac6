import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.signal import resample

from rephase.errors import InputError
from rephase.measurement import Scan
from rephase.microscope.optics import Optics
from rephase.microscope.probe import probe
from rephase.phase.parallax import (
    ParallaxSettings,
    aperture_overlap,
    phase_from_bright_field,
    reconstruct,
)

BOX, PIXELS, POSITIONS = 24.0, 64, 20
PERIODIC = ParallaxSettings(periodic=True)


def optics(defocus, **others):
    return Optics(energy_ev=300e3, semiangle_mrad=15, defocus_angstrom=defocus, **others)


@pytest.fixture(scope="module")
def phase():
    spots = np.zeros((PIXELS, PIXELS))
    for row, col, weight in [(10, 14, 1), (19, 40, 0.6), (40, 16, 0.8), (44, 48, 0.5), (30, 30, 0.4)]:
        spots[row, col] = weight
    smooth = gaussian_filter(spots, 3, mode="wrap")
    return 0.1 * smooth / smooth.max()


def scan_of(phase, optics):
    at = np.stack(np.meshgrid(*2 * [np.arange(POSITIONS) * BOX / POSITIONS], indexing="ij"), axis=-1)
    wave = probe(optics, phase.shape, (BOX, BOX), torch.as_tensor(at.reshape(-1, 2)))
    exit_wave = wave * torch.exp(1j * torch.as_tensor(phase))
    patterns = torch.fft.fftshift(torch.fft.fft2(exit_wave).abs() ** 2, dim=(-2, -1))[:, 12:52, 12:52]
    patterns = patterns.numpy().reshape(POSITIONS, POSITIONS, 40, 40).astype(np.float32)
    return Scan(patterns, 2 * (BOX / POSITIONS,), 2 * (optics.wavelength_angstrom * 1e3 / BOX,))


@pytest.fixture(scope="module")
def scans(phase):
    return {defocus: scan_of(phase, optics(defocus)) for defocus in (300.0, -300.0)}


def correlation(image, phase):
    expected = resample(resample(phase, image.shape[0], axis=0), image.shape[1], axis=1)
    return np.corrcoef(image.ravel(), expected.ravel())[0, 1]


@pytest.mark.parametrize("defocus", [300.0, -300.0])
@pytest.mark.parametrize("start", [0.0, 200.0])
def test_defocus_and_its_sign_are_found(scans, defocus, start):
    image = reconstruct(scans[defocus], optics(np.sign(defocus) * start), PERIODIC)
    assert image.details["defocus_angstrom"] == pytest.approx(defocus, rel=0.04)


@pytest.mark.parametrize("defocus", [300.0, -300.0])
@pytest.mark.parametrize("periodic", [True, False])
def test_phase_has_the_right_sign_place_and_scale(scans, phase, defocus, periodic):
    image = reconstruct(
        scans[defocus], optics(defocus), ParallaxSettings(periodic=periodic, align=False, wiener=0.1)
    )
    assert image.values.shape == (POSITIONS, POSITIONS)
    assert correlation(image.values, phase) > 0.9
    for wrong in (phase.T, phase[::-1], phase[:, ::-1]):
        assert correlation(image.values, wrong) < 0.6
    assert image.values.std() == pytest.approx(resample(resample(phase, 20), 20, axis=1).std(), rel=0.25)


def test_positions_of_detector_and_scan_may_be_turned_and_mirrored(scans, phase):
    scan = scans[300.0]
    turned = np.rot90(scan.intensities[..., 1:, 1:], axes=(2, 3))
    centre = {"centre_px": (19.0, 19.0)}
    odd = scan.with_intensities(turned, rotation_deg=-90.0, **centre)
    mirrored = scan.with_intensities(turned[..., ::-1], rotation_deg=90.0, mirrored=True, **centre)
    for each in (odd, mirrored):
        for align in (True, False):
            image = reconstruct(each, optics(300.0), ParallaxSettings(periodic=True, align=align))
            assert correlation(image.values, phase) > 0.9
            assert image.details["defocus_angstrom"] == pytest.approx(300, rel=0.04)


def test_counts_and_fractions_give_the_same(scans):
    scan = scans[300.0]
    many = scan.with_intensities(scan.intensities * 1e4, unit="electrons")
    first, second = (reconstruct(each, optics(300.0), PERIODIC).values for each in (scan, many))
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_counts_find_the_defocus(scans):
    counts = np.random.default_rng(0).poisson(scans[300.0].intensities * 1e6).astype(np.float32)
    image = reconstruct(scans[300.0].with_intensities(counts, unit="electrons"), optics(250.0), PERIODIC)
    assert image.details["defocus_angstrom"] == pytest.approx(300, rel=0.1)


def test_upsampling_recovers_what_the_scan_step_undersamples():
    """Detail finer than the scan step, where the shifts of the images fill the gaps."""
    fine = gaussian_filter(np.random.default_rng(0).normal(size=(PIXELS, PIXELS)), 1.2, mode="wrap")
    fine *= 0.05 / fine.std()
    scan = scan_of(fine, optics(300.0))
    sparse = Scan(scan.intensities[::2, ::2], (2 * BOX / POSITIONS,) * 2, scan.pixel_mrad)
    known = {"periodic": True, "align": False, "wiener": 0.3}
    doubled = reconstruct(sparse, optics(300.0), ParallaxSettings(**known, upsampling=2))
    plain = reconstruct(sparse, optics(300.0), ParallaxSettings(**known))
    assert doubled.values.shape == (POSITIONS, POSITIONS)
    assert doubled.pixel_angstrom == pytest.approx((BOX / POSITIONS,) * 2)
    interpolated = resample(resample(plain.values, POSITIONS), POSITIONS, axis=1)
    assert correlation(doubled.values, fine) > correlation(interpolated, fine) + 0.1


def test_calls_repeat_exactly_and_leave_the_global_generator_alone(scans):
    before = np.random.get_state()[1].copy()
    first, second = (reconstruct(scans[300.0], optics(250.0), PERIODIC).values for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_defocus_of_a_smooth_object_needs_the_inner_disc(scans):
    whole = reconstruct(scans[300.0], optics(200.0), ParallaxSettings(periodic=True, inner_disc=1.0))
    assert whole.details["defocus_angstrom"] > 320


def test_error_of_the_alignment_falls(scans):
    error = reconstruct(scans[300.0], optics(0.0), PERIODIC).details["error"]
    assert error[-1] < error[0]


def test_overlap_is_the_autocorrelation_of_a_disc():
    n = 512
    y, x = np.meshgrid(*2 * [np.arange(n) - n // 2], indexing="ij")
    disc = (np.hypot(y, x) <= 100).astype(float)
    overlap = np.fft.ifft2(np.abs(np.fft.fft2(disc)) ** 2).real[0] / disc.sum()
    np.testing.assert_allclose(aperture_overlap(np.arange(201) / 100), overlap[:201], atol=5e-3)


def test_transfer_is_inverted_where_it_is_strong():
    """An image made with 2 o(q) sin chi comes back as the phase it was made of."""
    lens = optics(300.0)
    k = np.fft.fftfreq(POSITIONS, BOX / POSITIONS)
    q = np.hypot(k[:, None], k)
    chi = -np.pi * lens.wavelength_angstrom * 300 * q**2
    transfer = 2 * aperture_overlap(q / lens.aperture_radius) * np.sin(chi)
    noise = np.fft.fft2(np.random.default_rng(0).normal(size=q.shape)) * (np.abs(transfer) > 0.5)
    image = 1 + np.fft.ifft2(noise * transfer).real
    found = phase_from_bright_field(image, 2 * (BOX / POSITIONS,), lens, np.eye(2), 0.01)
    np.testing.assert_allclose(found, np.fft.ifft2(noise).real, atol=2e-3)


def test_disc_of_a_few_pixels_and_nothing_to_align_are_named(scans):
    scan = scans[300.0]
    with pytest.raises(InputError, match="bright-field disc"):
        reconstruct(scan.with_intensities(scan.intensities, pixel_mrad=(16.0, 16.0)), optics(300.0))
    with pytest.raises(InputError, match="defocus"):
        reconstruct(scan, optics(0.0), ParallaxSettings(align=False))
