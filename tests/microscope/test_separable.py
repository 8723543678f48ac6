"""The fast potential: abTEM's and the library's numbers, exact positions, any number of atoms a layer."""

import math

import abtem
import ase
import numpy as np
import pytest
import torch

from rephase.errors import InputError
from rephase.microscope.grid import fourier_resample, fourier_shift
from rephase.microscope.multislice import transmission
from rephase.microscope.potential import VOLTS_PER_SCATTERING_FACTOR, scattering_factor, sliced_potential
from rephase.microscope.separable import antialiased_transmission, layer_of, layer_potential

BOX, DEPTH, LAYERS = (6.0, 7.5), 8.0, 4
RNG = np.random.default_rng(0)
POSITIONS = torch.from_numpy(RNG.uniform(-0.3, 1.3, (40, 3)) * [*BOX, DEPTH])  # some beyond every face
NUMBERS = torch.from_numpy(RNG.choice([1, 8, 38, 79], 40))
THICKNESSES = (1.0, 2.5, 0.5, 4.0)


def potential(shape, dtype=torch.float64, positions=POSITIONS, numbers=NUMBERS):
    layer = layer_of(positions[:, 2], THICKNESSES)
    return layer_potential(positions[:, :2], numbers, layer, LAYERS, BOX, shape, dtype)


@pytest.mark.parametrize("shape", [(32, 48), (31, 48), (45, 51)])
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 3e-6)])
def test_it_is_the_librarys_potential(shape, dtype, tolerance):
    expected = sliced_potential(POSITIONS[None], NUMBERS, (*BOX, DEPTH), shape, THICKNESSES, torch.float64)[0]
    found = potential(shape, dtype)
    assert found.dtype == dtype
    assert (found - expected).abs().max() < tolerance * expected.abs().max()


def test_it_is_the_sum_over_atoms_and_frequencies():
    """V(r) = sum_k f(k) sum_atoms exp(2 pi i k (r - r_a)) / area, wave by wave."""
    ky, kx = (np.arange(-2, 3) / side for side in BOX)
    k2 = torch.from_numpy(ky[:, None] ** 2 + kx**2)
    y, x = (np.arange(5) * side / 5 for side in BOX)
    expected = np.zeros((5, 5))
    for (at_y, at_x, _), number in zip(POSITIONS.tolist(), NUMBERS.tolist(), strict=True):
        factor = VOLTS_PER_SCATTERING_FACTOR * scattering_factor(number, k2).numpy() / math.prod(BOX)
        rows, cols = (
            np.exp(2j * np.pi * k * (r[:, None] - at)) for k, r, at in ((ky, y, at_y), (kx, x, at_x))
        )
        expected += (rows @ factor @ cols.T).real
    np.testing.assert_allclose(potential((5, 5)).sum(0), expected, rtol=1e-10)


def test_abtem_converges_to_it_between_pixels():
    """abTEM spreads an atom over four pixels: on finer grids its error falls as the pixel squared."""
    shape, inside = (31, 39), POSITIONS[:, :2] % torch.tensor(BOX)
    positions = torch.cat([inside, (POSITIONS[:, 2:] % DEPTH)], 1)
    layer = layer_of(positions[:, 2], (2.0,) * 4)
    ours = layer_potential(inside, NUMBERS, layer, 4, BOX, shape)
    atoms = ase.Atoms(NUMBERS.numpy(), positions.numpy(), cell=[*BOX, DEPTH], pbc=True)
    errors = []
    for finer in (3, 6, 12):
        gpts = (finer * shape[0], finer * shape[1])
        fine = abtem.Potential(atoms, gpts=gpts, slice_thickness=2.0).build().compute().array
        coarse = fourier_resample(torch.from_numpy(fine), shape)
        errors.append(float(torch.linalg.norm(coarse - ours) / torch.linalg.norm(ours)))
    assert errors[-1] < 3e-3
    assert np.corrcoef(coarse.ravel(), ours.ravel())[0, 1] > 0.99999
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.15)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize("shift_px", [(0.5, 0.0), (0.31, -0.77), (3.5, 20.25)])
def test_sub_pixel_shift_is_a_fourier_shift(shift_px):
    shape = (45, 51)  # odd: no frequency stands for both signs
    pixel = torch.tensor(BOX, dtype=torch.float64) / torch.tensor(shape)
    shift = torch.cat([torch.tensor(shift_px, dtype=torch.float64) * pixel, torch.zeros(1)])
    moved = potential(shape, positions=POSITIONS + shift)
    torch.testing.assert_close(moved, fourier_shift(potential(shape), shift_px))


def test_periodic_in_the_plane_in_single_precision_too():
    moved = POSITIONS + torch.tensor([20 * BOX[0], -30 * BOX[1], 0], dtype=torch.float64)
    near, far = (potential((44, 50), torch.float32, positions) for positions in (POSITIONS, moved))
    torch.testing.assert_close(far, near, atol=3e-6 * float(near.max()), rtol=0)


def test_each_layer_holds_its_own_atoms_however_many():
    """Together as alone, in any order; a layer without atoms is zero."""
    layer = torch.tensor([3] * 7 + [0] + [5] * 32)
    order = torch.from_numpy(np.random.default_rng(1).permutation(40))
    plane = POSITIONS[:, :2]
    rest = BOX, (32, 48), torch.float64
    together = layer_potential(plane[order], NUMBERS[order], layer[order], 7, *rest)
    for index in range(7):
        own = layer == index
        alone = layer_potential(plane[own], NUMBERS[own], torch.zeros(int(own.sum()), dtype=int), 1, *rest)
        torch.testing.assert_close(together[index], alone[0])
        assert bool(together[index].any()) == bool(own.any())


def test_a_nucleus_on_a_face_belongs_to_the_later_slice_and_none_is_lost():
    depth = torch.tensor([-1.0, 0.0, 0.999, 1.0, 3.5, 4.0, 7.9, 8.0, 9.0])
    assert layer_of(depth, THICKNESSES).tolist() == [0, 0, 0, 1, 2, 3, 3, 3, 3]


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 2e-6)])
def test_transmission_is_that_of_multislice(dtype, tolerance):
    volts = potential((32, 48), dtype)
    found, expected = (f(volts, 80e3, BOX) for f in (antialiased_transmission, transmission))
    assert found.dtype == dtype.to_complex()
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=0)


def test_bad_input():
    one = torch.zeros(1, 2), torch.tensor([6]), torch.tensor([2])
    with pytest.raises(InputError, match="layer: found layers from 2 to 2, expected layers from 0 to 1"):
        layer_potential(*one, 2, BOX, (32, 48))
    with pytest.raises(InputError, match="atomic number 104"):
        layer_potential(one[0], torch.tensor([104]), one[2], 3, BOX, (32, 48))
