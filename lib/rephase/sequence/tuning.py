"""The same small search for every method, baselines too.

Each method is given the same number of trials: settings drawn from its space by a scrambled
Sobol sequence (Sobol 1967; Owen 1997), scored by the caller on validation sequences. A larger
number of trials goes on where a smaller one ended. Settings that are drawn again, as in a
space of a few choices or of none, keep their first score. Default settings may be given, which are
scored as one trial more.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import qmc

from rephase.errors import InputError
from rephase.parallel import each

COLUMNS = ["method", "trial", "settings", "score", "seconds"]
DEFAULT = -1  # the trial of a method's default settings

Scale = tuple[Real, Real, str] | Sequence[Any]
Space = Mapping[str, Scale]
Settings = dict[str, Any]


def search(
    score: Callable[[str, Settings], Real],
    spaces: Mapping[str, Space],
    trials: int,
    seed: int,
    path: Path | str,
    *,
    defaults: Mapping[str, Settings] | None = None,
    workers: int = 0,
) -> pd.DataFrame:
    """Score the same number of settings of every method.

    Parameters
    ----------
    score : callable
        (method, settings) -> error on validation sequences, the lower the better. Not a number
        and infinite are kept as infinite: a training that diverged is a trial, too.
    spaces : mapping
        Method -> its space: name of a setting -> ``(low, high, 'log')``, ``(low, high, 'linear')``,
        or a list of choices. Whole numbers are choices.
    trials : int
        Of each method.
    seed : int
        The same seed draws the same trials, whatever the other methods are.
    path : path
        CSV file, rewritten whole after each trial. Trials that it holds are not scored again.
    defaults : mapping, optional
        Method -> settings that are scored before those drawn, as trial ``DEFAULT``.
    workers : int
        Processes that score, each on one thread; ``score`` is then a function of a module, or
        another callable that pickles. By default this process does all.

    Returns
    -------
    pandas.DataFrame
        One row a trial: method, trial, settings (JSON), score, seconds. Trials that the file
        holds besides stay in it and are not returned.

    Raises
    ------
    InputError
        If a space is wrong, there are no trials, or the file holds others than would be drawn.
    """
    path = Path(path)
    drawn = dict(_all_trials(spaces, trials, seed, defaults or {}))
    rows = _read(path, drawn)
    known = {(row["method"], row["settings"]): row for row in reversed(rows.values())}
    asked = dict.fromkeys((method, text) for (method, _), text in drawn.items())
    scored = each(partial(_scored, score), [one for one in asked if one not in known], workers)
    for trial, text in drawn.items():
        if trial not in rows:
            one = trial[0], text
            known[one] = known.get(one) or next(scored)
            rows[trial] = known[one] | {"trial": trial[1]}
            _write(path, pd.DataFrame(rows.values(), columns=COLUMNS))
    return pd.DataFrame([rows[trial] for trial in drawn], columns=COLUMNS)


def best(table: pd.DataFrame) -> dict[str, Settings]:
    """Settings of the lowest score of each method; the first of equals.

    Raises
    ------
    InputError
        If no trial of a method has a finite score.
    """
    found = {}
    for method, rows in table.sort_values("trial").groupby("method", sort=False):
        lowest = rows.loc[rows.score.idxmin()]
        if not math.isfinite(lowest.score):
            raise InputError(f"trials of {method}", "no finite score", "one at least")
        found[method] = json.loads(lowest.settings)
    return found


def draw(space: Space, trials: int, seed: int | Sequence[int], where: str = "space") -> list[Settings]:
    """Settings drawn evenly from a space.

    Parameters
    ----------
    space : mapping
        As in `search`.
    trials : int
    seed : int or sequence of int
        The first of more trials are those of fewer.
    where : str
        What a wrong space is called.

    Raises
    ------
    InputError
        If a range or the number of trials is wrong.
    """
    if trials < 1:
        raise InputError("trials", trials, "at least one")
    for name, scale in space.items():
        _check(f"{where}.{name}", scale)
    if not space:
        return [{} for _ in range(trials)]
    sobol = qmc.Sobol(len(space), rng=np.random.default_rng(seed))
    points = sobol.random_base2(math.ceil(math.log2(trials)))[:trials]
    return [
        {name: _placed(float(at), scale) for at, (name, scale) in zip(point, space.items(), strict=True)}
        for point in points
    ]


def _placed(at: float, scale: Scale) -> Any:
    """The value at a place between 0 and 1."""
    if not _is_range(scale):
        return scale[int(at * len(scale))]
    low, high, kind = scale
    return low * (high / low) ** at if kind == "log" else low + (high - low) * at


def _is_range(scale: Scale) -> bool:
    return len(scale) == 3 and scale[2] in ("log", "linear") and all(isinstance(v, Real) for v in scale[:2])


def _check(where: str, scale: Scale) -> None:
    expected = "(low, high, 'log'), (low, high, 'linear') or a list of choices that JSON knows"
    if not isinstance(scale, Sequence) or isinstance(scale, str) or not len(scale):
        raise InputError(where, repr(scale), expected)
    if not _is_range(scale):
        try:
            json.dumps(list(scale), allow_nan=False)
        except (TypeError, ValueError):
            raise InputError(where, repr(scale), expected) from None
        return
    low, high, kind = scale
    if not -math.inf < low < high < math.inf:
        raise InputError(where, repr(scale), "low < high, both finite")
    if kind == "log" and not low > 0:
        raise InputError(where, repr(scale), "low above 0 for a logarithmic range")


def _all_trials(
    spaces: Mapping[str, Space], trials: int, seed: int, defaults: Mapping[str, Settings]
) -> Iterator[tuple[tuple[str, int], str]]:
    """((method, number), settings) of every trial, method after method."""
    for method, space in spaces.items():
        numbered = dict(enumerate(draw(space, trials, [seed, *method.encode()], method)))
        if method in defaults:
            numbered = {DEFAULT: dict(defaults[method])} | numbered
        for n, settings in numbered.items():
            yield (method, n), json.dumps(settings, sort_keys=True, allow_nan=False)


def _scored(score: Callable[[str, Settings], Real], one: tuple[str, str]) -> dict[str, Any]:
    method, text = one
    start = time.perf_counter()
    value = float(score(method, json.loads(text)))
    seconds = time.perf_counter() - start
    value = value if math.isfinite(value) else math.inf
    return {"method": method, "settings": text, "score": value, "seconds": seconds}


def _read(path: Path, drawn: Mapping[tuple[str, int], str]) -> dict[tuple[str, int], dict[str, Any]]:
    """The rows of the file, by method and number."""
    if not path.exists():
        return {}
    table = pd.read_csv(path, float_precision="round_trip")
    if list(table) != COLUMNS:
        raise InputError(f"{path}", f"columns {', '.join(table)}", ", ".join(COLUMNS))
    rows = {(row["method"], row["trial"]): row for row in table.to_dict("records")}
    for (method, n), row in rows.items():
        expected = drawn.get((method, n), row["settings"])
        if row["settings"] != expected:
            found = f"{row['settings']} as trial {n} of {method}"
            raise InputError(f"{path}", found, f"{expected}, or another file")
    return rows


def _write(path: Path, table: pd.DataFrame) -> None:
    """Beside its place, then renamed: the file always holds whole trials."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    table.to_csv(part, index=False, lineterminator="\n")
    part.replace(path)
