"""Tables promise: units, intervals rounded to what they know, counts, valid markup, the same bytes."""

import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from matplotlib.mathtext import MathTextParser

from rephase.errors import InputError
from rephase.publish.markup import LATEX, latex_text, latex_unit, markdown_text, unit_text
from rephase.publish.tables import NOT_MEASURED, Estimate, rounded, write_table

UNITS = {"dose": "e/A^2", "MSE": "rad^2", "share": "%"}


def frame():
    return pd.DataFrame(
        {
            "method": ["SSB", "iCOM_a & b", "x|y {z} #1"],
            "dose": [1e2, 1e4, 1e6],
            "MSE": [
                Estimate(0.20512, 0.2009, 0.2091, 5),
                Estimate(1.234e-7, 1.2e-7, 1.27e-7, 5),
                NOT_MEASURED,
            ],
            "share": [12.34567, -0.5, 100],
        }
    )


def written(tmp_path, **changes):
    arguments = {"frame": frame(), "out": tmp_path, "name": "t", "caption": "95 % intervals.", "units": UNITS}
    paths = write_table(**(arguments | changes))
    return {ending: path.read_text("utf-8") for ending, path in paths.items()}


def test_estimate_is_rounded_to_its_interval():
    assert str(Estimate(0.20512, 0.2009, 0.2091, 5)) == "0.205 [0.201, 0.209]"
    assert str(Estimate(0.20512, 0.1909, 0.2191, 5)) == "0.205 [0.191, 0.219]"
    assert str(Estimate(12345, 12000, 12690, 3)) == "12300 [12000, 12700]"
    assert str(Estimate(-0.00001, -0.04, 0.04, 3)) == "0.00 [-0.04, 0.04]"
    assert str(Estimate(39.1, 39.1, 39.1, 1)) == "39.10 [39.10, 39.10]"


@given(
    st.floats(-1e4, 1e4),
    st.floats(1e-8, 1e3),
    st.floats(1e-8, 1e3),
)
def test_rounding_keeps_the_interval_and_no_more(value, below, above):
    assume(value - below < value + above)
    estimate = Estimate(value, value - below, value + above, 5)
    half_width = (estimate.high - estimate.low) / 2
    shown = [float(text) for text in estimate.rounded()]
    for exact, number in zip((estimate.value, estimate.low, estimate.high), shown, strict=True):
        assert abs(number - exact) <= 0.26 * half_width * (1 + 1e-6)
    last_digit = 10.0**-estimate.decimals
    assert 0.99 <= half_width / last_digit <= 20.1
    for text in estimate.rounded():
        mantissa, _, exponent = text.partition("e")
        decimals = len(mantissa.partition(".")[2]) - int(exponent or 0)
        assert decimals == max(estimate.decimals, 0) or (exponent and decimals <= estimate.decimals)


@given(st.floats(-1e12, 1e12, allow_subnormal=False), st.integers(-3, 9))
def test_rounded_text_is_the_rounded_number(number, decimals):
    assert float(rounded(number, decimals)) == pytest.approx(round(number, decimals), rel=1e-12, abs=1e-300)
    assert not re.fullmatch(r"-0\.?0*", rounded(number, decimals))


@pytest.mark.parametrize(
    ("numbers", "named"),
    [((np.nan, 0, 1, 5), "finite"), ((0.5, 1, 0, 5), "low <= high"), ((0.5, 0, 1, 0), "n >= 1")],
)
def test_impossible_estimates_are_refused(numbers, named):
    value, low, high, n = numbers
    with pytest.raises(InputError, match=named):
        Estimate(float(value), float(low), float(high), n)


def test_csv_reads_back_with_ends_and_counts(tmp_path):
    written(tmp_path)
    read = pd.read_csv(tmp_path / "t.csv")
    assert list(read.columns) == [
        "method",
        "dose (e/A^2)",
        "MSE (rad^2)",
        "MSE low (rad^2)",
        "MSE high (rad^2)",
        "share (%)",
        "n",
    ]
    assert list(read["method"]) == list(frame()["method"])
    assert list(read["dose (e/A^2)"]) == [1e2, 1e4, 1e6]
    assert list(read["MSE (rad^2)"]) == ["0.205", "1.23e-07", NOT_MEASURED]
    assert read["MSE high (rad^2)"][0] == 0.209
    assert list(read["share (%)"]) == [12.35, -0.5, 100]
    assert list(read["n"][:2]) == [5, 5]


def test_markdown_parses_to_the_same_cells(tmp_path):
    tokens = MarkdownIt("commonmark").enable("table").parse(written(tmp_path)["md"])
    cells = [token for token in tokens if token.type == "inline"]
    shown = ["".join(child.content for child in cell.children) for cell in cells]
    assert shown[:5] == ["method", "dose (e/Å²)", "MSE (rad²)", "share (%)", "n"]
    assert shown[5:10] == ["SSB", "100", "0.205 [0.201, 0.209]", "12.35", "5"]
    assert shown[10] == "iCOM_a & b"
    assert shown[15] == "x|y {z} #1"
    assert shown[-1] == "95 % intervals."
    assert {child.type for cell in cells for child in cell.children} <= {"text", "text_special"}


def check_latex(source):
    """Balanced braces and dollars, and as many cells in each row as the column format has letters."""
    bare = re.sub(r"\\[&%$#_{}]", "", source)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    for formula in re.findall(r"\$[^$]*\$", bare):
        MathTextParser("path").parse(formula)
    columns = len(re.search(r"begin{tabular}{(\w+)}", source)[1])
    rows = [line for line in bare.splitlines() if line.endswith(r"\\")]
    assert rows and all(row.count("&") == columns - 1 for row in rows)


def test_latex_is_booktabs_with_units_caption_and_label(tmp_path):
    source = written(tmp_path)["tex"]
    check_latex(source)
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert source.count(rule) == 1
    assert r"dose (e/\AA{}$^{2}$) & MSE (rad$^{2}$) & share (\%) & n" in source
    assert r"\caption{95 \% intervals.}" in source
    assert r"\label{tab:t}" in source
    assert (
        r"iCOM\_a \& b & 10000 & $1.23 \times 10^{-7}$ [$1.20 \times 10^{-7}$, $1.27 \times 10^{-7}$]"
        in source
    )
    assert "$-0.5000$" in source


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(tmp_path):
    source = written(tmp_path, caption="2α/λ ≤ 1 Å, ± 5 % & ~ ^ \\ {x} µ é")["tex"]
    document = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}" + source + "\\end{document}"
    (tmp_path / "d.tex").write_text(document, "utf-8")
    subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "d.tex"],
        cwd=tmp_path,
        check=True,
        timeout=60,
    )


@given(st.text(st.characters(max_codepoint=0x17F, exclude_categories=["Cc", "Cs"]), max_size=40))
def test_any_latin_text_survives_markup(text):
    line = " ".join(text.split())
    tokens = MarkdownIt("commonmark").enable("table").parse(f"| a |\n|---|\n| x{markdown_text(text)}x |")
    inline = [token for token in tokens if token.type == "inline"][-1]
    shown = "".join(child.content for child in inline.children)
    if "&" not in line:
        assert shown == f"x{line}x"
    bare = re.sub(r"\\[&%$#_{}]", "", latex_text(text))
    assert bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0
    assert not re.search(r"[&%#~]", bare)


def test_units_are_spelt_for_screen_and_print():
    assert unit_text("e/A^2") == "e/Å²"
    assert unit_text("A^-1") == "Å⁻¹"
    assert unit_text("mrad") == "mrad"
    assert unit_text("V A") == "V Å"
    assert latex_unit("A^-1") == r"\AA{}$^{-1}$"
    assert latex_unit("%") == r"\%"


def test_every_sign_is_a_formula_that_can_be_set():
    for spelling in LATEX.values():
        if spelling.startswith("$"):
            MathTextParser("path").parse(spelling)


def test_unprintable_characters_are_refused():
    with pytest.raises(InputError, match="text for LaTeX"):
        latex_text("✓ certified")


@pytest.mark.parametrize("bad", [np.nan, np.inf, None, pd.NA])
def test_missing_and_infinite_cells_are_named(tmp_path, bad):
    values = frame()
    values["share"] = pd.Series([1.0, bad, 2.0], dtype=object)
    with pytest.raises(InputError, match="table t: row 1, column share"):
        written(tmp_path, frame=values)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"units": {"dose": "e/A^2", "MSE": "rad^2"}}, "none for column 'share'"),
        ({"units": UNITS | {"mse": "rad^2"}}, "'mse'"),
        ({"caption": " "}, "caption"),
        ({"name": "a/b"}, "name"),
        ({"frame": frame().iloc[:0]}, "0 rows"),
    ],
)
def test_unclear_tables_are_refused(tmp_path, changes, named):
    with pytest.raises(InputError, match=named):
        written(tmp_path, **changes)


def test_counts_that_differ_have_a_column_each(tmp_path):
    values = pd.DataFrame({"PSNR": [Estimate(20.0, 19.0, 21.0, 5)], "SSIM": [Estimate(0.5, 0.4, 0.6, 3)]})
    source = written(tmp_path, frame=values, units={"PSNR": "dB", "SSIM": ""})["csv"]
    assert source.splitlines()[0].endswith("SSIM high,n (PSNR),n (SSIM)")
    assert source.splitlines()[1].endswith(",5,3")


def test_two_writes_are_byte_identical_and_leave_nothing_else(tmp_path):
    first, second = written(tmp_path / "a"), written(tmp_path / "b")
    assert first == second
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["t.csv", "t.md", "t.tex"]


def test_a_failed_write_leaves_the_old_table(tmp_path, monkeypatch):
    before = written(tmp_path)["csv"]

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        written(tmp_path, caption="Another.")
    assert (tmp_path / "t.csv").read_text("utf-8") == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.csv", "t.md", "t.tex"]
