"""One figure of the whole way from diffraction patterns to a phase image, with real arrays."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Complex, Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch, Rectangle

from rephase.publish.figures import show_image, show_pattern

Pair = tuple[float, float]
INCHES = (11.0, 3.6)
WIDTHS = (1.2, 0.28, 0.75, 0.28, 1.3, 0.5, 1.45, 0.5, 2.1)
HEIGHTS = (1.0, 1.0, 0.14)
LEVELS = (1.0, 0.72, 0.46, 0.72, 1.0)
DARK = 0.05
GREY = "0.35"
BLANK = {"facecolor": "white", "edgecolor": "0.75", "hatch": "////", "linewidth": 0}


def workflow(
    patterns: Num[np.ndarray, "9 row col"],
    probe: Complex[np.ndarray, "n n"],
    exit_wave: Complex[np.ndarray, "n n"],
    patch: Num[np.ndarray, "slow fast"],
    stitched: Num[np.ndarray, "rows columns"],
    pixel_mrad: Pair,
    pixel_angstrom: Pair,
    stitched_pixel_angstrom: Pair | None = None,
    place_angstrom: Pair | None = None,
    power: float = 0.25,
) -> Figure:
    """Draw how nine patterns and a probe become an exit wave, a patch and the phase image of a scan.

    From left to right: the patterns of a kernel above the probe, the network, amplitude and phase
    of the exit wave of the middle position, the patch of the object that is left when the probe is
    divided out, and the sum of all patches. Phases are hatched where the wave is dark or
    the patch has no weight.

    Parameters
    ----------
    patterns : array (9, row, col)
        Intensities in the order of `rephase.phase.exit_wave.frame.KERNEL`; the fifth is framed.
    probe, exit_wave : array (n, n)
        Waves in real space.
    patch : array (slow, fast)
        Phase of the object in rad; masked where its weight is 0.
    stitched : array (rows, columns)
        Phase image of the scan in rad.
    pixel_mrad : (float, float)
        Pixel of the patterns.
    pixel_angstrom : (float, float)
        Pixel of the waves and the patch.
    stitched_pixel_angstrom : (float, float), optional
        Pixel of the phase image, if another.
    place_angstrom : (float, float), optional
        Middle of the patch in the phase image, along (slow, fast) from its corner: framed there.
    power : float
        Intensities are shown to this power.
    """
    figure = plt.figure(figsize=INCHES)
    grid = figure.add_gridspec(3, len(WIDTHS), width_ratios=WIDTHS, height_ratios=HEIGHTS)

    def panel(rows: int | slice, column: int) -> Axes:
        return figure.add_subplot(grid[rows, column])

    both, pixel = slice(0, 2), pixel_angstrom
    _kernel(panel(0, 0), patterns, pixel_mrad, power)
    seen = panel(1, 0)
    show_image(seen, np.abs(probe), pixel, "b  probe", cmap="magma", colorbar=False)
    _arrow(panel(both, 1))
    _network(panel(both, 2))
    _arrow(panel(both, 3))
    show_image(panel(0, 4), np.abs(exit_wave), pixel, "d  exit wave, amplitude", cmap="magma")
    turning = panel(1, 4)
    around = {"cmap": "twilight", "vmin": -np.pi, "vmax": np.pi}
    show_image(turning, _lit_phase(exit_wave), pixel, "exit wave, phase", "rad", **around)
    divided = panel(both, 5)
    _arrow(divided, "÷ probe")
    part = panel(both, 6)
    show_image(part, patch, pixel, "e  patch of the object", "rad")
    for ax in (turning, part):
        ax.patch.set(**BLANK)
    _arrow(panel(both, 7), "× weight,\nsum")
    whole = panel(both, 8)
    show_image(whole, stitched, stitched_pixel_angstrom or pixel, "f  stitched phase image", "rad")
    if place_angstrom is not None:
        _frame(whole, place_angstrom, tuple(n * p for n, p in zip(patch.shape, pixel, strict=True)))
    style = {"arrowstyle": "-|>", "connectionstyle": "bar,armA=16,armB=16,fraction=0,angle=0"}
    figure.add_artist(
        ConnectionPatch(
            (0.5, 0), (0.5, 0.45), "axes fraction", "axes fraction", axesA=seen, axesB=divided, **style,
            mutation_scale=10, color=GREY, linestyle="--",
        )
    )  # fmt: skip
    return figure


def _kernel(ax: Axes, patterns: np.ndarray, pixel_mrad: Pair, power: float) -> None:
    """The nine patterns as one image of three by three, the middle one framed."""
    gap = max(1, patterns.shape[1] // 16)
    rows, columns = (n + gap for n in patterns.shape[1:])
    mosaic = np.ma.masked_all((3 * rows - gap, 3 * columns - gap))
    for n, pattern in enumerate(patterns):
        top, left = n // 3 * rows, n % 3 * columns
        mosaic[top : top + rows - gap, left : left + columns - gap] = pattern.astype(float) ** power
    show_pattern(ax, mosaic, pixel_mrad, "a  3 × 3 patterns", colorbar=False)
    middle, sides = (
        tuple(n * p for n, p in zip(pixels, pixel_mrad, strict=True))
        for pixels in ([n / 2 for n in mosaic.shape], patterns.shape[1:])
    )
    _frame(ax, middle, sides)


def _lit_phase(wave: np.ndarray) -> np.ma.MaskedArray:
    amplitude = np.abs(wave)
    bright = wave[np.unravel_index(np.argmax(amplitude), wave.shape)]
    return np.ma.masked_where(amplitude < DARK * amplitude.max(), np.angle(wave * np.conj(bright)))


def _arrow(ax: Axes, text: str = "") -> None:
    """A thick arrow to the right with a word above it."""
    ax.set_axis_off()
    style = {"arrowstyle": "simple,head_width=1.1,head_length=0.7,tail_width=0.35", "color": GREY}
    ax.annotate("", (1, 0.5), (0, 0.5), xycoords="axes fraction", arrowprops=style)
    ax.text(0.5, 0.56, text, transform=ax.transAxes, ha="center", va="bottom")


def _network(ax: Axes) -> None:
    """A U of layers that become smaller and larger again, and the bridges over it."""
    ax.set_axis_off()
    ax.set(xlim=(0, 1), ylim=(0, 1))
    wide = 0.7 / len(LEVELS)
    middles = [(n + 0.5) / len(LEVELS) for n in range(len(LEVELS))]
    for middle, tall in zip(middles, LEVELS, strict=True):
        corner = (middle - wide / 2, 0.5 - 0.22 * tall)
        ax.add_patch(Rectangle(corner, wide, 0.44 * tall, facecolor="0.85", edgecolor=GREY))
    for left, right, tall in zip(middles, middles[:2:-1], LEVELS, strict=False):
        level = 0.5 + 0.22 * tall
        bridge = {"arrowstyle": "-|>", "connectionstyle": "bar,fraction=-0.15", "color": GREY, "lw": 0.8}
        ax.annotate("", (right, level), (left, level), arrowprops=bridge)
    ax.text(0.5, 0.84, "c  network", ha="center", fontsize=plt.rcParams["axes.titlesize"])


def _frame(ax: Axes, middle: Pair, sides: Pair) -> None:
    """A rectangle that stands out on light and on dark."""
    corner = (middle[1] - sides[1] / 2, middle[0] - sides[0] / 2)
    for colour, width in (("black", 2.6), ("white", 1.2)):
        ax.add_patch(Rectangle(corner, sides[1], sides[0], fill=False, edgecolor=colour, linewidth=width))
