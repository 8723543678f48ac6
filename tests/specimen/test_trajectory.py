"""Atoms in time: what belongs together, what one time looks like, and slabs with chosen directions."""

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from pydantic import Field

from rephase.errors import InputError
from rephase.specimen.orient import MARGIN_ANGSTROM
from rephase.specimen.prototypes import prototype
from rephase.specimen.trajectory import SlabSettings, Trajectory, boxed, cubic_slab

TIMES = np.array([0.0, 1.0, 3.0])


def pair(**changes):
    """An atom at rest and one that crosses the box's edge and then leaves for good."""
    positions = np.array([[[1, 1, 1], [9, 5, 2]], [[1, 1, 1], [11, 5, 2]], [[1, 1, 1], [12, 5, 99]]], float)
    present = np.array([[True, True], [True, True], [True, False]])
    fields = {
        "numbers": np.array([6, 8]),
        "positions": positions,
        "present": present,
        "box_angstrom": (10.0, 10.0, 4.0),
        "times": TIMES,
    }
    return Trajectory(**(fields | changes))


def test_one_time_as_atoms():
    first, second, third = (pair().atoms(i) for i in range(3))
    assert first.symbols.get_chemical_formula() == "CO"
    assert np.allclose(second.positions[1], [1, 5, 2])  # round the edge, into the box
    assert third.symbols.get_chemical_formula() == "C"
    assert third == pair().atoms(-1)
    assert first.pbc.tolist() == [True, True, False]
    assert np.allclose(first.cell.array, np.diag([10, 10, 4]))


def test_a_slab_is_boxed_with_margins():
    slab = Atoms("CO", [[0, 0, 0], [1, 1, 5]], cell=[8, 9, 0])
    positions = slab.positions + np.array([0, -0.5, 1.5])[:, None, None] * [0, 0, 1]
    held = boxed(slab, positions, TIMES)
    z = held.positions[..., 2]
    assert z.min() == pytest.approx(MARGIN_ANGSTROM)
    assert held.box_angstrom == pytest.approx((8, 9, z.max() + MARGIN_ANGSTROM))
    assert held.present.all() and held.positions.dtype == np.float32
    gone = boxed(slab, positions, TIMES, np.array([[True, True], [True, True], [True, False]]))
    assert gone.box_angstrom[2] == pytest.approx(5.5 + 2 * MARGIN_ANGSTROM)


@pytest.mark.parametrize(
    "directions",
    [
        ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        ((1, -1, 0), (1, 1, 1), (-1, -1, 2)),
        ((0, 0, 1), (1, -1, 0), (1, 1, 0)),
    ],
)
def test_a_cubic_slab_is_the_bulk_turned(directions):
    bulk = prototype("SrTiO3").atoms
    slab = cubic_slab(bulk, np.array(directions), (11, 11), 15)
    turn = np.array(directions) / np.linalg.norm(directions, axis=1, keepdims=True)
    assert np.all(slab.cell.lengths()[:2] >= 11 - 1e-6)
    z = slab.positions[:, 2]
    assert z.min() == pytest.approx(0, abs=1e-3) and z.max() < 15
    # The vectors between neighbours are those of the bulk, turned.
    distance, vectors = neighbor_list("dD", slab, 2.1)
    back = vectors @ turn
    assert np.allclose(distance, 3.905 / 2, atol=1e-6)
    assert np.allclose(np.sort(np.abs(back), axis=1), [0, 0, 3.905 / 2], atol=1e-6)
    inner = (z > 2) & (z < z.max() - 2)
    counts = np.bincount(neighbor_list("i", slab, 2.1), minlength=len(slab))
    assert set(counts[inner & (slab.symbols == "Ti")]) == {6}


class _Fast(SlabSettings):
    speed: float = Field(gt=0)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: pair(times=np.array([0.0, 1.0, 1.0])), "times: found 1 followed by 1"),
        (lambda: pair(times=np.array([0.0, np.nan, 1.0])), "times"),
        (lambda: pair(numbers=np.array([6, 8, 1])), "positions"),
        (lambda: pair(positions=np.full((3, 2, 3), np.nan)), "positions"),
        (lambda: pair(box_angstrom=(10.0, 0.0, 4.0)), "box_angstrom"),
        (lambda: pair(box_angstrom=(10.0, 10.0, 1.5)), "box_angstrom.*z = 1 to 2"),
        (lambda: pair().atoms(3), "index"),
        (lambda: _Fast(speed=-1.0), "_Fast.speed: found -1.0"),
        (lambda: _Fast(speed=1.0, sped=2.0), "sped"),
        (lambda: cubic_slab(prototype("Ti").atoms, np.eye(3, dtype=int), (9, 9), 9), "cubic"),
        (lambda: cubic_slab(prototype("Cu").atoms, np.ones((3, 3), dtype=int), (9, 9), 9), "directions"),
        (
            lambda: cubic_slab(prototype("Cu").atoms, np.diag([1, 1, -1]), (9, 9), 9),
            "directions.*right-handed",
        ),
        (lambda: cubic_slab(prototype("Cu").atoms, np.eye(3, dtype=int), (9, 0), 9), "box_angstrom"),
    ],
)
def test_what_cannot_be_is_refused(call, name):
    # The shapes are wrong on purpose: the annotations would refuse some of them first.
    with pytest.raises((InputError, TypeError), match=name):
        call()
