"""The learning rate follows the paper's rule."""

import pytest
import torch

from rephase.phase.exit_wave.schedule import FitSettings, learning_rate


def test_the_rate_is_halved_on_a_plateau_as_torch_does():
    losses = [5.0, 4.0, 4.0, 4.5, 4.0, 3.0, 3.1, 3.2, *[2.9] * 7, 1.0]
    settings = FitSettings(epochs=len(losses))
    optimizer = torch.optim.Adam([torch.zeros(1)], settings.learning_rate)
    oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2, threshold=0)
    for count, loss in enumerate(losses, start=1):
        oracle.step(loss)
        assert learning_rate(settings, losses[:count], 0.5) == optimizer.param_groups[0]["lr"]
    assert optimizer.param_groups[0]["lr"] == settings.learning_rate / 8


def test_fine_tuning_keeps_the_rate_and_forgets_the_losses():
    settings = FitSettings(epochs=5, fine_tune_epochs=5)
    before, after = [1.0, 2.0, 2.0, 2.0, 1.0], [10.0, 9.0, 8.0]
    assert learning_rate(settings, before + after, 0.8) == settings.learning_rate / 2


def test_the_cosine_falls_from_the_whole_rate_to_none():
    settings = FitSettings(schedule="cosine")
    rates = [learning_rate(settings, [], done / 10) for done in range(11)]
    assert rates[0] == settings.learning_rate and rates[-1] == 0
    assert rates == sorted(rates, reverse=True) and rates[5] == pytest.approx(rates[0] / 2)
