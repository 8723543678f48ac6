"""What the map of winners says."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from rephase.errors import InputError
from rephase.publish.winners import show_winners

COLOURS = {"lines": "C0", "splines": "C1"}
WINNERS = pd.DataFrame(
    [("slow", "0.7", "lines", 3, 4), ("slow", "0.9", "splines", 1, 4), ("fast", "0.7", "splines", 4, 4)],
    columns=["speed", "sparsity", "winner", "won", "items"],
)


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    show_winners(ax, WINNERS, "speed", "sparsity", COLOURS)
    yield ax
    plt.close(figure)


def test_each_cell_names_its_winner_and_how_often_it_won(ax):
    found = {text.get_position(): text.get_text() for text in ax.texts}
    assert found == {
        (0.5, 0.5): "lines\n3 of 4",
        (1.5, 0.5): "splines\n1 of 4",
        (0.5, 1.5): "splines\n4 of 4",
    }


def test_a_winner_of_fewer_items_is_paler(ax):
    shares = [patch.get_alpha() for patch in ax.patches if isinstance(patch, Rectangle)]
    assert shares == [0.75, 0.25, 1.0]


def test_conditions_stand_in_the_order_in_which_they_come_the_first_on_top(ax):
    assert [label.get_text() for label in ax.get_yticklabels()] == ["slow", "fast"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.7", "0.9"]
    assert ax.get_ylim() == (2, 0)


def test_two_winners_of_one_cell_are_refused(ax):
    with pytest.raises(InputError, match="several for one cell"):
        show_winners(ax, pd.concat([WINNERS, WINNERS]), "speed", "sparsity", COLOURS)
