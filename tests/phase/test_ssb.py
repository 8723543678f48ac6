import math

import h5py
import numpy as np
import pytest
import torch

from rephase.errors import InputError
from rephase.microscope.optics import Optics
from rephase.phase.ssb import SSBSettings, reconstruct

WEIGHTINGS = ("normalised", "sqrt", "plain")
ABERRATED = {
    "defocus_angstrom": 80.0,
    "cs_angstrom": 1e5,
    "aberrations": {"C12": 25.0, "phi12": 0.4, "C21": 300.0},
}


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def overlap(x: np.ndarray) -> np.ndarray:
    """Common area of two disks of radius 1 at distance x, over the area of one."""
    x = np.clip(x, 0, 2)
    return 2 / math.pi * (np.arccos(x / 2) - x / 2 * np.sqrt(1 - x**2 / 4))


def half_frequencies(scan) -> tuple[np.ndarray, np.ndarray]:
    (slow, fast), step = scan.shape[:2], scan.step_angstrom
    return np.fft.fftfreq(slow, step[0])[:, None], np.fft.rfftfreq(fast, step[1])


def band(phase: np.ndarray, scan, lens: Optics, low: float, high: float) -> np.ndarray:
    """The frequencies of an image between two multiples of the aperture's radius."""
    x = np.hypot(*half_frequencies(scan)) / lens.aperture_radius
    return np.fft.irfft2(np.fft.rfft2(phase) * ((x > low) & (x < high)), s=phase.shape)


def image(scan, lens, **settings) -> np.ndarray:
    return reconstruct(scan, lens, SSBSettings(**settings)).values


@pytest.fixture(scope="module")
def aberrated(scanning):
    """The object of `weak` through a defocused, astigmatic probe with coma: (scan, optics, phase)."""
    lens, step = Optics(energy_ev=300e3, semiangle_mrad=20.0, **ABERRATED), (0.225, 0.24)
    phase = scanning["noise"]((48, 40), step, 1.8 * lens.aperture_radius, rms=2e-3)
    return scanning["phase_object"](phase, lens, step), lens, phase


def test_normalised_recovers_a_weak_phase(lens, weak):
    scan, phase = weak
    found = image(scan, lens, weighting="normalised")
    assert relative_error(band(found, scan, lens, 0.1, 1.75), band(phase, scan, lens, 0.1, 1.75)) < 2e-3


def test_the_edge_of_the_aperture_is_the_one_that_is_named(lens, scanning):
    """With the right edge a weak phase is recovered, with the wrong one it is not."""
    step = (0.225, 0.24)
    phase = scanning["noise"]((40, 36), step, 1.75 * lens.aperture_radius, rms=2e-3)
    for soft in (True, False):
        scan = scanning["phase_object"](phase, lens, step, soft=soft)
        right, wrong = (
            relative_error(image(scan, lens, weighting="normalised", soft=edge), phase)
            for edge in (soft, not soft)
        )
        assert right < 2e-3 < 2e-2 < wrong


@pytest.mark.parametrize("pixel_weight", ["matched", "unit"])
def test_aberrations_are_compensated(aberrated, lens, weak, pixel_weight):
    scan, optics, phase = aberrated
    found = image(scan, optics, weighting="normalised", pixel_weight=pixel_weight)
    focused = image(weak[0], lens, weighting="normalised")
    assert relative_error(band(found, scan, lens, 0.1, 1.75), band(phase, scan, lens, 0.1, 1.75)) < 5e-3
    assert relative_error(band(found, scan, lens, 0.1, 1.75), band(focused, scan, lens, 0.1, 1.75)) < 5e-3
    wrong = optics.model_copy(update={"defocus_angstrom": -80.0})
    assert relative_error(image(scan, wrong, weighting="normalised"), phase) > 0.3


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_image_is_the_phase_times_the_stated_transfer(lens, weak, weighting):
    scan, phase = weak
    result = reconstruct(scan, lens, SSBSettings(weighting=weighting))
    expected = np.fft.irfft2(np.fft.rfft2(phase) * result.details["transfer"], s=phase.shape)
    assert relative_error(result.values, expected) < 1e-3
    assert result.details["transfer"].max() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("weighting", "power"), [("plain", 1.0), ("sqrt", 0.5), ("normalised", 0.0)])
def test_transfer_in_focus_is_a_power_of_the_overlap_area(lens, scanning, weighting, power):
    # a disk of 20 pixels in radius is round to a twentieth; the mean over directions is rounder
    scan, _ = scanning["three_beam"](lens, (1.0, 1.0), 0.0, (41, 35), (0.22, 0.23), (64, 64), (1.0, 1.0))
    x = np.hypot(*half_frequencies(scan)) / lens.aperture_radius
    area, inner = overlap(x) - overlap(2 * x), (x > 0.1) & (x < 1.9)
    expected = (area[inner] / area.max()) ** power
    found = reconstruct(scan, lens, SSBSettings(weighting=weighting)).details["transfer"][inner]
    assert np.abs(found - expected).max() < 0.05
    assert np.abs(found - expected).mean() < 0.01


def noise_power(scan, optics, electrons: float, draws: int, weighting="normalised", **settings) -> np.ndarray:
    """Mean power of shot noise in vacuum at each frequency, in units of Zernike phase contrast's."""
    vacuum = np.broadcast_to(scan.intensities.mean((0, 1)) * electrons, scan.shape)
    power = 0
    for seed in range(draws):
        counts = np.random.default_rng(seed).poisson(vacuum).astype(np.float32)
        found = image(scan.with_intensities(counts), optics, weighting=weighting, **settings) / electrons
        power = power + np.abs(np.fft.rfft2(found)) ** 2 / draws
    return power * 4 * electrons / found.size


def test_noise_in_focus_is_that_of_the_closed_form_dqe(lens, weak):
    scan, _ = weak
    x = np.hypot(*half_frequencies(scan)) / lens.aperture_radius
    ring = (x > 0.3) & (x < 1.7)
    dqe = (overlap(x) - overlap(2 * x)) / 2
    assert (noise_power(scan, lens, 200.0, draws=4) * dqe)[ring].mean() == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("pixel_weight", ["matched", "unit"])
def test_sqrt_weighting_makes_the_noise_white(lens, aberrated, pixel_weight):
    scan, optics, _ = aberrated
    x = np.hypot(*half_frequencies(scan)) / lens.aperture_radius
    power = noise_power(scan, optics, 200.0, 4, weighting="sqrt", pixel_weight=pixel_weight)
    rings = [power[(x > low) & (x <= low + 0.4)].mean() for low in (0.1, 0.5, 0.9, 1.3)]
    assert np.allclose(rings, np.mean(rings), rtol=0.12)


def test_matched_weight_is_less_noisy_than_the_bare_phase(lens, aberrated):
    scan, optics, _ = aberrated
    x = np.hypot(*half_frequencies(scan)) / lens.aperture_radius
    ring = (x > 0.2) & (x < 1.0)
    matched, unit = (noise_power(scan, optics, 200.0, 2, pixel_weight=w)[ring] for w in ("matched", "unit"))
    assert matched.mean() < 0.95 * unit.mean()


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_neither_chunks_nor_precision_nor_storage_matter(aberrated, weighting, tmp_path):
    scan, optics, _ = aberrated
    precise = image(scan, optics, weighting=weighting, precision="float64")
    assert relative_error(image(scan, optics, weighting=weighting), precise) < 1e-4
    for chunk in (7, 10_000):
        found = image(scan, optics, weighting=weighting, precision="float64", chunk_pixels=chunk)
        assert relative_error(found, precise) < 1e-12
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        stored = scan.with_intensities(file.create_dataset("data", data=scan.intensities))
        assert np.array_equal(image(stored, optics, weighting=weighting, precision="float64"), precise)


def test_result_does_not_depend_on_the_dose_or_on_a_constant_phase(lens, weak, scanning):
    scan, phase = weak
    reference = image(scan, lens)
    counts = scan.with_intensities(scan.intensities * 3e4, unit="electrons")
    assert np.allclose(image(counts, lens), reference, atol=1e-7)
    shifted = scanning["phase_object"](phase + 1.0, lens, scan.step_angstrom)
    assert np.allclose(image(shifted, lens), reference, atol=1e-7)


@pytest.mark.parametrize(("rotation_deg", "mirrored"), [(0.0, False), (33.0, False), (-126.0, True)])
def test_rotation_and_mirroring_are_undone(scanning, rotation_deg, mirrored):
    # an asymmetric probe on oblong pixels: both the frequencies and the aberrations must be turned
    lens = Optics(energy_ev=300e3, semiangle_mrad=20.0, **ABERRATED)
    turn = math.radians(rotation_deg)
    to_scan = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    to_scan = np.diag([1, -1 if mirrored else 1]) @ to_scan
    step = (0.24, 0.2)
    q = (2 / (12 * step[0]), 1 / (10 * step[1]))
    scan, phase = scanning["three_beam"](
        lens,
        q,
        0.01,
        (12, 10),
        step,
        (30, 48),
        (1.9, 1.3),
        to_scan,
        rotation_deg=rotation_deg,
        mirrored=mirrored,
    )
    assert relative_error(image(scan, lens, weighting="normalised", precision="float64"), phase) < 1e-6


def test_coarse_scan_recovers_what_lies_below_its_nyquist(lens, scanning):
    # 0.5 angstrom is twice lambda / (4 alpha); the object ends below Nyquist
    step = (0.25, 0.25)
    phase = scanning["noise"]((40, 40), step, 0.9, rms=2e-3)
    scan = scanning["phase_object"](phase, lens, step, every=(2, 2))
    found = image(scan, lens, weighting="normalised")
    assert relative_error(found, phase[::2, ::2]) < 2e-3


@pytest.fixture(scope="module")
def by_py4dstem(aberrated, lens, weak):
    """A focused and an aberrated scan, each with its optics and py4DSTEM's SSB image."""
    from rephase.phase.py4dstem import calibrated, data_cube, load_py4dstem, quiet

    def run(scan, optics):
        with quiet(seed=0):
            method = calibrated(load_py4dstem().process.phase.SSB, scan, optics)
            ssb = method(
                datacube=data_cube(scan),
                energy=optics.energy_ev,
                semiangle_cutoff=optics.semiangle_mrad,
                rolloff=0.0,
                verbose=False,
                polar_parameters=dict(optics.coefficients),
            )
            ssb.preprocess(
                force_com_shifts=scan.centre_px,
                force_com_rotation=0,
                force_com_transpose=False,
                bf_disk_padding_px=2,
                plot_center_of_mass=False,
                plot_rotation=False,
                plot_overlap_trotters=False,
            )
            ssb.reconstruct(progress_bar=False, num_jobs=1)
        return np.angle(ssb.object)

    focused, (scan, optics, _) = weak[0], aberrated
    return {
        "focused": (focused, lens, run(focused, lens)),
        "aberrated": (scan, optics, run(scan, optics)),
    }


@pytest.mark.parametrize("case", ["focused", "aberrated"])
def test_agrees_with_py4dstem(by_py4dstem, case):
    scan, optics, theirs = by_py4dstem[case]
    ours = image(scan, optics, weighting="plain", pixel_weight="unit")
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.999


def test_wrong_input_is_named(lens, weak):
    scan, _ = weak
    with pytest.raises(InputError, match="bright-field disk of 20 mrad"):
        image(scan.with_intensities(scan.intensities[:, :, 16:32], centre_px=None), lens)
    with pytest.raises(InputError, match="half the semi-angle"):
        image(scan, Optics(energy_ev=300e3, semiangle_mrad=3.0))
    with pytest.raises(InputError, match="longer or finer scan"):
        image(scan.with_intensities(scan.intensities[:2, :2]), lens)
    broken = scan.intensities.copy()
    broken[1, 2, 24, 20] = np.nan
    with pytest.raises(InputError, match="NaN or infinite"):
        image(scan.with_intensities(broken), lens)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_gpu_agrees_with_cpu(aberrated):
    scan, optics, _ = aberrated
    assert relative_error(image(scan, optics, device="cuda"), image(scan, optics)) < 1e-4
