"""Scores of sequence methods as groups that can be compared: items crossed with training seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from rephase.errors import InputError
from rephase.judge.statistics import Interval, crossed_bootstrap

ITEM = ["process", "material", "sequence", "pattern"]


@dataclass(frozen=True)
class Group:
    """Scores of one system under one condition.

    Parameters
    ----------
    values : array (item, seed)
        An item is a sequence seen through one mask; a method that is not trained has one seed.
    clusters : tuple of str (item)
        Process and material, which are drawn together.
    """

    values: Float[np.ndarray, "_item _seed"]
    clusters: tuple[str, ...]

    @property
    def seeds(self) -> int:
        """Training seeds."""
        return self.values.shape[1]

    def mean(self) -> float:
        """Mean over items and seeds."""
        return float(self.values.mean())

    def interval(self) -> Interval | None:
        """Mean and its 95 % interval over materials crossed with seeds; None for one of each."""
        if self.seeds < 2 and len(set(self.clusters)) < 2:
            return None
        return crossed_bootstrap(self.values, self.clusters)

    def over_seeds(self) -> Interval | None:
        """Mean and its 95 % interval over training seeds alone; None for one."""
        if self.seeds < 2:
            return None
        return crossed_bootstrap(self.values.mean(axis=0)[None], ["all"])

    def less(self, other: Group, unit: float = 1.0) -> Group:
        """Differences, seed by seed, in this unit.

        A system that is not trained has the same score for every seed of the other; of two
        trained ones the first seeds that both have are taken.

        Raises
        ------
        InputError
            If the items are others.
        """
        if self.clusters != other.clusters:
            raise InputError("items", f"{len(other.clusters)}", f"the same {len(self.clusters)}")
        counts = {self.seeds, other.seeds} - {1}
        count = min(counts) if counts else 1
        mine, theirs = (g.values[:, np.arange(count) % g.seeds] for g in (self, other))
        return Group((mine - theirs) / unit, self.clusters)


class Scoreboard:
    """A table of scores, asked by the names of systems.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a trial and method, as :func:`rephase.judge.completion.score` gives them.
    systems : mapping
        Title -> label of the method; labels that end in ``_`` have the number of the seed behind.
    usual : mapping
        Columns and the values that are meant unless others are given.
    """

    def __init__(self, table: pd.DataFrame, systems: Mapping[str, str], usual: Mapping[str, Any]):
        self.table, self.systems, self.usual = table, dict(systems), dict(usual)

    def of(self, title: str, key: str = "nmse", **where: Any) -> Group:
        """Scores of one system.

        Parameters
        ----------
        title : str
            Of a system, or a label.
        key : str
            Which measure.
        **where
            Columns and values, instead of or besides the usual ones.

        Raises
        ------
        InputError
            If there are no such scores.
        """
        label, method = self.systems.get(title, title), self.table["method"]
        numbered = method.str.startswith(label) & method.str[len(label) :].str.isdigit()
        chosen = numbered if label.endswith("_") else method == label
        for column, value in (self.usual | where).items():
            chosen = chosen & (self.table[column] == value)
        if not chosen.any():
            raise InputError(f"scores of {title}", "none", f"some where {self.usual | where}")
        grid = self.table[chosen].pivot_table(key, ITEM, "method", dropna=False, observed=True)
        grid = grid.dropna(how="all")
        clusters = tuple(f"{process} {material}" for process, material, *_ in grid.index)
        return Group(grid.to_numpy(dtype=float), clusters)

    def winners(self, titles: list[str], by: list[str]) -> pd.DataFrame:
        """How often each system had the lowest error, its first seed taking part.

        Parameters
        ----------
        titles : list of str
        by : list of str
            Columns that make up a condition.

        Returns
        -------
        pandas.DataFrame
            One row a condition: its columns, ``winner`` (the title that won most items), ``won``
            and ``items``.
        """
        labels = {self.systems[title]: title for title in titles}
        labels = {f"{label}0" if label.endswith("_") else label: title for label, title in labels.items()}
        fair = self.table[self.table["method"].isin(labels)]
        item = ["arm", "sequence", "pattern", "sparsity", "electrons", "domain"]
        best = fair.loc[fair.groupby(item)["nmse"].idxmin()]
        rows = []
        for condition, group in best.groupby(by, observed=True)["method"]:
            most = group.mode()[0]
            row = dict(zip(by, condition, strict=True)) | {"winner": labels[most]}
            rows.append(row | {"won": int((group == most).sum()), "items": len(group)})
        return pd.DataFrame(rows)
