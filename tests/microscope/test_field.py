"""Sampling keeps the limits that were asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rephase.errors import InputError
from rephase.microscope.field import sample
from rephase.microscope.optics import Optics

OPTICS = Optics(energy_ev=300e3, semiangle_mrad=20)


@given(st.tuples(st.floats(5, 30), st.floats(5, 30)), st.floats(0.1, 0.5), st.floats(0.05, 0.12))
def test_steps_and_pixels_stay_below_their_limits_and_the_detector_above(box, step, pixel):
    field = sample(box, OPTICS, step, pixel, 40.0)
    assert max(field.step_angstrom) <= step * (1 + 1e-6)
    assert max(field.pixel_angstrom) <= pixel * (1 + 1e-9)
    widths = [n * p / 2 for n, p in zip(field.detector_shape, field.detector_pixel_mrad(OPTICS), strict=True)]
    assert min(widths) >= 40.0 * (1 - 1e-9)


def test_a_detector_beyond_the_grid_is_refused():
    with pytest.raises(InputError, match="detector_mrad"):
        sample((8.0, 8.0), OPTICS, 0.2, 0.2, 60.0)
