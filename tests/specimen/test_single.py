"""Isolated atoms: every element that has a scattering factor, in the middle of an empty box."""

import numpy as np
import pytest

from rephase.errors import InputError
from rephase.microscope.potential import lobato_parameters
from rephase.specimen.single import HEAVIEST, isolated_atom


def test_every_element_of_the_table_of_scattering_factors():
    assert len(lobato_parameters()) == HEAVIEST == 103
    for atomic_number in range(1, HEAVIEST + 1):
        atom = isolated_atom(atomic_number, 13.0)
        assert atom.numbers.tolist() == [atomic_number]
        assert np.allclose(atom.positions[0], atom.cell.lengths() / 2)
        assert atom.cell.lengths()[:2].tolist() == [13.0, 13.0]


@pytest.mark.parametrize(
    ("number", "box", "name"), [(0, 12.0, "atomic"), (104, 12.0, "atomic"), (6, 3.0, "box")]
)
def test_unknown_elements_and_small_boxes_are_refused(number, box, name):
    with pytest.raises(InputError, match=name):
        isolated_atom(number, box)
