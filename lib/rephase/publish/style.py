"""How every figure of rephase looks."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from cycler import cycler

# Okabe and Ito's palette, without its yellow (faint on white)
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9", "#7F7F7F"]
DASHES = ["-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 2, 2, 2, 2, 2))]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*"]

STYLE: dict[str, Any] = {
    "axes.prop_cycle": cycler(color=COLOURS)
    + cycler(linestyle=DASHES)
    + cycler(marker=MARKERS)
    + cycler(markevery=[0.08] * len(COLOURS)),
    "axes.grid": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "image.cmap": "cividis",
    "image.interpolation": "none",
    "legend.fontsize": 8,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.8,
    "legend.handlelength": 3.0,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "mathtext.fontset": "dejavusans",
    "pdf.fonttype": 42,
    "savefig.dpi": 150,
    "svg.fonttype": "path",
    "svg.hashsalt": "rephase",
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


def house_style() -> None:
    """Make the house style the default of every figure drawn from here on."""
    plt.rcParams.update(STYLE)
