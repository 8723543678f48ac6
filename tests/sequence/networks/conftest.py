"""Small sequences in which a disc moves, and a network as small as they are."""

import numpy as np
import pytest
import torch

from rephase.sequence.networks.known import known
from rephase.sequence.networks.latent import LatentSettings
from rephase.sequence.networks.model import Architecture, SequenceNet
from rephase.sequence.networks.observed import observe
from rephase.sequence.networks.samples import Sequences
from rephase.sequence.sampling import draw_mask

SMALL = Architecture(
    size=16,
    positions=2,
    channels=8,
    levels=1,
    patch=2,
    fourier=2,
    latent=LatentSettings(state=6, code=3, hidden=8, layers=1, window=2, ode_steps=8),
)


def discs(count: int, seed: int, length: int = 30) -> Sequences:
    """A bright disc in the middle and a faint one that moves along a curve, per position."""
    rng = np.random.default_rng(seed)
    times = np.linspace(0, 1, length)
    row, col = np.mgrid[:16, :16]

    def disc(y, x):
        y, x = (np.asarray(at)[..., None, None] for at in (y, x))
        return np.exp(-((row - y) ** 2 + (col - x) ** 2) / 6)

    phase = rng.uniform(0, 2 * np.pi, (count, 1, 2)) + np.array([0, 0.5])
    angle = phase + 6 * times[:, None] ** 2
    frames = disc(8, 8) + 0.4 * disc(8 + 5 * np.cos(angle), 8 + 5 * np.sin(angle))
    frames = frames / frames.sum(axis=(-2, -1), keepdims=True)
    facts = np.stack([rng.uniform(8e4, 3e5, count), rng.uniform(50, 500, count)], axis=1)
    structure = torch.from_numpy(disc(8, 8)).float().expand(count, -1, -1)
    return Sequences(times, torch.from_numpy(frames).float(), facts, structure, f"discs {count}, {seed}")


@pytest.fixture(scope="session")
def small():
    return SMALL


@pytest.fixture(scope="session")
def moving():
    return discs


def observed_of(sequences: Sequences, sparsity=0.8, arm="staggered", seed=0):
    mask = draw_mask(len(sequences.times), sequences.frames.shape[2], sparsity, seed, arm=arm)
    frames = sequences.frames[:, mask.any(axis=1)]
    return observe(sequences.times, frames, mask, sequences.known(np.arange(len(sequences)), 1e5)), mask


@pytest.fixture(scope="session")
def seen():
    return observed_of


@pytest.fixture(scope="session")
def network():
    """A network whose decoder and heads already add something, as after training."""

    def make(kind: str, seed: int = 0, **changes) -> SequenceNet:
        torch.manual_seed(seed)
        latent = SMALL.latent.model_copy(update=changes.pop("latent", {}))
        net = SequenceNet(SMALL.model_copy(update={"kind": kind, "latent": latent, **changes}))
        torch.nn.init.normal_(net.decoder.last.weight, std=0.1)
        if net.weighing is not None:
            torch.nn.init.normal_(net.weighing.gate.weight, std=0.1)
        return net

    return make


@pytest.fixture(scope="session")
def parameters():
    return known(np.array([2e5]), np.array([150.0]), np.array([1e5]))
