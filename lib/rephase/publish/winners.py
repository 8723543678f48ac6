"""A map of the method to use: one cell a condition, with the winner's name and how often it won."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from rephase.errors import InputError


def show_winners(ax: Axes, winners: pd.DataFrame, down: str, across: str, colours: Mapping[str, str]) -> None:
    """Draw winners over two conditions; the paler a cell, the fewer of its items its winner won.

    Parameters
    ----------
    ax : Axes
    winners : pandas.DataFrame
        As :meth:`rephase.judge.scoreboard.Scoreboard.winners` gives it, one row a cell.
    down, across : str
        Columns that are the map's axes; their values in the order in which they come.
    colours : mapping
        Winner -> colour.

    Raises
    ------
    InputError
        If two rows have the same cell.
    """
    if winners.duplicated([down, across]).any():
        raise InputError("winners", "several for one cell", f"one for each {down} and {across}")
    rows, cols = (list(dict.fromkeys(winners[name])) for name in (down, across))
    for one in winners.itertuples():
        row, col = rows.index(getattr(one, down)), cols.index(getattr(one, across))
        share = one.won / one.items
        ax.add_patch(Rectangle((col, row), 1, 1, facecolor=colours[one.winner], alpha=share))
        lines = textwrap.wrap(one.winner, 13, break_long_words=False)
        words = "\n".join([*lines, f"{one.won} of {one.items}"])
        ax.text(col + 0.5, row + 0.5, words, ha="center", va="center", fontsize=8)
    ax.set(xlim=(0, len(cols)), ylim=(len(rows), 0))
    ax.set_xticks([col + 0.5 for col in range(len(cols))], [str(col) for col in cols])
    ax.set_yticks([row + 0.5 for row in range(len(rows))], [str(row) for row in rows])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
