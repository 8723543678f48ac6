"""The potential: abTEM's and Lobato's numbers, exact positions, slices by the nucleus."""

import json
import math
from importlib.resources import files

import abtem
import ase
import numpy as np
import pytest
import torch
from abtem.core.constants import kappa
from abtem.integrals import sinc
from abtem.parametrizations import LobatoParametrization
from scipy.integrate import trapezoid
from scipy.special import j0

from rephase.errors import InputError
from rephase.microscope.grid import fourier_resample, fourier_shift
from rephase.microscope.potential import (
    VOLTS_PER_SCATTERING_FACTOR,
    scattering_factor,
    slice_thicknesses,
    sliced_potential,
)

BOX = (6.0, 7.5, 8.0)
SHAPE = (45, 51)  # odd: no frequency stands for both signs, so shifts are exact


def one_atom(at, shape=SHAPE, number=14, box=BOX):
    positions = torch.tensor([[at]], dtype=torch.float64)
    return sliced_potential(positions, torch.tensor([number]), box, shape, [box[2]], torch.float64)[0, 0]


def random_atoms(count=9, seed=0, batch=1):
    generator = np.random.default_rng(seed)
    positions = generator.uniform(0, 1, (batch, count, 3)) * BOX
    numbers = generator.choice([8, 22, 38], count)
    return positions, numbers


def test_table_equals_abtem():
    ours = json.loads(files("rephase.microscope").joinpath("lobato.json").read_text())
    theirs = LobatoParametrization().parameters
    assert list(ours["parameters"]) == list(theirs)
    for symbol, parameters in theirs.items():
        np.testing.assert_array_equal(ours["parameters"][symbol], parameters)
    assert "Lobato" in ours["source"] and "GPL-3.0" in ours["licence"]


@pytest.mark.parametrize("number", [1, 6, 8, 22, 38, 79])
def test_scattering_factor_equals_abtem(number):
    k2 = np.linspace(0, 9, 50)
    symbol = ase.data.chemical_symbols[number]
    theirs = LobatoParametrization().scattering_factor(symbol)(k2)
    np.testing.assert_allclose(
        scattering_factor(number, torch.from_numpy(k2)), theirs, rtol=2e-5
    )  # theirs in float32
    projected = LobatoParametrization().projected_scattering_factor(symbol)(k2)
    np.testing.assert_allclose(VOLTS_PER_SCATTERING_FACTOR * theirs, projected, rtol=2e-5)
    assert kappa * VOLTS_PER_SCATTERING_FACTOR == pytest.approx(1, rel=1e-6)


def test_equals_abtem_on_whole_pixels():
    """On pixel centres abTEM places atoms exactly; its division by a pixel's sinc is undone."""
    shape, thicknesses = (48, 60), slice_thicknesses(BOX[2], 2.0)
    positions, numbers = random_atoms(20)
    pixel = np.array(BOX[:2]) / shape
    positions[..., :2] = np.round(positions[..., :2] / pixel) * pixel
    atoms = ase.Atoms(numbers, positions[0], cell=BOX, pbc=True)
    theirs = abtem.Potential(atoms, gpts=shape, slice_thickness=2.0, projection="infinite")
    assert theirs.slice_thickness == pytest.approx(thicknesses)
    spectrum = np.fft.fft2(theirs.build().compute().array) * sinc(shape, tuple(pixel)) / pixel.prod()
    ours = sliced_potential(
        torch.from_numpy(positions), torch.from_numpy(numbers), BOX, shape, thicknesses, torch.float64
    )
    theirs = np.fft.ifft2(spectrum).real
    assert np.linalg.norm(ours[0] - theirs) < 2e-5 * np.linalg.norm(theirs)


def test_abtem_converges_to_ours_between_pixels():
    """abTEM spreads an atom over four pixels: on finer grids its error falls as the pixel squared."""
    shape, (positions, numbers) = (31, 39), random_atoms(40)
    atoms = ase.Atoms(numbers, positions[0], cell=BOX, pbc=True)
    ours = sliced_potential(torch.from_numpy(positions), torch.from_numpy(numbers), BOX, shape, [BOX[2]])[0]
    errors = []
    for finer in (3, 6, 12):
        gpts = (finer * shape[0], finer * shape[1])
        fine = abtem.Potential(atoms, gpts=gpts, slice_thickness=BOX[2]).build().compute().array
        coarse = fourier_resample(torch.from_numpy(fine), shape)
        errors.append(float(torch.linalg.norm(coarse - ours) / torch.linalg.norm(ours)))
    assert errors[-1] < 3e-3
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.15)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize("k", [0.0, 0.2, 1.0])
def test_form_factor_is_the_hankel_transform_of_the_projected_potential(k):
    """2 pi int V(r) J0(2 pi k r) r dr, with Lobato's closed form in Bessel functions for V(r)."""
    radial = LobatoParametrization().projected_potential("O")
    r = np.linspace(1e-5, 12, 200_001)
    expected = 2 * np.pi * trapezoid(radial(r).astype(np.float64) * j0(2 * np.pi * k * r) * r, r)
    ours = VOLTS_PER_SCATTERING_FACTOR * scattering_factor(8, torch.tensor(k**2, dtype=torch.float64))
    assert float(ours) == pytest.approx(expected, rel=1e-4)


def test_one_pixel_shift_rolls_the_potential():
    at, pixel = np.array([1.234, 4.321, 1.0]), np.array(BOX[:2]) / SHAPE
    moved = one_atom(tuple(at + [2 * pixel[0], -pixel[1], 0]))
    torch.testing.assert_close(moved, one_atom(tuple(at)).roll((2, -1), (0, 1)))


@pytest.mark.parametrize("shift_px", [(0.5, 0.0), (0.31, -0.77), (3.5, 20.25)])
def test_sub_pixel_shift_is_a_fourier_shift(shift_px):
    at, pixel = np.array([1.234, 4.321, 1.0]), np.array(BOX[:2]) / SHAPE
    moved = one_atom(tuple(at + [*(np.array(shift_px) * pixel), 0]))
    torch.testing.assert_close(moved, fourier_shift(one_atom(tuple(at)), shift_px))


@pytest.mark.parametrize("shape", [(45, 51), (44, 50), (44, 51)])
def test_mirrored_atoms_give_the_mirrored_potential(shape):
    positions, numbers = random_atoms()
    one = sliced_potential(torch.from_numpy(positions), torch.from_numpy(numbers), BOX, shape, [BOX[2]])
    mirrored = torch.from_numpy(positions * [-1, 1, 1])
    other = sliced_potential(mirrored, torch.from_numpy(numbers), BOX, shape, [BOX[2]])
    torch.testing.assert_close(other.roll(-1, 2).flip(2), one, atol=1e-4, rtol=1e-4)


def test_periodic_in_the_plane():
    positions, numbers = random_atoms()
    moved = positions + np.array([1, -2, 0]) * BOX
    arguments = torch.from_numpy(numbers), BOX, SHAPE, slice_thicknesses(BOX[2], 2.0), torch.float64
    torch.testing.assert_close(
        sliced_potential(torch.from_numpy(moved), *arguments),
        sliced_potential(torch.from_numpy(positions), *arguments),
    )


def test_atoms_beyond_a_surface_stay_in_the_outermost_slice():
    """As a displacement out of the surface leaves them: they do not reappear on the other side."""
    inside = torch.tensor([[[1.0, 2.0, 0.1], [4.0, 3.0, 7.9]]], dtype=torch.float64)
    outside = inside + torch.tensor([[0, 0, -0.3], [0, 0, 0.3]])
    arguments = torch.tensor([6, 8]), BOX, SHAPE, [3.0, 5.0]
    torch.testing.assert_close(sliced_potential(outside, *arguments), sliced_potential(inside, *arguments))


def test_each_slice_holds_its_own_atoms():
    """A slice's integral is the sum of f(0) of the atoms between its faces, batch by batch."""
    positions, numbers = random_atoms(30, batch=3)
    thicknesses = (1.0, 2.5, 0.5, 4.0)
    slices = sliced_potential(
        torch.from_numpy(positions), torch.from_numpy(numbers), BOX, SHAPE, thicknesses, torch.float64
    )
    volts = {
        n: VOLTS_PER_SCATTERING_FACTOR * float(scattering_factor(n, torch.zeros(1, dtype=torch.float64)))
        for n in (8, 22, 38)
    }
    area = BOX[0] * BOX[1]
    faces = np.cumsum((0, *thicknesses))
    for b in range(3):
        for s in range(4):
            inside = (positions[b, :, 2] >= faces[s]) & (positions[b, :, 2] < faces[s + 1])
            expected = sum(volts[n] for n in numbers[inside])
            assert float(slices[b, s].mean()) * area == pytest.approx(expected, abs=1e-4)


def test_a_nucleus_on_a_face_belongs_to_the_later_slice():
    positions = torch.tensor([[[1.0, 1.0, 2.0]]], dtype=torch.float64)
    slices = sliced_potential(positions, torch.tensor([6]), BOX, SHAPE, [2.0, 6.0])
    assert slices[0, 0].abs().max() == 0 and slices[0, 1].max() > 0


def test_batch_equals_one_by_one_and_float32_float64():
    positions, numbers = random_atoms(12, batch=3)
    rest = torch.from_numpy(numbers), BOX, (44, 50), slice_thicknesses(BOX[2], 2.0)
    together = sliced_potential(torch.from_numpy(positions), *rest)
    assert together.dtype == torch.float32
    for configuration, slices in zip(torch.from_numpy(positions), together, strict=True):
        alone = sliced_potential(configuration[None], *rest, torch.float64)[0]
        assert alone.dtype == torch.float64
        torch.testing.assert_close(slices.double(), alone, atol=2e-6 * float(alone.max()), rtol=0)


def test_gradient_with_respect_to_positions():
    positions, numbers = random_atoms(3)
    plane = torch.from_numpy(positions[..., :2]).requires_grad_()
    depth = torch.from_numpy(positions[..., 2:])

    def potential(plane):
        return sliced_potential(
            torch.cat((plane, depth), -1), torch.from_numpy(numbers), BOX, (6, 5), [3.0, 5.0], torch.float64
        )

    assert torch.autograd.gradcheck(potential, plane)


@pytest.mark.parametrize("count", range(1, 60))
def test_slices_fill_the_depth_and_none_is_added_by_rounding(count):
    thicknesses = slice_thicknesses(count * 3.905 / 2, 3.905 / 2)
    assert len(thicknesses) == count
    assert len(slice_thicknesses(count * 3.905 / 2, 3.905 / 2.1)) == math.ceil(count * 1.05)


def test_bad_input():
    positions, numbers = torch.zeros(1, 1, 3), torch.tensor([6])
    with pytest.raises(InputError, match="add up to 5 angstrom, expected the depth of the box, 8"):
        sliced_potential(positions, numbers, BOX, SHAPE, [2.0, 3.0])
    with pytest.raises(InputError, match="positions: found a coordinate that is not finite"):
        sliced_potential(positions * torch.nan, numbers, BOX, SHAPE, [8.0])
    with pytest.raises(InputError, match="atomic number 110"):
        sliced_potential(positions, torch.tensor([110]), BOX, SHAPE, [8.0])
    with pytest.raises(InputError, match="slices of 2 angstrom in a depth of 1 angstrom"):
        slice_thicknesses(1.0, 2.0)
