"""Data repetition: sums over neighbours, read line by line."""

import numpy as np
import pytest

from rephase.errors import InputError
from rephase.measurement import Scan
from rephase.phase.exit_wave.repetition import repeated


def scan(shape=(9, 12), unit="electrons") -> Scan:
    counts = np.random.default_rng(0).poisson(0.3, (*shape, 6, 4)).astype(np.uint16)
    return Scan(counts, (0.15, 0.2), (1.0, 1.0), unit=unit)


@pytest.mark.parametrize("repeat, box", [(2, 5), (1, 3), (3, 1), (2, 3)])
def test_each_pattern_is_the_sum_of_its_neighbours(repeat, box):
    fine = scan()
    coarse = repeated(fine, repeat, box)
    edge, half = ((box // 2,) * 2,) * 2 + ((0, 0),) * 2, box // 2
    padded = np.pad(fine.intensities, edge, mode="edge").astype(float)
    assert coarse.shape == (-(-9 // repeat), -(-12 // repeat), 6, 4)
    assert coarse.step_angstrom == pytest.approx((0.15 * repeat, 0.2 * repeat))
    for i in range(coarse.shape[0]):
        for j in range(coarse.shape[1]):
            row, col = i * repeat + half, j * repeat + half
            box_of = padded[row - half : row + half + 1, col - half : col + half + 1]
            assert np.array_equal(coarse.intensities[i][j], box_of.sum((0, 1)))


def test_fractions_of_the_beam_stay_fractions():
    coarse = repeated(scan(unit="fraction"), 2, 5)
    assert coarse.load().mean() == pytest.approx(scan().intensities.mean(), rel=0.1)


def test_lines_are_read_when_needed():
    class Watched:
        def __init__(self, values):
            self.values, self.shape, self.read = values, values.shape, []

        def __getitem__(self, index):
            self.read.append(index)
            return self.values[index]

    watched = Watched(scan().intensities)
    coarse = repeated(scan().with_intensities(watched), 2, 5)
    assert watched.read == []
    coarse.intensities[2]
    assert watched.read == [2, 3, 4, 5, 6]


def test_any_part_can_be_read():
    coarse = repeated(scan(), 2, 5)
    assert np.array_equal(coarse.intensities[:, :, 1:3, 0], coarse.load()[:, :, 1:3, 0])
    assert np.array_equal(coarse.intensities[-1], coarse.load()[-1])


@pytest.mark.parametrize("repeat, box", [(0, 5), (2, 4), (2, -1)])
def test_impossible_boxes_are_refused(repeat, box):
    with pytest.raises(InputError, match="repeat, box"):
        repeated(scan(), repeat, box)
