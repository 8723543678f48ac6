"""A folded network is the same function."""

import pytest
import torch
from torch import nn

from rephase.nets.complex_unet import ComplexConvLayer
from rephase.nets.folding import folded
from rephase.nets.unet import UNet


def trained():
    """A U-Net whose normalisations have statistics, factors and offsets unlike those of the start."""
    torch.manual_seed(0)
    net = UNet(3, 4, levels=2)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.running_mean, module.bias.data):
                values.normal_()
            for values in (module.running_var, module.weight.data):
                values.uniform_(0.5, 2)
    return net


def test_the_folded_network_gives_the_same_in_evaluation():
    net, maps = trained(), torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        expected, found = net.eval()(maps), folded(net.train())(maps)
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_no_normalisation_is_left_in_it_and_all_in_the_first():
    net = trained()
    kept = sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded(net).modules())
    assert kept == sum(isinstance(module, nn.BatchNorm2d) for module in net.modules()) > 0
    assert net.training


def test_complex_layers_stay_as_they_are():
    torch.manual_seed(0)
    net, maps = UNet(2, 2, ComplexConvLayer, levels=1), torch.randn(1, 4, 8, 8)
    with torch.no_grad():
        assert torch.equal(folded(net)(maps), net.eval()(maps))
