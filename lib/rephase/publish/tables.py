"""Tables in CSV, Markdown and LaTeX, with units, intervals and counts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path

import pandas as pd

from rephase.errors import InputError
from rephase.publish.files import require_text, write_formats
from rephase.publish.markup import latex_cell, latex_text, latex_unit, markdown_text, unit_text

NOT_MEASURED = "not measured"
LONG_TEXT = 40  # characters; longer text is set as a paragraph in LaTeX
PARAGRAPH = r"0.2\textwidth"


@dataclass(frozen=True)
class Estimate:
    """A measured value with its interval and the number of independent measurements behind it.

    Parameters
    ----------
    value : float
        The estimate, usually a mean.
    low, high : float
        Ends of its interval, usually 95 %.
    n : int
        Number of independent measurements.

    Raises
    ------
    InputError
        If a number is NaN or infinite, ``low`` exceeds ``high``, or ``n`` is below 1.
    """

    value: Real
    low: Real
    high: Real
    n: Integral

    def __post_init__(self) -> None:
        numbers = (self.value, self.low, self.high)
        if not all(map(math.isfinite, numbers)):
            raise InputError("estimate", numbers, "three finite numbers")
        if self.low > self.high or self.n < 1:
            raise InputError("estimate", f"[{self.low}, {self.high}], n = {self.n}", "low <= high and n >= 1")

    @property
    def decimals(self) -> int:
        """Decimals worth printing: one digit of the interval's half width, two where that digit is 1."""
        half_width = (self.high - self.low) / 2
        if half_width == 0:
            return significant_decimals(self.value, 4)
        first = int(f"{half_width:.15e}"[0])
        return significant_decimals(half_width, 2 if first == 1 else 1)

    def rounded(self) -> tuple[str, str, str]:
        """Value, low and high as text, all rounded to the same decimal."""
        return tuple(rounded(float(number), self.decimals) for number in (self.value, self.low, self.high))

    def __str__(self) -> str:
        value, low, high = self.rounded()
        return f"{value} [{low}, {high}]"


def significant_decimals(number: float, digits: int) -> int:
    """Return how many decimals show ``number`` with so many significant digits (negative: tens, hundreds)."""
    return digits - 1 - (math.floor(math.log10(abs(number))) if number else 0)


def rounded(number: float, decimals: int) -> str:
    """Return ``number`` rounded to so many decimals; with an exponent where plain digits would be long."""
    value = round(number, decimals) + 0.0
    exponent = math.floor(math.log10(abs(value))) if value else -decimals
    if exponent < -4 or max(exponent, -decimals) > 5:
        return f"{value:.{max(exponent + decimals, 0)}e}"
    return f"{value:.{max(decimals, 0)}f}"


def write_table(
    frame: pd.DataFrame,
    out: Path | str,
    name: str,
    caption: str,
    units: Mapping[str, str],
    digits: int = 4,
) -> dict[str, Path]:
    """Write a table as CSV, Markdown and LaTeX (booktabs), the same bytes every time.

    An `Estimate` is rounded to its interval and its count stands in a column ``n``; in the CSV its
    low and high end have columns of their own. Other numbers are rounded to ``digits`` significant
    digits. The index is not written.

    Parameters
    ----------
    frame : DataFrame
        Cells are text, integers, floats or estimates; `NOT_MEASURED` where there is none.
    out : path
        Folder; made where it is missing.
    name : str
        File name without its ending; the LaTeX label is ``tab:<name>``.
    caption : str
        What the table shows and how the intervals were made.
    units : mapping of str to str
        Unit of every column that holds numbers: ``'e/A^2'``, ``'dB'``, ...; ``''`` for a pure number.
    digits : int
        Significant digits of floats that have no interval.

    Returns
    -------
    dict of str to Path
        The files by ending: 'csv', 'md', 'tex'.

    Raises
    ------
    InputError
        If a cell is NaN, infinite or missing, a column of numbers has no unit, a unit has no
        column, the caption is empty, or the name is not plain.
    """
    where = f"table {name}"
    caption = require_text(f"{where}: caption", caption)
    _check(where, frame, units)
    cells = {column: [_text(cell, digits) for cell in frame[column]] for column in frame}
    counts = _counts(frame)
    numeric = [column in units for column in cells] + [True] * len(counts)
    heads = [(column, units.get(column, "")) for column in cells] + [(head, "") for head in counts]
    body = pd.DataFrame(list((cells | counts).values())).T
    formats = {
        "csv": _csv(frame, units, digits, counts),
        "md": _markdown(body, heads, numeric, caption),
        "tex": _latex(body, heads, numeric, caption, f"tab:{name}"),
    }
    return write_formats(out, name, {ending: text.encode() for ending, text in formats.items()})


def _check(where: str, frame: pd.DataFrame, units: Mapping[str, str]) -> None:
    for column in units:
        if column not in frame.columns:
            raise InputError(f"{where}: units", repr(column), f"one of {list(frame.columns)}")
    if frame.empty or not frame.columns.is_unique:
        raise InputError(where, f"{frame.shape[0]} rows of {list(frame.columns)}", "rows of distinct columns")
    for column in frame.columns:
        for row, cell in zip(frame.index, frame[column], strict=True):
            missing = cell is None or cell is pd.NA
            if missing or (_is_number(cell) and not math.isfinite(cell)):
                raise InputError(
                    f"{where}: row {row}, column {column}", cell, f"a finite number or {NOT_MEASURED!r}"
                )
            if column not in units and (_is_number(cell) or isinstance(cell, Estimate)):
                raise InputError(
                    f"{where}: units", f"none for column {column!r}", "a unit, or '' for a pure number"
                )


def _is_number(cell: object) -> bool:
    return isinstance(cell, Real) and not isinstance(cell, bool)


def _text(cell: object, digits: int) -> str:
    if _is_number(cell) and int(cell) != cell:
        return rounded(float(cell), significant_decimals(float(cell), digits))
    return str(int(cell)) if _is_number(cell) else str(cell)


def _counts(frame: pd.DataFrame) -> dict[str, list[str]]:
    """One column ``n`` where all estimates of each row agree on it, else one for each column."""
    counts = {
        f"n ({column})": [str(cell.n) if isinstance(cell, Estimate) else "" for cell in frame[column]]
        for column in frame.columns
        if any(isinstance(cell, Estimate) for cell in frame[column])
    }
    rows = [set(row) - {""} for row in zip(*counts.values(), strict=True)]
    if counts and all(len(row) <= 1 for row in rows):
        return {"n": ["".join(row) for row in rows]}
    return counts


def _csv(frame: pd.DataFrame, units: Mapping[str, str], digits: int, counts: dict[str, list[str]]) -> str:
    columns = {}
    for column in frame.columns:
        unit = f" ({units[column]})" if units.get(column) else ""
        triples = [
            cell.rounded() if isinstance(cell, Estimate) else (_text(cell, digits), "", "")
            for cell in frame[column]
        ]
        value, low, high = zip(*triples, strict=True)
        columns[f"{column}{unit}"] = value
        if any(isinstance(cell, Estimate) for cell in frame[column]):
            columns |= {f"{column} low{unit}": low, f"{column} high{unit}": high}
    return pd.DataFrame(columns | counts).to_csv(index=False, lineterminator="\n")


def _markdown(body: pd.DataFrame, heads: list[tuple[str, str]], numeric: list[bool], caption: str) -> str:
    shown = body.map(markdown_text)
    shown.columns = [markdown_text(f"{head} ({unit_text(unit)})" if unit else head) for head, unit in heads]
    align = ["right" if number else "left" for number in numeric]
    table = shown.to_markdown(index=False, tablefmt="pipe", disable_numparse=True, colalign=align)
    return f"{table}\n\n{markdown_text(caption)}\n"


def _latex(
    body: pd.DataFrame, heads: list[tuple[str, str]], numeric: list[bool], caption: str, label: str
) -> str:
    shown = body.map(latex_cell)
    shown.columns = [latex_text(head) + (f" ({latex_unit(unit)})" if unit else "") for head, unit in heads]
    longest = [body[column].str.len().max() for column in body]
    wide = [f"p{{{PARAGRAPH}}}" if length > LONG_TEXT else "l" for length in longest]
    return shown.style.hide(axis="index").to_latex(
        column_format="".join("r" if number else kind for number, kind in zip(numeric, wide, strict=True)),
        caption=latex_text(caption),
        label=label,
        position="tbp",
        position_float="centering",
        hrules=True,
    )
