"""The reconstruction by a network: what it accepts, warns of and refuses, and that it only streams."""

import warnings

import numpy as np
import pytest
import torch

from rephase.calibrate import level
from rephase.errors import InputError
from rephase.files import open_scan, write_scan
from rephase.measurement import Scan
from rephase.microscope.acquire import acquire_phase_object
from rephase.microscope.field import Field
from rephase.phase.exit_wave.checks import OutsideTraining, outside_training, probe_diameter
from rephase.phase.exit_wave.frame import SIZE, Frame
from rephase.phase.exit_wave.live import LiveReconstruction
from rephase.phase.exit_wave.method import CNNSettings, reconstruct, start
from rephase.phase.exit_wave.network import Architecture, ExitWaveNet
from rephase.phase.exit_wave.repetition import repeated
from rephase.phase.exit_wave.resample import Detector, Resampling, choose_frame
from rephase.phase.exit_wave.sampling import Ranges
from rephase.phase.exit_wave.weights import save_weights

LENS = Ranges().optics(300e3, 20.0)
SIDE = Frame.of_aperture(LENS, 10.0).box_angstrom
FIELD = Field((SIDE, SIDE), (96, 96), (16, 16), (SIZE, SIZE))
ATOMS_PX = [(20, 25), (60, 70), (75, 30)]


@pytest.fixture(scope="module")
def atoms():
    """Phase of three blurred atoms on the grid of the waves, in rad."""
    phase = np.zeros(FIELD.gpts)
    for at in ATOMS_PX:
        row, col = ((np.arange(96) - centre + 48) % 96 - 48 for centre in at)
        phase += 0.4 * np.exp(-(row[:, None] ** 2 + col[None, :] ** 2) / (2 * 4.0**2))
    return phase


@pytest.fixture(scope="module")
def scan(atoms):
    patterns = acquire_phase_object(atoms, {"scan": LENS}, FIELD, "cpu", soft=True)["scan"]
    return Scan(patterns, FIELD.step_angstrom, FIELD.detector_pixel_mrad(LENS))


@pytest.fixture(scope="module")
def few(scan):
    """Some of its positions, to be quick."""
    return scan.with_intensities(scan.intensities[3:9, 4:9])


def stored_network(folder, representation, ranges=None):
    """A network with random weights whose scales are as large as a trained network's."""
    torch.manual_seed(0)
    net = ExitWaveNet(Architecture(channels=4, representation=representation))
    for head in (net.body.amplitude, net.body.phase):
        head.scale.data.fill_(0.1)
    save_weights(folder / "net.safetensors", net, ranges or Ranges(), {})
    return folder / "net.safetensors"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return stored_network(tmp_path_factory.mktemp("weights"), "paper")


def image(scan, weights, optics=LENS, **settings):
    return reconstruct(scan, optics, CNNSettings(weights=weights, **settings))


class DeflectionOnly:
    """In place of a network: the phase's slope at the probe, from the central pattern's centre of mass."""

    def __init__(self, frame: Frame):
        self.probe = frame.probe()

    def __call__(self, patterns):
        pixel = torch.arange(SIZE) - SIZE // 2
        central = patterns[:, 4]
        total = central.sum((1, 2))
        slow, fast = (central.sum(axis) @ pixel.float() / total for axis in (2, 1))
        cycles = (slow[:, None, None] * pixel[:, None] + fast[:, None, None] * pixel) / SIZE
        return self.probe * torch.polar(torch.ones_like(cycles), 2 * torch.pi * cycles)


@pytest.mark.parametrize("turned", [False, True])
def test_atoms_lie_where_they_are_and_are_bright(scan, atoms, turned):
    if turned:  # the detector's rows along the scan's fast axis, its columns against the slow one
        rows = np.roll(np.flip(scan.intensities, 2), 1, axis=2)
        scan = scan.with_intensities(np.ascontiguousarray(rows.swapaxes(2, 3)), rotation_deg=90.0)
    detector = Detector.of(scan)
    frame = choose_frame(detector, LENS)
    live = LiveReconstruction(
        scan.shape[:2], scan.step_angstrom, Resampling(detector, frame), DeflectionOnly(frame)
    )
    live.add(scan.intensities.reshape(-1, SIZE, SIZE))
    found = live.finish()
    pixel = FIELD.pixel_angstrom[0]
    for row, col in ATOMS_PX:
        at = tuple(round(n * pixel / found.pixel_angstrom[0]) for n in (row, col))
        around = found.values[at[0] - 5 : at[0] + 6, at[1] - 5 : at[1] + 6]
        peak = np.unravel_index(around.argmax(), around.shape)
        assert around.max() > 0.05
        assert np.abs(np.array(peak) - 5).max() <= 1


def test_the_image_reaches_from_the_first_position_to_the_last(scan, weights):
    found = image(scan, weights)
    pixel, length = found.pixel_angstrom[0], 15 * FIELD.step_angstrom[0]
    assert found.values.shape == (round(length / pixel) + 1,) * 2
    assert found.origin_angstrom == (0.0, 0.0)
    assert np.isfinite(found.values).all() and found.values.std() > 0
    assert found.details["frame"].aperture_px == pytest.approx(10)
    assert found.details["outside"] == {}


@pytest.mark.parametrize("batch", [1, 7, 100, 512])
def test_batches_change_nothing(few, weights, batch):
    assert image(few, weights, batch=batch).values == pytest.approx(image(few, weights).values, abs=1e-4)


def test_a_network_of_the_other_representation_is_used_in_the_same_way(few, tmp_path):
    found = image(few, stored_network(tmp_path, "real_space"))
    assert np.isfinite(found.values).all() and found.values.std() > 0


def test_bfloat16_is_close(few, weights):
    full, half = (image(few, weights, precision=name).values for name in ("float32", "bfloat16"))
    assert not np.array_equal(full, half)
    assert np.corrcoef(full.ravel(), half.ravel())[0, 1] > 0.99


def test_a_measurement_file_is_read_line_by_line(few, weights, tmp_path):
    write_scan(tmp_path / "scan.emd", few, LENS)
    stored, optics = open_scan(tmp_path / "scan.emd")

    class Lines:
        shape, dtype = stored.shape, stored.intensities.dtype

        def __getitem__(self, index):
            assert isinstance(index, int)
            return stored.intensities[index]

    found = image(stored.with_intensities(Lines()), weights, optics)
    assert np.array_equal(found.values, image(few, weights).values)


def test_live_gives_what_the_whole_scan_gives(few, weights):
    settings = CNNSettings(weights=weights)
    live = start(few.shape[:2], few.step_angstrom, Detector.of(few), LENS, settings)
    for pattern in few.intensities.reshape(-1, SIZE, SIZE):
        live.add(pattern[None])
    assert live.finish().values == pytest.approx(image(few, weights).values, abs=1e-4)


def test_what_lies_outside_the_training_set_is_warned_of_once(few, weights):
    optics = LENS.model_copy(update={"semiangle_mrad": 4.0, "energy_ev": 310e3})
    coarse = few.with_intensities(few.intensities, step_angstrom=(1.5, 1.5), pixel_mrad=(0.4, 0.4))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = image(coarse, weights, optics)
    assert [warning.category for warning in caught] == [OutsideTraining]
    text = str(caught[0].message)
    assert "semiangle_mrad: 4 mrad, 0.8 times the lowest, 5" in text
    assert "energy_ev" in text and "1.03 times the highest" in text
    assert "step_angstrom: 1.5 angstrom, 1.06 times the highest" in text
    assert np.isfinite(found.values).all() and len(found.details["outside"]) >= 3


def test_unequal_steps_and_a_small_detector_are_outside(few, weights):
    cut = few.with_intensities(
        few.intensities[..., 16:48, 16:48], step_angstrom=(0.3, 0.4), centre_px=(16.0, 16.0)
    )
    with pytest.warns(OutsideTraining, match="steps: 0.3 and 0.4 angstrom.*detector: covers 3[0-9] %"):
        image(cut, weights)


@pytest.mark.parametrize(
    "share, repeat, box, found",
    [
        (0.1, 1, 5, None),
        (0.0, 1, 5, None),
        (0.1, 2, 5, None),
        (0.0, 2, 5, "sums of 5 x 5 patterns at 2 times the step, trained without repetition"),
        (0.1, 2, 3, "sums of 3 x 3 patterns at 2 times the step, trained on 5 x 5 at 2 times the step"),
        (0.1, 3, 5, "sums of 5 x 5 patterns at 3 times the step, trained on 5 x 5 at 2 times the step"),
    ],
)
def test_sums_of_patterns_unlike_those_trained_on_are_outside(share, repeat, box, found):
    ranges = Ranges(repeated_share=share)
    outside = outside_training(ranges, LENS, (0.3, 0.3), 1.0, repeat, box)
    assert outside == ({} if found is None else {"repetition": found})


def test_repetition_is_warned_of_with_all_the_rest(few, tmp_path):
    path = stored_network(tmp_path, "paper", Ranges(repeated_share=0.0))
    few = few.with_intensities(few.intensities, step_angstrom=(0.2, 0.25))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = image(few, path, repeat=2)
    assert [warning.category for warning in caught] == [OutsideTraining]
    assert list(found.details["outside"]) == ["steps", "repetition"]
    assert "repetition: sums of 5 x 5 patterns" in str(caught[0].message)


def test_counted_electrons_reach_the_network_whole(few):
    seen = []

    class Watched(DeflectionOnly):
        def __call__(self, patterns):
            seen.append(patterns)
            return super().__call__(patterns)

    binned = few.intensities[..., 2:62, 2:62] * 300
    counts = np.random.default_rng(0).poisson(binned).astype(np.float32)
    pixel = tuple(1.3 * size for size in few.pixel_mrad)
    counted = few.with_intensities(counts, pixel_mrad=pixel, centre_px=(30.2, 29.9), unit="electrons")
    for scan in (counted, repeated(counted, 2, 3)):
        detector = Detector.of(scan)
        frame = Frame.of_aperture(LENS, 10.0)
        live = LiveReconstruction(
            scan.shape[:2], scan.step_angstrom, Resampling(detector, frame), Watched(frame)
        )
        for i in range(scan.shape[0]):
            live.add(scan.intensities[i])
        whole = torch.cat(seen)
        assert torch.equal(whole, whole.round()) and whole.sum() > 0
        seen.clear()


def test_a_step_wider_than_the_probe_is_refused_unless_asked_for(scan, weights):
    assert probe_diameter(LENS) == pytest.approx(1.2, abs=0.01)  # the paper's 1.2 angstrom at 300 kV, 20 mrad
    coarse = scan.with_intensities(scan.intensities[:4, :4], step_angstrom=(1.6, 1.6))
    with pytest.raises(InputError, match="over the step of 0.75.*allow_gaps=True"):
        image(coarse, weights)
    with pytest.warns(OutsideTraining, match="step_angstrom"):
        found = image(coarse, weights, allow_gaps=True)
    assert (found.details["coverage"] == 0).any()


def test_a_beam_off_centre_is_refused_and_centred(scan, weights):
    shifted = scan.with_intensities(np.roll(scan.intensities, (3, -1), axis=(2, 3)))
    with pytest.raises(InputError, match=r"\+3.0 px along rows and -1.0 px.*rephase.calibrate.level"):
        image(shifted, weights)
    assert np.isfinite(image(level(shifted), weights).values).all()


def test_a_beam_less_than_two_pixels_off_is_taken(few, weights):
    image(few.with_intensities(np.roll(few.intensities, (1, -1), axis=(2, 3))), weights)


def test_data_repetition_doubles_the_step(scan, weights):
    scan = scan.with_intensities(scan.intensities, step_angstrom=(0.3, 0.3))
    fine, coarse = image(scan, weights), image(scan, weights, repeat=2)
    assert coarse.pixel_angstrom == fine.pixel_angstrom
    expected = round(14 * 0.3 / fine.pixel_angstrom[0]) + 1
    assert coarse.values.shape == (expected, expected)


def test_intensities_that_are_not_finite_are_refused(few, weights):
    broken = few.intensities.copy()
    broken[-2, 3, 10, 10] = np.nan
    with pytest.raises(InputError, match="finite"):
        image(few.with_intensities(broken), weights)


def test_missing_weights_are_one_line(few, tmp_path):
    with pytest.raises(InputError, match="none.safetensors: found no such file"):
        image(few, tmp_path / "none.safetensors")
