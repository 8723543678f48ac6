"""The file of sequences: what was simulated comes back, whoever computed it, however often stopped."""

import pickle
from hashlib import sha256

import h5py
import numpy as np
import pytest

from rephase.checkpoint import VARIABLE
from rephase.errors import InputError
from rephase.sequence import store
from rephase.sequence.processes import Recording, plan
from rephase.sequence.simulate import Simulated, simulate
from rephase.sequence.store import SequenceSet, write_sequences

RECORDING = Recording(frames=2, frame_s=50.0, detector_px=16, box_angstrom=12.0)


def thin(one):
    motion = one.motion.model_copy(update={"thickness_angstrom": 12.0})
    return one.model_copy(update={"motion": motion, "thickness_angstrom": 12.0})


SETTINGS = [thin(one) for one in plan({"train": 1, "test": 1}, RECORDING)]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("set") / "sequences.h5"
    write_sequences(path, SETTINGS)
    return path


def test_sequences_come_back_as_they_were_simulated(path):
    sequences = SequenceSet(path)
    assert len(sequences) == len(SETTINGS) and sequences.recording == RECORDING
    for index in (0, 4, -1):
        expected = simulate(SETTINGS[index])
        np.testing.assert_array_equal(sequences.frames(index), expected.frames)
        np.testing.assert_array_equal(sequences.structure(index), expected.structure)
        np.testing.assert_array_equal(sequences.times(index), RECORDING.times)
        np.testing.assert_array_equal(sequences.positions_angstrom(index), expected.positions_angstrom)
    with pytest.raises(IndexError):
        sequences.frames(len(SETTINGS))


def test_every_parameter_comes_back(path):
    table = SequenceSet(path).parameters
    for row, one in enumerate(SETTINGS):
        assert table.iloc[row].to_dict() == one.parameters()


def test_sequences_are_found_by_part_and_process(path):
    sequences = SequenceSet(path)
    assert sequences.of("train") == [0, 1, 2] and sequences.of("test") == [3, 4, 5]
    assert sequences.of("test", "damage") == [5]
    assert sequences.of("validation") == []


def test_workers_write_the_same_bytes_and_a_reader_may_be_sent_to_another(path, tmp_path):
    again = tmp_path / path.name
    write_sequences(again, SETTINGS, workers=2)
    assert again.read_bytes() == path.read_bytes()
    sequences = pickle.loads(pickle.dumps(SequenceSet(again)))
    assert sequences.digest == SequenceSet(path).digest == sha256(path.read_bytes()).hexdigest()


def test_a_killed_run_goes_on_after_its_last_whole_sequence_to_the_same_bytes(path, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "checkpoints"))
    simulated = []

    def dying(settings, device):
        if len(simulated) == 3:
            simulated.append(None)
            raise KeyboardInterrupt
        simulated.append(settings)
        return simulate(settings, device)

    monkeypatch.setattr(store, "simulate", dying)
    again = tmp_path / path.name
    with pytest.raises(KeyboardInterrupt):
        write_sequences(again, SETTINGS)
    assert not again.exists()
    write_sequences(again, SETTINGS)
    assert [one for one in simulated if one] == SETTINGS
    assert again.read_bytes() == path.read_bytes()


def test_frames_that_are_not_finite_stop_the_writing(tmp_path, monkeypatch):
    def broken(settings, device):
        frames = np.full((1, 1, 2, 2), np.nan, dtype=np.float32)
        return Simulated(np.zeros(1), frames, frames[0, 0], np.zeros((1, 2)), np.ones(3))

    monkeypatch.setattr(store, "simulate", broken)
    with pytest.raises(FloatingPointError, match="frames of transition of PbTiO3, seed 0"):
        write_sequences(tmp_path / "set.h5", SETTINGS)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_one_set_is_refused(tmp_path):
    other = SETTINGS[0].model_copy(update={"recording": Recording()})
    for settings, found in (
        ([], "none"),
        ([SETTINGS[0], other], "several recordings"),
        ([SETTINGS[0], SETTINGS[1], SETTINGS[0]], "transition of PbTiO3, train, seed 0 twice"),
    ):
        with pytest.raises(InputError, match=found):
            write_sequences(tmp_path / "set.h5", settings)


def test_a_file_of_something_else_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["frames"] = np.zeros(3)
    with pytest.raises(InputError, match="no sequences"):
        SequenceSet(tmp_path / "other.h5")
    with pytest.raises(InputError, match="no such file"):
        SequenceSet(tmp_path / "none.h5")
