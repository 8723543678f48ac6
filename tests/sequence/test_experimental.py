"""Each thing that an experiment does to frames can be seen in them, and nothing else changes."""

import numpy as np
import pytest
from scipy import ndimage

from rephase.errors import InputError
from rephase.sequence.experimental import ExperimentalSettings, drift, record, repaired

TIMES = np.linspace(0, 2, 30)
NOTHING = {"electrons": 1e12, "mtf_at_nyquist": 1.0, "gain_spread": 0.0, "hot": 0}
NOTHING |= {"drift_px": 0.0, "scan_drift": 0.0}


def frames(positions=4, size=24):
    """Smooth discs that move with the position and grow in time."""
    row, col = np.indices((size, size)) - size // 2
    radius = (5 + TIMES)[:, None, None, None]
    away = np.hypot(row, col - 0.7 * np.arange(positions)[:, None, None])
    disc = 1 / (1 + np.exp((away - radius) / 0.8))
    return (disc / disc.sum(axis=(2, 3), keepdims=True)).astype(np.float32)


def recorded(settings, given=None):
    return record(TIMES, frames() if given is None else given, ExperimentalSettings(**(NOTHING | settings)))


def test_an_ideal_experiment_changes_nothing():
    found = recorded({})
    assert found.frames == pytest.approx(frames(), rel=1e-3, abs=1e-6)
    assert found.expected == pytest.approx(frames(), abs=1e-8)
    assert found.frames.dtype == np.float32


def test_electrons_are_counted():
    found = recorded({"electrons": 500.0})
    counts = found.frames * 500
    assert counts == pytest.approx(np.round(counts), abs=1e-3)
    bright = frames() * 500 > 2
    deviation = (counts - frames() * 500)[bright] / np.sqrt(frames()[bright] * 500)
    assert deviation.std() == pytest.approx(1, abs=0.03) and deviation.mean() == pytest.approx(0, abs=0.03)
    assert found.expected == pytest.approx(frames(), abs=1e-8)


def test_the_detector_blurs_what_it_records_but_not_the_truth():
    stripes = np.broadcast_to(1 + (-1.0) ** np.arange(24), (30, 4, 24, 24)).astype(np.float32) / 576
    found = recorded({"mtf_at_nyquist": 0.3}, stripes)
    assert np.ptp(found.frames[..., 8:16]) / np.ptp(stripes) == pytest.approx(0.3, rel=0.01)
    assert found.expected == pytest.approx(stripes)


def test_gain_is_of_the_pixel():
    bright = (frames() > 1e-4).all(axis=(0, 1))
    ratio = (recorded({"gain_spread": 0.1}).frames / frames())[..., bright]
    gain = ratio.mean(axis=(0, 1))
    assert ratio == pytest.approx(np.broadcast_to(gain, ratio.shape), rel=2e-3)
    assert gain.std() == pytest.approx(0.1, rel=0.25)


def test_hot_pixels_stay_where_they_are():
    found = recorded({"hot": 5, "hot_factor": 2.0})
    hot = (found.frames > 1.5 * frames().max()).reshape(-1, 24, 24)
    assert hot[0].sum() == 5 and (hot == hot[0]).all()
    assert found.frames[:, :, hot[0]] == pytest.approx(2 * frames().max(), rel=1e-3)
    assert found.expected == pytest.approx(frames(), abs=1e-8)


def test_the_pattern_drifts_and_the_truth_with_it():
    settings = ExperimentalSettings(**(NOTHING | {"drift_px": 1.0, "seed": 3}))
    found = record(TIMES, frames(), settings)
    seed = np.random.SeedSequence(3).spawn(5)[1]
    for time, (down, along) in enumerate(drift(TIMES, 1.0, seed)):
        for sequence in (found.frames, found.expected):
            centre = np.array(ndimage.center_of_mass(sequence[time, 1])) - 12
            at_rest = np.array(ndimage.center_of_mass(frames()[time, 1])) - 12
            assert centre - at_rest == pytest.approx([down, along], abs=0.05)


def test_the_probe_drifts_between_positions():
    ramp = np.broadcast_to(np.arange(9.0)[:, None, None], (30, 9, 4, 4)).astype(np.float32)  # 3 x 3 positions
    found = recorded({"scan_drift": 0.3, "seed": 1}, ramp).expected[:, 4, 0, 0]
    down, along = drift(TIMES, 0.3, np.random.SeedSequence(1).spawn(5)[0]).T
    assert np.abs([down, along]).max() < 1
    assert found == pytest.approx(4 + 3 * down + along, abs=1e-5)


def test_a_drift_is_a_random_walk_whatever_the_times():
    uneven = np.cumsum(np.random.default_rng(0).uniform(0.01, 1, 50))
    walks = np.stack([drift(uneven, 2.0, seed) for seed in range(2000)])
    assert (walks[:, 0] == 0).all()
    share = (uneven - uneven[0]) / np.ptp(uneven)
    assert walks.var(axis=(0, 2)) == pytest.approx(4 * share, rel=0.1, abs=1e-9)


def test_the_same_seed_records_the_same_and_says_it_is_simulated():
    settings = ExperimentalSettings(seed=5)
    one, two = record(TIMES, frames(), settings), record(TIMES, frames(), settings)
    other = record(TIMES, frames(), ExperimentalSettings(seed=6))
    assert np.array_equal(one.frames, two.frames) and (one.frames != other.frames).any()
    assert one.lineage == {"simulated": True, "experimental": settings.model_dump()}


def test_one_setting_leaves_the_others_alone():
    calm, hot = (
        recorded({"electrons": 500.0, "gain_spread": 0.05, "hot": number}).frames for number in (0, 4)
    )
    assert (calm == hot).all(axis=(0, 1)).sum() == 24 * 24 - 4


@pytest.mark.parametrize(
    ("message", "settings", "change"),
    [
        ("frames: found -1 at", {}, lambda f: np.where(f == f.max(), np.float32(-1), f)),
        ("frames: found nan at", {}, lambda f: np.where(f == f.max(), np.float32(np.nan), f)),
        ("scan_shape: found 1 x 1 positions, expected the 3", {"scan_drift": 0.1}, lambda f: f[:, :3]),
        ("scan_shape: found 3 x 2 positions", {"scan_drift": 0.1, "scan_shape": (3, 2)}, lambda f: f),
        ("defects: found 600 hot", {"hot": 600}, lambda f: f),
        ("frames: found 29 at 30 times", {}, lambda f: f[1:]),
    ],
)
def test_what_cannot_be_recorded_is_refused(message, settings, change):
    with pytest.raises(InputError, match=message):
        recorded(settings, change(frames()))


def test_stuck_pixels_are_repaired_and_nothing_else():
    """Also where few frames are observed; what is hidden stays as it was."""
    settings = NOTHING | {"electrons": 1e4, "hot": 5, "seed": 3}
    without = record(TIMES, frames(), ExperimentalSettings(**settings | {"hot": 0})).frames
    broken = record(TIMES, frames(), ExperimentalSettings(**settings)).frames
    mask = np.zeros(broken.shape[:2], bool)
    mask[[4, 20]] = True
    mended = repaired(broken, mask)
    assert np.array_equal(mended[~mask], broken[~mask])
    changed = (mended != broken).any(axis=(0, 1))
    hot = (broken != without).all(axis=(0, 1))
    assert changed.sum() == 5 and np.array_equal(changed, hot)
    assert np.abs(mended - without)[mask].max() < 0.2 * np.abs(broken - without)[mask].max()
    assert np.array_equal(repaired(without, mask), without)
