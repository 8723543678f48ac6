"""Trials of sequence methods: the same electrons for all, nothing of what was not observed."""

import math

import numpy as np
import pytest

from rephase.judge.completion import Candidate, Job, Observation, Trial, marks, score, score_several, trials
from rephase.sequence.processes import Recording, plan
from rephase.sequence.store import SequenceSet, write_sequences


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> SequenceSet:
    path = tmp_path_factory.mktemp("set") / "sequences.h5"
    recording = Recording(frames=12, detector_px=16, side=1, gap_s=3.0)
    write_sequences(path, plan({"train": 1}, recording)[:1])
    return SequenceSet(path)


def seen(stored, electrons=math.inf, sparsity=0.7, arm="synchronous") -> Observation:
    return Observation(stored, Trial(0, arm, "irregular", sparsity, electrons))


def test_every_combination_is_a_trial_once():
    found = trials([0, 1], ["synchronous", "staggered"], ["regular"], [0.7, 0.9], [1e3, 1e4, 1e5])
    assert len(found) == len(set(found)) == 24


def test_what_is_not_observed_is_not_given(stored):
    one = seen(stored, 1e4)
    assert np.isnan(one.frames[~one.mask]).all()
    assert np.isfinite(one.frames[one.mask]).all()


def test_counts_are_whole_electrons_and_right_on_average(stored):
    one = seen(stored, 1e4)
    counts = 1e4 * one.frames[one.mask]
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-2)
    total = 1e4 * one.truth[one.mask].sum()
    assert abs(counts.sum() - total) < 5 * math.sqrt(total)
    np.testing.assert_array_equal(seen(stored).frames[one.mask], one.truth[one.mask])


def test_more_electrons_are_seen_through_the_same_mask(stored):
    assert np.array_equal(seen(stored, 1e3).mask, seen(stored, 1e5).mask)
    assert seen(stored).trial.seed != seen(stored, arm="staggered").trial.seed


def test_the_thickness_is_known_to_ten_percent_and_the_rest_exactly(stored):
    facts, true = seen(stored, 1e3).facts, stored.parameters.iloc[0]
    assert facts["energy_ev"] == true["energy_ev"]
    assert facts["dose"] == 1e3
    assert 0.5 < facts["thickness_angstrom"] / true["thickness_angstrom"] < 1.5
    assert facts["thickness_angstrom"] != true["thickness_angstrom"]
    assert not {"change_s", "onset_s", "motion"} & facts.keys()


def test_each_candidate_and_control_has_a_row(stored):
    one = seen(stored, 1e4)
    controls = {f"linear, {then}": Candidate("linear", then=then) for then in ("projected", "shrunk")}
    rows = score(one, {"linear": Candidate("linear"), "pchip": Candidate("pchip")} | controls)
    assert [row["method"] for row in rows] == ["linear", "pchip", *controls]
    assert rows[2]["violation_friedel"] < 1e-6 < rows[0]["violation_friedel"]
    assert rows[3]["tcs"] > rows[0]["tcs"]
    assert all(row["sparsity"] == 0.7 and row["process"] == "transition" for row in rows)


def test_the_marks_are_in_their_order(stored):
    rows = {row["method"]: row for row in marks(seen(stored))}
    assert rows["truth"]["nmse"] == 0
    linear = score(seen(stored), {"linear": Candidate("linear")})[0]["nmse"]
    assert rows["best linear"]["nmse"] <= linear
    assert rows["temporal mean of the truth"]["nmse_dynamic"] == pytest.approx(100)
    assert rows["counting"]["nmse"] == 0
    assert rows["oracle"]["nmse"] < 0.01 * rows["best linear"]["nmse"]
    noisy = {row["method"]: row["nmse"] for row in marks(seen(stored, 1e3))}
    assert noisy["static floor"] < noisy["counting"]


def test_processes_do_not_change_scores(stored):
    drawn = trials([0], ["synchronous", "staggered"], ["regular"], [0.7], [1e4])
    jobs = [Job(trial, {"linear": Candidate("linear")}) for trial in drawn]
    alone, together = (list(score_several(stored.path, jobs, workers)) for workers in (0, 2))
    assert [[row["nmse"] for row in rows] for rows in alone] == [
        [row["nmse"] for row in rows] for rows in together
    ]


def test_an_experiment_is_judged_where_it_drifted_to(stored):
    ideal = Observation(stored, Trial(0, "synchronous", "irregular", 0.7, 1e6))
    real = Observation(stored, Trial(0, "synchronous", "irregular", 0.7, 1e6, "experimental"))
    assert np.array_equal(ideal.mask, real.mask)
    moved = np.abs(real.truth - ideal.truth).max(axis=(1, 2, 3))
    assert moved[0] < 1e-6 < moved[-1]
    errors = [float(np.nanmean(np.square(one.frames - one.truth))) for one in (ideal, real)]
    assert errors[1] > 5 * errors[0]
