"""Training: quiet, and such that a kill changes nothing."""

import pandas as pd
import pytest
import torch

from rephase.errors import InputError
from rephase.sequence.diffusion.fit import fit
from rephase.sequence.diffusion.network import Architecture
from rephase.sequence.diffusion.schedule import FitSettings
from rephase.sequence.networks.samples import Draws

SMALL = Architecture(positions=2, channels=8, levels=1)
SETTINGS = FitSettings(architecture=SMALL, epochs=3, steps_per_epoch=3, batch=2, validation_uses=1)
NOISELESS = SETTINGS.model_copy(update={"draws": Draws(noiseless_share=1)})


class Killed(Exception):
    pass


def killed_after(step):
    def report(done, _steps):
        if done > step:
            raise Killed

    return report


@pytest.fixture(scope="module")
def whole(tmp_path_factory, sets):
    return fit(*sets, SETTINGS, tmp_path_factory.mktemp("whole"), seed=1)


@pytest.mark.parametrize("step", [1, 4, 8])
def test_a_killed_training_goes_on_to_the_same_weights(whole, sets, tmp_path, step):
    with pytest.raises(Killed):
        fit(*sets, SETTINGS, tmp_path, 1, report=killed_after(step))
    again = []
    path = fit(*sets, SETTINGS, tmp_path, 1, report=lambda *done: again.append(done))
    assert path.read_bytes() == whole.read_bytes()
    assert (tmp_path / "history.csv").read_text() == (whole.parent / "history.csv").read_text()
    first = 1 + step // 3 * 3  # of the epoch that was interrupted
    assert again == [(done, 9) for done in range(first, 10)]


def test_a_finished_training_is_not_repeated(whole, sets):
    before = whole.read_bytes()
    path = fit(*sets, SETTINGS, whole.parent, 1, report=lambda *_: pytest.fail("trained"))
    assert path == whole and path.read_bytes() == before


@pytest.mark.parametrize("other", ["seed", "settings.epochs", "training"])
def test_another_training_does_not_go_on_from_this_one(whole, sets, peaks, other):
    seed = 2 if other == "seed" else 1
    settings = SETTINGS.model_copy(update={"epochs": 4}) if other == "settings.epochs" else SETTINGS
    training = peaks(3) if other == "training" else sets[0]
    with pytest.raises(InputError, match=f"the folder's training: {other}: found"):
        fit(training, sets[1], settings, whole.parent, seed)


def test_the_history_tells_losses_and_rates(whole):
    history = pd.read_csv(whole.parent / "history.csv")
    assert list(history.epoch) == [0, 1, 2]
    assert history.learning_rate.is_monotonic_decreasing
    assert history[["training_loss", "validation_loss", "mean_error", "line_error"]].gt(0).all(axis=None)
    assert history.line_error.nunique() == 1  # the validation is the same in every epoch


def test_the_rate_rises_and_falls():
    settings = SETTINGS.model_copy(update={"steps_per_epoch": 100, "warm_up": 0.1})
    rates = [settings.rate(step) / settings.learning_rate for step in range(301)]
    assert rates[0] < 0.05 and max(rates) > 0.95 and rates[150] == pytest.approx(0.5)
    assert rates[300] == pytest.approx(0, abs=1e-9)


def test_another_seed_gives_other_weights(whole, sets, tmp_path):
    assert fit(*sets, SETTINGS, tmp_path, seed=2).read_bytes() != whole.read_bytes()


def test_training_says_nothing_and_leaves_random_numbers_alone(sets, tmp_path, capfd, caplog):
    before = torch.random.get_rng_state()
    fit(*sets, SETTINGS.model_copy(update={"epochs": 1, "precision": "bf16"}), tmp_path, seed=1)
    assert capfd.readouterr() == ("", "") and not caplog.records
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_network_learns_a_sequence_by_heart(peaks, tmp_path):
    quick = SETTINGS.model_copy(
        update={
            "architecture": SMALL.model_copy(update={"channels": 16}),
            "epochs": 2,
            "steps_per_epoch": 80,
            "batch": 4,
            "learning_rate": 5e-3,
            "validation_uses": 8,
        }
    )
    fit(peaks(1), peaks(1), quick, tmp_path, seed=1)
    history = pd.read_csv(tmp_path / "history.csv")
    assert history.mean_error.iloc[-1] < 0.9 * history.line_error.iloc[-1]


def test_a_loss_that_is_not_finite_stops_the_training(sets, broken, tmp_path):
    with pytest.raises(FloatingPointError, match="training_loss = nan.* in epoch 0"):
        fit(
            broken, sets[1], SETTINGS.model_copy(update={"draws": Draws(noiseless_share=1)}), tmp_path, seed=1
        )
    assert not (tmp_path / "last.ckpt").exists()
