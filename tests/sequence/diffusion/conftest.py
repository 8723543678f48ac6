"""Small sequences and networks for all tests of video diffusion."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rephase.sequence.diffusion.network import Architecture, DiffusionNet
from rephase.sequence.networks.samples import Sequences


def moving_peaks(count, seed=0, length=16, size=8):
    """Sequences in which a peak at each of two positions moves at its own time, in fractions of the beam."""
    times = np.linspace(0.0, 1.0, length)
    row, col = np.mgrid[:size, :size] - size / 2
    found = []
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        moved = 1.5 * np.tanh(8 * (times - rng.uniform(0.25, 0.75)))[:, None, None, None]
        towards = rng.normal(size=(2, 1, 1))
        frames = np.exp(-((row - moved * towards) ** 2 + (col - moved) ** 2) / 4)
        found.append(0.9 * frames / frames.sum((2, 3), keepdims=True))
    facts = np.tile([200e3, 150.0], (count, 1))
    tensor = torch.from_numpy(np.stack(found).astype(np.float32))
    return Sequences(times, tensor, facts, digest=f"{count} peaks of {seed}")


def network(seed=0, **changes):
    """A small network whose last layer is not zero."""
    torch.manual_seed(seed)
    net = DiffusionNet(Architecture(**{"positions": 2, "patch": 2, "channels": 8, "levels": 2} | changes))
    torch.nn.init.normal_(net.last.weight, std=0.3)
    return net.eval()


@pytest.fixture(scope="session")
def peaks():
    return moving_peaks


@pytest.fixture
def net():
    return network()


@pytest.fixture
def make_net():
    return network


@pytest.fixture(scope="session")
def sets():
    """Sequences to train with, and to validate."""
    return moving_peaks(5, seed=1), moving_peaks(2, seed=2)


@pytest.fixture
def broken(sets):
    """Sequences whose truth is no number."""
    return replace(sets[0], frames=sets[0].frames * torch.nan)
