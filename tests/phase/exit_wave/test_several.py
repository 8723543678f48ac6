"""Trainings in processes of their own give the weights that one process gives."""

from pathlib import Path

import pytest
import torch

from rephase.phase.exit_wave.network import Architecture
from rephase.phase.exit_wave.sampling import Ranges
from rephase.phase.exit_wave.schedule import FitSettings
from rephase.phase.exit_wave.several import Training, fit_several
from rephase.phase.exit_wave.shards import write_training_set
from rephase.phase.exit_wave.weights import load_weights


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    ranges = Ranges(configurations=1, largest_box_angstrom=27.0)
    for name, seeds in (("first", range(4)), ("second", range(4, 8)), ("validation", range(8, 10))):
        write_training_set(folder / f"{name}.h5", "train", seeds, ranges, per_shard=4)
    return folder


def trainings(files: Path, out: Path) -> list[Training]:
    narrow = Architecture(channels=2, representation="real_space")
    settings = FitSettings(architecture=narrow, epochs=1, fine_tune_epochs=0, batch=4, learning_rate=1e-3)
    sets = {"one": ["first"], "both": ["first", "second"]}
    return [
        Training([files / f"{s}.h5" for s in names], files / "validation.h5", settings, out / name, 3)
        for name, names in sets.items()
    ]


def test_processes_change_nothing_and_sets_are_taken_together(files, tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = list(fit_several(trainings(files, tmp_path / "alone")))
    finally:
        torch.set_num_threads(threads)
    spread = list(fit_several(trainings(files, tmp_path / "spread"), workers=2))
    assert [path.parent.name for path in spread] == ["one", "both"]
    sums = [[load_weights(path).sha256 for path in paths] for paths in (alone, spread)]
    assert sums[0] == sums[1]
    assert sums[0][0] != sums[0][1]
