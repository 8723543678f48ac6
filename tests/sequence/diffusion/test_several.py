"""Trainings in processes of their own give the weights that one process gives."""

import pytest
import torch

from rephase.sequence.diffusion.network import Architecture
from rephase.sequence.diffusion.schedule import FitSettings
from rephase.sequence.diffusion.several import Training, fit_several
from rephase.sequence.diffusion.weights import load_weights
from rephase.sequence.processes import Recording, plan
from rephase.sequence.store import write_sequences


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("set") / "sequences.h5"
    recording = Recording(frames=6, detector_px=8, side=1, box_angstrom=10.0)
    write_sequences(path, plan({"train": 1}, recording))
    return path


def trainings(file, out):
    settings = FitSettings(
        architecture=Architecture(positions=1, channels=8, levels=1),
        epochs=1,
        steps_per_epoch=2,
        batch=2,
        validation_uses=1,
    )
    return [Training((file, (0, 1)), (file, (2,)), settings, out / str(seed), seed) for seed in (1, 2)]


def test_processes_change_nothing(file, tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = list(fit_several(trainings(file, tmp_path / "alone")))
    finally:
        torch.set_num_threads(threads)
    spread = list(fit_several(trainings(file, tmp_path / "spread"), workers=2))
    assert [path.parent.name for path in spread] == ["1", "2"]
    sums = [[load_weights(path).sha256 for path in paths] for paths in (alone, spread)]
    assert sums[0] == sums[1] and sums[0][0] != sums[0][1]
