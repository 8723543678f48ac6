"""Frames of a sequence: still where nothing moves, tilted as Bragg has it; structure factors of the cell."""

import numpy as np
import pytest
import torch

from rephase.microscope.optics import wavelength
from rephase.microscope.potential import scattering_factor
from rephase.sequence.processes import Recording, crystal, draw
from rephase.sequence.simulate import pixel_angstrom, simulate, structure, trajectory

RECORDING = Recording(frames=3, frame_s=30.0)
CASES = (("transition", "BaTiO3"), ("dislocation", "Al"), ("damage", "Si"))


def settings(process, material, seed=1, thickness=30.0, motion=None, **changes):
    one = draw(process, material, "train", seed, RECORDING)
    moved = one.motion.model_copy(update={"thickness_angstrom": thickness} | (motion or {}))
    return one.model_copy(update={"motion": moved, "thickness_angstrom": thickness} | changes)


@pytest.mark.parametrize(("process", "material"), CASES)
def test_frames_are_fractions_of_the_beam_that_change(process, material):
    found = simulate(settings(process, material))
    assert found.frames.shape == (3, 4, 32, 32) and found.frames.dtype == np.float32
    assert found.frames.min() >= 0
    totals = found.frames.sum((-2, -1))
    assert totals.min() > 0.5 and totals.max() <= 1 + 1e-5
    assert found.times.tolist() == [0.0, 30.0, 60.0]
    assert np.abs(np.diff(found.frames, axis=0)).max() > 1e-4
    assert len(np.unique(found.frames[0].reshape(4, -1), axis=0)) == 4


@pytest.mark.parametrize(("process", "material"), CASES)
def test_where_nothing_happens_nothing_changes(process, material):
    when = {"transition": "onset_s", "dislocation": "arrival_s", "damage": "start_s"}[process]
    frames = simulate(settings(process, material, motion={when: 1e6})).frames
    np.testing.assert_array_equal(frames, np.broadcast_to(frames[:1], frames.shape))


def test_the_same_settings_give_the_same_frames_and_others_do_not():
    one = settings("dislocation", "Al")
    frames = simulate(one).frames
    np.testing.assert_array_equal(simulate(one).frames, frames)
    other = simulate(one.model_copy(update={"phonon_seed": one.phonon_seed + 1})).frames
    assert not np.array_equal(other, frames)


def test_a_tilt_moves_each_layer_by_its_height_and_atoms_keep_their_paths():
    upright, tilted = (
        trajectory(settings("dislocation", "Al", tilt_mrad=tilt), RECORDING.times)
        for tilt in ((0.0, 0.0), (8.0, -3.0))
    )
    moved = tilted.positions - upright.positions
    heights = upright.positions[..., 2] - upright.box_angstrom[2] / 2
    np.testing.assert_allclose(moved[..., 0], 8e-3 * heights, atol=1e-5)
    np.testing.assert_allclose(moved[..., 1], -3e-3 * heights, atol=1e-5)
    assert not moved[..., 2].any()


@pytest.mark.parametrize("axis", [0, 1])
def test_planes_that_lean_towards_an_axis_reflect_the_beam_there(axis):
    """At Bragg's angle of the planes (300) one of a pair of reflections is excited, the other is not."""
    length, spacing = wavelength(200e3), 4.006 / 3
    still = {"onset_s": 1e6, "zone_axis": (0, 0, 1), "sweep_s": 0.0}
    one = settings("transition", "BaTiO3", thickness=60.0, motion=still).model_copy(
        update={
            "energy_ev": 200e3,
            "pixel_mrad": 1e3 * length / RECORDING.box_angstrom,
            "semiangle_mrad": 1e3 * length * 0.08,
            "tilt_mrad": tuple(np.eye(2)[axis] * 1e3 * length / spacing / 2),
            "recording": RECORDING.model_copy(update={"frames": 1}),
        }
    )
    pattern = np.moveaxis(simulate(one).frames[0, 0], axis, 0)
    away = round(RECORDING.box_angstrom / spacing)
    there, opposite = (pattern[16 + sign * away + np.arange(-1, 2), 15:18].sum() for sign in (1, -1))
    assert there > 2e-3 and there > 5 * opposite


def test_structure_factors_are_the_known_cells():
    """Aluminium along [111], the normal of its slip plane: first the six of {220}, as bright as atoms."""
    one = settings("dislocation", "Al", motion={"line": "across", "character": "edge"}, thickness=21.0)
    found = structure(one)
    radius_px = one.semiangle_mrad / one.pixel_mrad
    row, col = np.mgrid[-16:16, -16:16]
    distance = np.hypot(row, col)
    reflection = 2**1.5 / 4.05
    ring_px = reflection * RECORDING.box_angstrom
    assert found[distance < radius_px + 1].sum() == pytest.approx(1, rel=1e-4)
    factor = scattering_factor(13, torch.tensor([0.0, reflection**2], dtype=torch.float64)).numpy()
    ring = found[np.abs(distance - ring_px) < radius_px + 1].sum()
    assert ring == pytest.approx(6 * (factor[1] / factor[0]) ** 2, rel=0.02)
    between = np.abs(distance - ring_px / 2) < ring_px / 2 - radius_px - 1
    assert found[between].max() < 1e-4 * found.max()


def test_structure_factors_keep_friedels_law():
    found = structure(settings("damage", "Si"))[1:, 1:]
    np.testing.assert_allclose(found, found[::-1, ::-1], atol=1e-7)


def test_denser_crystals_get_finer_pixels():
    pixels = [pixel_angstrom(crystal("dislocation", name)) for name in ("NaCl", "MgO", "Fe")]
    assert pixels == sorted(pixels, reverse=True) and len(set(pixels)) == 3
