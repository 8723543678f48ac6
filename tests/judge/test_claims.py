import json
import os
from itertools import product

import pytest

from rephase.errors import InputError
from rephase.judge.claims import (
    Measurement,
    Verdict,
    read_claims,
    read_verdicts,
    verdict,
    write_verdicts,
)

ENTRY = """
  - id: B1
    paper: baselines
    place: closed form
    statement: The measured DQE of SSB is the closed form.
    quantity: measured over closed form, mean over rings
    unit: "1"
    paper_value: 1.0
    test: {kind: interval, margin: 0.1}
    seeds: 3
"""


def ledger(tmp_path, text):
    path = tmp_path / "claims.yaml"
    path.write_text("claims:" + text)
    return path


def claim_with(tmp_path, test, **changes):
    lines = ENTRY.replace("{kind: interval, margin: 0.1}", json.dumps(test))
    lines += "".join(f"    {key}: {json.dumps(value)}\n" for key, value in changes.items())
    return read_claims(ledger(tmp_path, lines))["B1"]


def measured(low, high, n_seeds=3, **changes):
    return Measurement("B1", (low + high) / 2, low, high, n_seeds, "smoke", **changes)


INSIDE_AND_EDGES = {
    "interval": ({"kind": "interval", "margin": 0.1}, 0.9, 1.1),
    "ratio": ({"kind": "ratio", "factor": 1.25}, 0.8, 1.25),
    "equivalence": ({"kind": "equivalence", "margin": 0.5}, -0.5, 0.5),
    "at_least": ({"kind": "at_least", "threshold": 2.0}, 2.0, None),
    "at_most": ({"kind": "at_most", "threshold": 2.0}, None, 2.0),
    "order": ({"kind": "order"}, 0.0, None),
    "rises": ({"kind": "trend", "direction": "rises"}, 0.0, None),
    "falls": ({"kind": "trend", "direction": "falls"}, None, 0.0),
}


@pytest.mark.parametrize("name", INSIDE_AND_EDGES)
def test_an_interval_inside_holds_outside_fails_and_across_an_edge_is_undecided(name, tmp_path):
    test, lower, upper = INSIDE_AND_EDGES[name]
    claim = claim_with(tmp_path, test)
    points = [
        (edge + step, "inside" if inward else "outside")
        for edge, sign in ((lower, 1), (upper, -1))
        if edge is not None
        for step, inward in ((0.01, sign > 0), (0.02, sign > 0), (-0.01, sign < 0), (-0.02, sign < 0))
    ]
    for (a, at_a), (b, at_b) in product(points, repeat=2):
        if a > b:
            continue
        one_side = lower is None or upper is None or abs(a - b) < 0.05
        expected = "undecided at this scale"
        if at_a == at_b == "inside":
            expected = "holds"
        elif at_a == at_b == "outside" and one_side:
            expected = "fails"
        assert verdict(claim, measured(a, b)).outcome == expected, (a, b)


@pytest.mark.parametrize(
    ("name", "at_edge"),
    [(n, "fails" if n in ("order", "rises", "falls") else "holds") for n in INSIDE_AND_EDGES],
)
def test_an_edge_belongs_to_a_threshold_and_a_tie_is_no_order(name, at_edge, tmp_path):
    test, lower, upper = INSIDE_AND_EDGES[name]
    claim = claim_with(tmp_path, test)
    for edge in (lower, upper):
        if edge is not None:
            assert verdict(claim, measured(edge, edge)).outcome == at_edge


def test_an_interval_that_ends_on_a_threshold_does_not_fail_it(tmp_path):
    claim = claim_with(tmp_path, {"kind": "at_least", "threshold": 2.0})
    assert verdict(claim, measured(1.9, 2.0)).outcome == "undecided at this scale"
    assert verdict(claim, measured(2.0, 2.1)).outcome == "holds"


def test_what_is_printed_is_what_is_judged(tmp_path):
    claim = claim_with(tmp_path, {"kind": "at_least", "threshold": 2.0})
    found = verdict(claim, measured(1.99999999, 2.12345678))
    assert (found.outcome, found.low, found.high) == ("holds", 2.0, 2.12346)


def test_what_is_unfinished_may_hold_and_cannot_fail(tmp_path):
    claim = claim_with(tmp_path, {"kind": "order"})
    for low, high, outcome in ((0.1, 0.2, "holds"), (-0.2, -0.1, "undecided at this scale")):
        found = verdict(claim, measured(low, high, unfinished="trained for minutes"))
        assert found.outcome == outcome
        assert found.value == pytest.approx((low + high) / 2)
    assert found.reason == "trained for minutes"
    assert verdict(claim, measured(-0.2, -0.1)).outcome == "fails"


def test_an_order_straddles_zero(tmp_path):
    assert verdict(claim_with(tmp_path, {"kind": "order"}), measured(-0.1, 0.2)).reason.endswith(
        "straddles 0"
    )


def test_a_straddled_threshold_is_the_reason(tmp_path):
    claim = claim_with(tmp_path, {"kind": "at_least", "threshold": 2.0})
    assert "1.9 to 2.2 straddles 2" in verdict(claim, measured(1.9, 2.2)).reason
    assert verdict(claim, measured(2.1, 2.2)).reason is None


@pytest.mark.parametrize("interval", [(0.95, 1.05), (2.0, 3.0), (0.5, 1.0)])
def test_too_few_seeds_and_no_value_are_undecided(interval, tmp_path):
    claim = claim_with(tmp_path, {"kind": "interval", "margin": 0.1})
    few = verdict(claim, measured(*interval, n_seeds=2))
    assert (few.outcome, few.reason) == ("undecided at this scale", "2 of 3 seeds")
    none = Measurement("B1", None, None, None, 0, "smoke", "needs a GPU")
    assert verdict(claim, none).outcome == "undecided at this scale"
    assert verdict(claim, none).reason == "needs a GPU"


@pytest.mark.parametrize("interval", [(0.95, 1.05), (2.0, 3.0), (0.5, 1.0)])
def test_what_cannot_be_tested_gets_no_other_verdict(interval, tmp_path):
    claim = claim_with(tmp_path, {"kind": "interval", "margin": 0.1}, why_not_testable="other data")
    found = verdict(claim, measured(*interval))
    assert (found.outcome, found.reason, found.low) == ("not testable", "other data", interval[0])


def test_a_value_not_measured_needs_a_reason():
    with pytest.raises(InputError, match="neither a value nor a reason"):
        Measurement("B1", None, None, None, 0, "smoke")


@pytest.mark.parametrize(
    "numbers", [(2.0, 0.0, 1.0), (None, 0.0, 1.0), (0.5, 0.0, None), (0.5, 0.0, float("inf"))]
)
def test_a_measurement_is_a_value_in_its_finite_interval(numbers):
    with pytest.raises(InputError, match="measurement of B1"):
        Measurement("B1", *numbers, 3, "smoke")


def test_a_measurement_of_another_claim_is_refused(tmp_path):
    claim = claim_with(tmp_path, {"kind": "order"})
    with pytest.raises(InputError, match="B1"):
        verdict(claim, Measurement("B2", 1.0, 1.0, 1.0, 3, "smoke"))


def test_hashes_follow_the_content_and_not_the_layout(tmp_path):
    original = read_claims(ledger(tmp_path, ENTRY))["B1"]
    commented = ENTRY.replace("seeds: 3", "seeds:   3   # three").replace('"1"', "'1'")
    reordered = ENTRY.replace("    seeds: 3\n", "").replace("- id: B1", "- seeds: 3\n    id: B1")
    for same in (commented, reordered):
        assert read_claims(ledger(tmp_path, same))["B1"] == original
    moved = read_claims(ledger(tmp_path, ENTRY.replace("margin: 0.1", "margin: 0.2")))["B1"]
    assert moved.entry_sha256 != original.entry_sha256
    both = read_claims(ledger(tmp_path, ENTRY + ENTRY.replace("B1", "B2")))
    assert list(both) == ["B1", "B2"]
    assert both["B1"].entry_sha256 == original.entry_sha256
    assert both["B1"].claims_sha256 == both["B2"].claims_sha256 != original.claims_sha256
    found = verdict(original, measured(1.0, 1.0))
    assert (found.entry_sha256, found.claims_sha256) == (original.entry_sha256, original.claims_sha256)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "seeds: 3",
            "seeds: three",
            r"claims.yaml: claims.B1.seeds: found 'three', expected a valid int",
        ),
        ("seeds: 3", "seed: 3", r"claims.B1.seeds: found nothing"),
        ("seeds: 3", "seeds: 3\n    margin: 1", r"claims.B1.margin: found 1"),
        (
            "margin: 0.1",
            "margin: -0.1",
            r"claims.B1.test.interval.margin: found -0.1, expected greater",
        ),
        ("kind: interval", "kind: guess", r"claims.B1.test: found"),
        ("paper_value: 1.0", "", r"claims.B1: .* a paper_value"),
        ("paper_value: 1.0", "paper_value: .nan", r"claims.B1.paper_value"),
        ("id: B1", "id: 7", r"claims.0.id: found 7"),
        ("seeds: 3", "seeds: 3\n    seeds: 4", r'duplicate key "seeds"'),
        ("seeds: 3", "seeds: [", r"claims.yaml: found"),
        ("  - id: B1", "  first:\n    id: B1", r"with a list of entries"),
    ],
)
def test_a_wrong_entry_is_named_by_file_and_key(old, new, message, tmp_path):
    assert old in ENTRY
    with pytest.raises(InputError, match=message) as error:
        read_claims(ledger(tmp_path, ENTRY.replace(old, new)))
    assert "\n" not in str(error.value)


def test_an_id_stands_once_and_a_file_is_there(tmp_path):
    with pytest.raises(InputError, match="B1 a second time"):
        read_claims(ledger(tmp_path, ENTRY + ENTRY))
    with pytest.raises(InputError, match="no such file"):
        read_claims(tmp_path / "nowhere.yaml")


def test_verdicts_are_read_as_they_were_written(tmp_path):
    claim = claim_with(tmp_path, {"kind": "interval", "margin": 0.1})
    first, second = verdict(claim, measured(0.95, 1.0)), verdict(claim, measured(0.5, 1.0))
    second = second.model_copy(update={"scale": "laptop"})
    path = tmp_path / "out" / "verdicts.json"
    write_verdicts(path, [first, second])
    assert read_verdicts(path) == [second, first]
    content = path.read_bytes()
    write_verdicts(path, [second, first])
    assert path.read_bytes() == content
    with pytest.raises(InputError, match="B1 twice"):
        write_verdicts(path, [first, first])


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path, monkeypatch):
    claim = claim_with(tmp_path, {"kind": "order"})
    path = tmp_path / "verdicts.json"
    write_verdicts(path, [verdict(claim, measured(1.0, 1.0))])
    content = path.read_bytes()

    def full(descriptor):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_verdicts(path, [])
    assert path.read_bytes() == content
    assert sorted(p.name for p in tmp_path.iterdir()) == ["claims.yaml", "verdicts.json"]


def test_broken_verdicts_are_named(tmp_path):
    path = tmp_path / "verdicts.json"
    with pytest.raises(InputError, match="no such file"):
        read_verdicts(path)
    path.write_text('{"verdicts": [')
    with pytest.raises(InputError, match="valid JSON"):
        read_verdicts(path)
    path.write_text('{"verdicts": [{"claim": "B1"}]}')
    with pytest.raises(InputError, match=r"verdicts.json: verdicts.0.outcome: found nothing"):
        read_verdicts(path)
    assert set(Verdict.model_fields) >= {"value", "low", "high", "n_seeds", "scale", "claims_sha256"}
