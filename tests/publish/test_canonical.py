"""What a stage depends on: code and versions, not prose or style."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from rephase.publish.canonical import describe

LOCK = Path(__file__).parents[2] / "requirements.lock"
CODE = """import numpy as np
from rephase.measurement import Scan
from rephase.publish.figures import show_image
"""


def text(tmp_path, *cells) -> str:
    path = tmp_path / "n.ipynb"
    nbformat.write(new_notebook(cells=list(cells)), path)
    return describe(path, LOCK)


def test_prose_comments_and_outputs_are_not_in_it(tmp_path):
    plain = text(tmp_path, new_code_cell(CODE))
    assert text(tmp_path, new_markdown_cell("# Title"), new_code_cell(f"# why\n{CODE}")) == plain
    assert text(tmp_path, new_code_cell(CODE, execution_count=3)) == plain


def test_code_modules_and_pins_are_in_it(tmp_path):
    described = text(tmp_path, new_code_cell(CODE))
    assert "import numpy as np" in described
    assert "\nrephase.measurement " in described
    assert "\nnumpy==1.26.4\n" in described


def test_how_figures_look_is_not_in_it(tmp_path):
    assert "\nrephase.publish.figures " not in text(tmp_path, new_code_cell(CODE))
