import numpy as np
import pytest
import torch
from scipy.signal import correlate

from rephase.errors import InputError
from rephase.judge import dqe
from rephase.judge.frequency import radial_frequency, ring_average
from rephase.microscope.optics import Optics, aperture

X = np.linspace(0.0, 2.2, 2201)
OPTICS = Optics(energy_ev=300e3, semiangle_mrad=20)


def along_a_diagonal(optics, x):
    return optics.aperture_radius * x[:, None] * np.array([0.6, 0.8])


def test_peaks_of_the_closed_forms():
    assert dqe.ssb_dqe(X).max() == pytest.approx(0.205, abs=5e-4)
    assert X[np.argmax(dqe.ssb_dqe(X))] == pytest.approx(0.89, abs=5e-3)
    assert dqe.icom_dqe(X).max() == pytest.approx(0.163, abs=6e-4)
    assert X[np.argmax(dqe.icom_dqe(X))] == pytest.approx(0.84, abs=5e-3)


def test_overlap_of_two_discs():
    points = np.random.default_rng(0).uniform(-1, 1, (400_000, 2))
    first = points[np.hypot(*points.T) <= 1]
    for x in (0.0, 0.4, 1.1, 1.9, 2.0, 3.0):
        share = np.mean(np.hypot(first[:, 0] - x, first[:, 1]) <= 1)
        assert dqe.overlap(np.array([x]))[0] == pytest.approx(share, abs=3e-3)


def test_the_matched_filter_in_focus_is_ssb():
    x = np.linspace(0.05, 2.1, 30)
    numeric = dqe.matched_filter_dqe(OPTICS, along_a_diagonal(OPTICS, x))
    np.testing.assert_allclose(numeric, dqe.ssb_dqe(x), atol=2e-3)


@pytest.mark.parametrize("defocus", [-120.0, 60.0, 300.0])
def test_the_matched_filter_out_of_focus_is_the_closed_form(defocus):
    optics = OPTICS.model_copy(update={"defocus_angstrom": defocus})
    x = np.linspace(0.05, 2.1, 40)
    chi = np.pi * optics.wavelength_angstrom * -defocus * (x * optics.aperture_radius) ** 2
    numeric = dqe.matched_filter_dqe(optics, along_a_diagonal(optics, x))
    np.testing.assert_allclose(numeric, dqe.defocused_dqe(x, chi), atol=3e-3)


def test_no_method_passes_the_matched_filter_and_none_passes_zernike():
    chi = np.linspace(0, 40, X.size)
    best = dqe.defocused_dqe(X, chi)
    assert (dqe.icom_dqe(X) <= dqe.ssb_dqe(X) + 1e-12).all()
    assert (dqe.tilt_corrected_dqe(X, chi) <= best + 1e-12).all()
    assert best.max() <= 1
    aberrated = Optics(
        energy_ev=80e3, semiangle_mrad=25, defocus_angstrom=200, cs_angstrom=1e5, aberrations={"C12": 80.0}
    )
    numeric = dqe.matched_filter_dqe(aberrated, along_a_diagonal(aberrated, X[1::40]))
    assert numeric.min() >= 0
    assert 0.5 < numeric.max() <= 1


def detector(phase, electrons, transfer, noise_power, draws, seed):
    """An ideal linear detector: known transfer and noise power in each mode."""
    rng = np.random.default_rng(seed)
    zernike = np.sqrt(1 / (4 * electrons)) * rng.normal(size=(draws, *phase.shape))
    spectra = transfer * np.fft.fft2(phase) + np.sqrt(noise_power) * np.fft.fft2(zernike)
    return np.fft.ifft2(spectra).real


def test_measured_dqe_of_a_linear_detector_is_what_was_put_in():
    shape, pixel, electrons = (80, 64), (0.2, 0.25), 400.0
    phase = 0.05 * np.random.default_rng(1).normal(size=shape)
    radius = radial_frequency(shape, pixel)
    transfer, noise = 0.3 + 0.4 * radius, 1 + radius
    images = detector(phase, electrons, transfer, noise, draws=24, seed=2)
    measured = dqe.measured_dqe(images, phase, electrons, pixel)
    expected = ring_average(transfer**2 / noise, pixel)
    np.testing.assert_allclose(measured.frequency, expected.frequency, rtol=1e-2)
    inside = (measured.low <= expected.values) & (expected.values <= measured.high)
    assert inside[3:].mean() > 0.75
    mean, low, high = dqe.dqe_ratio(measured, expected.values, probe_radius=1.0)
    assert low <= 1 <= high
    assert mean == pytest.approx(1, abs=0.03)
    assert high - low < 0.1


def test_intervals_cover_the_truth_as_often_as_they_say():
    shape, pixel, electrons, trials = (24, 24), (0.25, 0.25), 100.0, 60
    phase = 0.1 * np.random.default_rng(3).normal(size=shape)
    mean_covered, ring_covered, all_covered = 0, 0.0, 0
    for seed in range(trials):
        images = detector(phase, electrons, 0.5, 1.0, draws=6, seed=seed)
        measured = dqe.measured_dqe(images, phase, electrons, pixel, replicates=300, seed=seed)
        _, low, high = dqe.dqe_ratio(measured, np.full(measured.values.size, 0.25), probe_radius=1.0)
        mean_covered += low <= 1 <= high
        ring_covered += np.mean((measured.low <= 0.25) & (measured.high >= 0.25)) / trials
        low, high = measured.bounds(0.95, rings=measured.values.size)
        all_covered += np.all((low <= 0.25) & (high >= 0.25))
    assert mean_covered >= 0.87 * trials
    assert 0.92 <= ring_covered <= 0.98
    assert all_covered >= 0.87 * trials


def test_ssnr_without_a_signal_is_zero_on_average():
    images = np.random.default_rng(4).normal(size=(50, 64, 64))
    assert dqe.ssnr(images).mean() == pytest.approx(0, abs=0.002)
    assert dqe.ssnr(np.zeros((3, 8, 8))).max() == 0
    assert dqe.ssnr(np.eye(8)[None].repeat(3, axis=0)).max() == np.inf


def test_ssnr_squared_grows_in_proportion_to_the_dose():
    phase = 0.2 * np.random.default_rng(5).normal(size=(64, 64))
    low, high = (np.median(dqe.ssnr(detector(phase, n, 1.0, 1.0, 40, 6))) for n in (100, 1600))
    assert high / low == pytest.approx(16, rel=0.05)


def lattice_ratio(positions, soft):
    """DQE of iCOM and SSB over the closed forms, mean over rings, for an aperture on a lattice of pixels.

    The lattice is that of a scan of so many positions at wavelength / (4 alpha),
    whose aperture has a radius of a quarter as many pixels. A is real and even, so
    that with C(q) = sum_k k A(k) A(k - q) the DQE of iCOM is (q.C)^2 / (q^2 sum k^2 A^2 / 2),
    and, for A of 0 and 1, that of SSB is half of the overlap at q less the one at 2 q.
    """
    step, k = 0.246, torch.arange(-positions // 2, positions // 2 + 1, dtype=torch.float64)
    ky, kx = torch.meshgrid(k, k, indexing="ij")
    spacing = 1 / (positions * step)
    edge = (spacing, spacing) if soft else None
    a = aperture(OPTICS, spacing * ky, spacing * kx, edge).numpy()
    a, ky, kx = a / np.sqrt((a**2).sum()), ky.numpy(), kx.numpy()
    together = [correlate(moment * a, a, mode="same") for moment in (ky, kx, 1)]
    q = np.hypot(ky, kx)
    ring = np.rint(q).astype(int).ravel()
    x = q * spacing / OPTICS.aperture_radius
    with np.errstate(invalid="ignore"):
        icom = 2 * ((ky * together[0] + kx * together[1]) / q) ** 2 / (q**2 * a**2).sum()
    far = np.zeros_like(q)
    middle = slice(positions // 4, -(positions // 4))
    far[middle, middle] = together[2][::2, ::2]
    ssb = (together[2] - far) / 2
    means = []
    for numeric, closed in ((icom, dqe.icom_dqe(x)), (ssb, dqe.ssb_dqe(x))):
        on_ring = (np.bincount(ring, curve.ravel()) / np.bincount(ring) for curve in (numeric, closed, x))
        numeric, closed, radius = (curve[1 : positions // 2] for curve in on_ring)
        tested = (closed >= dqe.LOWEST_DQE) & (radius > 0.1) & (radius < 1.8)
        means.append(np.mean(numeric[tested] / closed[tested]))
    return means


@pytest.mark.parametrize(("positions", "within"), [(32, 0.04), (48, 0.03), (72, 0.015)])
def test_a_hard_edge_on_a_lattice_of_pixels_is_a_disc_to_within_its_roughness(positions, within):
    """What notebook 4 says of its closed forms: 4 % at smoke, 1 % at laptop."""
    assert lattice_ratio(positions, soft=False) == pytest.approx([1, 1], abs=within)


@pytest.mark.parametrize("positions", [32, 48, 72])
def test_an_edge_one_pixel_wide_would_raise_icom_by_one_over_the_radius(positions):
    excess = lattice_ratio(positions, soft=True)[0] - 1
    assert excess == pytest.approx(4 / positions, rel=0.15)


def in_focus_scan(phase, radius):
    """Patterns of a weak phase object on a periodic grid, a probe position on each pixel."""
    k = np.fft.fftfreq(len(phase), 1 / len(phase))
    inside = np.hypot(k[:, None], k) <= radius
    probe = np.fft.ifft2(inside / np.sqrt(inside.sum()))
    rows = np.arange(len(phase))
    for i in rows:
        moved = np.stack([np.roll(probe, (i, j), (0, 1)) for j in rows])
        yield np.abs(np.fft.fft2(moved * np.exp(1j * phase))) ** 2


def test_measured_dqe_of_icom_follows_its_closed_form():
    n, radius, electrons, draws = 40, 9.5, 2000.0, 10
    rng = np.random.default_rng(7)
    phase = 0.05 * rng.normal(size=(n, n))
    k = np.fft.fftfreq(n, 1 / n)
    deflection = np.empty((2, draws, n, n))
    for i, patterns in enumerate(in_focus_scan(phase, radius)):
        for d in range(draws):
            counts = rng.poisson(electrons * patterns)
            deflection[:, d, i] = np.einsum("jrc,r->j", counts, k), np.einsum("jrc,c->j", counts, k)
    spectra = np.fft.fft2(deflection / electrons)
    square = np.hypot(k[:, None], k) ** 2
    square[0, 0] = 1
    images = np.fft.ifft2((k[:, None] * spectra[0] + k * spectra[1]) / (1j * square)).real
    measured = dqe.measured_dqe(images, phase, electrons, (1 / n, 1 / n))
    closed = dqe.icom_dqe(measured.frequency / radius)
    ratio, low, high = dqe.dqe_ratio(measured, closed, probe_radius=radius)
    assert low <= 1 <= high
    assert ratio == pytest.approx(1, abs=0.1)


def test_wrong_input_is_refused():
    images = np.zeros((2, 8, 8))
    with pytest.raises(InputError, match="two"):
        dqe.ssnr(images[:1])
    with pytest.raises(InputError, match="shape"):
        dqe.measured_dqe(images, np.zeros((8, 9)), 1.0, (1.0, 1.0))
    with pytest.raises(InputError, match="electrons_per_pixel"):
        dqe.measured_dqe(images, images[0], 0.0, (1.0, 1.0))
