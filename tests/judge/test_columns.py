"""Columns are found where the atoms are, and an image is read there."""

import numpy as np
import pytest
from ase import Atoms

from rephase.errors import InputError
from rephase.judge.columns import (
    Columns,
    box_mean,
    column_signal,
    find_columns,
    isolated,
    rises_with_thickness,
    separation,
    told_apart,
    well_inside,
)
from rephase.phase.image import PhaseImage

RNG = np.random.default_rng(0)
STACK = Atoms("SrOTiSr", [(2.0, 2.0, 0.0), (5.0, 2.0, 1.0), (2.1, 2.0, 3.9), (9.0, 9.0, 2.0)])


def test_atoms_on_top_of_each_other_are_one_column():
    found = find_columns(STACK)
    assert np.allclose(found.positions, [(2.05, 2.0), (5.0, 2.0), (9.0, 9.0)])
    assert found.counts.tolist() == [2, 1, 1] and found.heaviest.tolist() == [38, 8, 38]


def test_a_single_atom_is_a_column():
    assert find_columns(STACK[:1]).counts.tolist() == [1]


def test_close_columns_are_not_isolated():
    assert isolated(find_columns(STACK), 4.0).heaviest.tolist() == [38]


def test_the_signal_is_the_mean_over_the_disc_wherever_the_image_begins():
    y, x = (np.arange(n) * 0.1 + start for n, start in ((80, -1.0), (90, 0.5)))
    image = PhaseImage((y[:, None] + 2 * x).astype(np.float32), (0.1, 0.1), origin_angstrom=(-1.0, 0.5))
    signal = column_signal(image, np.array([(2.03, 3.33), (0.0, 0.2)]), 0.5)
    assert signal[0] == pytest.approx(2.03 + 2 * 3.33, abs=0.02)
    assert np.isnan(signal[1])


def test_columns_well_inside_are_read_in_every_image_of_that_extent():
    places = np.array([(0.4, 2.0), (2.0, 0.6), (2.0, 3.3), (3.6, 2.0)])
    kept = well_inside(Columns(places, np.arange(4) + 1, np.full(4, 79)), (4.0, 4.0), 0.5)
    assert kept.counts.tolist() == [2, 3]
    for n in (21, 41):  # two grids of one extent
        image = PhaseImage(RNG.normal(size=(n, n)), (4.0 / (n - 1),) * 2)
        assert np.isfinite(column_signal(image, kept.positions, 0.5)).all()
    with pytest.raises(InputError, match="none of 2 columns"):
        well_inside(kept, (4.0, 4.0), 1.9)


def test_no_figure_leaves_out_columns_silently():
    columns = Columns(np.array([(0.1, 1.0), (1.0, 1.0), (1.0, 2.0)]), np.arange(3), np.array([8, 8, 38]))
    image = PhaseImage(RNG.normal(size=(31, 31)), (0.1, 0.1))
    with pytest.raises(InputError, match="1 of 3 discs of 0.3 angstrom leave the image"):
        told_apart(image, columns, 38, 8, 0.3)
    with pytest.raises(InputError, match="1 of 3 discs of 0.5 angstrom leave the image"):
        rises_with_thickness(image, columns)


def test_separation_is_the_difference_in_units_of_the_scatter():
    rng = np.random.default_rng(0)
    assert separation(rng.normal(3, 1, 20000), rng.normal(1, 1, 20000)) == pytest.approx(2, abs=0.05)


def test_wrong_input_is_named():
    with pytest.raises(InputError, match="atoms: found no atoms"):
        find_columns(Atoms())
    with pytest.raises(InputError, match="at least two of each kind"):
        separation(np.array([1.0, np.nan]), np.arange(4.0))


def test_a_single_object_is_measured_above_its_surroundings():
    image = np.full((1, 9, 9), 5.0)
    image[0, 4, 4], image[0, 4, 5] = 8.0, 6.0
    assert [float(box_mean(image, reach)[0]) for reach in (0, 1)] == pytest.approx([3.0, 4 / 9])


def test_a_signal_that_follows_the_atoms_rises_with_thickness():
    columns = Columns(np.array([(1.0, 1.0), (1.0, 3.0), (3.0, 2.0)]), np.array([1, 5, 9]), np.full(3, 79))
    rising = sum(
        n * np.exp(-(np.hypot(*(np.indices((41, 41)) * 0.1 - p[:, None, None])) ** 2) / 0.02)
        for n, p in zip(columns.counts, columns.positions, strict=True)
    )
    assert rises_with_thickness(PhaseImage(rising, (0.1, 0.1)), columns, 0.3) == pytest.approx(1)
    assert rises_with_thickness(PhaseImage(-rising, (0.1, 0.1)), columns, 0.3) == pytest.approx(-1)


def test_kinds_of_columns_are_told_apart_by_their_signal():
    places = np.array([(1.0, 1.0), (1.0, 3.0), (3.0, 1.0), (3.0, 3.0)])
    columns = Columns(places, np.ones(4, int), np.array([38, 38, 8, 8]))
    image = PhaseImage(
        np.where(np.arange(41)[:, None] < 20, 2.0, 0.0) + RNG.normal(0, 0.3, (41, 41)), (0.1, 0.1)
    )
    assert told_apart(image, columns, 38, 8, 0.4) > 5 > -5 > told_apart(image, columns, 8, 38, 0.4)
