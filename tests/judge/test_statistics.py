import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rephase.errors import InputError
from rephase.judge import statistics


def scores(seed, n=5, shift=0.0):
    return shift + np.random.default_rng(seed).normal(size=n)


def test_paired_tests_are_scipys_with_p_times_the_number_of_methods():
    ours, others = scores(0), {"a": scores(1), "b": scores(2, shift=1.0), "c": scores(3, shift=3.0)}
    tests = statistics.paired_t_tests(ours, others)
    for name, other in others.items():
        oracle = stats.ttest_rel(ours, other)
        interval = oracle.confidence_interval(0.95)
        found = tests[name]
        assert (found.t, found.p) == pytest.approx((oracle.statistic, oracle.pvalue))
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
        assert found.p_bonferroni == pytest.approx(min(1, 3 * oracle.pvalue))
        assert found.cohens_dz == pytest.approx(oracle.statistic / np.sqrt(5))
        assert found.n_seeds == 5


def test_hedges_g_has_no_small_sample_bias():
    draws = [scores(seed, n=5, shift=0.8) for seed in range(4000)]
    assert np.mean([statistics.hedges_g(d) for d in draws]) == pytest.approx(0.8, abs=0.04)
    assert np.mean([statistics.cohens_dz(d) for d in draws]) > 0.95


def crossed(seed, n_materials=8, n_seeds=6, items=3, sd_material=1.0, sd_seed=0.6, mean=2.0):
    rng = np.random.default_rng(seed)
    material = np.repeat(sd_material * rng.normal(size=n_materials), items)
    noise = 0.5 * rng.normal(size=(material.size, n_seeds))
    names = [f"m{i}" for i in np.repeat(np.arange(n_materials), items)]
    return mean + material[:, None] + sd_seed * rng.normal(size=n_seeds) + noise, names


@pytest.mark.parametrize(
    "setting", [{}, {"n_seeds": 3, "sd_material": 0.1}, {"sd_seed": 0.0}, {"n_seeds": 1, "sd_seed": 0.0}]
)
def test_the_crossed_interval_covers_the_mean_as_often_as_it_says(setting):
    intervals = [
        statistics.crossed_bootstrap(*crossed(seed, **setting), replicates=120, seed=seed)
        for seed in range(80)
    ]
    covered = sum(interval.low <= 2.0 <= interval.high for interval in intervals)
    assert covered >= 71


def test_items_of_one_material_are_one_cluster():
    values, names = crossed(0, items=10, sd_seed=0.1)
    clustered = statistics.crossed_bootstrap(values, names)
    apart = statistics.crossed_bootstrap(values, [str(i) for i in range(len(names))])
    assert clustered.value == apart.value == values.mean()
    assert clustered.high - clustered.low > 1.5 * (apart.high - apart.low)


def test_any_statistic_can_be_bootstrapped():
    values, names = crossed(1)
    ratio = statistics.crossed_bootstrap(
        values, names, statistic=lambda v: float(np.median(v)), replicates=200
    )
    assert ratio.low < ratio.value == np.median(values) < ratio.high


@given(seed=st.integers(0, 1000), n=st.integers(2, 6))
@settings(max_examples=20, deadline=None)
def test_bias_and_variance_add_up_to_the_mean_squared_error(seed, n):
    rng = np.random.default_rng(seed)
    truth, stack = rng.normal(size=(6, 7)), rng.normal(size=(n, 6, 7))
    bias, variance = statistics.bias_variance(stack, truth)
    error = np.mean((stack - truth) ** 2)
    assert bias + variance == pytest.approx(error)


@pytest.mark.parametrize("n", [2, 10])
def test_bias_and_variance_are_those_that_were_put_in(n):
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(300, 300))
    stack = 0.9 * truth + 0.7 * rng.normal(size=(n, *truth.shape))
    bias, variance = statistics.bias_variance(stack, truth)
    assert bias == pytest.approx(0.01, abs=4e-3)
    assert variance == pytest.approx(0.49, rel=0.02)


def test_wrong_input_is_refused():
    with pytest.raises(InputError, match="others.a: found 4 seeds, expected 5 seeds"):
        statistics.paired_t_tests(scores(0), {"a": scores(1, n=4)})
    with pytest.raises(InputError, match="differences that vary"):
        statistics.paired_t_tests(scores(0), {"a": scores(0) + 1})
    with pytest.raises(InputError, match="no method"):
        statistics.paired_t_tests(scores(0), {})
    with pytest.raises(InputError, match="one material and one seed"):
        statistics.crossed_bootstrap(np.zeros((3, 1)), ["a"] * 3)
    with pytest.raises(InputError, match="materials"):
        statistics.crossed_bootstrap(np.zeros((3, 2)), ["a"] * 2)
    with pytest.raises(InputError, match="stack"):
        statistics.bias_variance(np.zeros((1, 3, 3)), np.zeros((3, 3)))
