"""Whether a scan is one that a trained network can take: centred, overlapping, like its training set."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping

import numpy as np
from jaxtyping import Shaped

from rephase.errors import InputError
from rephase.measurement import Scan
from rephase.microscope.optics import Optics
from rephase.phase.exit_wave.resample import Detector
from rephase.phase.exit_wave.sampling import REPEAT_BOX, Ranges
from rephase.phase.exit_wave.simulate import REPEAT

OFF_CENTRE_PX = 2.0
LINES_FOR_CENTRE = 16
UNEQUAL_STEPS = 1.05
LEAST_COVERAGE = 0.95


class OutsideTraining(UserWarning):
    """A scan lies outside what a network was trained on: its phase is an extrapolation."""


def probe_diameter(optics: Optics) -> float:
    """Diameter of an ideal probe's first zero, ``1.22 wavelength / semi-angle``, in angstrom.

    Friedrich et al. (2022) give twice this in Eq. 16 and once in their text.
    """
    return 1.22 / optics.aperture_radius


def overlap(optics: Optics, step_angstrom: tuple[float, float]) -> float:
    """The probe's diameter over the larger step: the paper's overlap ratio."""
    return probe_diameter(optics) / max(step_angstrom)


def check_overlap(optics: Optics, step_angstrom: tuple[float, float]) -> None:
    """Refuse a scan whose steps exceed the probe's diameter.

    Raises
    ------
    InputError
        With the overlap ratio.
    """
    if (ratio := overlap(optics, step_angstrom)) < 1:
        raise InputError(
            "scan.step_angstrom",
            f"{max(step_angstrom):g} angstrom, a probe diameter of {probe_diameter(optics):.3g} angstrom "
            f"over the step of {ratio:.2g}",
            "a ratio of at least 1, where patches overlap, or allow_gaps=True",
        )


def sampled_mean_pattern(scan: Scan, lines: int = LINES_FOR_CENTRE) -> Shaped[np.ndarray, "row col"]:
    """Mean of the patterns of a few lines, evenly spaced over the scan."""
    chosen = np.unique(np.linspace(0, scan.shape[0] - 1, lines).round().astype(int))
    return np.mean([np.mean(scan.intensities[int(i)], axis=0, dtype=np.float64) for i in chosen], axis=0)


def beam_offset_px(pattern: Shaped[np.ndarray, "row col"], detector: Detector) -> tuple[float, float]:
    """How far a mean pattern's centre of mass lies from the detector's centre, in its pixels.

    Raises
    ------
    InputError
        If the pattern holds no electrons, or values that are not finite.
    """
    pattern = np.asarray(pattern, dtype=np.float64)
    total = float(pattern.sum())
    if not (math.isfinite(total) and total > 0):
        raise InputError("scan.intensities", f"a mean pattern of sum {total:g}", "a finite sum above 0")
    row = float(pattern.sum(1) @ np.arange(detector.shape[0]) / total)
    col = float(pattern.sum(0) @ np.arange(detector.shape[1]) / total)
    return row - detector.centre_px[0], col - detector.centre_px[1]


def check_centre(pattern: Shaped[np.ndarray, "row col"], detector: Detector) -> None:
    """Refuse a beam that is more than 2 detector pixels off centre.

    Parameters
    ----------
    pattern : array (row, col)
        Mean of patterns from all over the scan: a specimen deflects the beam to
        no side on average.
    detector : Detector

    Raises
    ------
    InputError
        That says by how much, and what centres a scan.
    """
    row, col = beam_offset_px(pattern, detector)
    if math.hypot(row, col) > OFF_CENTRE_PX:
        centre = "({:g}, {:g})".format(*detector.centre_px)
        raise InputError(
            "scan.centre_px",
            f"{centre}, but the patterns {row:+.1f} px along rows and {col:+.1f} px along columns off it",
            f"at most {OFF_CENTRE_PX:g} px; rephase.calibrate.level(scan) moves the centre to the patterns'",
        )


def outside_training(
    ranges: Ranges,
    optics: Optics,
    step_angstrom: tuple[float, float],
    coverage: float,
    repeat: int = 1,
    repeat_box: int = 1,
) -> dict[str, str]:
    """What of a scan lies outside the training set, and by how much, in words.

    Parameters
    ----------
    ranges : Ranges
        Of the training set.
    optics : Optics
    step_angstrom : (float, float)
    coverage : float
        Part of the frame's diffraction plane that the detector covers.
    repeat, repeat_box : int
        Data repetition, as for :func:`rephase.phase.exit_wave.repetition.repeated`;
        none where ``repeat`` is 1.
    """
    found = ranges.outside(optics, min(step_angstrom)) | ranges.outside(optics, max(step_angstrom))
    if max(step_angstrom) > UNEQUAL_STEPS * min(step_angstrom):
        found["steps"] = "{:g} and {:g} angstrom, trained on equal ones".format(*step_angstrom)
    if coverage < LEAST_COVERAGE:
        found["detector"] = (
            f"covers {100 * coverage:.0f} % of the patterns trained on, the rest is taken as 0"
        )
    if text := _repetition(ranges, repeat, repeat_box):
        found["repetition"] = text
    return found


def _repetition(ranges: Ranges, repeat: int, box: int) -> str:
    """How sums of neighbouring patterns differ from those of the training set; empty if they do not."""
    trained = ranges.repeated_share > 0
    if repeat == 1 or (trained and (repeat, box) == (REPEAT, REPEAT_BOX)):
        return ""
    known = f"on {REPEAT_BOX} x {REPEAT_BOX} at {REPEAT} times the step" if trained else "without repetition"
    return f"sums of {box} x {box} patterns at {repeat} times the step, trained {known}"


def warn_outside(found: Mapping[str, str]) -> None:
    """One `OutsideTraining` warning for all that was found; none if nothing was."""
    if found:
        text = "; ".join(f"{name}: {what}" for name, what in found.items())
        warnings.warn(f"outside the training set, the phase is extrapolated: {text}", OutsideTraining, 3)
