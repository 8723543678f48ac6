"""Sequences of patterns: abTEM's numbers for a frame, the physics of beams and crystals, time by time."""

import abtem
import ase
import numpy as np
import pytest
import torch

from rephase.errors import InputError
from rephase.microscope.optics import Optics
from rephase.microscope.probe import probe_spectrum
from rephase.microscope.sequence import acquire_sequence
from rephase.specimen.trajectory import Trajectory

BOX, GPTS = (7.8, 7.8, 11.7), (80, 80)
OPTICS = Optics(energy_ev=200e3, semiangle_mrad=8.0, defocus_angstrom=60.0)
AT = np.array([[0.3, 1.9], [4.4, 6.1], [2.0, 3.3]])
STEP_MRAD = 1e3 * OPTICS.wavelength_angstrom / BOX[0]
USUAL = {"detector_px": 33, "detector_mrad": 16.5 * STEP_MRAD, "slice_angstrom": 2.0, "gpts": GPTS}


def perovskite(cells=(2, 2, 3), times=3, seed=0):
    """Lead titanate whose titanium moves, a little disordered."""
    basis = np.array([(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)])
    corners = np.stack(np.meshgrid(*map(np.arange, cells), indexing="ij"), -1).reshape(-1, 1, 3)
    rest = 3.9 * (corners + basis + 0.1).reshape(-1, 3)
    rest += np.random.default_rng(seed).normal(0, 0.08, rest.shape)
    numbers = np.tile([82, 22, 8, 8, 8], len(corners))
    positions = np.repeat(rest[None], times, 0)
    positions[:, numbers == 22, 0] += np.linspace(0, 0.3, times)[:, None]
    return moving(numbers, positions, tuple(3.9 * n for n in cells))


def moving(numbers, positions, box=BOX, present=None):
    present = np.ones(positions.shape[:2], dtype=bool) if present is None else present
    times = np.arange(len(positions), dtype=np.float64)
    return Trajectory(numbers, positions, present, box, times)


def acquire(trajectory, at=AT, optics=OPTICS, **changed):
    return acquire_sequence(trajectory, optics, at, **(USUAL | changed))


def l2(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def test_a_frame_is_what_abtem_simulates():
    """On pixels of 0.04 angstrom, since abTEM spreads atoms between pixels over four of them."""
    trajectory, gpts = perovskite(times=2), (192, 192)
    atoms = ase.Atoms(trajectory.numbers, trajectory.positions[1], cell=BOX, pbc=True)
    potential = abtem.Potential(atoms, gpts=gpts, slice_thickness=1.95, parametrization="lobato")
    beam = abtem.Probe(energy=OPTICS.energy_ev, semiangle_cutoff=8.0, defocus=60.0, gpts=gpts, extent=BOX[:2])
    scanned = beam.scan(potential, abtem.CustomScan(AT), abtem.PixelatedDetector(max_angle="cutoff"))
    theirs, middle = scanned.compute().array, scanned.shape[-1] // 2
    theirs = theirs[:, middle - 16 : middle + 17, middle - 16 : middle + 17]
    ours = acquire(trajectory, gpts=gpts, slice_angstrom=1.95)[1]
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.999999
    assert l2(ours, theirs) < 1.5e-3


def test_without_atoms_the_disc_is_seen():
    """Atoms that are not present may be anywhere."""
    trajectory = perovskite(times=2)
    gone = moving(trajectory.numbers, -trajectory.positions, present=np.zeros((2, 60), dtype=bool))
    frames = acquire(gone)
    disc = np.fft.fftshift(probe_spectrum(OPTICS, GPTS, BOX[:2]).abs().square().numpy())[24:57, 24:57]
    assert frames.shape == (2, 3, 33, 33) and frames.dtype == np.float32
    np.testing.assert_allclose(frames, np.broadcast_to(disc, frames.shape), atol=1e-7)
    np.testing.assert_allclose(frames.sum((-2, -1)), 1, rtol=1e-5)


def test_a_knocked_on_atom_is_missing():
    trajectory, kept = perovskite(), np.arange(60) != 7
    present, positions = np.ones((3, 60), dtype=bool), trajectory.positions.copy()
    present[1:, 7], positions[2, 7] = False, -50.0
    frames = acquire(moving(trajectory.numbers, positions, present=present))
    without = acquire(moving(trajectory.numbers[kept], trajectory.positions[:, kept]))
    np.testing.assert_allclose(frames[0], acquire(trajectory)[0], atol=1e-7)
    np.testing.assert_allclose(frames[1:], without[1:], atol=1e-7)
    assert l2(frames[0], without[0]) > 0.005


def test_energy_is_conserved():
    """No pattern holds more than the beam, a wide detector nearly all: what a narrow one misses too."""
    wide = acquire(perovskite(), detector_px=51, detector_mrad=25.5 * STEP_MRAD)
    narrow = acquire(perovskite())
    np.testing.assert_allclose(narrow, wide[..., 9:42, 9:42], atol=1e-8)
    assert (wide.sum((-2, -1)) <= 1 + 1e-6).all() and (wide.sum((-2, -1)) > 0.98).all()
    assert (narrow.sum((-2, -1)) < wide.sum((-2, -1))).all() and narrow.min() >= 0


def test_coarse_pixels_gather_whole_fine_ones():
    coarse = acquire(perovskite(), detector_px=11)
    gathered = acquire(perovskite()).reshape(3, 3, 11, 3, 11, 3).sum((3, 5))
    np.testing.assert_allclose(coarse, gathered, atol=1e-7)


@pytest.mark.parametrize("pixels", [11, 12, 20, 21])
def test_any_pixel_keeps_the_beam_in_the_middle(pixels):
    """A frequency on a border is shared: the disc stays centred and whole."""
    nothing = moving(np.array([6]), np.zeros((1, 1, 3)), present=np.zeros((1, 1), dtype=bool))
    disc = acquire(nothing, detector_px=pixels, precision="float64")[0, 0]
    at = np.arange(pixels) - pixels // 2
    assert disc.sum() == pytest.approx(1, abs=1e-9)
    assert (at @ disc).sum() == pytest.approx(0, abs=1e-9) and (disc @ at).sum() == pytest.approx(0, abs=1e-9)


def test_pixels_are_square_in_a_box_that_is_not():
    box = (31.2, 46.8, 3.9)
    nothing = moving(np.array([6]), np.zeros((1, 1, 3)), box, np.zeros((1, 1), dtype=bool))
    disc = acquire(nothing, detector_mrad=16.0, detector_px=16, gpts=(96, 144))[0, 0]
    at = (np.arange(16) - 8) ** 2
    spread = np.sqrt([(at @ disc).sum(), (disc @ at).sum()])
    assert spread[0] == pytest.approx(spread[1], rel=0.01)
    assert spread[0] == pytest.approx(4.0 / 2, rel=0.05)  # of a disc: half its radius of 4 pixels


@pytest.mark.parametrize("pixels, tolerance", [((7, -11), 1e-5), ((0.4, 12.3), 2e-3)])
def test_moving_atoms_and_probe_together_changes_nothing(pixels, tolerance):
    trajectory, shift = perovskite(), np.array(pixels) * BOX[0] / GPTS[0]
    moved = moving(trajectory.numbers, trajectory.positions + [*shift, 0])
    assert l2(acquire(moved, AT + shift), acquire(trajectory)) < tolerance
    assert l2(acquire(moved), acquire(trajectory)) > 0.1


def test_single_precision_follows_double():
    single, double = acquire(perovskite()), acquire(perovskite(), precision="float64")
    assert double.dtype == np.float64
    assert l2(single, double) < 1e-5


def test_times_and_positions_do_not_know_of_each_other():
    """However they are grouped: many positions, or one; many frames, or one."""
    trajectory = perovskite(times=5)
    at = np.random.default_rng(3).uniform(0, 7.8, (11, 2))
    frames = acquire(trajectory, at)
    for time in (0, 4):
        alone = moving(trajectory.numbers, trajectory.positions[time : time + 1])
        np.testing.assert_allclose(acquire(alone, at[8:9])[0, 0], frames[time, 8], atol=1e-7)
    assert l2(frames[4], frames[0]) > 0.01


def test_atoms_that_cross_a_face_of_slices_do_not_make_patterns_jump():
    """Heights that change by less than a slice do not matter; the mean while present does."""
    still, times = perovskite(times=1), 4
    positions, present = np.repeat(still.positions, times, 0), np.ones((times, 60), dtype=bool)
    positions[:, :, 2] += np.array([-0.3, -0.1, 0.1, 0.3])[:, None]
    positions[3, 7, 2], present[3, 7] = 1e3, False
    frames = acquire(moving(still.numbers, positions.clip(0.0, BOX[2]), present=present))
    np.testing.assert_array_equal(frames[1:3], frames[:2])
    still.positions[0, 7, 2] -= 0.1
    np.testing.assert_allclose(frames[0], acquire(still)[0], atol=1e-7)


def test_a_repeating_box_is_given_once():
    once = perovskite((2, 2, 1))
    above = once.positions + [0, 0, 3.9]
    twice = moving(np.tile(once.numbers, 2), np.concatenate([once.positions, above], 1), (7.8, 7.8, 7.8))
    assert l2(acquire(once, repeats=2, slice_angstrom=3.9), acquire(twice, slice_angstrom=3.9)) < 1e-5


def test_thermal_displacements_stay_the_same_in_time_and_depend_on_the_seed():
    still = perovskite(times=1)
    resting = moving(still.numbers, np.repeat(still.positions, 3, 0))
    warm = {"thermal_rms_angstrom": {"Pb": 0.1, "Ti": 0.1, "O": 0.12}, "configurations": 2}
    frames, others = acquire(resting, **warm), acquire(resting, **warm, seed=1)
    np.testing.assert_array_equal(frames[1:], frames[:-1])
    assert l2(frames, acquire(resting)) > 0.01 and l2(frames, others) > 0.01
    np.testing.assert_array_equal(acquire(still, thermal_rms_angstrom=0.0, configurations=3), acquire(still))


def test_thermal_displacements_damp_bragg_beams_as_debye_and_waller_say():
    """A weak layer of N atoms: I(g) = N^2 exp(-2W) + N (1 - exp(-2W)) with 2W = (2 pi g rms)^2."""
    side, count, rms = 2.5, 6, 0.15
    grid = np.stack(np.meshgrid(*[side * np.arange(count)] * 2, indexing="ij"), -1).reshape(-1, 2)
    layer = np.concatenate([grid, np.ones((count**2, 1))], 1)[None]
    box, optics = (side * count, side * count, 2.0), Optics(energy_ev=300e3, semiangle_mrad=0.5)
    pixel = 1e3 * optics.wavelength_angstrom / box[0]
    common = {"detector_px": 41, "detector_mrad": 20.5 * pixel, "gpts": (90, 90)}
    trajectory = moving(np.full(count**2, 6), layer, box)
    resting = acquire(trajectory, AT[:1], optics, **common)[0, 0]
    rms_by_element = {"C": rms, "Au": 3.0}
    warm = acquire(
        trajectory, AT[:1], optics, thermal_rms_angstrom=rms_by_element, configurations=80, **common
    )[0, 0]
    for order in (1, 2):
        damped = np.exp(-4 * np.pi**2 * (order / side) ** 2 * rms**2)
        beams = [(20 + order * count, 20), (20, 20 - order * count)]
        found = np.mean([warm[beam] / resting[beam] for beam in beams])
        assert found == pytest.approx(damped + (1 - damped) / count**2, rel=0.1)


BAD = {
    "repeats": ({"repeats": 0}, "repeats: found 0"),
    "no grid": ({"gpts": None}, "gpts: found None, and pixel_angstrom None, expected one of the two"),
    "two grids": ({"pixel_angstrom": 0.1}, "expected one of the two"),
    "pixel": ({"gpts": None, "pixel_angstrom": -0.1}, "pixel_angstrom: found -0.1"),
    "slice": ({"slice_angstrom": 12.0}, "slice_angstrom: found slices of 12 angstrom in a depth of 11.7"),
    "no pixels": ({"detector_px": 0}, "detector_px: found 0"),
    "too fine": ({"detector_px": 40}, "no finer than the wave's frequencies"),
    "too wide": ({"detector_mrad": 90.0}, "detector_mrad: found 90.0, expected .* to 85.74 mrad, 2/3"),
    "disc cut": ({"detector_mrad": 7.0, "detector_px": 3}, "expected 8 mrad"),
    "rms": ({"thermal_rms_angstrom": {"Pb": 0.1, "Ti": 0.1}}, "also a displacement for O"),
    "configurations": ({"configurations": 0}, "configurations: found 0"),
    "position": ({"at": np.array([[0.0, np.nan]])}, "positions_angstrom: found"),
    "nowhere": ({"at": np.zeros((0, 2))}, "positions_angstrom: found"),
    "aperture": (
        {"optics": Optics(energy_ev=200e3, semiangle_mrad=90.0)},
        "detector_mrad: found .*, expected 90 mrad, to hold the bright-field disc .* to 85.74 mrad",
    ),
}


@pytest.mark.parametrize("wrong, message", BAD.values(), ids=BAD)
def test_bad_input(wrong, message):
    with pytest.raises(InputError, match=message):
        acquire(perovskite(), **wrong)


def test_largest_pixel_gives_a_grid_that_is_fast():
    by_pixel = acquire(perovskite(), gpts=None, pixel_angstrom=7.8 / 78.5)
    np.testing.assert_array_equal(by_pixel, acquire(perovskite()))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_agrees():
    assert l2(acquire(perovskite(), device="cuda"), acquire(perovskite())) < 1e-4
