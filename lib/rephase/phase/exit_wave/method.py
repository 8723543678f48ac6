"""The phase of a scan by a network that predicts exit waves: Friedrich et al. (2022)."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from pydantic import Field, field_validator

from rephase.measurement import Scan
from rephase.microscope.optics import Optics
from rephase.phase.exit_wave.checks import (
    check_centre,
    check_overlap,
    outside_training,
    sampled_mean_pattern,
    warn_outside,
)
from rephase.phase.exit_wave.live import LiveReconstruction
from rephase.phase.exit_wave.patches import THRESHOLD
from rephase.phase.exit_wave.predict import Precision, Predictor
from rephase.phase.exit_wave.repetition import repeated
from rephase.phase.exit_wave.resample import Detector, Resampling, choose_frame
from rephase.phase.exit_wave.weights import load_weights
from rephase.phase.image import PhaseImage
from rephase.phase.settings import MethodSettings


class CNNSettings(MethodSettings):
    """Settings of the reconstruction by a network.

    Parameters
    ----------
    weights : path
        File of the trained network.
    batch : int
        Kernels at a time; changes nothing but time and memory.
    device : str
        Where torch computes: 'cpu', 'cuda', ...
    precision : {'float32', 'bfloat16'}
        Of the network's layers.
    compiled : bool
        Whether ``torch.compile`` is used.
    threshold : float
        Fraction of the probe's greatest intensity above which its patch is used.
    repeat : int
        Data repetition: with 2 or more, patterns are summed over neighbours and
        reconstructed at this multiple of the step.
    repeat_box : int
        Side of the box of summed neighbours, odd.
    allow_gaps : bool
        Whether a scan is reconstructed whose patches do not overlap.
    """

    weights: Path
    batch: int = Field(default=64, ge=1)
    device: str = "cpu"
    precision: Precision = "float32"
    compiled: bool = False
    threshold: float = Field(default=THRESHOLD, gt=0, lt=1)
    repeat: int = Field(default=1, ge=1)
    repeat_box: int = Field(default=5, ge=1)
    allow_gaps: bool = False

    @field_validator("repeat_box")
    @classmethod
    def _odd(cls, box: int) -> int:
        if box % 2 == 0:
            raise ValueError("an odd number of positions")
        return box


def reconstruct(scan: Scan, optics: Optics, settings: CNNSettings) -> PhaseImage:
    """Phase image of a scan, from one pass over its lines.

    Parameters
    ----------
    scan : Scan
        Of any size and detector, in memory or on disk: read line by line.
    optics : Optics
    settings : CNNSettings

    Returns
    -------
    PhaseImage
        Phase in rad on the grid of the exit waves, from the first position to the
        last, as far as the network has it right also in its absolute value.
        ``details['coverage']`` is the sum of the patches' weights, 0 in blanks;
        ``details['outside']`` says what lies outside the training set;
        ``details['frame']`` and ``details['detector_coverage']`` how the patterns
        were brought to the network's grid.

    Raises
    ------
    InputError
        If the patches do not overlap (unless allowed), the beam is more than 2
        detector pixels off centre, intensities are not finite or are negative, or
        the weights cannot be used.

    Warns
    -----
    OutsideTraining
        Once, if something lies outside the training set.
    """
    if settings.repeat > 1:
        scan = repeated(scan, settings.repeat, settings.repeat_box)
    detector = Detector.of(scan)
    lines = math.ceil(settings.batch / scan.shape[1])
    live = start(scan.shape[:2], scan.step_angstrom, detector, optics, settings, lines)
    check_centre(sampled_mean_pattern(scan), detector)
    for i in range(scan.shape[0]):
        live.add(np.asarray(scan.intensities[i]))
    return live.finish()


def start(
    scan_shape: tuple[int, int],
    step_angstrom: tuple[float, float],
    detector: Detector,
    optics: Optics,
    settings: CNNSettings,
    lines_at_once: int = 1,
) -> LiveReconstruction:
    """A reconstruction that waits for its patterns, for use during an experiment.

    Parameters
    ----------
    scan_shape : (int, int)
        Positions along (slow, fast).
    step_angstrom : (float, float)
        Their distances.
    detector : Detector
    optics : Optics
    settings : CNNSettings
        With data repetition the patterns are expected summed: nothing is summed here.
    lines_at_once : int
        As for `LiveReconstruction`.

    Raises
    ------
    InputError
        As `reconstruct`, but for what only the patterns can tell. Whether the beam
        is centred, `rephase.phase.exit_wave.checks.check_centre` tells.

    Warns
    -----
    OutsideTraining
        Once, if something lies outside the training set.
    """
    if not settings.allow_gaps:
        check_overlap(optics, step_angstrom)
    weights = load_weights(settings.weights)
    frame = choose_frame(detector, optics, weights.ranges.aperture_px)
    resampling = Resampling(detector, frame, settings.device)
    repetition = settings.repeat, settings.repeat_box
    outside = outside_training(weights.ranges, optics, step_angstrom, resampling.coverage, *repetition)
    warn_outside(outside)
    return LiveReconstruction(
        scan_shape,
        step_angstrom,
        resampling,
        Predictor(weights.net, frame, step_angstrom, settings.device, settings.precision, settings.compiled),
        settings.batch,
        settings.threshold,
        lines_at_once,
        {"outside": outside, "frame": frame, "detector_coverage": resampling.coverage},
    )
