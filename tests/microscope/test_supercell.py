"""A repeated box changes the sampling of the detector and nothing else."""

import numpy as np
import pytest
from ase import Atoms

from rephase.errors import InputError
from rephase.microscope.acquire import acquire, scan_of
from rephase.microscope.field import sample
from rephase.microscope.optics import Optics
from rephase.microscope.simulation import Simulation
from rephase.microscope.supercell import supercell

LENS = Optics(energy_ev=300e3, semiangle_mrad=20)
PLACES = [(0, 0, 0.25), (0.5, 0.5, 0.75), (0.5, 0.5, 0.25), (0.5, 0, 0.75), (0, 0.5, 0.75)]
SLAB = Atoms("SrTiO3", scaled_positions=PLACES, cell=[3.905] * 3, pbc=True)
FIELD = sample((3.905, 3.905), LENS, 1.0, 0.1, 40.0)


def test_a_repeated_crystal_gives_the_same_image_on_a_finer_detector():
    atoms, field, window = supercell(SLAB, FIELD, 7.0)
    seen = acquire(atoms, {"focus": LENS}, field, Simulation(field.gpts), "cpu", window)["focus"]
    scan = scan_of(seen, field, LENS, {})
    alone = acquire(SLAB, {"focus": LENS}, FIELD, Simulation(FIELD.gpts), "cpu")["focus"]
    assert scan.shape[:2] == FIELD.scan_shape and scan.step_angstrom == pytest.approx(FIELD.step_angstrom)
    angle = [
        np.hypot(*np.meshgrid(*[(np.arange(n) - n // 2) * p for n, p in zip(s, q, strict=True)]))
        for s, q in ((seen.shape[2:], scan.pixel_mrad), (alone.shape[2:], FIELD.detector_pixel_mrad(LENS)))
    ]
    adf = [p[..., (a > 30) & (a < 38)].sum(-1) for p, a in zip((seen, alone), angle, strict=True)]
    assert np.corrcoef(adf[0].ravel(), adf[1].ravel())[0, 1] > 0.98


def test_a_period_that_is_large_enough_stays_alone():
    atoms, field, window = supercell(SLAB, FIELD, 3.9)
    assert (len(atoms), field, window) == (5, FIELD, (slice(0, 4), slice(0, 4)))


def test_no_length_is_refused():
    with pytest.raises(InputError, match="least_box_angstrom: found 0"):
        supercell(SLAB, FIELD, 0.0)
