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


def test_the_cosine_falls_to_none_and_once_more_from_a_tenth_for_fine_tuning():
    settings = FitSettings(schedule="cosine", epochs=8, fine_tune_epochs=2)
    rates = [learning_rate(settings, [], done / 100) for done in range(101)]
    assert rates[0] == settings.learning_rate and rates[40] == pytest.approx(rates[0] / 2)
    assert rates[80] == pytest.approx(0) and rates[100] == pytest.approx(0)
    assert rates[:81] == sorted(rates[:81], reverse=True) and rates[81:] == sorted(rates[81:], reverse=True)
    assert 0.09 < rates[81] / rates[0] < 0.1


def test_without_fine_tuning_the_cosine_ends_at_none():
    settings = FitSettings(schedule="cosine", fine_tune_epochs=0)
    assert learning_rate(settings, [], 1.0) == pytest.approx(0)
