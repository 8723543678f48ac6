"""Layers of complex-valued networks (Trabelsi et al., ICLR 2018), held as real tensors.

A tensor of n complex channels has 2n real ones, real and imaginary part of each
channel next to each other, so that channels may be concatenated as usual. PyTorch
has no fast complex convolution on the CPU: ours is one real convolution whose
kernel holds the real and the imaginary kernel twice,

    (re, im) of W x  =  [[W_re, -W_im], [W_im, W_re]] (x_re, x_im).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Complex, Float
from torch import nn

Maps = Float[torch.Tensor, "batch channel row col"]
NewMaps = Float[torch.Tensor, "batch out_channel new_row new_col"]
Part = Float[torch.Tensor, "batch complex_channel row col"]
ComplexMaps = Complex[torch.Tensor, "batch complex_channel row col"]


def interleaved(maps: ComplexMaps) -> Maps:
    """Complex maps as real ones: channels re, im, re, im, ..."""
    return torch.view_as_real(maps).movedim(-1, 2).flatten(1, 2)


def complex_maps(maps: Maps) -> ComplexMaps:
    """The inverse of `interleaved`."""
    parts = maps.unflatten(1, (-1, 2))
    return torch.complex(parts[:, :, 0], parts[:, :, 1])


class ComplexConv2d(nn.Module):
    """Complex 3x3 convolution with bias, or its transpose.

    Parameters
    ----------
    in_channels, channels : int
        Complex channels.
    stride, transposed
        As of `rephase.nets.unet.ConvLayer`.
    """

    def __init__(self, in_channels: int, channels: int, *, stride: int = 1, transposed: bool = False):
        super().__init__()
        self.stride, self.transposed = stride, transposed
        pair = (in_channels, channels) if transposed else (channels, in_channels)
        deviation = 1 / math.sqrt(9 * in_channels)  # of each part: the variance 2 / fan-in of He et al.
        self.real = nn.Parameter(deviation * torch.randn(*pair, 3, 3))
        self.imag = nn.Parameter(deviation * torch.randn(*pair, 3, 3))
        self.bias = nn.Parameter(torch.zeros(2 * channels))

    def kernel(self) -> Float[torch.Tensor, "out in 3 3"]:
        """The real kernel that acts on interleaved parts."""
        sign = -1 if self.transposed else 1  # torch keeps a transposed kernel with inputs first
        to_real = torch.stack([self.real, -sign * self.imag], dim=2)
        to_imag = torch.stack([sign * self.imag, self.real], dim=2)
        return torch.stack([to_real, to_imag], dim=1).flatten(2, 3).flatten(0, 1)

    def forward(self, maps: Maps) -> NewMaps:
        if self.transposed:
            return nn.functional.conv_transpose2d(
                maps, self.kernel(), self.bias, self.stride, padding=1, output_padding=self.stride - 1
            )
        return nn.functional.conv2d(maps, self.kernel(), self.bias, self.stride, padding=1)


class ComplexBatchNorm2d(nn.Module):
    """Batch normalisation that whitens real and imaginary part together.

    ``y = Gamma V^(-1/2) (x - mean) + beta`` with V the 2x2 covariance of a channel's parts and Gamma
    a symmetric 2x2 matrix; both parts of the result have the variance 1/2 at first. The inverse root is
    ``[[V_ii + s, -V_ri], [-V_ri, V_rr + s]] / (s t)``, ``s = sqrt(det V)``, ``t = sqrt(trace V + 2 s)``.

    Parameters
    ----------
    channels : int
        Complex channels.
    epsilon : float
        Added to the variances.
    momentum : float
        Weight of the newest batch in the running mean and covariance, as in PyTorch.
    """

    def __init__(self, channels: int, epsilon: float = 1e-5, momentum: float = 0.1):
        super().__init__()
        self.epsilon, self.momentum = epsilon, momentum
        half = torch.full((channels,), math.sqrt(0.5))
        self.gamma = nn.Parameter(torch.stack([half, torch.zeros(channels), half]))  # rr, ri, ii
        self.beta = nn.Parameter(torch.zeros(2, channels))
        self.register_buffer("running_mean", torch.zeros(2, channels))
        self.register_buffer("running_covariance", torch.stack([half**2, torch.zeros(channels), half**2]))

    def forward(self, maps: Maps) -> Maps:
        precise = maps if maps.dtype == torch.float64 else maps.float()
        real, imag = precise.unflatten(1, (-1, 2)).unbind(2)
        mean, covariance = self._statistics(real, imag)
        rr, ri, ir, ii = self._matrix(covariance)
        offset_real = self.beta[0] - rr * mean[0] - ri * mean[1]
        offset_imag = self.beta[1] - ir * mean[0] - ii * mean[1]
        new_real = _each(rr) * real + _each(ri) * imag + _each(offset_real)
        new_imag = _each(ir) * real + _each(ii) * imag + _each(offset_imag)
        return torch.stack([new_real, new_imag], dim=2).flatten(1, 2)

    def _statistics(
        self, real: Part, imag: Part
    ) -> tuple[Float[torch.Tensor, "2 complex_channel"], Float[torch.Tensor, "3 complex_channel"]]:
        if not self.training:
            return self.running_mean, self.running_covariance
        over = (0, 2, 3)
        mean = torch.stack([real.mean(over), imag.mean(over)])
        real, imag = real - _each(mean[0]), imag - _each(mean[1])
        products = (real.square(), real * imag, imag.square())
        covariance = torch.stack([product.mean(over) for product in products])
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_covariance.lerp_(covariance, self.momentum)
        return mean, covariance

    def _matrix(self, covariance: Float[torch.Tensor, "3 complex_channel"]) -> tuple[torch.Tensor, ...]:
        rr, ri, ii = covariance[0] + self.epsilon, covariance[1], covariance[2] + self.epsilon
        root = (rr * ii - ri.square()).clamp_min(self.epsilon**2).sqrt()
        scale = 1 / (root * (rr + ii + 2 * root).sqrt())
        w_rr, w_ri, w_ii = (ii + root) * scale, -ri * scale, (rr + root) * scale
        g_rr, g_ri, g_ii = self.gamma
        return (
            g_rr * w_rr + g_ri * w_ri,
            g_rr * w_ri + g_ri * w_ii,
            g_ri * w_rr + g_ii * w_ri,
            g_ri * w_ri + g_ii * w_ii,
        )


class ComplexDropout(nn.Module):
    """Dropout of whole complex values."""

    def __init__(self, probability: float):
        super().__init__()
        self.probability = probability

    def forward(self, maps: Maps) -> Maps:
        if not (self.training and self.probability):
            return maps
        kept = nn.functional.dropout(torch.ones_like(maps[:, ::2]), self.probability)
        return maps * kept.repeat_interleave(2, dim=1)


class ComplexConvLayer(nn.Sequential):
    """Complex convolution, complex batch normalisation, swish on both parts, dropout.

    Swish acts on real and imaginary part apart (as CReLU does with ReLU), so that the
    network differs from the real-valued one in nothing but its algebra. Takes the place
    of `rephase.nets.unet.ConvLayer`; channels are complex ones.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: int = 1,
        transposed: bool = False,
        dropout: float = 0,
    ):
        super().__init__(
            ComplexConv2d(in_channels, channels, stride=stride, transposed=transposed),
            ComplexBatchNorm2d(channels),
            nn.SiLU(),
            ComplexDropout(dropout),
        )


def _each(values: Float[torch.Tensor, " channel"]) -> Float[torch.Tensor, "channel 1 1"]:
    return values[:, None, None]
