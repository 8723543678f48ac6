"""Transforms are orthonormal, adjoints adjoint, and projections land where they should."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rephase.sequence.sparsity import Penalty, along_axes, differences, haar, transposed

SHAPE = (5, 2, 4, 7)


def tensor(values):
    return torch.as_tensor(values, dtype=torch.float64)


def random(*shape, seed=0):
    return tensor(np.random.default_rng(seed).normal(size=shape))


def penalties():
    """One of each kind, on frames of SHAPE."""
    time = tensor(differences(np.array([0.0, 1.0, 1.5, 4.0, 4.1]), 2))
    row, col = (tensor(differences(np.arange(float(size)))) for size in SHAPE[2:])
    transforms = tuple(tensor(haar(SHAPE[axis])) for axis in (0, 2, 3))
    return {
        "time": Penalty(((time, None, None),), tensor(0.3)),
        "space": Penalty(((None, row, None), (None, None, col)), tensor(0.2), together=True),
        "wavelets": Penalty((transforms,), random(*SHAPE).abs()),
    }


EACH = pytest.mark.parametrize("name", list(penalties()))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 31, 70])
def test_the_wavelets_are_orthonormal_at_any_length(size):
    transform = haar(size)
    assert transform @ transform.T == pytest.approx(np.eye(size), abs=1e-12)


def test_the_wavelets_are_those_of_haar():
    root = np.sqrt(2)
    four = [
        [0.5, 0.5, 0.5, 0.5],
        [0.5, 0.5, -0.5, -0.5],
        [1 / root, -1 / root, 0, 0],
        [0, 0, 1 / root, -1 / root],
    ]
    assert haar(4) == pytest.approx(np.array(four))


@given(st.integers(1, 6))
def test_a_constant_has_one_wavelet_coefficient(power):
    size = 2**power
    assert haar(size) @ np.ones(size) == pytest.approx(np.sqrt(size) * np.eye(size)[0], abs=1e-12)


@given(st.integers(0, 99), st.integers(3, 12))
def test_differences_see_no_constant_and_those_of_slopes_no_line(seed, size):
    points = np.cumsum(np.random.default_rng(seed).uniform(0.1, 3, size))
    assert differences(points) @ np.full(size, 3.0) == pytest.approx(0, abs=1e-12)
    assert differences(points, 2) @ (2 - 5 * points) == pytest.approx(0, abs=1e-9)


@given(st.integers(0, 99))
def test_the_variation_of_a_slope_does_not_depend_on_where_points_are_set(seed):
    corner, rng = 2.0, np.random.default_rng(seed)
    points = np.sort(np.append(rng.uniform(0, 5, 8), [0.0, corner, 5.0]))
    bent = np.where(points < corner, points, corner - 3 * (points - corner))
    variation = np.abs(differences(points, 2) @ bent).sum() / np.diff(points).mean()
    assert variation == pytest.approx(4)


@EACH
def test_adjoints_are_adjoint(name):
    penalty, x = penalties()[name], random(*SHAPE, seed=1)
    u = random(*penalty.forward(x).shape, seed=2)
    assert float((penalty.forward(x) * u).sum()) == pytest.approx(float((x * penalty.adjoint(u)).sum()))


@EACH
def test_one_basis_makes_every_map_diagonal(name):
    penalty, x = penalties()[name], random(*SHAPE, seed=1)
    maps = [differences(np.array([0.0, 1.0, 1.5, 4.0, 4.1]), 2)]
    maps += [differences(np.arange(float(size))) for size in SHAPE[2:]]
    basis = tuple(tensor(np.linalg.eigh(matrix.T @ matrix)[1]) for matrix in maps)
    diagonal = penalty.spectrum(basis) * along_axes(x, transposed(basis))
    assert along_axes(diagonal, basis).numpy() == pytest.approx(penalty.adjoint(penalty.forward(x)).numpy())


@EACH
def test_the_penalty_is_the_largest_product_with_what_is_feasible(name):
    penalty, x = penalties()[name], random(*SHAPE, seed=3)
    mapped = penalty.forward(x)
    feasible = penalty.project(1e12 * mapped)
    assert float((feasible * mapped).sum()) == pytest.approx(float(penalty.value(x)))
    other = penalty.project(random(*mapped.shape, seed=4))
    assert float((other * mapped).sum()) <= float(penalty.value(x))
    assert penalty.project(other).numpy() == pytest.approx(other.numpy())
