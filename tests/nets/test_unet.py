import pytest
import torch
from torch import nn

from rephase.errors import InputError
from rephase.nets.unet import ConvLayer, UNet


def test_maps_halve_and_channels_double_down_to_the_narrowest_level():
    net, shapes = UNet(5, 4), []
    for down in net.down:
        down.register_forward_hook(lambda _module, _inputs, output: shapes.append(tuple(output.shape)))
    assert net(torch.randn(2, 5, 32, 16)).shape == (2, 4, 32, 16)
    assert shapes == [(2, 8, 16, 8), (2, 16, 8, 4), (2, 32, 4, 2)]


def test_a_channel_that_leaves_the_network_sees_every_level():
    """Far pixels are reached through the narrowest level only, near details through the first skip."""
    torch.manual_seed(0)
    net = UNet(1, 4).double().eval()
    maps = torch.randn(1, 1, 64, 64, dtype=torch.float64, requires_grad=True)
    (reach,) = torch.autograd.grad(net(maps)[0, 0, 32, 32], maps)
    rows = reach[0, 0].abs().sum(dim=1).nonzero()[:, 0]
    assert rows.min() <= 8 and rows.max() >= 56


@pytest.mark.parametrize("side", [16, 32, 64])
def test_the_middle_pixel_stays_in_the_middle(side):
    """A strided layer keeps pixel n // 2 at n // 2 of the halved map, its transpose puts it back."""
    down, up = ConvLayer(1, 1, stride=2)[0], ConvLayer(1, 1, stride=2, transposed=True)[0]
    for convolution in (down, up):
        nn.init.zeros_(convolution.weight)
        nn.init.zeros_(convolution.bias)
        convolution.weight.data[..., 1, 1] = 1
    point = torch.zeros(1, 1, side, side)
    point[..., side // 2, side // 2] = 1
    assert down(point)[0, 0, side // 4, side // 4] == 1
    torch.testing.assert_close(up(down(point)), point)


def test_sides_that_cannot_be_halved_are_refused():
    with pytest.raises(InputError, match=r"found maps of \(60, 64\) px, expected multiples of 8 px"):
        UNet(1, 2)(torch.zeros(1, 1, 60, 64))
