"""What every training shares."""

import pytest

from rephase.errors import InputError
from rephase.nets.training import check_lineage, seed_of


def test_different_numbers_make_different_seeds_zeros_at_the_end_too():
    assert len({seed_of(*numbers) for numbers in ((0,), (0, 0), (0, 1), (1, 0), (1, 1))}) == 5


def test_another_training_s_checkpoint_is_refused_with_the_first_difference():
    check_lineage({"seed": 1, "settings": {"batch": 4}}, {"seed": 1, "settings": {"batch": 4}})
    with pytest.raises(InputError, match=r"settings\.batch: found 4, expected 8"):
        check_lineage({"seed": 1, "settings": {"batch": 4}}, {"seed": 1, "settings": {"batch": 8}})
