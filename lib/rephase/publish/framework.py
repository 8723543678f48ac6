"""Figure 1 of the paper on sparse sequences: how frames become a path, a state and frames again."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

GREY = "0.35"
BOXES = {
    "frames": (0.00, 0.45, "observed frames\n$M(\\mathbf{r}, \\mathbf{k}, t_i)$"),
    "encoder": (0.19, 0.45, "encoder\nwith Fourier\nfeatures"),
    "path": (0.38, 0.70, "path $X(t)$:\ntime, counts,\ncodes"),
    "state": (0.57, 0.70, "$\\mathrm{d}z = f(z)\\,\\mathrm{d}X$\nforward and\nin reverse"),
    "skips": (0.475, 0.20, "skips,\ncarried in time"),
    "decoder": (0.76, 0.45, "decoder"),
    "result": (0.95, 0.45, "all frames\n$\\hat{M}(\\mathbf{r}, \\mathbf{k}, t)$"),
}
"""Left edge and middle of each box, and what it says."""

ARROWS = [
    ("frames", "encoder"),
    ("encoder", "path"),
    ("encoder", "skips"),
    ("path", "state"),
    ("state", "decoder"),
    ("skips", "decoder"),
    ("decoder", "result"),
]
WIDTH, HEIGHT = 0.14, 0.22


def framework() -> Figure:
    """Draw the flow from observed frames to all frames, with what constrains it.

    Returns
    -------
    Figure
    """
    figure, ax = plt.subplots(figsize=(10, 3.6))
    ax.set(xlim=(-0.02, 1.11), ylim=(-0.02, 1))
    ax.set_axis_off()
    for left, middle, text in BOXES.values():
        _box(ax, left, middle, text)
    for start, end in ARROWS:
        _arrow(ax, BOXES[start][:2], BOXES[end][:2])
    below = {"ha": "center", "va": "top", "color": GREY}
    ax.text(0.83, 0.30, "energy, thickness,\ndose", **below)
    ax.text(1.02, 0.30, "+ observed frames,\nweighed", **below)
    ax.text(
        0.545,
        0.0,
        "constraints on the result: Friedel, kinematic, energy, smooth in time",
        **below | {"va": "bottom"},
    )
    return figure


def _box(ax: Axes, left: float, middle: float, text: str) -> None:
    style = {"boxstyle": "round,pad=0.01", "facecolor": "0.93", "edgecolor": GREY}
    corner = (left, middle - HEIGHT / 2)
    ax.add_patch(FancyBboxPatch(corner, WIDTH, HEIGHT, **style))
    ax.text(left + WIDTH / 2, middle, text, ha="center", va="center")


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    ends = (start[0] + WIDTH + 0.012, start[1]), (end[0] - 0.012, end[1])
    ax.annotate("", ends[1], ends[0], arrowprops={"arrowstyle": "-|>", "color": GREY})
