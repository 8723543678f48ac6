"""Patterns on the frame: counts, geometry, and the choice of the frame."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rephase.errors import InputError
from rephase.measurement import detector_to_scan
from rephase.microscope.optics import Optics
from rephase.phase.exit_wave.frame import SIZE, Frame
from rephase.phase.exit_wave.resample import Detector, Resampling, choose_frame

LENS = Optics(energy_ev=200e3, semiangle_mrad=20.0)
FRAME = Frame.of_aperture(LENS, 10.0)


def disc(detector: Detector, radius_mrad: float, offset_mrad=(0.0, 0.0), subpixels: int = 8) -> np.ndarray:
    """A disc of intensity 1 per detector pixel, at an angle given along the scan's axes."""
    axes = [
        (np.arange(n * subpixels) + 0.5) / subpixels - 0.5 - centre
        for n, centre in zip(detector.shape, detector.centre_px, strict=True)
    ]
    on_detector = np.stack(np.meshgrid(*axes, indexing="ij")) * np.array(detector.pixel_mrad)[:, None, None]
    turn = detector_to_scan(detector.rotation_deg, detector.mirrored)
    slow, fast = np.tensordot(turn, on_detector, axes=1)
    inside = np.hypot(slow - offset_mrad[0], fast - offset_mrad[1]) <= radius_mrad
    return inside.reshape(detector.shape[0], subpixels, detector.shape[1], subpixels).mean((1, 3))


def on_frame(detector: Detector, pattern: np.ndarray, frame: Frame = FRAME) -> np.ndarray:
    return Resampling(detector, frame)(pattern[None])[0].numpy()


def centre_and_radius(pattern: np.ndarray) -> tuple[float, float, float]:
    """Centre of mass, and the radius of a uniform disc with this second moment."""
    row, col = np.indices(pattern.shape)
    mean = [float((pattern * axis).sum() / pattern.sum()) for axis in (row, col)]
    spread = ((row - mean[0]) ** 2 + (col - mean[1]) ** 2) * pattern
    return *mean, math.sqrt(2 * spread.sum() / pattern.sum())


@pytest.mark.parametrize("aperture_px, factor", [(10.0, 1), (11.3, 1), (20.4, 2), (33.0, 3), (100.0, 10)])
def test_a_frame_is_binned_from_whole_pixels_where_it_can_be(aperture_px, factor):
    pixel = LENS.semiangle_mrad / aperture_px
    frame = choose_frame(Detector((256, 256), (pixel, pixel), (128.0, 128.0)), LENS)
    assert frame.pixel_mrad == pytest.approx(factor * pixel)
    assert 9 <= frame.aperture_px <= 11.5


@pytest.mark.parametrize("aperture_px", [4.0, 8.9, 11.6, 17.0])
def test_other_detectors_get_the_typical_frame(aperture_px):
    pixel = LENS.semiangle_mrad / aperture_px
    frame = choose_frame(Detector((64, 64), (pixel, pixel), (32.0, 32.0)), LENS)
    assert frame.aperture_px == pytest.approx(10)


def test_a_detector_with_the_frames_pixels_is_taken_as_it_is():
    pattern = np.random.default_rng(0).random((SIZE, SIZE), dtype=np.float32)
    detector = Detector((SIZE, SIZE), (FRAME.pixel_mrad, FRAME.pixel_mrad), (32.0, 32.0))
    assert on_frame(detector, pattern) == pytest.approx(pattern, abs=1e-6)


@given(
    zoom=st.floats(0.12, 3.0),
    aspect=st.floats(0.7, 1.4),
    rotation=st.floats(-180, 180),
    mirrored=st.booleans(),
    shift=st.tuples(st.floats(-3, 3), st.floats(-3, 3)),
)
def test_counts_are_conserved(zoom, aspect, rotation, mirrored, shift):
    detector = Detector(
        (18, 24),
        (zoom * FRAME.pixel_mrad, zoom * aspect * FRAME.pixel_mrad),
        (9 + shift[0] / 3, 12 + shift[1] / 3),
        rotation,
        mirrored,
    )
    resampling = Resampling(detector, FRAME)
    given = resampling.weights.sum(axis=0)
    assert np.all(given < 1 + 1e-9)
    reach = math.hypot(12, 16) * zoom * max(1, aspect) + 2
    if reach < SIZE // 2 - 1:
        assert given == pytest.approx(np.ones_like(given))


def test_resampling_is_linear():
    detector = Detector((40, 50), (2.0, 1.7), (21.3, 24.1), 30.0)
    resampling, rng = Resampling(detector, FRAME), np.random.default_rng(1)
    first, second = rng.random((2, 1, 40, 50))
    both = resampling(2 * first + second)
    assert torch.allclose(both, 2 * resampling(first) + resampling(second), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("zoom", [0.21, 0.5, 0.83, 1.4])
@pytest.mark.parametrize("rotation, mirrored", [(0.0, False), (90.0, True), (37.0, False), (-110.0, True)])
def test_a_disc_keeps_its_centre_radius_and_counts(zoom, rotation, mirrored):
    pixels = round(44 / zoom)
    pixel = zoom * FRAME.pixel_mrad
    detector = Detector(
        (pixels, pixels), (pixel, pixel), (pixels / 2 + 0.3, pixels / 2 - 0.8), rotation, mirrored
    )
    offset = (3.2 * FRAME.pixel_mrad, -1.4 * FRAME.pixel_mrad)
    pattern = disc(detector, LENS.semiangle_mrad, offset)
    seen = on_frame(detector, pattern)
    row, col, radius = centre_and_radius(seen)
    assert (row, col) == pytest.approx((32 + 3.2, 32 - 1.4), abs=0.03)
    assert radius == pytest.approx(10, abs=0.15)
    assert seen.sum() == pytest.approx(pattern.sum(), rel=1e-5)


def test_a_turned_and_mirrored_detector_gives_the_same_patterns():
    pixel = (0.4 * FRAME.pixel_mrad, 0.45 * FRAME.pixel_mrad)
    turned = Detector((150, 150), pixel, (74.2, 75.9), 23.0, True)
    straight = Detector((150, 150), pixel, (75.0, 75.0))
    scattered = [(LENS.semiangle_mrad, (0.0, 0.0)), (0.5 * LENS.semiangle_mrad, (18.0, -7.0))]
    seen = [sum(disc(d, *one) for one in scattered) for d in (turned, straight)]
    first, second = (on_frame(d, pattern) for d, pattern in zip((turned, straight), seen, strict=True))
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.999
    assert np.abs(first - second).sum() < 0.02 * second.sum()


def test_what_a_small_detector_does_not_reach_is_empty_and_reported():
    pixel = FRAME.pixel_mrad
    small = Resampling(Detector((32, 32), (pixel, pixel), (16.0, 16.0)), FRAME)
    assert small.coverage == pytest.approx(32**2 / (math.pi * 32**2), rel=0.02)
    seen = small(np.ones((1, 32, 32)))[0]
    assert seen[16:48, 16:48].min() == pytest.approx(1)
    assert seen.sum() == pytest.approx(32**2)
    whole = Resampling(Detector((200, 200), (pixel / 2, pixel / 2), (100.0, 100.0), 45.0), FRAME)
    assert whole.coverage == pytest.approx(1, abs=1e-3)


def test_patterns_of_another_shape_are_refused():
    resampling = Resampling(Detector((32, 32), (2.0, 2.0), (16.0, 16.0)), FRAME)
    with pytest.raises(InputError, match=r"patterns: found \(32, 30\), expected \(32, 32\) pixels"):
        resampling(np.ones((1, 32, 30)))


def test_electrons_stay_whole_and_fractions_are_shared_out():
    detector = Detector((40, 40), (1.3 * FRAME.pixel_mrad,) * 2, (19.7, 20.2))
    resampling, counts = Resampling(detector, FRAME), np.zeros((2, 40, 40))
    counts[:, 17:22, 20] = [1, 2, 0, 30, 1]
    seen = resampling(counts).numpy()
    assert np.array_equal(seen, seen.round()) and np.array_equal(seen.sum((1, 2)), [34, 34])
    shared = (resampling.weights @ counts.reshape(2, -1).T).T.reshape(seen.shape)
    assert not np.allclose(seen, shared) and not seen[shared == 0].any()
    assert np.allclose(resampling(counts / 7), shared / 7, atol=1e-6)


def test_nothing_is_random_where_each_pixel_lies_in_one_of_the_frame():
    detector = Detector((192, 192), (FRAME.pixel_mrad / 3,) * 2, (97.0, 97.0))
    counts = np.random.default_rng(0).poisson(0.5, (2, 192, 192))
    binned = counts.reshape(2, 64, 3, 64, 3).sum((2, 4))
    assert Resampling(detector, FRAME)(counts).numpy() == pytest.approx(binned, abs=1e-5)


@pytest.mark.parametrize("dtype", ["u1", "u2", "<u4", ">u2", "f8", ">f4"])
def test_counts_of_any_type_are_taken(dtype):
    counts = np.random.default_rng(0).poisson(3, (2, SIZE, SIZE)).astype(dtype)
    resampling = Resampling(Detector((SIZE, SIZE), (FRAME.pixel_mrad,) * 2, (32.0, 32.0)), FRAME)
    assert np.array_equal(resampling(counts).numpy(), counts.astype(np.float32))
