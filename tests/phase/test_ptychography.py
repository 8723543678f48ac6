import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from rephase.errors import InputError
from rephase.measurement import Scan
from rephase.microscope.optics import Optics
from rephase.microscope.probe import probe
from rephase.phase.ptychography import (
    MultislicePtychographySettings,
    PtychographySettings,
    reconstruct,
    unbiased_amplitudes,
)

BOX, PIXELS, POSITIONS, GAP = 12.0, 48, 16, 120.0
OPTICS = Optics(energy_ev=300e3, semiangle_mrad=20, defocus_angstrom=60)
PERIODIC = PtychographySettings(periodic=True, iterations=12, step_size=1)


def blobs(*spots):
    """A periodic phase without any symmetry: positive blobs of at most 0.2 rad."""
    phase = np.zeros((PIXELS, PIXELS))
    for row, col, weight in spots:
        phase[row, col] = weight
    phase = gaussian_filter(phase, 1.5, mode="wrap")
    return 0.2 * phase / phase.max()


PHASE = blobs((8, 10, 1), (14, 30, 0.6), (30, 12, 0.8), (33, 36, 0.5), (22, 22, 0.4), (40, 5, 0.7))
BELOW = blobs((4, 40, 1), (20, 5, 0.8), (44, 20, 0.9), (27, 29, 0.7))


def scan_of(*phases):
    """A scan of phase screens GAP angstrom apart."""
    at = np.stack(np.meshgrid(*2 * [np.arange(POSITIONS) * BOX / POSITIONS], indexing="ij"), axis=-1)
    wave = probe(OPTICS, (PIXELS, PIXELS), (BOX, BOX), torch.as_tensor(at.reshape(-1, 2)))
    k = torch.fft.fftfreq(PIXELS, BOX / PIXELS, dtype=torch.float64)
    step = torch.exp(-1j * np.pi * OPTICS.wavelength_angstrom * GAP * (k[:, None] ** 2 + k**2))
    for number, phase in enumerate(phases):
        if number:
            wave = torch.fft.ifft2(torch.fft.fft2(wave) * step)
        wave = wave * torch.exp(1j * torch.as_tensor(phase))
    patterns = torch.fft.fftshift(torch.fft.fft2(wave).abs() ** 2, dim=(-2, -1)).numpy()
    patterns = patterns.reshape(POSITIONS, POSITIONS, PIXELS, PIXELS).astype(np.float32)
    return Scan(patterns, 2 * (BOX / POSITIONS,), 2 * (OPTICS.wavelength_angstrom * 1e3 / BOX,))


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def middle(image):
    return image[12:36, 12:36]


@pytest.fixture(scope="module")
def scan():
    return scan_of(PHASE)


@pytest.fixture(scope="module")
def image(scan):
    return reconstruct(scan, OPTICS, PERIODIC)


def test_weak_object_is_recovered_in_place_and_in_rad(image):
    assert image.values.shape == PHASE.shape
    assert image.pixel_angstrom == pytest.approx((BOX / PIXELS, BOX / PIXELS))
    assert correlation(image.values, PHASE) > 0.98
    assert np.polyfit(PHASE.ravel(), image.values.ravel(), 1)[0] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("wrong", [lambda p: -p, lambda p: p[::-1], lambda p: p[:, ::-1], lambda p: p.T])
def test_wrong_sign_mirror_or_axes_do_not_match(image, wrong):
    assert correlation(image.values, wrong(PHASE)) < 0.7


def test_error_falls_and_flattens(image):
    error = np.array(image.details["error"])
    assert len(error) == PERIODIC.iterations
    assert error[-1] < 0.05 * error[0]
    assert error[-2] - error[-1] < 0.02 * error[0]


def test_wrong_sign_of_defocus_fits_worse(scan, image):
    wrong = reconstruct(scan, OPTICS.model_copy(update={"defocus_angstrom": -60.0}), PERIODIC)
    assert wrong.details["error"][-1] > 5 * image.details["error"][-1]


def test_repeats_and_leaves_the_global_generator_alone(scan, image):
    before = np.random.get_state()[1].copy()
    again = reconstruct(scan, OPTICS, PERIODIC)
    np.testing.assert_allclose(again.values, image.values, atol=1e-6)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_unit_of_the_counts_does_not_matter(scan, image):
    many = scan.with_intensities(scan.intensities * 1e5, unit="electrons")
    counts = reconstruct(many, OPTICS, PERIODIC.model_copy(update={"few_counts": 0.0}))
    np.testing.assert_allclose(counts.values, image.values, atol=1e-3)


def test_poisson_counts_give_the_object(scan):
    counts = np.random.default_rng(0).poisson(scan.intensities * 3e4).astype(np.float32)
    noisy = reconstruct(scan.with_intensities(counts, unit="electrons"), OPTICS, PERIODIC)
    assert correlation(noisy.values, PHASE) > 0.9


@pytest.mark.parametrize("mean", [0.03, 0.3, 3.0])
def test_amplitudes_of_few_counts_follow_the_square_root(mean):
    """Modulated by 20 % about a few counts, the mean amplitude is right, and the plain root is not."""
    expected = mean * np.array([0.8, 1.2])[:, None, None, None] * np.ones((2, 200000, 1, 1))
    counts = np.random.default_rng(0).poisson(expected).astype(np.float64)
    low, high = unbiased_amplitudes(counts, few_counts=10.0).mean(axis=(1, 2, 3))
    root_low, root_high = np.sqrt(counts).mean(axis=(1, 2, 3))
    contrast = np.sqrt(1.2 * mean) - np.sqrt(0.8 * mean)
    assert high - low == pytest.approx(contrast, rel=0.1)
    if mean < 0.1:
        assert root_high - root_low < 0.8 * contrast
    assert unbiased_amplitudes(counts, few_counts=10.0).var(axis=(1, 2, 3)) == pytest.approx(0.25, abs=0.06)


def test_many_counts_enter_by_their_square_root():
    counts = np.random.default_rng(0).poisson(40.0, (4, 4, 3, 3)).astype(np.float32)
    np.testing.assert_allclose(unbiased_amplitudes(counts, few_counts=10.0), np.sqrt(counts), rtol=1e-6)


def test_few_counts_keep_the_contrast(scan):
    counts = np.random.default_rng(0).poisson(scan.intensities * 3e4).astype(np.float32)
    noisy = scan.with_intensities(counts, unit="electrons")
    free = PERIODIC.model_copy(update={"positivity": False})
    slopes = [
        np.polyfit(PHASE.ravel(), reconstruct(noisy, OPTICS, settings).values.ravel(), 1)[0]
        for settings in (free, free.model_copy(update={"few_counts": 0.0}))
    ]
    assert slopes[0] == pytest.approx(1, abs=0.1)
    assert slopes[1] < 0.75


def test_padded_object_starts_at_scan_position_zero(scan):
    padded = reconstruct(scan, OPTICS, PERIODIC.model_copy(update={"periodic": False}))
    assert padded.values.shape == PHASE.shape
    assert padded.origin_angstrom == (0, 0)
    assert correlation(middle(padded.values), middle(PHASE)) > 0.95


def test_turned_and_mirrored_detector_gives_the_same_object(scan):
    turned = np.rot90(scan.intensities[..., 1:, 1:], axes=(2, 3))  # rows become reversed columns
    odd = Scan(turned, scan.step_angstrom, scan.pixel_mrad, rotation_deg=-90.0)
    mirrored = odd.with_intensities(turned[..., ::-1], rotation_deg=90.0, mirrored=True)
    for each in (odd, mirrored):
        found = reconstruct(each, OPTICS, PtychographySettings(iterations=12))
        n = found.values.shape[0]
        expected = PHASE[np.ix_(*2 * [np.arange(n) * PIXELS // n])]
        assert correlation(found.values[12:36, 12:36], expected[12:36, 12:36]) > 0.9


def test_mirrored_detector_keeps_its_centre(scan, image):
    mirrored = scan.with_intensities(scan.intensities[..., ::-1], centre_px=(24.0, 23.0), mirrored=True)
    np.testing.assert_allclose(reconstruct(mirrored, OPTICS, PERIODIC).values, image.values, atol=1e-5)


def test_two_slices_separate_what_one_slice_cannot_fit():
    thick = scan_of(PHASE, BELOW)
    one = reconstruct(thick, OPTICS, PERIODIC)
    two = reconstruct(
        thick,
        OPTICS.model_copy(update={"defocus_angstrom": 60 + GAP / 2}),
        MultislicePtychographySettings(periodic=True, iterations=12, slices=2, thickness_angstrom=2 * GAP),
    )
    assert two.details["error"][-1] < 0.5 * one.details["error"][-1]
    total = PHASE + BELOW
    assert correlation(two.values, total) > 0.95 > correlation(one.values, total)
    first, second = two.details["slices"]
    assert correlation(first, PHASE) > correlation(first, BELOW)
    assert correlation(second, BELOW) > correlation(second, PHASE)


def test_two_probe_modes_explain_a_blurred_source(scan):
    blurred = sum(np.roll(scan.intensities, shift, axis=0) for shift in (-1, 0, 1)) / 3
    free = PERIODIC.model_copy(update={"fix_probe": False})
    pure = reconstruct(scan.with_intensities(blurred), OPTICS, free)
    mixed = reconstruct(scan.with_intensities(blurred), OPTICS, free.model_copy(update={"probe_modes": 3}))
    assert mixed.details["probe"].shape == (3, PIXELS, PIXELS)
    assert mixed.details["error"][-1] < 0.8 * pure.details["error"][-1]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"rotation_deg": 5.0}, "scan.rotation_deg"),
        ({"step_angstrom": (0.74, 0.75)}, "settings.periodic"),
        ({"pixel_mrad": (0.5, 0.5)}, "scan.pixel_mrad"),
    ],
)
def test_scans_that_cannot_be_reconstructed_are_named(scan, change, where):
    with pytest.raises(InputError, match=where):
        reconstruct(scan.with_intensities(scan.intensities, **change), OPTICS, PERIODIC)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_bad_intensities_are_named(scan, value):
    broken = scan.intensities.copy()
    broken[3, 4, 5, 6] = value
    with pytest.raises(InputError, match="scan.intensities"):
        reconstruct(scan.with_intensities(broken), OPTICS, PERIODIC)


def test_slices_need_a_thickness():
    with pytest.raises(ValueError, match="thickness"):
        PtychographySettings(slices=3)
    with pytest.raises(ValueError, match="thickness"):
        MultislicePtychographySettings(slices=3)
