"""The claims table a reader meets first."""

from pathlib import Path

import pytest

from rephase.judge.claims import Measurement, read_claims, verdict, write_verdicts
from rephase.publish import ledger

ROOT = Path(__file__).parents[2]


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A results folder with two verdicts at scale smoke."""
    (tmp_path / "claims.yaml").write_text((ROOT / "claims.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    claims = read_claims()
    judged = [
        verdict(claims["B1"], Measurement("B1", 1.01, 0.97, 1.05, 16, "smoke")),
        verdict(claims["B5"], Measurement("B5", None, None, None, 0, "smoke", "not run")),
    ]
    write_verdicts("results/smoke/baselines/results/verdicts.json", judged)
    ledger.main(["scale", "smoke", "results/smoke/baselines/results/verdicts.json"])
    for scale in ("laptop", "gpu", "paper"):
        ledger.main(["scale", scale])
    return tmp_path / "results"


def test_every_verdict_has_a_row_with_its_interval_and_seeds(results):
    table = (results / "smoke/claims/claims.md").read_text()
    assert "1.010 [0.970, 1.050]" in table
    assert "holds" in table and "undecided at this scale" in table and "not measured" in table


def test_the_page_names_every_scale_and_says_which_was_not_run(results):
    ledger.main(["readme"])
    page = (results / "README.md").read_text()
    assert all(f"## Scale `{scale}`" in page for scale in ledger.SCALES)
    assert page.count("Not run yet.") == 3


def test_the_front_page_gets_the_table_between_its_markers(results):
    front = results.parent / "README.md"
    front.write_text(f"before\n{ledger.START}\nold\n{ledger.END}\nafter\n")
    write_verdicts(results / "laptop/claims/verdicts.json", [])
    (results / "laptop/claims/claims.md").write_text("| new |\n")
    ledger.main(["front"])
    assert front.read_text() == f"before\n{ledger.START}\n| new |\n{ledger.END}\nafter\n"
