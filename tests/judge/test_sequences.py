"""Tests agree with SciPy, and the interval of an improvement covers it as often as it says."""

import numpy as np
import pytest
from scipy import stats

from rephase.errors import InputError
from rephase.judge.sequences import improvement, paired_tests


@pytest.fixture
def scores():
    """Twenty sequences of different difficulty; methods of five, three and one seed."""
    rng = np.random.default_rng(0)
    hard = rng.gamma(2, 2, (20, 1))
    noise = {name: rng.normal(scale=0.1, size=(20, n)) for name, n in (("cde", 5), ("net", 3), ("cs", 1))}
    return {"cde": hard + noise["cde"], "net": 1.1 * hard + noise["net"], "cs": 1.5 * hard + noise["cs"]}


def test_over_seeds_it_is_the_papers_test_corrected_for_all_methods(scores):
    found = paired_tests(scores, "cde")
    ours = scores["cde"].mean(axis=0)
    oracles = {
        "net": stats.ttest_rel(ours[:3], scores["net"].mean(axis=0)),
        "cs": stats.ttest_1samp(ours, scores["cs"].mean()),  # one that is not trained is a constant
    }
    assert list(found) == ["net", "cs"]
    for name, oracle in oracles.items():
        assert found[name].p == pytest.approx(oracle.pvalue)
        assert found[name].p_bonferroni == pytest.approx(min(1, 2 * oracle.pvalue))
        assert found[name].t == pytest.approx(oracle.statistic)
    assert (found["net"].n_seeds, found["cs"].n_seeds) == (3, 5)


def test_over_sequences_the_means_of_all_seeds_are_paired(scores):
    found = paired_tests(scores, "cde", over="sequences", level=0.9)["net"]
    oracle = stats.ttest_rel(scores["cde"].mean(axis=1), scores["net"].mean(axis=1))
    assert found.p == pytest.approx(oracle.pvalue)
    interval = oracle.confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.difference < 0


def test_bonferronis_correction_ends_at_one():
    rng = np.random.default_rng(1)
    alike = {name: rng.normal(size=(30, 4)) for name in "abcde"}
    assert max(test.p_bonferroni for test in paired_tests(alike, "a").values()) == 1


def test_improvement_is_the_reduction_of_the_mean(scores):
    names = [f"sequence {i}" for i in range(20)]
    found = improvement(scores["cde"], scores["cs"], names, 300)
    assert found.value == pytest.approx(100 * (1 - scores["cde"].mean() / scores["cs"].mean()))
    assert found.low < 100 / 3 < found.high and found.high - found.low < 5
    none = improvement(scores["cde"], scores["cde"], names, 50)
    assert none.value == none.low == none.high == 0
    first = improvement(scores["cde"], scores["net"], names, 50).value
    assert first == pytest.approx(100 * (1 - scores["cde"][:, :3].mean() / scores["net"].mean()))


def test_the_interval_covers_the_improvement_as_often_as_it_says():
    """A reduction by 40 %, with errors shared by all sequences of one training and by sequence."""
    covered = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        hard = rng.gamma(3, 1, (25, 1))
        trained = 0.6 * hard * (1 + rng.normal(scale=0.2, size=(25, 1))) * rng.normal(1, 0.03, (1, 5))
        found = improvement(trained, hard, [str(i) for i in range(25)], replicates=80, level=0.8)
        covered.append(found.low < 40 < found.high)
    assert np.mean(covered) == pytest.approx(0.8, abs=0.13)


def test_what_cannot_be_compared_is_refused(scores):
    with pytest.raises(InputError, match="reference: found 'lstm', expected one of cde, net, cs"):
        paired_tests(scores, "lstm")
    with pytest.raises(InputError, match="no method but the reference"):
        paired_tests({"cde": scores["cde"]}, "cde")
    with pytest.raises(InputError, match="scores of net: found 19 sequences"):
        paired_tests(scores | {"net": scores["net"][1:]}, "cde")
    with pytest.raises(InputError, match="NaN or infinite"):
        paired_tests(scores | {"net": scores["net"] * np.nan}, "cde")
    with pytest.raises(InputError, match="baseline: found a mean error of 0"):
        improvement(scores["cde"], 0 * scores["cs"], ["one"] * 20)
    with pytest.raises(InputError, match="found 1 seeds, expected 2 seeds"):
        paired_tests({name: values[:, :1] for name, values in scores.items()}, "cde")
