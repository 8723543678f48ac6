import numpy as np
import pydantic
import pytest
import torch

from rephase.microscope.optics import Optics
from rephase.phase.exit_wave.frame import Frame
from rephase.phase.exit_wave.inputs import (
    REPRESENTATIONS,
    BackProjections,
    cropped,
    features,
    fractions,
    within_reach,
)
from rephase.phase.exit_wave.network import (
    Architecture,
    ExitWaveNet,
    complex_channels,
    layer_table,
    parameter_count,
)

ALL = [(kind, name) for kind in ("real", "complex") for name in REPRESENTATIONS]


def batch(architecture: Architecture, count: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of no particular meaning, and a probe with a phase."""
    size, generator = architecture.size, torch.Generator().manual_seed(0)
    optics = Optics(energy_ev=200e3, semiangle_mrad=20.0, defocus_angstrom=30.0, cs_angstrom=1e4)
    probe = cropped(Frame.of_aperture(optics, 10.0).probe(), size)
    channels = REPRESENTATIONS[architecture.representation].channels
    return torch.randn(count, channels, size, size, generator=generator), probe.expand(count, -1, -1)


def network(**settings) -> ExitWaveNet:
    torch.manual_seed(0)
    return ExitWaveNet(Architecture(**settings))


def test_the_papers_network_has_the_papers_number_of_parameters():
    """2,142,884 as Keras counts: with the running means and variances of the normalisations."""
    net = network()
    assert parameter_count(net) == 2_142_884
    assert parameter_count(net, statistics=False) == 2_138_788
    assert sum(values.numel() for values in net.parameters()) == 2_138_788


@pytest.mark.parametrize("channels", [16, 32])
def test_the_complex_network_is_as_large_as_the_real_one(channels):
    counts = [parameter_count(network(kind=kind, channels=channels)) for kind in ("complex", "real")]
    assert counts[0] / counts[1] == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_the_layer_table_accounts_for_every_parameter(kind, name):
    net = network(kind=kind, channels=8, representation=name)
    table, size = layer_table(net), net.architecture.size
    assert sum(row.parameters for row in table) == parameter_count(net)
    assert len(table) == 1 + 3 * 4 + 3 * 4 + (2 if kind == "real" else 1)
    assert [row.shape[1] for row in table if "halved" in row.kind] == [size // 2, size // 4, size // 8]
    assert [row.shape[1] for row in table if "doubled" in row.kind] == [size // 4, size // 2, size]
    assert net.training and not any(module._forward_hooks for module in net.modules())


def test_the_first_rows_of_the_layer_table():
    """By hand: 9 weights for each pair of channels, a bias, and four values of the normalisation."""
    first, second = layer_table(network())[:2]
    assert (first.shape, first.parameters) == ((32, 64, 64), 9 * 11 * 32 + 5 * 32)
    assert (second.shape, second.parameters) == ((32, 64, 64), 9 * 32 * 32 + 5 * 32)


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_an_untrained_network_returns_the_probe(kind, name):
    net = network(kind=kind, channels=8, representation=name)
    seen, probe = batch(net.architecture)
    wave = net(seen, probe)
    assert wave.dtype == torch.complex64 and wave.shape == probe.shape
    assert (wave - probe).norm() < 5e-3 * probe.norm()
    assert (wave - probe).norm() > 0


def test_heads_act_as_the_paper_says():
    """A head's constant adds to the fifth root of the amplitude, and to the phase."""
    net = network(channels=4)
    seen, probe = batch(net.architecture)
    for head, constant in ((net.body.amplitude, 300.0), (net.body.phase, 2000.0)):
        torch.nn.init.zeros_(head.convolution.weight)
        torch.nn.init.constant_(head.convolution.bias, constant)
    wave, added = net.wave_and_phase(seen, probe)
    torch.testing.assert_close(wave.abs(), (probe.abs() ** 0.2 + 0.03) ** 5)
    torch.testing.assert_close(added, torch.full_like(added, 0.2))
    torch.testing.assert_close(wave / wave.abs(), probe / probe.abs() * torch.tensor(0.2j).exp())


def test_an_amplitude_below_zero_is_zero():
    net = network(channels=4)
    seen, probe = batch(net.architecture)
    torch.nn.init.constant_(net.body.amplitude.convolution.bias, -1e6)
    assert net(seen, probe).abs().max() == 0


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_without_the_skip_nothing_of_the_probe_is_added(kind):
    net = network(kind=kind, channels=4, skip=False).eval()
    seen, probe = batch(net.architecture)
    torch.nn.init.zeros_(net.get_parameter("body.amplitude.scale" if kind == "real" else "body.wave.scale"))
    assert net(seen, probe).abs().max() == 0


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("skip", [True, False])
def test_gradients_are_finite_and_reach_every_parameter(kind, skip, precision):
    """Also where the probe is 1e-9 or nothing at all, and with layers in half precision."""
    net = network(kind=kind, channels=8, skip=skip)
    seen, probe = batch(net.architecture)
    probe = probe.clone()
    probe[:, :8], probe[:, 8:16] = 1e-9, 0
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        wave = net(seen, probe)
    (wave - 1.1j * probe).abs().square().sum().backward()
    for name, values in net.named_parameters():
        assert torch.isfinite(values.grad).all(), name
        normalised_away = name.endswith("bias") and values.grad.abs().max() < 1e-6
        assert values.grad.abs().max() > 0 or normalised_away, name


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_the_complex_network_sees_each_channel_once_and_the_probe_from_the_probe_itself(name):
    seen = [index for pair in complex_channels(name) for index in pair if index is not None]
    assert len(seen) == len(set(seen)) == REPRESENTATIONS[name].channels - 2
    net = network(kind="complex", channels=8, representation=name).eval()
    maps, probe = batch(net.architecture, 1)
    maps.requires_grad_()
    (reach,) = torch.autograd.grad(net(maps, probe).abs().sum(), maps)
    assert set(reach.abs().sum(dim=(0, 2, 3)).nonzero()[:, 0].tolist()) == set(seen)


def test_back_projections_are_complex_and_patterns_are_not():
    """Real and imaginary parts belong to the same pattern, by what the representation itself computes."""
    assert complex_channels("paper") == [(n, None) for n in range(9)]
    probe, lengths = batch(Architecture(), 1)[1], (torch.tensor([0.5]), torch.tensor([20.0]))
    counts = torch.rand(1, 9, 64, 64, generator=torch.Generator().manual_seed(0)).square()
    counts *= within_reach("cpu")
    seen = features("real_space", counts, probe, *lengths)[0]
    maps = BackProjections.of(probe, *lengths).maps(fractions(counts))[0]
    for pattern, (real, imag) in zip(maps, complex_channels("real_space")[:9], strict=True):
        assert np.corrcoef(seen[real].flatten(), pattern.real.flatten())[0, 1] > 0.9999
        assert np.corrcoef(seen[imag].flatten(), pattern.imag.flatten())[0, 1] > 0.9999


def test_an_unknown_representation_is_refused():
    with pytest.raises(pydantic.ValidationError, match="one of paper, real_space"):
        Architecture(representation="wavelet")
