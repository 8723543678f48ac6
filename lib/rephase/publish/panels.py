"""Figures made of several images: rows of them, and images above their spectra or above plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rephase.judge.frequency import tapered
from rephase.publish.figures import show_image, show_spectrum

Pictures = Mapping[str, Num[np.ndarray, "_slow _fast"]]
Step = tuple[float, float]
PANEL_INCHES = 2.5


def image_rows(rows: Sequence[Pictures], steps: Sequence[Step] | Step, label: str | None = None) -> Figure:
    """Images by their titles, one row after the other, each with a scale of its own.

    Parameters
    ----------
    rows : sequence of mapping
        Title -> image, as many in each row.
    steps : (float, float) or sequence of it
        Pixel size in angstrom, of all rows or of each.
    label : str, optional
        Quantity beside the colour bars.
    """
    each = [steps] * len(rows) if isinstance(steps[0], (int, float)) else list(steps)
    figure, axes = _grid(len(rows), max(map(len, rows)))
    for line, pictures, step in zip(axes, rows, each, strict=True):
        for ax, (title, picture) in zip(line, pictures.items(), strict=True):
            show_image(ax, picture, step, title, label)
    return figure


def images_and_spectra(pictures: Pictures, step: Step, cutoff: float) -> Figure:
    """Images above their power spectra, with a circle at twice the aperture.

    Parameters
    ----------
    pictures : mapping
        Title -> image.
    step : (float, float)
        Pixel size in angstrom.
    cutoff : float
        Radius of the circle in 1/angstrom.
    """
    figure, axes = images_above(pictures, step)
    for ax, picture in zip(axes, pictures.values(), strict=True):
        power = np.abs(np.fft.fftshift(np.fft.fft2(tapered(np.asarray(picture, float))))) ** 2
        show_spectrum(ax, power, step, {"2α/λ": cutoff}, None)
    return figure


def images_above(pictures: Pictures, step: Step) -> tuple[Figure, Sequence[Axes]]:
    """Images with an empty plot below each: the figure and the plots."""
    figure, axes = _grid(2, len(pictures))
    for ax, (title, picture) in zip(axes[0], pictures.items(), strict=True):
        show_image(ax, picture, step, title, None)
    return figure, list(axes[1])


def _grid(rows: int, columns: int) -> tuple[Figure, np.ndarray]:
    size = (PANEL_INCHES * columns, PANEL_INCHES * rows)
    return plt.subplots(rows, columns, figsize=size, squeeze=False)
