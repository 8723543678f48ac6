"""Training: quiet, and such that a kill changes nothing."""

import dataclasses
import math

import pandas as pd
import pytest
import torch

from rephase.errors import InputError
from rephase.microscope.optics import Optics
from rephase.phase.exit_wave.fit import fit
from rephase.phase.exit_wave.frame import KERNEL, SIZE, Frame, intensity
from rephase.phase.exit_wave.loader import Noise, Samples
from rephase.phase.exit_wave.network import Architecture
from rephase.phase.exit_wave.schedule import FitSettings

SMALL = Architecture(channels=2, representation="real_space")
SETTINGS = FitSettings(architecture=SMALL, epochs=2, fine_tune_epochs=1, batch=4)
STEPS = 9


class Killed(Exception):
    pass


def atoms(count, seed):
    """Phase objects of one atom each, somewhere in the probe."""
    frame = Frame.of_aperture(Optics(energy_ev=2e5, semiangle_mrad=20), 10.0)
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    at = 28 + 8 * torch.rand(count, 2, 1, 1, generator=generator)
    phase = torch.exp(-((y - at[:, 0]) ** 2 + (x - at[:, 1]) ** 2) / 8)
    probe = frame.probe()
    probes = torch.stack([torch.roll(probe, (2 * row, 2 * col), dims=(0, 1)) for row, col in KERNEL])
    waves = probes * torch.exp(1j * phase)[:, None]
    step, box = torch.full((count,), 2 * frame.pixel_angstrom), torch.full((count,), frame.box_angstrom)
    amplitudes = intensity(waves).sqrt().half()
    probe = probe.expand(count, -1, -1)
    once, digest = torch.zeros(count, dtype=torch.bool), f"atoms {count}, {seed}"
    return Samples(amplitudes, waves[:, 4].contiguous(), probe, step, box, once, digest=digest)


TRAINING, VALIDATION = atoms(12, 1), atoms(5, 2)


def killed_after(step):
    def report(done, _steps):
        if done > step:
            raise Killed

    return report


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return fit(TRAINING, VALIDATION, SETTINGS, tmp_path_factory.mktemp("whole"), seed=1)


@pytest.mark.parametrize("step", [1, 4, 8])
def test_a_killed_training_goes_on_to_the_same_weights(whole, tmp_path, step):
    with pytest.raises(Killed):
        fit(TRAINING, VALIDATION, SETTINGS, tmp_path, 1, report=killed_after(step))
    again = []
    path = fit(TRAINING, VALIDATION, SETTINGS, tmp_path, 1, report=lambda *done: again.append(done))
    assert path.read_bytes() == whole.read_bytes()
    assert (tmp_path / "history.csv").read_text() == (whole.parent / "history.csv").read_text()
    first = 1 + step // 3 * 3  # of the epoch that was interrupted
    assert again == [(done, STEPS) for done in range(first, STEPS + 1)]


def test_a_finished_training_is_not_repeated(whole):
    before = whole.read_bytes()
    path = fit(TRAINING, VALIDATION, SETTINGS, whole.parent, 1, report=lambda *_: pytest.fail("trained"))
    assert path == whole and path.read_bytes() == before


def test_the_history_tells_losses_and_rates(whole):
    history = pd.read_csv(whole.parent / "history.csv")
    assert list(history.epoch) == [0, 1, 2] and list(history.object_weight) == [1, 1, 10]
    assert (history.learning_rate == 5e-4).all()
    assert history[["training_loss", "validation_loss"]].gt(0).all(axis=None)


@pytest.mark.parametrize("other", ["seed", "settings.epochs", "training"])
def test_another_training_does_not_go_on_from_this_one(whole, other):
    seed = 2 if other == "seed" else 1
    settings = SETTINGS.model_copy(update={"epochs": 3}) if other == "settings.epochs" else SETTINGS
    training = dataclasses.replace(TRAINING, digest="others") if other == "training" else TRAINING
    with pytest.raises(InputError, match=f"the folder's training: {other}: found"):
        fit(training, VALIDATION, settings, whole.parent, seed)


def test_a_checkpoint_holds_nothing_that_needs_unpickling(whole):
    state = torch.load(whole.parent / "last.ckpt", weights_only=True)
    assert state["lineage"]["seed"] == 1


def test_another_seed_gives_other_weights(whole, tmp_path):
    path = fit(TRAINING, VALIDATION, SETTINGS, tmp_path, seed=2)
    assert path.read_bytes() != whole.read_bytes()


def test_training_says_nothing_and_leaves_random_numbers_alone(tmp_path, capfd, caplog):
    before = torch.random.get_rng_state()
    once = SETTINGS.model_copy(update={"epochs": 1, "fine_tune_epochs": 0})
    fit(TRAINING, VALIDATION, once, tmp_path, seed=1)
    assert capfd.readouterr() == ("", "") and not caplog.records
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_network_learns(tmp_path):
    quick = FitSettings(
        architecture=SMALL.model_copy(update={"channels": 4, "dropout": 0.0}),
        epochs=2,
        fine_tune_epochs=0,
        batch=6,
        steps_per_epoch=12,
        learning_rate=1e-2,
        schedule="cosine",
        noise=Noise(least_electrons=1e6, vacuum_share=0),
    )
    fit(TRAINING, VALIDATION, quick, tmp_path, seed=2)
    missing = pd.read_csv(tmp_path / "history.csv").object_xc
    assert missing.iloc[-1] < 0.9  # 1 for the probe, which it starts from; 0.5 at best


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path):
    broken = dataclasses.replace(TRAINING, exit_wave=TRAINING.exit_wave * math.nan)
    with pytest.raises(FloatingPointError, match="training_loss = nan.* in epoch 0"):
        fit(broken, VALIDATION, SETTINGS, tmp_path, seed=1)
    assert not (tmp_path / "last.ckpt").exists()
