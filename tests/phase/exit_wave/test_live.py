"""Reconstruction as patterns come: the same image as from the whole scan, three lines in memory."""

import h5py
import numpy as np
import pytest
import torch

from rephase.errors import InputError
from rephase.microscope.optics import Optics
from rephase.phase.exit_wave.frame import KERNEL, SIZE, Frame
from rephase.phase.exit_wave.live import LiveReconstruction
from rephase.phase.exit_wave.patches import Stitching
from rephase.phase.exit_wave.resample import Detector, Resampling

FRAME = Frame.of_aperture(Optics(energy_ev=300e3, semiangle_mrad=20.0), 10.0)
DETECTOR = Detector((SIZE, SIZE), (FRAME.pixel_mrad, FRAME.pixel_mrad), (32.0, 32.0))
SCAN, STEP = (7, 5), (0.3, 0.25)
BLUR = torch.tensor([[0.3, 0.7, 0.2], [0.5, 1.0, -0.4], [0.1, -0.6, 0.9]]).flatten()


class Stub:
    """In place of a network: a phase that each of the nine patterns has its own say in."""

    probe = FRAME.probe()

    def __init__(self):
        self.batches = []

    def __call__(self, patterns):
        self.batches.append(len(patterns))
        phase = torch.einsum("n,bnrc->brc", BLUR, patterns)
        return self.probe * torch.polar(torch.ones_like(phase), phase)


def scan(shape=SCAN) -> np.ndarray:
    return np.random.default_rng(0).random((*shape, SIZE, SIZE), dtype=np.float32)


def live(shape=SCAN, **options) -> LiveReconstruction:
    return LiveReconstruction(shape, STEP, Resampling(DETECTOR, FRAME), Stub(), **options)


def whole_scan_at_once(patterns) -> np.ndarray:
    """Every kernel from the padded scan, without streaming."""
    slow, fast = patterns.shape[:2]
    padded = np.pad(patterns, ((1, 1), (1, 1), (0, 0), (0, 0)), mode="edge")
    kernels = np.stack([padded[1 + i : 1 + i + slow, 1 + j : 1 + j + fast] for i, j in KERNEL], axis=2)
    stitching = Stitching(Stub.probe, FRAME.pixel_angstrom, (slow, fast), STEP)
    flat = torch.from_numpy(kernels.reshape(-1, 9, SIZE, SIZE))
    stitching.add(Stub()(flat), torch.arange(slow * fast))
    return stitching.image().values


@pytest.mark.parametrize("portion", [1, 3, 5, 12, 35])
@pytest.mark.parametrize("options", [{}, {"batch": 2}, {"batch": 11, "lines_at_once": 3}])
def test_any_portions_and_batches_give_the_image_of_the_whole_scan(portion, options):
    patterns, reconstruction = scan(), live(**options)
    flat = patterns.reshape(-1, SIZE, SIZE)
    for start in range(0, len(flat), portion):
        reconstruction.add(flat[start : start + portion])
    assert reconstruction.phase().values == pytest.approx(whole_scan_at_once(patterns), abs=1e-5)
    assert np.array_equal(reconstruction.finish().values, reconstruction.phase().values)
    assert reconstruction.reconstructed == 35


@pytest.mark.parametrize("portion", [1, 3, 12, 35])
@pytest.mark.parametrize("options", [{}, {"batch": 2}, {"batch": 11, "lines_at_once": 3}])
def test_counted_electrons_go_the_same_way_in_any_portions_and_batches(portion, options):
    coarse = Resampling(Detector((40, 40), (1.37 * FRAME.pixel_mrad,) * 2, (20.1, 19.8)), FRAME)
    counts = np.random.default_rng(0).poisson(0.3, (35, 40, 40)).astype(np.uint16)
    stub = Stub()
    whole = LiveReconstruction(SCAN, STEP, coarse, stub)
    whole.add(counts)
    parts = LiveReconstruction(SCAN, STEP, coarse, stub, **options)
    for start in range(0, len(counts), portion):
        camera = counts[start : start + portion].astype(np.float32)
        parts.add(camera)
        camera[:] = 7  # memory that the next patterns are written to
    assert parts.finish().values == pytest.approx(whole.finish().values, abs=1e-5)


@pytest.mark.parametrize("slow", [4, 40])
def test_three_lines_of_patterns_are_held_whatever_the_length_of_the_scan(slow):
    reconstruction = live((slow, 4))
    assert reconstruction.buffer.shape == (3, 4, SIZE, SIZE)
    assert reconstruction.incoming.shape == (4, *DETECTOR.shape)


def test_batches_are_filled_from_several_lines():
    reconstruction = live((8, 4), batch=12, lines_at_once=3)
    for line in scan((8, 4)):
        reconstruction.add(line)
    assert reconstruction.predict.batches == [12, 12, 8]
    assert len(reconstruction.buffer) == 5


def test_a_data_set_on_disk_is_read_line_by_line(tmp_path):
    patterns, reconstruction = scan(), live()
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        data = file.create_dataset("patterns", data=patterns, chunks=(1, 5, SIZE, SIZE))
        for i in range(SCAN[0]):
            reconstruction.add(data[i])
    assert reconstruction.finish().values == pytest.approx(whole_scan_at_once(patterns), abs=1e-5)


def test_the_phase_so_far_is_that_of_the_complete_lines():
    patterns, reconstruction = scan(), live()
    assert not reconstruction.phase().details["coverage"].any()
    reconstruction.add(patterns[:4].reshape(-1, SIZE, SIZE))
    image = reconstruction.phase()
    assert image.details["reconstructed"] == 15
    seen = image.details["coverage"].sum(1) > 0
    lines = np.arange(len(seen)) * FRAME.pixel_angstrom / STEP[0]
    assert seen[lines < 2].all() and not seen[lines > 5].any()
    reconstruction.add(patterns[4:].reshape(-1, SIZE, SIZE))
    assert reconstruction.phase().values == pytest.approx(whole_scan_at_once(patterns), abs=1e-5)


def test_a_scan_that_ends_early_gives_its_complete_lines():
    patterns, reconstruction = scan(), live()
    reconstruction.add(patterns.reshape(-1, SIZE, SIZE)[: 4 * 5 + 2])
    image, shorter = reconstruction.finish(), whole_scan_at_once(patterns[:4])
    assert image.details["reconstructed"] == 20
    assert image.values[: len(shorter)] == pytest.approx(shorter, abs=1e-5)


def test_impossible_patterns_are_refused():
    reconstruction, patterns = live(), scan().reshape(-1, SIZE, SIZE)
    with pytest.raises(InputError, match="0 of 5 patterns of the first line, expected at least one line"):
        reconstruction.finish()
    with pytest.raises(InputError, match="NaN"):
        reconstruction.add(np.full((1, SIZE, SIZE), np.nan))
    with pytest.raises(InputError, match="negative"):
        reconstruction.add(-patterns[:1])
    reconstruction.add(patterns)
    with pytest.raises(InputError, match="1 more, expected at most 0, which the scan lacks"):
        reconstruction.add(patterns[:1])
