"""A sequence that cannot be completed is refused in one line that says where."""

import numpy as np
import pytest

from rephase.errors import InputError
from rephase.sequence.checks import check_sequence


@pytest.fixture
def sequence():
    rng = np.random.default_rng(0)
    mask = np.zeros((6, 2), dtype=bool)
    mask[[0, 2, 5]] = True
    return np.arange(6.0), rng.uniform(1, 2, size=(6, 2, 4, 4)).astype(np.float32), mask


def test_a_good_sequence_passes_whatever_is_not_observed(sequence):
    times, frames, mask = sequence
    frames[1], frames[3], frames[4] = np.nan, 0, np.inf
    check_sequence(times, frames, mask, full_scale=2.0)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0, 1, 2, 2, 4, 5], "times: found 2 after 2 at index 3, expected increasing times"),
        ([0, 1, 2, 1, 4, 5], "times: found 1 after 2 at index 3"),
        ([0, 1, 2, np.nan, 4, 5], "times: found .*NaN"),
        ([[0, 1], [2, 3], [4, 5]], r"times: found shape \(3, 2\)"),
        ([0, 1, 2, 3, 4], r"frames: found shape \(6, 2, 4, 4\), expected \(5 times, "),
    ],
)
def test_times(sequence, times, message):
    with pytest.raises(InputError, match=message):
        check_sequence(np.array(times, dtype=float), *sequence[1:])


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((6, 3), dtype=bool), r"mask: found shape \(6, 3\), expected .*\(6, 2\)"),
        (np.ones((2, 6), dtype=bool), r"mask: found shape \(2, 6\)"),
        (np.ones((6, 2), dtype=int), "mask: found values of type int"),
        (np.eye(6, 2, dtype=bool) | np.eye(6, 2, -1, dtype=bool) & [True, False], "found 1 .* at position 1"),
        (np.zeros((6, 2), dtype=bool), "mask: found 0 observed frames at position 0, expected at least 2"),
    ],
)
def test_mask(sequence, mask, message):
    with pytest.raises(InputError, match=message):
        check_sequence(*sequence[:2], mask)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0.0, "nothing but zeros at time 2, position 1, expected some intensity"),
        (np.nan, "NaN or infinite values at time 2, position 1"),
        (np.inf, "NaN or infinite values at time 2, position 1"),
        (255.0, "a saturated frame at time 2, position 1"),
    ],
)
def test_values(sequence, value, message):
    times, frames, mask = sequence
    frames[2, 1] = value
    with pytest.raises(InputError, match=message) as error:
        check_sequence(times, frames, mask)
    assert "\n" not in str(error.value)


def test_a_frame_that_reaches_full_scale_is_saturated(sequence):
    times, frames, mask = sequence
    frames[5, 0, 1, 2] = 255
    check_sequence(times, frames, mask)
    with pytest.raises(InputError, match="saturated frame at time 5, position 0"):
        check_sequence(times, frames, mask, full_scale=255)


def test_few_electrons_are_neither_zero_nor_saturated():
    counts = np.random.default_rng(1).poisson(0.02, size=(20, 2, 32, 32)).astype(np.float32)
    check_sequence(np.arange(20.0), counts, np.ones((20, 2), dtype=bool))
