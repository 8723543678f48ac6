"""Whether one method completes sequences better than others, and by how much.

Scores are errors, the lower the better: array (sequence, seed) with a column for each training
seed, or one for a method that is not trained. Two methods are compared on the same sequences,
masks and counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from rephase.errors import InputError
from rephase.judge.statistics import Interval, PairedTest, crossed_bootstrap, paired_t_tests

Scores = Float[np.ndarray, "_sequence _seed"]


def paired_tests(
    scores: Mapping[str, Scores],
    reference: str,
    over: Literal["seeds", "sequences"] = "seeds",
    level: float = 0.95,
) -> dict[str, PairedTest]:
    """Paired t-tests of one method against each other one, with Bonferroni's correction over them.

    Parameters
    ----------
    scores : mapping of array (sequence, seed)
        Of the reference and of the methods to compare it with.
    reference : str
        Name of the method that is tested.
    over : {'seeds', 'sequences'}
        What is paired. 'seeds' is the paper's: means over sequences, first seed with first seed;
        it tells whether the same test set would give the same order after another training.
        Where one method has fewer seeds, so many are used; one that is not trained has the same
        score for each. 'sequences' pairs means over seeds and tells whether other sequences would.
    level : float
        Coverage of the interval of the difference, reference minus method (not corrected).

    Raises
    ------
    InputError
        If the reference is missing, or there is nothing to compare; if numbers of sequences
        differ; if two methods have fewer than two pairs, or the same difference in all.
    """
    if reference not in scores:
        raise InputError("reference", repr(reference), f"one of {', '.join(scores)}")
    others = {name: values for name, values in scores.items() if name != reference}
    if not others:
        raise InputError("scores", "no method but the reference", "one at least to compare")
    tests = {}
    for name, values in others.items():
        _check(name, scores[reference], values)
        if over == "sequences":
            pair = scores[reference].mean(axis=1), values.mean(axis=1)
        else:
            pair = tuple(one.mean(axis=0) for one in _same_seeds(scores[reference], values))
        tests |= paired_t_tests(pair[0], {name: pair[1]}, level)
    return {name: replace(test, p_bonferroni=min(1.0, len(tests) * test.p)) for name, test in tests.items()}


def improvement(
    scores: Scores,
    baseline: Scores,
    clusters: Sequence[str],
    replicates: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Reduction of the mean error, 100 (1 - mean score / mean of the baseline), in percent.

    The interval is that of `crossed_bootstrap`: sequences are drawn by cluster, the same for both
    methods, and crossed with training seeds. Of a ratio of means the sequences with the largest
    errors decide most: give those of one process to see how it fares by itself.

    Parameters
    ----------
    scores, baseline : array (sequence, seed)
        As many seeds, or one of a method that is not trained; otherwise the first of those.
    clusters : sequence of str (sequence)
        What is drawn together, as a material is; names that all differ draw sequence by sequence.
    replicates, level, seed
        As in `crossed_bootstrap`.

    Raises
    ------
    InputError
        If numbers of sequences differ, the baseline has no error, or there is nothing to draw from.
    """
    _check("baseline", scores, baseline)
    if not baseline.mean() > 0:
        raise InputError("baseline", f"a mean error of {baseline.mean():g}", "one above 0")
    both = np.stack(np.broadcast_arrays(*_same_seeds(scores, baseline)))
    places = np.arange(both[0].size, dtype=float).reshape(both[0].shape)  # what is drawn, for both alike

    def reduction(drawn: np.ndarray) -> float:
        ours, theirs = both.reshape(2, -1)[:, drawn.astype(int)].mean(axis=(1, 2))
        return 100 * (1 - ours / theirs)

    return crossed_bootstrap(places, clusters, reduction, replicates, level, seed)


def _same_seeds(one: Scores, other: Scores) -> tuple[np.ndarray, np.ndarray]:
    """As many columns of both: the first that both have, or the only one again and again."""
    counts = one.shape[1], other.shape[1]
    count = max(counts) if min(counts) == 1 else min(counts)
    repeated = (np.repeat(v, count, axis=1) if v.shape[1] == 1 else v[:, :count] for v in (one, other))
    first, second = repeated
    return first, second


def _check(name: str, reference: Scores, values: Scores) -> None:
    if len(values) != len(reference):
        found = f"{len(values)} sequences"
        raise InputError(f"scores of {name}", found, f"{len(reference)}, as the reference has")
    if not (np.isfinite(values).all() and np.isfinite(reference).all()):
        raise InputError(f"scores of {name} or the reference", "NaN or infinite", "finite errors")
