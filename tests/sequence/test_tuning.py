"""The search is the same for all methods, draws evenly, and goes on where it was stopped."""

import json
import math
import os

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from rephase.errors import InputError
from rephase.sequence.tuning import DEFAULT, best, draw, search

SPACES = {
    "net": {"rate": (1e-4, 1e-1, "log"), "weight": (0, 2, "linear"), "width": [8, 16, 32]},
    "gp": {"kernel": ["matern32", "rbf"]},
    "linear": {},
}


def error(method, settings):
    """Least at a rate of 1e-2 and a weight of 1."""
    if method == "net":
        return math.log10(settings["rate"] / 1e-2) ** 2 + (settings["weight"] - 1) ** 2
    return {"matern32": 3.0, "rbf": 2.0}[settings["kernel"]] if settings else 4.0


def elsewhere(method, settings):
    assert os.getpid() != settings["here"]
    return settings["choice"]


def test_draws_fill_ranges_and_choices_evenly():
    drawn = draw(SPACES["net"], 128, 0)
    rate = np.log10([one["rate"] for one in drawn])
    assert kstest((rate + 4) / 3, "uniform").statistic < 0.02
    assert kstest(np.array([one["weight"] for one in drawn]) / 2, "uniform").statistic < 0.02
    counts = [sum(one["width"] == width for one in drawn) for width in (8, 16, 32)]
    assert min(counts) >= 41
    products = np.corrcoef(rate, [one["weight"] for one in drawn])
    assert abs(products[0, 1]) < 0.05


def test_the_first_of_more_draws_are_those_of_fewer():
    many = draw(SPACES["net"], 21, 5)
    assert draw(SPACES["net"], 6, 5) == many[:6]
    assert draw(SPACES["net"], 6, 6) != many[:6]
    assert draw({}, 3, 0) == [{}, {}, {}]


def test_a_name_of_a_scale_may_be_a_choice():
    drawn = draw({"between": ["pchip", "cubic", "linear"]}, 16, 0)
    assert {one["between"] for one in drawn} == {"pchip", "cubic", "linear"}


def test_every_method_has_as_many_trials_and_its_best_is_found(tmp_path):
    table = search(error, SPACES, 32, 1, tmp_path / "new" / "trials.csv")
    assert table.groupby("method").size().to_dict() == {"net": 32, "gp": 32, "linear": 32}
    assert list(table.columns) == ["method", "trial", "settings", "score", "seconds"]
    for row in table.itertuples():
        assert row.score == error(row.method, json.loads(row.settings))
    found = best(table)
    assert found["gp"] == {"kernel": "rbf"} and found["linear"] == {}
    assert error("net", found["net"]) == table[table.method == "net"].score.min() < 0.2


def test_what_one_method_tries_does_not_depend_on_the_others(tmp_path):
    together = search(error, SPACES, 5, 1, tmp_path / "a.csv")
    alone = search(error, {"net": SPACES["net"]}, 5, 1, tmp_path / "b.csv")
    assert list(alone.settings) == list(together[together.method == "net"].settings)


def test_settings_drawn_again_are_not_scored_again(tmp_path):
    calls = []

    def counting(method, settings):
        calls.append((method, str(settings)))
        return error(method, settings)

    search(counting, SPACES, 8, 1, tmp_path / "trials.csv")
    assert len(calls) == len(set(calls)) == 8 + 2 + 1


def test_defaults_are_one_trial_more_of_their_methods_and_may_be_the_best(tmp_path):
    defaults = {"net": {"rate": 1e-2, "weight": 1.0, "width": 16}, "gp": {"kernel": "rbf"}, "linear": {}}
    plain = search(error, SPACES, 4, 1, tmp_path / "plain.csv")
    table = search(error, SPACES, 4, 1, tmp_path / "trials.csv", defaults=defaults)
    assert table.groupby("method").trial.apply(list).to_dict() == dict.fromkeys(SPACES, [DEFAULT, 0, 1, 2, 3])
    drawn = table[table.trial != DEFAULT].drop(columns="seconds").reset_index(drop=True)
    pd.testing.assert_frame_equal(drawn, plain.drop(columns="seconds"))
    assert best(table) == defaults
    with pytest.raises(InputError, match="as trial -1 of gp"):
        search(
            error, SPACES, 4, 1, tmp_path / "trials.csv", defaults=defaults | {"gp": {"kernel": "matern32"}}
        )


def test_processes_score_each_settings_once_and_in_order(tmp_path):
    spaces = {name: {"choice": [3, 1, 2], "here": [os.getpid()]} for name in ("a", "b")}
    defaults = {"a": {"choice": 4, "here": os.getpid()}}
    path = tmp_path / "trials.csv"
    search(elsewhere, {"a": spaces["a"]}, 1, 0, path, workers=1)
    table = search(elsewhere, spaces, 8, 0, path, defaults=defaults, workers=2)
    assert [(row.method, row.trial) for row in table.itertuples()] == [
        ("a", DEFAULT),
        *(("a", n) for n in range(8)),
        *(("b", n) for n in range(8)),
    ]
    assert [json.loads(text)["choice"] for text in table.settings] == table.score.tolist()
    assert len(pd.read_csv(path)) == 17 and table.drop_duplicates(["method", "settings"]).score.sum() == 16


def test_a_search_that_was_stopped_goes_on_to_the_same_table(tmp_path):
    path, whole = tmp_path / "trials.csv", search(error, SPACES, 8, 1, tmp_path / "whole.csv")
    left = 5

    def stopped(method, settings):
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return error(method, settings)

    with pytest.raises(KeyboardInterrupt):
        search(stopped, SPACES, 8, 1, path)
    first = pd.read_csv(path)
    assert len(first) == 5 and not list(tmp_path.glob("*.part"))
    left = 8 + 2 + 1 - 5  # what is left to score, and no more
    same = ["method", "trial", "settings", "score"]
    pd.testing.assert_frame_equal(search(stopped, SPACES, 8, 1, path)[same], whole[same])
    assert pd.read_csv(path).seconds[:5].tolist() == first.seconds.tolist()


def test_more_trials_are_added_and_fewer_returned(tmp_path):
    path = tmp_path / "trials.csv"
    few = search(error, SPACES, 4, 1, path)
    many = search(error, SPACES, 9, 1, path)
    pd.testing.assert_frame_equal(search(error, SPACES, 4, 1, path), few)
    pd.testing.assert_frame_equal(search(error, SPACES, 9, 1, path), many)
    assert len(pd.read_csv(path)) == 27


def test_a_training_that_diverged_is_a_trial_that_is_never_the_best(tmp_path):
    def diverging(method, settings):
        return math.nan if settings["rate"] > 1e-3 else 1 + settings["rate"]

    path = tmp_path / "trials.csv"
    table = search(diverging, {"net": SPACES["net"]}, 16, 1, path)
    assert np.isinf(table.score).any() and best(table)["net"]["rate"] <= 1e-3
    again = search(lambda *_: pytest.fail("scored again"), {"net": SPACES["net"]}, 16, 1, path)
    pd.testing.assert_frame_equal(again, table)
    with pytest.raises(InputError, match="trials of net: found no finite score"):
        best(table[np.isinf(table.score)])


def test_a_file_of_another_search_is_refused(tmp_path):
    path = tmp_path / "trials.csv"
    search(error, SPACES, 4, 1, path)
    with pytest.raises(InputError, match="as trial 0 of net, expected"):
        search(error, SPACES, 4, 2, path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="found columns a, b, expected method, trial"):
        search(error, SPACES, 4, 1, path)


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        ((2.0, 1.0, "linear"), "low < high"),
        ((0.0, math.inf, "linear"), "low < high"),
        ((0.0, 1.0, "log"), "low above 0"),
        ([], "a list of choices"),
        ("rbf", "a list of choices"),
        ([math.nan], "a list of choices"),
    ],
)
def test_a_wrong_space_is_named(tmp_path, scale, message):
    with pytest.raises(InputError, match=rf"net\.rate: found .*{message}"):
        search(error, {"net": {"rate": scale}}, 4, 1, tmp_path / "trials.csv")


def test_no_trials_are_refused(tmp_path):
    with pytest.raises(InputError, match="trials: found 0"):
        search(error, SPACES, 0, 1, tmp_path / "trials.csv")
