"""Notebooks are read like papers."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

from rephase.publish.runner import stage_settings

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(ROOT.glob("notebooks/*/[0-9]_*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def path(request):
    return request.param


@pytest.fixture
def cells(path):
    return nbformat.read(path, as_version=4).cells


def code(cells):
    return [c for c in cells if c.cell_type == "code"]


def test_it_is_committed_without_outputs(cells):
    assert not any(c.outputs or c.execution_count for c in code(cells))


def test_it_opens_with_its_question_and_has_one_cell_of_parameters(cells):
    assert cells[0].cell_type == "markdown" and "**Question" in cells[0].source
    assert sum("parameters" in c.metadata.get("tags", []) for c in cells) == 1


def test_run_by_hand_it_is_the_stage_at_smoke(path, cells, monkeypatch):
    """The cell of parameters holds the values that the runner passes; the rest are files."""
    monkeypatch.chdir(ROOT)
    tagged = next(c for c in cells if "parameters" in c.metadata.get("tags", []))
    given = {line.targets[0].id: ast.literal_eval(line.value) for line in ast.parse(tagged.source).body}
    passed = stage_settings(f"{path.parent.name}/{path.stem}", "smoke") | {"scale": "smoke"}
    assert {name: given.get(name) for name in passed} == passed
    files = given.keys() - passed.keys()
    assert "out" in files
    known = r"(build/try|results/smoke|results/bench)/.+|claims\.yaml"
    assert all(re.fullmatch(known, given[name]) for name in files)


def test_it_defines_nothing_and_its_cells_are_short(cells):
    assert not any(re.search(r"^\s*(def|class) ", c.source, re.M) for c in code(cells))
    assert max(len(c.source.splitlines()) for c in code(cells)) <= 25


def test_there_are_six_words_of_prose_for_a_line_of_code(cells):
    words = sum(len(c.source.split()) for c in cells if c.cell_type == "markdown")
    lines = sum(bool(line.strip()) for c in code(cells) for line in c.source.splitlines())
    assert words >= 6 * lines


def test_its_equations_are_numbered_in_order(cells):
    tags = [
        int(t) for c in cells if c.cell_type == "markdown" for t in re.findall(r"\\tag\{(\d+)\}", c.source)
    ]
    assert tags == list(range(1, len(tags) + 1)) and tags or "own_data" in str(cells)


def test_it_ends_with_its_provenance(cells):
    assert "show(out)" in cells[-1].source
