import pytest
import torch

from rephase.nets.complex_unet import (
    ComplexBatchNorm2d,
    ComplexConv2d,
    ComplexConvLayer,
    ComplexDropout,
    complex_maps,
    interleaved,
)
from rephase.nets.unet import UNet


def waves(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


def test_complex_maps_survive_being_held_as_real_ones():
    maps = waves(2, 3, 4, 5)
    assert interleaved(maps).shape == (2, 6, 4, 5)
    assert torch.equal(complex_maps(interleaved(maps)), maps)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_complex_convolution_is_pytorchs_with_a_complex_kernel(stride, transposed):
    layer, maps = ComplexConv2d(3, 2, stride=stride, transposed=transposed).double(), waves(2, 3, 8, 8)
    layer.bias.data = torch.randn(4, dtype=torch.float64)
    kernel, bias = torch.complex(layer.real, layer.imag), torch.view_as_complex(layer.bias.view(2, 2))
    if transposed:
        expected = torch.nn.functional.conv_transpose2d(maps, kernel, bias, stride, 1, stride - 1)
    else:
        expected = torch.nn.functional.conv2d(maps, kernel, bias, stride, 1)
    torch.testing.assert_close(complex_maps(layer(interleaved(maps))), expected)


def test_normalised_parts_are_uncorrelated_and_of_variance_one_half():
    """However elongated and shifted the distribution of a channel's values is."""
    maps = waves(8, 2, 16, 16)
    maps = 3 * maps + (1 + 2j) * maps.conj() + (5 - 4j)
    out = complex_maps(ComplexBatchNorm2d(2).double()(interleaved(maps)))
    parts = torch.view_as_real(out.movedim(1, 0).flatten(1))
    for channel in parts:
        torch.testing.assert_close(channel.mean(0), torch.zeros(2), atol=1e-6, rtol=0, check_dtype=False)
        torch.testing.assert_close(
            torch.cov(channel.T), torch.eye(2) / 2, atol=1e-3, rtol=0, check_dtype=False
        )


def test_gamma_and_beta_act_as_a_matrix_and_an_offset():
    norm, maps = ComplexBatchNorm2d(1), interleaved(waves(4, 1, 8, 8).to(torch.complex64))
    plain = norm(maps)
    norm.gamma.data, norm.beta.data = torch.tensor([[2.0], [0.5], [1.0]]), torch.tensor([[3.0], [-1.0]])
    matrix = torch.tensor([[2.0, 0.5], [0.5, 1.0]]) / 0.5**0.5
    expected = torch.einsum("pq,bqrc->bprc", matrix, plain) + norm.beta.data.reshape(1, 2, 1, 1)
    torch.testing.assert_close(norm(maps), expected)


def test_in_evaluation_the_statistics_of_training_are_used():
    norm = ComplexBatchNorm2d(2, momentum=1.0)
    maps = interleaved(waves(4, 2, 8, 8).to(torch.complex64) * (2 + 1j))
    trained = norm(maps)
    norm.eval()
    torch.testing.assert_close(norm(maps), trained)
    torch.testing.assert_close(norm(maps[:1]), trained[:1])


def test_a_constant_channel_is_normalised_to_zero_with_finite_gradients():
    maps = torch.full((2, 2, 4, 4), 3.0, requires_grad=True)
    out = ComplexBatchNorm2d(1)(maps)
    out.square().sum().backward()
    assert out.abs().max() < 1e-3
    assert torch.isfinite(maps.grad).all()


def test_dropout_drops_complex_values_and_keeps_the_mean():
    torch.manual_seed(0)
    parts = ComplexDropout(0.25)(torch.ones(1, 2, 200, 200)).unflatten(1, (1, 2))
    assert torch.equal(parts[:, :, 0], parts[:, :, 1])
    assert (parts == 0).float().mean() == pytest.approx(0.25, abs=0.01)
    assert parts.mean() == pytest.approx(1, abs=0.02)


def test_layers_make_a_u_net_whose_skips_keep_parts_together():
    """A network without imaginary parts in kernels gives a real answer to a real input."""
    torch.manual_seed(0)
    net = UNet(3, 2, ComplexConvLayer, dropout=0.0).eval()
    for module in net.modules():
        if isinstance(module, ComplexConv2d):
            torch.nn.init.zeros_(module.imag)
    maps = torch.randn(2, 3, 16, 16)
    out = complex_maps(net(interleaved(torch.complex(maps, torch.zeros_like(maps)))))
    assert out.shape == (2, 2, 16, 16)
    assert out.real.abs().max() > 0.01 and out.imag.abs().max() == 0
