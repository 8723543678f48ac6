"""Sets of samples: the same samples and batches, in memory, in a file, or as a part of two."""

import threading
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from rephase.errors import InputError
from rephase.phase.exit_wave.fit import fit
from rephase.phase.exit_wave.loader import Epoch, Noise
from rephase.phase.exit_wave.network import Architecture
from rephase.phase.exit_wave.samples import (
    ARRAYS,
    JoinedSamples,
    Samples,
    StoredSamples,
    batches,
    probes,
    sample_set,
)
from rephase.phase.exit_wave.sampling import Ranges, draw
from rephase.phase.exit_wave.schedule import FitSettings
from rephase.phase.exit_wave.shards import TrainingSet, write_training_set

FEW = Ranges(configurations=1, thickness_angstrom=(2, 3), semiangle_mrad=(25, 30), repeated_share=0.5)
ORDER = torch.tensor([5, 0, 7, 3, 3, 8])


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Two sets, of six samples and of three."""
    paths = [tmp_path_factory.mktemp("sets") / f"{name}.h5" for name in ("first", "second")]
    for path, seeds in zip(paths, (range(6), range(6, 9)), strict=True):
        write_training_set(path, "train", seeds, FEW, per_shard=2)
    return [TrainingSet(path) for path in paths]


@pytest.fixture(scope="module")
def held(stored):
    return [Samples.read(one) for one in stored]


@pytest.fixture(scope="module")
def concatenated(held):
    arrays = {name: torch.cat([getattr(one, name) for one in held]) for name in ARRAYS}
    return Samples(**arrays, digest="+".join(one.digest for one in held), ranges=FEW)


def assert_same(some, others):
    assert all(torch.equal(getattr(some, name), getattr(others, name)) for name in ARRAYS)
    assert (some.digest, some.ranges) == (others.digest, others.ranges)


def test_samples_are_read_from_a_training_set_with_their_probes(stored, held):
    patterns, waves = stored[0][:]
    torch.testing.assert_close(held[0].amplitudes.float().square(), torch.from_numpy(patterns))
    assert torch.equal(held[0].exit_wave, torch.from_numpy(waves))
    for index in range(6):
        drawn = draw("train", index, FEW)
        torch.testing.assert_close(held[0].probe[index], drawn.frame.probe(), rtol=1e-6, atol=1e-9)
        assert held[0].step_angstrom[index] == pytest.approx(drawn.step_angstrom)
        assert held[0].box_angstrom[index] == pytest.approx(drawn.frame.box_angstrom)
        assert held[0].repeated[index] == (drawn.repeat_box > 1)
    assert 0 < held[0].repeated.sum() < 6
    assert held[0].ranges == FEW and len(held[0]) == 6
    assert held[0].digest != held[1].digest


def test_probes_of_any_optics_are_those_of_their_frames():
    draws = [draw("train", seed, Ranges(cs_angstrom=5e5)) for seed in range(30)]
    found = probes(pd.DataFrame([drawn.parameters() for drawn in draws]))
    expected = torch.stack([drawn.frame.probe() for drawn in draws])
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


def test_a_set_in_its_file_gives_the_samples_of_memory(stored, held):
    some = torch.tensor([4, 0, 4, 5])
    assert_same(StoredSamples(stored[0]).take(some), held[0].take(some))


@pytest.mark.parametrize("places", ["memory", "files", "memory and file"])
def test_joined_sets_are_one_set_in_any_order(stored, held, concatenated, places):
    files = [StoredSamples(one) for one in stored]
    parts = {"memory": held, "files": files, "memory and file": (held[0], files[1])}[places]
    joined = JoinedSamples(*parts)
    assert len(joined) == 9
    for indices in (ORDER, torch.arange(9), torch.tensor([8, 6]), torch.tensor([2])):
        assert_same(joined.take(indices), concatenated.take(indices))


@pytest.mark.parametrize("places", ["memory", "files"])
def test_training_gives_the_same_bytes_wherever_samples_are(stored, held, concatenated, places, tmp_path):
    parts = held if places == "memory" else [StoredSamples(one) for one in stored]
    small = Architecture(channels=2, representation="real_space")
    settings = FitSettings(architecture=small, epochs=1, fine_tune_epochs=1, batch=4)
    expected = fit(concatenated, held[1], settings, tmp_path / "expected", 1).read_bytes()
    joined = JoinedSamples(*parts)
    assert fit(joined, parts[1], settings, tmp_path / "joined", 1).read_bytes() == expected


def test_an_epoch_from_a_file_is_that_from_memory_however_long(stored, held):
    epochs = [Epoch(kind, Noise(), 2, 3, batches=20) for kind in (held[0], StoredSamples(stored[0]))]
    for expected, found in zip(*epochs, strict=True):
        assert torch.equal(found.counts, expected.counts) and torch.equal(found.probe, expected.probe)


def test_a_set_is_read_into_memory_where_it_fits(stored, held):
    bytes_held = sum(getattr(held[0], name).nbytes for name in ARRAYS)
    assert_same(sample_set(stored[0], memory_bytes=1.01 * bytes_held), held[0])
    assert isinstance(sample_set(stored[0], memory_bytes=0.99 * bytes_held), StoredSamples)


def test_the_next_batches_are_read_while_one_is_used_but_not_all(stored, monkeypatch):
    source, started, second = StoredSamples(stored[0]), [], threading.Event()

    def watched(rows):
        started.append(int(rows[0]))
        if len(started) > 1:
            second.set()
        return stored[0].stored(rows)

    monkeypatch.setattr(source, "_stored", SimpleNamespace(stored=watched, parameters=stored[0].parameters))
    going = batches(source, torch.arange(6).repeat(20).split(1))
    next(going)
    assert second.wait(timeout=20)
    going.close()
    assert 1 < len(started) < 20


def test_what_goes_wrong_while_reading_ahead_is_told(tmp_path, stored):
    path = tmp_path / "cut.h5"
    path.write_bytes(stored[0].path.read_bytes())
    source = StoredSamples(TrainingSet(path))
    path.write_bytes(path.read_bytes()[:-200_000])
    with pytest.raises(InputError, match=r"cut.h5: found nothing of sample \d, expected a whole file"):
        list(Epoch(source, Noise(), 2, 0))
