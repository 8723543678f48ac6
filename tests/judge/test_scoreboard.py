"""Groups of scores: pairs by item and seed, winners by condition."""

import numpy as np
import pandas as pd
import pytest

from rephase.errors import InputError
from rephase.judge.scoreboard import Group, Scoreboard


def table() -> pd.DataFrame:
    rows = []
    for sequence, (process, material) in enumerate([("a", "X"), ("a", "X"), ("b", "Y")]):
        for arm in ("synchronous", "staggered"):
            scores = {"linear": 4.0, "net_0": 1.0, "net_1": 3.0, "network": 9.0}
            for method, value in scores.items():
                row = {"process": process, "material": material, "sequence": sequence, "method": method}
                row |= {
                    "pattern": "regular",
                    "arm": arm,
                    "sparsity": 0.9,
                    "electrons": 1e4,
                    "domain": "ideal",
                }
                rows.append(row | {"nmse": value + sequence + (arm == "staggered")})
    return pd.DataFrame(rows)


@pytest.fixture
def board() -> Scoreboard:
    return Scoreboard(table(), {"line": "linear", "net": "net_"}, {"arm": "synchronous"})


def test_seeds_are_columns_and_materials_clusters(board):
    group = board.of("net")
    np.testing.assert_array_equal(group.values, [[1, 3], [2, 4], [3, 5]])
    assert group.clusters == ("a X", "a X", "b Y")
    assert board.of("line").values.shape == (3, 1)


def test_a_condition_may_be_changed_or_added(board):
    assert board.of("line", arm="staggered").mean() == board.of("line").mean() + 1
    assert board.of("line", process="b").values.shape == (1, 1)
    with pytest.raises(InputError, match="none"):
        board.of("line", sparsity=0.5)


def test_an_untrained_method_has_the_same_score_for_every_seed(board):
    difference = board.of("line").less(board.of("net"))
    np.testing.assert_array_equal(difference.values, [[3, 1]] * 3)
    np.testing.assert_array_equal(board.of("net").less(board.of("line"), 2.0).values, -difference.values / 2)


def test_of_two_trained_ones_the_seeds_that_both_have_are_paired():
    few, many = Group(np.ones((2, 2)), ("x", "y")), Group(np.arange(6.0).reshape(2, 3), ("x", "y"))
    np.testing.assert_array_equal(many.less(few).values, [[-1, 0], [2, 3]])
    with pytest.raises(InputError, match="items"):
        many.less(Group(np.ones((2, 2)), ("x", "z")))


def test_there_is_no_interval_of_one_number():
    one = Group(np.array([[2.0]]), ("x",))
    assert one.interval() is None and one.over_seeds() is None and one.mean() == 2
    two = Group(np.array([[1.0, 3.0]]), ("x",))
    assert two.interval().low < 2 < two.interval().high
    assert two.over_seeds().value == 2


def test_the_winner_has_the_lowest_error_of_most_items(board):
    found = board.winners(["line", "net"], ["arm", "process"])
    assert (found["winner"] == "net").all()
    assert found["items"].tolist() == [2, 1, 2, 1] and found["won"].tolist() == [2, 1, 2, 1]
