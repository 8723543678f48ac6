"""Batches: every sample in its turn, and the same draws whenever they are repeated."""

import dataclasses

import torch

from rephase.microscope.optics import Optics
from rephase.phase.exit_wave.frame import SIZE, Frame, intensity
from rephase.phase.exit_wave.loader import Epoch, Noise, Samples

FRAME = Frame.of_aperture(Optics(energy_ev=2e5, semiangle_mrad=20), 10.0)


def samples(count=7):
    generator = torch.Generator().manual_seed(5)
    probe = FRAME.probe().expand(count, -1, -1)
    phase = torch.rand(count, SIZE, SIZE, generator=generator)
    exit_wave = probe * torch.exp(1j * phase)
    amplitudes = intensity(exit_wave).sqrt()[:, None].repeat(1, 9, 1, 1)
    step, box = torch.full((count,), 0.2), torch.full((count,), FRAME.box_angstrom)
    return Samples(amplitudes.half(), exit_wave, probe, step, box, torch.zeros(count, dtype=torch.bool))


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


def test_sums_share_electrons_where_the_set_says_so():
    held = samples(8)
    some = dataclasses.replace(held, repeated=torch.arange(8) % 2 == 0)
    noise = Noise(least_electrons=1e5, most_electrons=1.001e5, vacuum_share=0.5)
    (plain,), (shared,) = (Epoch(kind, noise, 8, 0, shuffled=False) for kind in (held, some))
    assert torch.equal(plain.counts[1::2], shared.counts[1::2])
    assert (plain.counts[::2] != shared.counts[::2]).flatten(1).any(1).all()
