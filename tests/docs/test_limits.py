"""The numbers on the page of limits are those of the functions that it explains."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from rephase.judge import dqe, limits

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text("utf-8")
NAMES = {
    "pi": math.pi,
    "sqrt": math.sqrt,
    "diffraction_variance": limits.diffraction_variance,
    "ssb_dqe": lambda x: dqe.ssb_dqe(np.array([x]))[0],
    "icom_dqe": lambda x: dqe.icom_dqe(np.array([x]))[0],
    "defocused_dqe": lambda x, chi: dqe.defocused_dqe(np.array([x]), np.array([chi]))[0],
}


@pytest.mark.parametrize("equation", [span for span in re.findall(r"`([^`\n]*)`", PAGE) if " = " in span])
def test_formula_gives_the_printed_number(equation):
    formula, printed = equation.split(" = ")
    half_digit = 0.5 * 10.0 ** -len(printed.partition(".")[2])
    assert abs(eval(formula, {"__builtins__": {}}, NAMES) - float(printed)) <= half_digit


@pytest.mark.parametrize(("name", "peak"), [("ssb_dqe", 0.89), ("icom_dqe", 0.84)])
def test_peaks_are_where_the_page_says(name, peak):
    found = minimize_scalar(lambda x: -NAMES[name](x), bounds=(0.5, 1.2), method="bounded").x
    assert found == pytest.approx(peak, abs=0.005)


def test_equations_are_numbered_in_order():
    tags = [int(tag) for tag in re.findall(r"\\tag\{(\d+)\}", PAGE)]
    assert tags == list(range(1, len(tags) + 1))
    assert PAGE.count("$$") == 2 * len(tags)
