"""The minimum is that of other solvers, and never farther away than is said."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear
from skimage.restoration import denoise_tv_chambolle

from rephase.sequence.sparsity import Penalty, differences, haar
from rephase.sequence.splitting import minimise


def tensor(values):
    return torch.as_tensor(values, dtype=torch.float64)


def basis(knots, rows, cols, order=1):
    maps = (differences(knots, order), *(differences(np.arange(float(size))) for size in (rows, cols)))
    return tuple(tensor(np.linalg.eigh(matrix.T @ matrix)[1]) for matrix in maps)


def over_time(knots, strength, order=1):
    return Penalty(((tensor(differences(knots, order)), None, None),), tensor(strength))


def over_frames(rows, cols, strength):
    row, col = (tensor(differences(np.arange(float(size)))) for size in (rows, cols))
    return Penalty(((None, row, None), (None, None, col)), tensor(strength), together=True)


def noisy_steps(seed, times=12, rows=4, cols=6):
    rng = np.random.default_rng(seed)
    steps = np.where(np.arange(times) < times // 2, 1.0, 4.0)[:, None, None, None]
    return steps * rng.uniform(size=(1, 2, rows, cols)) + rng.normal(scale=0.3, size=(times, 2, rows, cols))


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.01, 4))
@settings(max_examples=10)
def test_two_values_move_towards_each_other(one, two, strength):
    """The closed form: each by the strength, at most to where they meet."""
    y, knots = tensor([one, two]).reshape(2, 1, 1, 1), np.array([0.0, 3.0])
    found = minimise(y, [over_time(knots, strength)], basis(knots, 1, 1), tolerance=1e-5, limit=2000)
    move = np.sign(two - one) * min(strength, abs(two - one) / 2)
    assert found.values.ravel().numpy() == pytest.approx([one + move, two - move], abs=1e-4)


@pytest.mark.parametrize("order", [1, 2])
def test_agrees_with_least_squares_in_bounds(order):
    """The dual problem in one dimension, ``min |y - K' u|`` with ``|u| <= w``, by another solver."""
    knots = np.cumsum(np.random.default_rng(0).uniform(0.3, 2, 12))
    y = noisy_steps(0, rows=2, cols=3)
    transform = haar(12)
    weight = np.where(np.arange(12) > 0, 0.2, 0.0)
    wavelets = Penalty(((tensor(transform), None, None),), tensor(weight)[:, None, None, None])
    sparse = [over_time(knots, 0.4, order), wavelets]
    found = minimise(tensor(y), sparse, basis(knots, 2, 3, order), tolerance=1e-4, limit=3000)
    stacked = np.vstack([differences(knots, order), transform])
    bound = np.append(np.full(12, 0.4), weight) + 1e-12
    for position, row, col in np.ndindex(2, 2, 3):
        curve = y[:, position, row, col]
        dual = lsq_linear(stacked.T, curve, (-bound, bound), method="bvls").x
        expected = curve - stacked.T @ dual
        assert found.values[:, position, row, col].numpy() == pytest.approx(expected, abs=1e-3)


def test_agrees_with_scikit_image_on_frames():
    y = noisy_steps(1, times=2, rows=9, cols=7)
    found = minimise(
        tensor(y), [over_frames(9, 7, 0.4)], basis(np.arange(2.0), 9, 7), tolerance=1e-4, limit=3000
    )
    for index in np.ndindex(2, 2):
        expected = denoise_tv_chambolle(y[index], weight=0.4, eps=1e-9, max_num_iter=3000)
        assert found.values[index].numpy() == pytest.approx(expected, abs=3e-3)


@pytest.mark.parametrize(("seed", "limit"), [(0, 1), (1, 5)])
def test_the_minimiser_is_never_farther_than_said(seed, limit):
    y, knots = tensor(noisy_steps(seed)), np.arange(12.0)
    sparse = [over_time(knots, 1.0), over_frames(4, 6, 0.3)]
    axes = basis(knots, 4, 6)
    early = minimise(y, sparse, axes, tolerance=0.0, limit=limit)
    late = minimise(y, sparse, axes, tolerance=5e-3, limit=500)
    assert late.distance <= 5e-3
    distance = float((early.values - late.values).square().mean().sqrt())
    assert 5e-3 < distance <= early.distance + late.distance
    assert late.objective < early.objective


def test_the_tolerance_is_kept_and_so_is_the_limit():
    y, knots = tensor(noisy_steps(3)), np.arange(12.0)
    sparse, axes = [over_time(knots, 1.0), over_frames(4, 6, 0.3)], basis(knots, 4, 6)
    kept = minimise(y, sparse, axes, tolerance=0.01, limit=1000)
    assert kept.distance <= 0.01 and kept.iterations < 1000
    stopped = minimise(y, sparse, axes, tolerance=0.0, limit=7)
    assert stopped.iterations == 7 and stopped.distance > 0


def test_what_is_minimal_stays():
    y = tensor(np.broadcast_to(noisy_steps(0)[:1, :, :1, :1], (12, 2, 4, 6)).copy())
    knots = np.arange(12.0)
    sparse = [over_time(knots, 1.0), over_frames(4, 6, 0.3)]
    found = minimise(y, sparse, basis(knots, 4, 6), tolerance=1e-9, limit=10)
    assert found.values.numpy() == pytest.approx(y.numpy())
    assert found.objective == pytest.approx(0, abs=1e-9)


def test_without_penalties_nothing_changes():
    y = tensor(noisy_steps(4))
    found = minimise(y, [], basis(np.arange(12.0), 4, 6), tolerance=1e-9, limit=10)
    assert found.values.numpy() == pytest.approx(y.numpy()) and found.distance == 0
