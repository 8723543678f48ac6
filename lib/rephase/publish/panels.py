"""Figures made of several images: rows of them, images above their spectra or plots, and profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float, Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rephase.errors import InputError
from rephase.judge.columns import column_signal
from rephase.judge.frequency import tapered
from rephase.phase.image import PhaseImage
from rephase.publish.figures import show_image, show_spectrum

Pictures = Mapping[str, Num[np.ndarray, "_slow _fast"]]
Step = tuple[float, float]
Place = tuple[float, float] | Float[np.ndarray, "2"]
PANEL_INCHES = 2.5
SPACING_ANGSTROM = 0.02  # of the points of a profile
DISC_ANGSTROM = 0.05  # radius over which an image is read at each


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


def profiles(
    pictures: Pictures,
    step: Step,
    start: Place,
    end: Place,
    atoms: Sequence[tuple[str, Place]] = (),
    beyond_angstrom: float = 0.0,
    width_angstrom: float = 0.0,
    scaled: bool = True,
    label: str = "phase (rad)",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw images along a line, with dotted and labelled verticals where it passes atoms.

    Parameters
    ----------
    pictures : mapping
        Title -> image; a legend names them if there are several.
    step : (float, float)
        Pixel size in angstrom.
    start, end : (slow, fast)
        Ends of the line in angstrom, from the middle of the first pixel; distances are from ``start``.
    atoms : sequence of (str, (slow, fast)), optional
        Label and position of each; it is marked at the point of the line that is nearest to it.
    beyond_angstrom : float
        Length by which the profiles go on at both ends.
    width_angstrom : float
        Each value is the mean over this length across the line.
    scaled : bool
        Whether each profile is scaled to run from 0 to 1; otherwise ``label`` names the unit.
    label : str
        Quantity and unit of the images.
    title : str, optional
        Line above the plot, clear of the atoms' labels.
    ax : Axes, optional
        Where to draw; a figure of its own by default.

    Returns
    -------
    Axes
        What was drawn on.

    Raises
    ------
    InputError
        If the line has no length, or leaves an image everywhere.
    """
    ax = plt.subplots(figsize=(4.5, 3.0))[1] if ax is None else ax
    origin, length = np.asarray(start, float), float(np.linalg.norm(np.subtract(end, start)))
    if not length > 0:
        raise InputError("profiles: line", f"both ends at {tuple(map(float, start))}", "two different places")
    direction = np.subtract(end, start) / length
    reach = length + 2 * beyond_angstrom
    along = np.linspace(-beyond_angstrom, length + beyond_angstrom, int(reach / SPACING_ANGSTROM) + 2)
    for name, picture in pictures.items():
        values = _along(
            PhaseImage(np.asarray(picture, float), step), origin, direction, along, width_angstrom
        )
        if not np.isfinite(values).any():
            raise InputError(f"profile of {name}", "a line outside the image", "one that crosses it")
        low, high = np.nanmin(values), np.nanmax(values)
        values = (values - low) / (high - low or 1.0) if scaled else values
        ax.plot(along, values, label=name, markevery=max(1, len(along) // 12))
    for name, place in atoms:
        at = float((np.asarray(place, float) - origin) @ direction)
        ax.axvline(at, color="0.35", linewidth=0.8, linestyle=":", marker="")
        above = {"xycoords": ax.get_xaxis_transform(), "textcoords": "offset points", "ha": "center"}
        ax.annotate(name, (at, 1), (0, 2), **above)
    ax.set(xlabel="distance (Å)", ylabel=f"{label.split(' (')[0]}, scaled" if scaled else label)
    if title:
        ax.set_title(title, pad=18 if atoms else None)
    if len(pictures) > 1:
        ax.legend()
    return ax


def _along(
    image: PhaseImage, origin: np.ndarray, direction: np.ndarray, along: np.ndarray, width: float
) -> np.ndarray:
    """Means over ``width`` across a line, at distances ``along`` it; NaN outside the image."""
    across = np.linspace(-width / 2, width / 2, int(width / min(image.pixel_angstrom) * 2) + 1)
    normal = np.array([-direction[1], direction[0]])
    points = origin + along[:, None, None] * direction + across[:, None] * normal
    values = column_signal(image, points.reshape(-1, 2), DISC_ANGSTROM)
    return values.reshape(len(along), len(across)).mean(axis=1)


def _grid(rows: int, columns: int) -> tuple[Figure, np.ndarray]:
    size = (PANEL_INCHES * columns, PANEL_INCHES * rows)
    return plt.subplots(rows, columns, figsize=size, squeeze=False)
