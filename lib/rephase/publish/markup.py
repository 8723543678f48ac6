"""Text, numbers and units as Markdown and LaTeX spell them."""

from __future__ import annotations

import re

from rephase.errors import InputError

LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "Å": r"\AA{}",
    "°": r"$^{\circ}$",
    "²": "$^{2}$",
    "³": "$^{3}$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "µ": r"$\mu$",
    "−": "$-$",
    "–": "--",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≈": r"$\approx$",
    "∞": r"$\infty$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "δ": r"$\delta$",
    "Δ": r"$\Delta$",
    "λ": r"$\lambda$",
    "μ": r"$\mu$",
    "π": r"$\pi$",
    "σ": r"$\sigma$",
    "φ": r"$\varphi$",
    "χ": r"$\chi$",
}


def unit_text(unit: str) -> str:
    """Return a unit for the screen: ``e/A^2`` as ``e/Å²``."""
    raised = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    return re.sub(r"\^(-?\d+)", lambda m: m[1].translate(raised), re.sub(r"\bA\b", "Å", unit))


def latex_unit(unit: str) -> str:
    r"""Return a unit for LaTeX: ``e/A^2`` as ``e/\AA{}$^{2}$``."""
    parts = re.split(r"\^(-?\d+)", re.sub(r"\bA\b", "Å", unit))
    return "".join(f"$^{{{part}}}$" if i % 2 else latex_text(part) for i, part in enumerate(parts))


def markdown_text(text: str) -> str:
    """Return text that Markdown shows as it stands, on one line."""
    return re.sub(r"([\\`*_<|~])", r"\\\1", " ".join(text.split()))


def latex_text(text: str) -> str:
    """Return text that LaTeX (pdflatex, UTF-8) prints as it stands, on one line.

    Raises
    ------
    InputError
        If a character is beyond Latin, Greek and the signs that tables need.
    """
    line = " ".join(text.split())
    for character in line:
        if character not in LATEX and ord(character) >= 0x180:
            raise InputError("text for LaTeX", repr(character), "Latin or Greek letters, or signs as ± × ≤ Å")
    return "".join(LATEX.get(character, character) for character in line)


def latex_cell(text: str) -> str:
    """Return the text of a cell for LaTeX, numbers with a sign or an exponent as formulas."""
    return re.sub(
        r"(?<![\w.])(-?)(\d+(?:\.\d+)?)(?:e([+-]\d+))?(?![\w.])",
        lambda m: (
            f"${m[1]}{m[2]}" + (rf" \times 10^{{{int(m[3])}}}$" if m[3] else "$") if m[1] or m[3] else m[0]
        ),
        latex_text(text),
    )
