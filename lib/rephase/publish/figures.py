"""Figures in the house style: scale bars, captions, alt text, and the same bytes every time.

Lines differ in colour, dash and marker at once; images use perceptually uniform maps. Images are
drawn with the slow scan axis downwards and the fast one to the right, in angstrom.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float, Num
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Circle
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

from rephase.errors import InputError
from rephase.publish.files import require_text, write_formats
from rephase.publish.style import DASHES, STYLE, house_style

__all__ = [
    "house_style",
    "nice_length",
    "save_figure",
    "show_image",
    "show_pattern",
    "show_spectrum",
    "show_vectors",
]

SVG_LIMIT_BYTES = 2_000_000


def show_image(
    ax: Axes,
    values: Num[np.ndarray, "slow fast"],
    pixel_angstrom: tuple[float, float],
    title: str | None = None,
    label: str | None = None,
    cmap: str = "cividis",
    vmin: float | None = None,
    vmax: float | None = None,
    colorbar: bool = True,
) -> AxesImage:
    """Show an image with a scale bar, its axes in angstrom.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    values : array (slow, fast)
        The image; masked where there is no value.
    pixel_angstrom : (float, float)
        Pixel size along (slow, fast), in angstrom.
    title : str, optional
        Line above the image.
    label : str, optional
        Quantity and unit, written beside the colour bar, as ``'phase (rad)'``.
    cmap : str
        Perceptually uniform map: 'cividis', 'magma', 'viridis', 'gray', ...
    vmin, vmax : float, optional
        Values at the ends of the map; the image's own extremes by default.
    colorbar : bool
        Whether to draw the colour bar.

    Returns
    -------
    AxesImage
        The image that was drawn.

    Raises
    ------
    InputError
        If a value is NaN or infinite, or a pixel size is not above 0.
    """
    image = _draw(ax, values, pixel_angstrom, title, cmap=cmap, vmin=vmin, vmax=vmax)
    length = nice_length(0.3 * values.shape[1] * pixel_angstrom[1])
    _scale_bar(ax, length, f"{length / 10:g} nm" if length >= 10 else f"{length:g} Å")
    if colorbar:
        _colour_bar(ax, image, label)
    return image


def show_pattern(
    ax: Axes,
    intensities: Num[np.ndarray, "row col"],
    pixel_mrad: tuple[float, float],
    title: str | None = None,
    label: str | None = None,
    cmap: str = "magma",
    vmin: float | None = None,
    vmax: float | None = None,
    colorbar: bool = True,
) -> AxesImage:
    """Show a diffraction pattern with a scale bar in mrad; the rest as `show_image`.

    Parameters
    ----------
    intensities : array (row, col)
        The pattern, in any unit; name the unit in ``label``.
    pixel_mrad : (float, float)
        Size of a detector pixel along (row, col), in mrad.
    """
    image = _draw(ax, intensities, pixel_mrad, title, cmap=cmap, vmin=vmin, vmax=vmax)
    length = nice_length(0.3 * intensities.shape[1] * pixel_mrad[1])
    _scale_bar(ax, length, f"{length:g} mrad")
    if colorbar:
        _colour_bar(ax, image, label)
    return image


def show_spectrum(
    ax: Axes,
    power: Num[np.ndarray, "slow fast"],
    pixel_angstrom: tuple[float, float],
    circles: Mapping[str, float] | None = None,
    title: str | None = None,
    label: str | None = "power",
    decades: float = 4.0,
    max_frequency: float | None = None,
    colorbar: bool = True,
) -> AxesImage:
    """Show the power spectrum of an image on a logarithmic map, with named circles.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    power : array (slow, fast)
        Squared magnitude of the Fourier transform, zero frequency at ``[slow // 2, fast // 2]``.
    pixel_angstrom : (float, float)
        Pixel size of the image that was transformed, in angstrom.
    circles : mapping of str to float, optional
        Radius of each circle in 1/angstrom by its name, as ``{'2α/λ': 1.99}``.
    title, label : str, optional
        Line above the image; quantity beside the colour bar.
    decades : float
        The map spans this many powers of ten below the largest value outside zero frequency.
    max_frequency : float, optional
        Show frequencies up to here only, in 1/angstrom.
    colorbar : bool
        Whether to draw the colour bar.

    Raises
    ------
    InputError
        If a value is NaN, infinite or negative, or all are zero outside zero frequency.
    """
    centre = (power.shape[0] // 2, power.shape[1] // 2)
    outside = np.array(power, dtype=float)
    outside[centre] = 0.0
    if np.any(outside < 0) or not outside.max() > 0:
        raise InputError("power", f"{outside.min():g} .. {outside.max():g}", "values from 0 up, not all 0")
    step = tuple(1 / (n * p) for n, p in zip(power.shape, pixel_angstrom, strict=True))
    norm = LogNorm(outside.max() * 10**-decades, outside.max(), clip=True)
    floored = np.maximum(power, norm.vmin)
    image = _draw(ax, floored, step, title, origin=centre, cmap="magma", norm=norm)
    half_width = max_frequency or min(n // 2 * s for n, s in zip(power.shape, step, strict=True))
    ax.set(xlim=(-half_width, half_width), ylim=(half_width, -half_width))
    for (name, radius), dash in zip((circles or {}).items(), DASHES, strict=False):
        ax.add_patch(Circle((0, 0), radius, fill=False, edgecolor="white", linestyle=dash, label=name))
    if circles:
        ax.legend(loc="upper right", labelcolor="white", facecolor="black", framealpha=0.6, frameon=True)
    length = nice_length(0.6 * half_width)
    _scale_bar(ax, length, f"{length:g} Å$^{{-1}}$")
    if colorbar:
        _colour_bar(ax, image, label)
    return image


def show_vectors(
    ax: Axes,
    slow: Float[np.ndarray, "slow fast"],
    fast: Float[np.ndarray, "slow fast"],
    pixel_angstrom: tuple[float, float],
    arrows: int = 16,
    **options: Any,
) -> AxesImage:
    """Show a vector field: its length as an image, its direction as arrows.

    Parameters
    ----------
    slow, fast : array (slow, fast)
        Components along the two axes, in one unit; name it in ``label``.
    pixel_angstrom : (float, float)
        Pixel size along (slow, fast), in angstrom.
    arrows : int
        Arrows along the longer side.
    **options
        As `show_image`.
    """
    image = show_image(ax, np.hypot(slow, fast), pixel_angstrom, **options)
    every = max(1, max(slow.shape) // arrows)
    row, col = np.mgrid[every // 2 : slow.shape[0] : every, every // 2 : slow.shape[1] : every]
    x, y = (col + 0.5) * pixel_angstrom[1], (row + 0.5) * pixel_angstrom[0]
    ax.quiver(x, y, fast[row, col], slow[row, col], angles="xy", pivot="mid", color="white")
    return image


def nice_length(largest: float) -> float:
    """Return the largest of 1, 2, 5 times a power of ten that is not above ``largest``."""
    if not (math.isfinite(largest) and largest > 0):
        raise InputError("length", largest, "a finite length above 0")
    power = 10.0 ** math.floor(math.log10(largest))
    return next(m * power for m in (5, 2, 1, 0.5) if m * power <= largest * (1 + 1e-9))


def save_figure(fig: Figure, out: Path | str, name: str, caption: str, alt: str) -> dict[str, Path]:
    """Write a figure as PNG, SVG and PDF, and its caption and alt text as JSON.

    The bytes depend on what was drawn only: no date, no version, no random id. The figure is laid
    out once, for the PNG; its axes stay where they are from then on.

    Parameters
    ----------
    fig : Figure
        The figure, drawn in the house style.
    out : path
        Folder; made where it is missing.
    name : str
        File name without its ending.
    caption : str
        What the figure shows and how it was made.
    alt : str
        What a reader who cannot see the figure would have to know.

    Returns
    -------
    dict of str to Path
        The files by ending: 'png', 'svg', 'pdf', 'json'.

    Raises
    ------
    InputError
        If caption or alt text is empty, the name is not plain, or the SVG would exceed 2 MB.
    """
    where = f"figure {name}"
    texts = {"alt": require_text(f"{where}: alt", alt), "caption": require_text(f"{where}: caption", caption)}
    undated = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    formats = {}
    saving = {key: STYLE[key] for key in ("svg.hashsalt", "svg.fonttype", "pdf.fonttype")}
    with plt.rc_context(saving | {"figure.constrained_layout.use": False}):
        for ending, metadata in undated.items():
            buffer = io.BytesIO()
            fig.savefig(buffer, format=ending, dpi=STYLE["savefig.dpi"], metadata=metadata)
            fig.set_layout_engine(None)  # half of the time of each further format
            formats[ending] = buffer.getvalue()
    if len(formats["svg"]) > SVG_LIMIT_BYTES:
        raise InputError(
            where, f"an SVG of {len(formats['svg'])} bytes", "at most 2 MB: rasterise its largest part"
        )
    formats["json"] = (json.dumps(texts, indent=2, ensure_ascii=False) + "\n").encode()
    return write_formats(out, name, formats)


def _draw(
    ax: Axes,
    values: np.ndarray,
    pixel: tuple[float, float],
    title: str | None,
    origin: tuple[int, int] | None = None,
    **options: Any,
) -> AxesImage:
    """Show ``values`` without ticks; data units are the pixel's, with 0 at the centre of pixel ``origin``."""
    if not np.all(np.isfinite(values)):
        raise InputError(f"image {title or ''}".strip(), "NaN or infinite values", "finite values")
    if not all(math.isfinite(p) and p > 0 for p in pixel):
        raise InputError("pixel size", pixel, "two finite numbers above 0")
    top, left = (0.0, 0.0) if origin is None else (-(n + 0.5) * p for n, p in zip(origin, pixel, strict=True))
    height, width = (n * p for n, p in zip(values.shape, pixel, strict=True))
    image = ax.imshow(values, extent=(left, left + width, top + height, top), aspect="equal", **options)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    if title:
        ax.set_title(title)
    return image


def _scale_bar(ax: Axes, length: float, text: str) -> None:
    """Draw a bar of ``length`` data units with its text, readable on any image."""
    thickness = 0.012 * abs(np.subtract(*ax.get_ylim()))
    bar = AnchoredSizeBar(
        ax.transData, length, text, "lower left", borderpad=0.4, sep=3, size_vertical=thickness, frameon=True
    )
    bar.patch.set(facecolor="white", edgecolor="none", alpha=0.8)
    ax.add_artist(bar)


def _colour_bar(ax: Axes, image: AxesImage, label: str | None) -> None:
    ax.figure.colorbar(image, ax=ax, label=label or "", fraction=0.046, pad=0.03)
