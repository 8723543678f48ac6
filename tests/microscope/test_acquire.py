"""Scans from one set of frozen phonons agree with abTEM's own."""

import numpy as np
import pytest
from ase import Atoms

from rephase.microscope.acquire import acquire, acquire_phase_object, scan_of, white_noise_phase
from rephase.microscope.field import sample
from rephase.microscope.optics import Optics
from rephase.microscope.simulate import simulate_scan, true_phase
from rephase.microscope.simulation import Simulation

LENS = Optics(energy_ev=300e3, semiangle_mrad=20)
OPTICS = {"focus": LENS, "defocus": LENS.model_copy(update={"defocus_angstrom": 60.0})}
PLACES = [(0, 0, 0.25), (0.5, 0.5, 0.75), (0.5, 0.5, 0.25), (0.5, 0, 0.75), (0, 0.5, 0.75)]
SLAB = Atoms("SrTiO3", scaled_positions=PLACES, cell=[3.905] * 3, pbc=True) * (1, 1, 2)
FIELD = sample((3.905, 3.905), LENS, 1.0, 0.1, 40.0)
SIMULATION = Simulation(FIELD.gpts, slice_angstrom=1.9525, thermal_rms_angstrom=0.08, configurations=2)


@pytest.fixture(scope="module")
def acquired():
    return acquire(SLAB, OPTICS, FIELD, SIMULATION, device="cpu")


@pytest.mark.parametrize("name", OPTICS)
def test_the_scan_is_abtems(acquired, name):
    expected = simulate_scan(SLAB, OPTICS[name], SIMULATION, FIELD.scan_shape, FIELD.detector_shape)
    scan = scan_of(acquired[name], FIELD, OPTICS[name], {})
    difference = np.linalg.norm(scan.load() - expected.load()) / np.linalg.norm(expected.load())
    assert difference < 1e-4
    assert scan.pixel_mrad == pytest.approx(expected.pixel_mrad)
    assert scan.step_angstrom == pytest.approx(expected.step_angstrom)


def test_the_truth_is_the_projected_potential(acquired):
    expected = true_phase(SLAB, LENS.energy_ev, SIMULATION)
    assert np.abs(acquired["phase"] - expected).max() < 1e-3 * expected.max()


def test_a_phase_object_without_phase_gives_the_bright_field_disc():
    patterns = acquire_phase_object(np.zeros(FIELD.gpts), {"focus": LENS}, FIELD, device="cpu")["focus"]
    assert patterns.sum((2, 3)) == pytest.approx(np.ones(FIELD.scan_shape), abs=1e-5)
    assert np.allclose(patterns, patterns[0, 0], atol=1e-7)


def test_the_disc_of_a_phase_object_has_a_hard_edge_unless_asked_otherwise():
    rows, cols = (np.arange(n) - n // 2 for n in FIELD.detector_shape)
    inside = np.hypot(*np.meshgrid(rows, cols, indexing="ij")) * FIELD.detector_pixel_mrad(LENS)[0] <= 20
    hard, soft = (
        acquire_phase_object(np.zeros(FIELD.gpts), {"focus": LENS}, FIELD, "cpu", **edge)["focus"][0, 0]
        for edge in ({}, {"soft": True})
    )
    assert hard == pytest.approx(inside / inside.sum(), abs=1e-6)
    assert 1e-3 < np.abs(soft - hard).max() < 1 / inside.sum()


def test_white_noise_is_white_below_the_cutoff_and_nothing_above():
    field = sample((20.0, 20.0), LENS, 0.25, 0.1, 40.0)
    noise = white_noise_phase(field, 0.03, 2.0, seed=1)
    power = np.abs(np.fft.fft2(noise)) ** 2
    frequency = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n, 0.1) for n in field.gpts), indexing="ij"))
    inside = power[(frequency > 0) & (frequency < 1.99)]
    assert noise.std() == pytest.approx(0.03)
    assert inside.std() < 1e-6 * inside.mean()
    assert power[frequency > 2.01].max() < 1e-12 * inside.mean()


def test_a_window_is_a_part_of_the_whole_scan(acquired):
    window = (slice(1, 3), slice(2, 4))
    part = acquire(SLAB, {"focus": LENS}, FIELD, SIMULATION, device="cpu", window=window)
    assert np.allclose(part["focus"], acquired["focus"][window], rtol=1e-5, atol=1e-9)
