"""Every method answers to its name, with the same face."""

import numpy as np
import pytest

from rephase.errors import InputError
from rephase.microscope.acquire import acquire_phase_object, scan_of
from rephase.microscope.field import sample
from rephase.microscope.optics import Optics
from rephase.phase.methods import DIRECT, METHODS, VIRTUAL, reconstruct

LENS = Optics(energy_ev=300e3, semiangle_mrad=20)
FIELD = sample((5.0, 5.0), LENS, 0.5, 0.11, 62.0)


@pytest.fixture(scope="module")
def scan():
    phase = 0.05 * np.cos(2 * np.pi * np.arange(FIELD.gpts[0]) / FIELD.gpts[0])[:, None] * np.ones(FIELD.gpts)
    return scan_of(acquire_phase_object(phase, {"focus": LENS}, FIELD, "cpu")["focus"], FIELD, LENS, {})


@pytest.mark.parametrize("name", DIRECT + VIRTUAL)
def test_a_direct_method_returns_an_image_on_the_scans_grid(scan, name):
    image = reconstruct(name, scan, LENS)
    assert image.values.shape == FIELD.scan_shape
    assert image.pixel_angstrom == pytest.approx(FIELD.step_angstrom)
    assert image.unit == ("fraction" if name in VIRTUAL else "rad")


@pytest.mark.parametrize("name", DIRECT)
def test_a_direct_method_has_the_right_sign(scan, name):
    values = reconstruct(name, scan, LENS).values
    assert values[0].mean() > 0 > values[FIELD.scan_shape[0] // 2].mean()


def test_an_unknown_method_names_the_known_ones(scan):
    with pytest.raises(InputError, match=f"found wdd, expected one of .*{list(METHODS)[-1]}"):
        reconstruct("wdd", scan, LENS)


def test_an_unknown_setting_is_one_line(scan):
    with pytest.raises(InputError, match="settings of icom: colour") as error:
        reconstruct("icom", scan, LENS, colour="red")
    assert "\n" not in str(error.value)
