"""Training: such that a kill changes nothing, and that a network learns."""

import dataclasses
import math

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from rephase.errors import InputError
from rephase.sequence.linear import complete as linear
from rephase.sequence.methods import Completed
from rephase.sequence.networks.fit import fit
from rephase.sequence.networks.loss import TERMS, errors, terms
from rephase.sequence.networks.method import NetworkSettings, complete
from rephase.sequence.networks.model import SequenceNet
from rephase.sequence.networks.samples import Draws, batch_of
from rephase.sequence.networks.schedule import FitSettings
from rephase.sequence.networks.several import Training, fit_several
from rephase.sequence.networks.solver import SolverError
from rephase.sequence.networks.weights import load_weights, save_weights
from rephase.sequence.processes import Recording
from rephase.sequence.sampling import draw_mask
from rephase.sequence.store import KIND


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def settings(small):
    return FitSettings(
        architecture=small,
        epochs=2,
        steps_per_epoch=3,
        batch=2,
        wanted=4,
        validation_wanted=5,
        weights={"friedel": 0.01, "temporal": 0.01, "kinematic": 0.01, "energy": 0.01},
    )


@pytest.fixture(scope="module")
def whole(moving, settings, tmp_path_factory):
    return fit(moving(5, 1), moving(3, 2), settings, tmp_path_factory.mktemp("whole"), seed=1)


@pytest.mark.parametrize("step", [1, 4])
def test_a_killed_training_goes_on_to_the_same_bytes(whole, moving, settings, tmp_path, step):
    def report(done, _steps):
        if done > step:
            raise Killed

    with pytest.raises(Killed):
        fit(moving(5, 1), moving(3, 2), settings, tmp_path, 1, report=report)
    again = []
    path = fit(moving(5, 1), moving(3, 2), settings, tmp_path, 1, report=lambda *done: again.append(done))
    assert path.read_bytes() == whole.read_bytes()
    assert (tmp_path / "history.csv").read_text() == (whole.parent / "history.csv").read_text()
    assert again == [(done, 6) for done in range(1 + step // 3 * 3, 7)]


def test_the_history_tells_losses_terms_rates_and_evaluations(whole):
    history = pd.read_csv(whole.parent / "history.csv")
    named = ["training_loss", "validation_loss", "friedel", "kinematic", "energy", "temporal", "evaluations"]
    assert list(history.epoch) == [0, 1] and history[named].gt(0).all(axis=None)
    assert history[["validation_nmse_synchronous", "validation_nmse_staggered"]].gt(0).all(axis=None)


@pytest.mark.parametrize("other", ["seed", "settings.epochs", "training"])
def test_another_training_does_not_go_on_from_this_one(whole, moving, settings, other):
    seed = 2 if other == "seed" else 1
    changed = settings.model_copy(update={"epochs": 3}) if other == "settings.epochs" else settings
    training = moving(5, 9) if other == "training" else moving(5, 1)
    with pytest.raises(InputError, match=f"the folder's training: {other}: found"):
        fit(training, moving(3, 2), changed, whole.parent, seed)


def test_a_network_learns_motions_that_lines_do_not_follow(moving, small, tmp_path):
    quick = FitSettings(
        architecture=small.model_copy(update={"kind": "none"}),
        epochs=1,
        steps_per_epoch=200,
        learning_rate=1e-2,
        draws=Draws(noiseless_share=1, least_kept=0.2, most_kept=0.3),
        validation_sparsity=0.75,
    )
    few = moving(4, 1)
    fit(few, few, quick, tmp_path, seed=1)
    found = pd.read_csv(tmp_path / "history.csv").validation_nmse_staggered.iloc[-1]
    mask = draw_mask(30, 2, 0.75, 0, arm="staggered")  # that of the validation
    at = np.linspace(0, 29, 16).round().astype(int)
    lines = []
    for truth in few.frames.numpy():
        error = linear(few.times, truth, mask).frames[at] - truth[at]
        lines.append((error**2).sum() / len(at) / ((truth**2).sum() / 30))
    assert found < 0.9 * np.mean(lines)


def test_a_loss_that_is_not_finite_stops_the_training(moving, settings, tmp_path):
    broken = dataclasses.replace(moving(5, 1), frames=moving(5, 1).frames * math.nan)
    with pytest.raises(FloatingPointError, match="= nan.* in epoch 0|values that are not finite"):
        fit(
            broken, moving(3, 2), settings.model_copy(update={"draws": Draws(noiseless_share=1)}), tmp_path, 1
        )
    assert not (tmp_path / "last.ckpt").exists()


def test_what_does_not_fit_is_refused_before_training(moving, settings, tmp_path):
    with pytest.raises(InputError, match="weights: gravity: found no such term, expected one of friedel"):
        fit(
            moving(2, 1), moving(2, 2), settings.model_copy(update={"weights": {"gravity": 1.0}}), tmp_path, 1
        )
    small = settings.model_copy(
        update={"architecture": settings.architecture.model_copy(update={"positions": 3})}
    )
    with pytest.raises(
        InputError, match=r"training sequences: found .*\(2, 16, 16\), expected \(3, 16, 16\)"
    ):
        fit(moving(2, 1), moving(2, 2), small, tmp_path, 1)


def test_the_losses_are_nmse_and_that_of_what_changes(moving):
    sequences, every = moving(2, 0), np.ones((30, 2), dtype=bool)
    batch = batch_of(sequences, np.arange(2), every, np.inf, np.arange(30), seed=0)
    predicted = 1.1 * sequences.frames
    assert errors(predicted, batch, "energy") == pytest.approx(torch.full((2,), 0.01), rel=1e-4)
    mean = sequences.frames.mean(1, keepdim=True).expand_as(sequences.frames)
    assert errors(mean, batch, "variation") == pytest.approx(torch.ones(2), rel=1e-3)
    one, other, both = (errors(mean, batch, kind) for kind in ("energy", "variation", "both"))
    assert both.square() == pytest.approx(one * other, rel=1e-4)


def test_a_term_may_be_any_function_of_frames_and_context(moving):
    batch = batch_of(moving(2, 0), np.arange(2), np.ones((30, 2), bool), np.inf, np.arange(3), seed=0)
    found = terms(
        batch.truth, batch, {"mine": lambda frames, context: frames.sum() / context.intensity.sum()}
    )
    assert float(found["mine"]) == pytest.approx(6, rel=1e-3)  # three frames of two positions
    assert set(TERMS) == {"friedel", "kinematic", "energy", "temporal"}


def of(path, **changes):
    values = {"weights": path, "energy_ev": 2e5, "thickness_angstrom": 200.0, "dose": 1e5}
    return NetworkSettings(**(values | changes))


def test_a_trained_network_completes_a_sequence_from_its_file(whole, moving):
    frames, mask = moving(1, 3).frames[0].numpy(), draw_mask(30, 2, 0.8, 0, arm="staggered")
    result = complete(moving(1, 3).times, frames, mask, of(whole))
    assert isinstance(result, Completed) and result.frames.shape == frames.shape
    assert result.frames.min() >= 0 and result.details["evaluations"] > 0
    assert result.details["sha256"] == load_weights(whole).sha256
    other = complete(moving(1, 3).times, frames, mask, of(whole, thickness_angstrom=50.0))
    assert not np.array_equal(result.frames, other.frames)


def test_a_sequence_with_one_observation_is_refused(whole, moving):
    mask = np.zeros((30, 2), dtype=bool)
    mask[3] = True
    with pytest.raises(InputError, match="mask: found 1 observed frames at position 0, expected at least 2"):
        complete(moving(1, 3).times, moving(1, 3).frames[0].numpy(), mask, of(whole))


def test_a_solver_that_gives_up_says_so(moving, small, tmp_path):
    solver = {"method": "dopri5", "most_steps": 1, "absolute_tolerance": 1e-9, "relative_tolerance": 1e-9}
    latent = small.latent.model_copy(update={"solver": small.latent.solver.model_copy(update=solver)})
    path = save_weights(tmp_path / "w", SequenceNet(small.model_copy(update={"latent": latent})), {})
    frames, mask = moving(1, 3).frames[0].numpy(), draw_mask(30, 2, 0.8, 0)
    with pytest.raises(SolverError, match=r"max_num_steps exceeded\) at time .* norm is"):
        complete(moving(1, 3).times, frames, mask, of(path))


def test_weights_of_another_architecture_or_altered_ones_are_refused(whole, small, tmp_path):
    with pytest.raises(InputError, match="architecture: found .*kind='cde'.* expected kind='lstm'"):
        load_weights(whole, small.model_copy(update={"kind": "lstm"}))
    with pytest.raises(InputError, match="no such file, expected a file of weights"):
        load_weights(tmp_path / "none")
    content = bytearray(whole.read_bytes())
    content[-2] ^= 1
    (tmp_path / "altered").write_bytes(content)
    with pytest.raises(InputError, match="checksum of the weights"):
        load_weights(tmp_path / "altered")
    (tmp_path / "cut").write_bytes(content[:-9])
    with pytest.raises(InputError, match="no readable safetensors"):
        load_weights(tmp_path / "cut")


def test_processes_change_nothing(moving, settings, tmp_path):
    sequences = moving(4, 5)
    with h5py.File(tmp_path / "set.h5", "w") as file:
        file.attrs.update({"kind": KIND, "recording": Recording().model_dump_json()})
        columns = {
            "energy_ev": np.full(4, 1e5),
            "thickness_angstrom": np.full(4, 200.0),
            "seed": np.arange(4),
        }
        for name, values in columns.items():
            file[f"parameters/{name}"] = values
        for row in range(4):
            file[f"sequence_{row:04d}/times"] = sequences.times
            file[f"sequence_{row:04d}/frames"] = sequences.frames[row].numpy()
            file[f"sequence_{row:04d}/structure"] = sequences.structure[row].numpy()
    training, validation = ((tmp_path / "set.h5", rows) for rows in ((0, 1, 2), (3,)))
    short = settings.model_copy(update={"epochs": 1, "steps_per_epoch": 1})

    def trainings(name):
        return [Training(training, validation, short, tmp_path / name / str(seed), seed) for seed in (1, 2)]

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = list(fit_several(trainings("alone")))
    finally:
        torch.set_num_threads(threads)
    spread = list(fit_several(trainings("spread"), workers=1))
    sums = [[load_weights(path).sha256 for path in paths] for paths in (alone, spread)]
    assert sums[0] == sums[1] and sums[0][0] != sums[0][1]
