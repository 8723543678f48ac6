"""What holds for every network, trained or not."""

import math
from typing import get_args

import numpy as np
import pytest
import torch

from rephase.errors import InputError
from rephase.sequence.linear import complete as linear
from rephase.sequence.networks.encoder import Decoder, fourier_features
from rephase.sequence.networks.method import predict
from rephase.sequence.networks.model import LAPTOP, PAPER, Architecture, Kind, SequenceNet, parameter_count
from rephase.sequence.sampling import draw_mask

KINDS = get_args(Kind)


@pytest.mark.parametrize("arm", ["synchronous", "staggered"])
@pytest.mark.parametrize("kind", KINDS)
def test_before_training_every_network_is_linear_interpolation(kind, arm, moving, small, parameters):
    sequence = moving(1, 0)
    frames, mask = sequence.frames[0].numpy(), draw_mask(30, 2, 0.8, 1, arm=arm)
    net = SequenceNet(small.model_copy(update={"kind": kind}))
    found = predict(net, sequence.times, frames, mask, parameters)
    expected = linear(sequence.times, frames, mask).frames
    assert found == pytest.approx(expected, abs=1e-6 * float(expected.max()))


@pytest.mark.parametrize("kind", KINDS)
def test_frames_that_are_not_observed_have_no_influence(kind, moving, network, parameters):
    sequence = moving(1, 0)
    frames, mask = sequence.frames[0].numpy(), draw_mask(30, 2, 0.8, 2, arm="staggered")
    net, found = network(kind), []
    for other in (frames, np.nan):
        found.append(
            predict(net, sequence.times, np.where(mask[..., None, None], frames, other), mask, parameters)
        )
    assert np.isfinite(found[0]).all() and np.array_equal(*found)
    assert not np.allclose(found[0], linear(sequence.times, frames, mask).frames, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_neither_the_unit_of_time_nor_that_of_intensity_matters(kind, moving, network, parameters):
    sequence, mask = moving(1, 0), draw_mask(30, 2, 0.8, 3)
    frames, net = sequence.frames[0].numpy(), network(kind)
    found = predict(net, sequence.times, frames, mask, parameters)
    scaled = predict(net, 7 + 60 * sequence.times, 1000 * frames, mask, parameters)
    assert scaled == pytest.approx(1000 * found, abs=2e-3 * float(found.max()))


@pytest.mark.parametrize("kind", ["cde", "before"])
def test_half_precision_changes_what_is_added_a_little_and_not_the_lines(kind, moving, network, parameters):
    sequence, mask = moving(1, 0), draw_mask(30, 2, 0.8, 3)
    frames, net = sequence.frames[0].numpy(), network(kind)
    exact, rough = (
        predict(net, sequence.times, frames, mask, parameters, precision) for precision in ("32", "bf16")
    )
    lines = linear(sequence.times, frames, mask).frames
    error = np.linalg.norm(rough - exact)
    assert 0 < error < 0.05 * np.linalg.norm(exact - lines)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_all_parameters(kind, moving, seen, network):
    sequences = moving(2, 0)
    observed, _ = seen(sequences)
    net = network(kind)
    at = torch.arange(30)
    (net(observed, at) - sequences.frames).square().mean().backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@pytest.mark.parametrize("kind", ["cde", "log_ode"])
def test_the_encoder_learns_through_the_control_alone(kind, moving, seen, network):
    """Without the start and the skips the only way to the encoder is dX."""
    observed, _ = seen(moving(1, 0))
    net = network(kind)
    with torch.no_grad():
        net.latent.start.weight.zero_()
    _, codes = net._encoded(observed, observed.knots)
    net.latent(codes, observed, torch.tensor([15])).sum().backward()
    assert net.encoder.frame.weight.grad.abs().max() > 0


def test_all_kinds_share_encoder_and_decoder():
    nets = [SequenceNet(LAPTOP.model_copy(update={"kind": kind})) for kind in KINDS]
    for part in ("encoder", "decoder"):
        shapes = [{n: p.shape for n, p in getattr(net, part).named_parameters()} for net in nets]
        assert all(one == shapes[0] for one in shapes)


def test_the_paper_s_network_has_about_24_million_parameters():
    with torch.device("meta"):
        count = parameter_count(SequenceNet(PAPER))
    assert PAPER.kind == "cde" and PAPER.size == 256 and PAPER.channels == 64 and PAPER.levels == 4
    assert PAPER.latent.hidden == 512 and PAPER.latent.layers == 4
    assert count == pytest.approx(24e6, rel=0.02)


def test_without_fourier_features_only_the_first_convolution_changes(small):
    with_, without = (SequenceNet(small.model_copy(update={"fourier": n})) for n in (2, 0))
    differ = [
        name
        for name, p in with_.named_parameters()
        if p.shape != dict(without.named_parameters())[name].shape
    ]
    assert differ == ["encoder.static.weight"]


def test_fourier_features_are_those_of_eq_4():
    found = fourier_features(8, 3, 2.0, torch.Generator().manual_seed(1))
    b = 2.0 * torch.randn(3, 2, generator=torch.Generator().manual_seed(1))
    v = torch.tensor([(6 - 4) / 4, (1 - 4) / 4])
    angle = 2 * math.pi * b @ v
    assert found[:, 6, 1] == pytest.approx(torch.cat([angle.cos(), angle.sin()]), abs=1e-5)


def test_a_size_that_cannot_be_halved_is_refused():
    with pytest.raises(ValueError, match="multiple of 32 px"):
        Architecture(size=48, levels=3)


def test_frames_of_another_size_are_refused(network, parameters):
    with pytest.raises(InputError, match=r"frames: found .*\(2, 8, 8\), expected \(2, 16, 16\)"):
        predict(
            network("none"),
            np.arange(3.0),
            np.ones((3, 2, 8, 8), np.float32),
            np.ones((3, 2), bool),
            parameters,
        )


@pytest.mark.parametrize("half", [0, 1])
def test_the_condition_scales_and_shifts_the_maps(half):
    torch.manual_seed(0)
    decoder = Decoder((8, 16), condition=3, positions=1)
    torch.nn.init.normal_(decoder.last.weight)
    with torch.no_grad():
        decoder.start.weight.zero_()
        decoder.modulate[0].weight.chunk(2)[1 - half].zero_()
    skips = [torch.randn(1, 8, 16, 16), torch.randn(1, 16, 8, 8)]
    one, other = (decoder(list(skips), torch.full((1, 3), value)) for value in (0.0, 1.0))
    assert not torch.allclose(one, other, atol=1e-3)
