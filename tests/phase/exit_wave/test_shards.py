"""The file of a training set: what was simulated comes back, a killed run goes on to the same bytes."""

import pickle

import h5py
import numpy as np
import pytest

from rephase.checkpoint import VARIABLE
from rephase.errors import InputError
from rephase.phase.exit_wave import shards
from rephase.phase.exit_wave.sampling import Ranges, draw
from rephase.phase.exit_wave.shards import TrainingSet, write_training_set
from rephase.phase.exit_wave.simulate import simulate

RANGES = Ranges(configurations=2, largest_box_angstrom=28.0, thickness_angstrom=(3.0, 8.0))
SEEDS = range(10, 17)


def written(path, **options):
    write_training_set(path, "train", SEEDS, RANGES, per_shard=3, **options)
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return written(tmp_path_factory.mktemp("set") / "train.h5")


def test_samples_come_back_as_they_were_simulated(path):
    training_set = TrainingSet(path)
    assert len(training_set) == len(SEEDS) == len(training_set.parameters)
    for index in (0, 4, 6):
        expected = simulate(draw("train", SEEDS[index], RANGES))
        patterns, wave = training_set[index]
        assert patterns.dtype == np.float32 and wave.dtype == np.complex64
        np.testing.assert_allclose(patterns, expected.patterns, rtol=2e-3, atol=1e-11)
        np.testing.assert_allclose(wave, expected.exit_wave, rtol=1e-3, atol=2e-4)


def test_parameters_are_those_of_the_draws_and_say_the_ranges(path):
    training_set = TrainingSet(path)
    for row, seed in enumerate(SEEDS):
        assert training_set.parameters.iloc[row].to_dict() == draw("train", seed, RANGES).parameters()
    assert training_set.ranges == RANGES


def test_batches_come_in_the_order_asked_for(path):
    training_set = TrainingSet(path)
    everything, waves = training_set[:]
    assert everything.shape == (7, 9, 64, 64) and waves.shape == (7, 64, 64)
    for indices in ([5, 0, 5, -1], np.array([6, 2]), slice(1, 6, 2)):
        patterns, some = training_set[indices]
        np.testing.assert_array_equal(patterns, everything[indices])
        np.testing.assert_array_equal(some, waves[indices])
    with pytest.raises(IndexError):
        training_set[7]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(training_set))[3][0], everything[3])


def test_a_killed_run_goes_on_after_its_last_whole_shard_to_the_same_bytes(path, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "checkpoints"))
    simulated = []

    def dying(drawn, device):
        if drawn.seed == SEEDS[4] and len(simulated) == 4:
            raise KeyboardInterrupt
        simulated.append(drawn.seed)
        return simulate(drawn, device)

    monkeypatch.setattr(shards, "simulate", dying)
    again = tmp_path / path.name
    with pytest.raises(KeyboardInterrupt):
        written(again)
    assert not again.exists()
    written(again)
    assert simulated == [*SEEDS[:4], *SEEDS[3:]]  # the first shard is not simulated again
    assert again.read_bytes() == path.read_bytes()


def test_workers_write_the_same_bytes(path, tmp_path):
    assert written(tmp_path / "parallel.h5", workers=1).read_bytes() == path.read_bytes()


def test_a_sample_that_is_not_finite_stops_the_run(tmp_path, monkeypatch):
    def broken(drawn, device):
        sample = simulate(drawn, device)
        sample.exit_wave[3, 3] = np.nan if drawn.seed == 12 else 0
        return sample

    monkeypatch.setattr(shards, "simulate", broken)
    with pytest.raises(FloatingPointError, match="seed 12"):
        written(tmp_path / "train.h5")
    assert list(tmp_path.iterdir()) == []


def test_a_set_without_samples_is_refused(tmp_path):
    with pytest.raises(InputError, match="seeds: found none"):
        write_training_set(tmp_path / "train.h5", "train", [], RANGES)


def test_a_truncated_or_foreign_file_is_refused(path, tmp_path):
    cut, foreign = tmp_path / "cut.h5", tmp_path / "foreign.h5"
    cut.write_bytes(path.read_bytes()[:-1000])
    with h5py.File(foreign, "w") as file:
        file["data"] = np.zeros(3)
    for wrong, found in (
        (cut, "truncated"),
        (foreign, "no training samples"),
        (tmp_path / "none", "no such"),
    ):
        with pytest.raises(InputError, match=found):
            TrainingSet(wrong)


def test_a_file_whose_samples_were_packed_is_refused(path, tmp_path):
    packed = tmp_path / "packed.h5"
    packed.write_bytes(path.read_bytes())
    with h5py.File(packed, "a") as file:
        values = file["shard_0001/patterns"][...]
        del file["shard_0001/patterns"]
        file.create_dataset("shard_0001/patterns", data=values, compression="gzip")
    with pytest.raises(InputError, match="packed.h5: found samples packed again"):
        TrainingSet(packed)
