"""Batches: the noise that counting electrons has, and the same draws whenever they are repeated."""

import math

import pytest
import torch
from pydantic import ValidationError

from rephase.microscope.optics import Optics
from rephase.phase.exit_wave.frame import SIZE, Frame, intensity
from rephase.phase.exit_wave.loader import Epoch, Noise, Samples, counted, generator_of, seed_of
from rephase.phase.exit_wave.sampling import Ranges, draw
from rephase.phase.exit_wave.shards import TrainingSet, write_training_set

FRAME = Frame.of_aperture(Optics(energy_ev=2e5, semiangle_mrad=20), 10.0)


def samples(count=7):
    generator = torch.Generator().manual_seed(5)
    probe = FRAME.probe().expand(count, -1, -1)
    phase = torch.rand(count, SIZE, SIZE, generator=generator)
    exit_wave = probe * torch.exp(1j * phase)
    amplitudes = intensity(exit_wave).sqrt()[:, None].repeat(1, 9, 1, 1)
    step, box = torch.full((count,), 0.2), torch.full((count,), FRAME.box_angstrom)
    return Samples(amplitudes.half(), exit_wave, probe, step, box)


def test_counts_have_the_mean_and_variance_of_poisson_at_any_dose():
    fractions = torch.full((2, 9, SIZE, SIZE), 1 / SIZE**2)
    for per_pixel in (0.01, 3.0, 9e3, 1.1e4, 3e6):
        seen = counted(fractions, torch.full((2,), per_pixel * SIZE**2), generator_of("cpu", 1)).double()
        error = 5 / math.sqrt(seen.numel())
        assert abs(seen.mean() / per_pixel - 1) < error / math.sqrt(per_pixel)
        assert abs(seen.var() / per_pixel - 1) < error * math.sqrt(2 + 1 / per_pixel)
        assert torch.equal(seen, seen.round()) and seen.min() >= 0


def test_an_infinite_dose_gives_the_patterns_themselves():
    fractions = torch.rand(2, 9, SIZE, SIZE)
    seen = counted(fractions, torch.tensor([math.inf, 10.0]), generator_of("cpu", 1))
    assert torch.equal(seen[0], fractions[0])
    assert not torch.equal(seen[1], fractions[1])


def test_doses_are_uniform_in_their_logarithm():
    doses = Noise().draw_doses(20000, generator_of("cpu", 2)).log10()
    assert doses.min() >= math.log10(3) and doses.max() <= math.log10(3e9)
    counts = torch.histc(doses, 9, math.log10(3), math.log10(3e9))
    assert (counts - 20000 / 9).abs().max() < 5 * math.sqrt(20000 / 9)
    some = Noise(noiseless_share=0.25).draw_doses(20000, generator_of("cpu", 2)).isinf().float().mean()
    assert abs(some - 0.25) < 0.02


def test_an_epoch_uses_every_sample_once_and_the_next_one_in_another_order():
    held, still = samples(6), Noise(noiseless_share=1, vacuum_share=0)

    def order(number):
        waves = torch.cat([batch.exit_wave for batch in Epoch(held, still, 2, 3, number)])
        return [int((held.exit_wave == wave).flatten(1).all(1).nonzero()) for wave in waves]

    assert sorted(order(0)) == sorted(order(1)) == list(range(6))
    assert order(0) != order(1)


def test_the_length_of_an_epoch_can_be_set():
    held = samples(7)
    assert len(list(Epoch(held, Noise(), 3, 0))) == len(Epoch(held, Noise(), 3, 0)) == 2
    assert [len(batch.counts) for batch in Epoch(held, Noise(), 3, 0, batches=5)] == [3] * 5
    assert [len(batch.counts) for batch in Epoch(held, Noise(), 3, 0, shuffled=False)] == [3, 3, 1]
    assert [len(batch.counts) for batch in Epoch(held, Noise(), 99, 0)] == [7]


def test_draws_depend_on_seed_and_epoch_and_on_nothing_drawn_before():
    held = samples()
    first = list(Epoch(held, Noise(), 3, 1, 4))
    torch.rand(10)
    again = list(Epoch(held, Noise(), 3, 1, 4))
    assert all(torch.equal(a.counts, b.counts) for a, b in zip(first, again, strict=True))
    for other in (Epoch(held, Noise(), 3, 2, 4), Epoch(held, Noise(), 3, 1, 5)):
        assert not torch.equal(first[0].electrons, next(iter(other)).electrons)
    assert len({seed_of(*numbers) for numbers in ((0,), (0, 0), (0, 1), (1, 0), (1, 1))}) == 5


def test_a_vacuum_sample_is_the_probe_and_its_patterns():
    (batch,) = Epoch(samples(), Noise(vacuum_share=1, noiseless_share=1), 7, 0)
    assert torch.equal(batch.exit_wave, batch.probe)
    expected = intensity(FRAME.probe()).expand(7, 9, -1, -1)
    torch.testing.assert_close(batch.counts, expected, atol=1e-7, rtol=1e-5)


def test_vacuum_takes_its_share_and_leaves_the_others_alone():
    held = samples(40)
    batches = Epoch(held, Noise(vacuum_share=0.3, noiseless_share=1), 40, 0, batches=15)
    empty = torch.cat([(batch.exit_wave == batch.probe).flatten(1).all(1) for batch in batches])
    assert abs(empty.float().mean() - 0.3) < 0.06


def test_samples_are_read_from_a_training_set_with_their_probes(tmp_path):
    few = Ranges(configurations=1, thickness_angstrom=(2, 3), semiangle_mrad=(25, 30), energies_ev=(2e5,))
    write_training_set(tmp_path / "set.h5", "train", [4, 5], few)
    stored = TrainingSet(tmp_path / "set.h5")
    held = Samples.read(stored)
    patterns, waves = stored[:]
    torch.testing.assert_close(held.amplitudes.float().square(), torch.from_numpy(patterns))
    assert torch.equal(held.exit_wave, torch.from_numpy(waves))
    for index in range(2):
        drawn = draw("train", 4 + index, few)
        torch.testing.assert_close(held.probe[index], drawn.frame.probe())
        assert held.step_angstrom[index] == pytest.approx(drawn.step_angstrom)
        assert held.box_angstrom[index] == pytest.approx(drawn.frame.box_angstrom)
    assert held.ranges == few and len(held) == 2
    write_training_set(tmp_path / "other.h5", "train", [4, 6], few)
    assert Samples.read(TrainingSet(tmp_path / "other.h5")).digest != held.digest


def test_a_share_above_one_is_refused():
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        Noise(vacuum_share=1.5)
