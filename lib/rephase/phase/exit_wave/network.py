"""From nine patterns and the probe to the exit wave: the real-valued and the complex-valued network.

Both add what they find to the probe, so that they need to learn only what the specimen does. The
real-valued network has two heads, each with a trainable scale (``s_a``, ``s_p``, at first 1e-4):

    |psi| = max(|probe|^0.2 + s_a h_a, 0)^5,    arg psi = arg probe + s_p h_p

The complex-valued network has one, in units in which a wave's intensity is 1 on average:

    psi = probe + s h / size

Without the skip of the probe (an ablation) the probe's terms are left out and the scales start
near 1, because the fifth power of 1e-4 has no gradient to start from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Complex, Float
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import nn

from rephase.nets.complex_unet import ComplexConv2d, ComplexConvLayer, complex_maps, interleaved
from rephase.nets.unet import ConvLayer, UNet
from rephase.phase.exit_wave.inputs import representation

Features = Float[torch.Tensor, "batch channel row col"]
Wave = Complex[torch.Tensor, "batch row col"]
Phase = Float[torch.Tensor, "batch row col"]

POWER = 0.2  # amplitudes are predicted as their fifth root
FIRST_SCALE = 1e-4
FIRST_ROOT = 0.15  # of the fifth root of amplitudes near 1/64, where there is no probe to start from
# Of each representation: channels that are real and imaginary part of one, and those of the probe.
PARTS: dict[str, tuple[tuple[int, int], ...]] = {
    "paper": (),
    "real_space": tuple((9 + n, n) for n in range(9)),
}
PROBE_CHANNELS: dict[str, tuple[int, int]] = {"paper": (9, 10), "real_space": (18, 19)}


class Architecture(BaseModel):
    """What a network is made of; two equal ones have the same parameters.

    Parameters
    ----------
    kind : {'real', 'complex'}
        Real-valued U-Net, or the complex-valued one.
    channels : int
        Of the first level; the paper has 32. The complex-valued network has this
        number over the root of two, for about as many parameters.
    representation : str
        Of the input, one of `rephase.phase.exit_wave.inputs.REPRESENTATIONS`.
    skip : bool
        Whether the result is added to the probe.
    dropout : float
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["real", "complex"] = "real"
    channels: int = Field(default=32, ge=2)
    representation: str = "paper"
    skip: bool = True
    dropout: float = Field(default=0.05, ge=0, lt=1)

    @field_validator("representation")
    @classmethod
    def _known(cls, name: str) -> str:
        representation(name)
        return name

    @property
    def size(self) -> int:
        """Side of the maps in pixels."""
        return representation(self.representation).size


class ExitWaveNet(nn.Module):
    """Network that predicts exit waves.

    Parameters
    ----------
    architecture : Architecture
    """

    def __init__(self, architecture: Architecture):
        super().__init__()
        self.architecture = architecture
        make = RealBody if architecture.kind == "real" else ComplexBody
        self.body = make(architecture)

    def forward(self, features: Features, probe: Wave) -> Wave:
        """The exit waves.

        Parameters
        ----------
        features : tensor (batch, channel, row, col)
            From `rephase.phase.exit_wave.inputs.features`, by the architecture's representation.
        probe : tensor (batch, row, col)
            Incident waves in real space on the features' grid.

        Returns
        -------
        tensor (batch, row, col)
            Exit waves in real space, complex64, on the same grid.
        """
        return self.body(features, probe)[0]

    def wave_and_phase(self, features: Features, probe: Wave) -> tuple[Wave, Phase]:
        """The exit waves, and the phases that the network adds to the probe's, not wrapped."""
        return self.body(features, probe)


class RealBody(nn.Module):
    """U-Net with a head for the amplitude and one for the phase."""

    def __init__(self, architecture: Architecture):
        super().__init__()
        channels, self.skip = architecture.channels, architecture.skip
        in_channels = representation(architecture.representation).channels
        self.unet = UNet(in_channels, channels, ConvLayer, architecture.dropout)
        self.amplitude = ScaledHead(
            nn.Conv2d(channels, 1, 3, padding=1), FIRST_SCALE if self.skip else FIRST_ROOT
        )
        self.phase = ScaledHead(nn.Conv2d(channels, 1, 3, padding=1), FIRST_SCALE if self.skip else 1.0)

    def forward(self, features: Features, probe: Wave) -> tuple[Wave, Phase]:
        maps = self.unet(features)
        root, phase = self.amplitude(maps)[:, 0], self.phase(maps)[:, 0]
        added = phase
        if self.skip:
            root, phase = root + probe.abs() ** POWER, phase + probe.angle()
        return torch.polar(root.clamp_min(0) ** (1 / POWER), phase), added


def complex_channels(name: str) -> list[tuple[int, int | None]]:
    """Channels of a representation as (real part, imaginary part or None); the probe's are left out.

    Nine patterns have no imaginary part, back-projections have one.
    """
    used = {*PROBE_CHANNELS[name], *(channel for pair in PARTS[name] for channel in pair)}
    return [*PARTS[name], *((n, None) for n in range(representation(name).channels) if n not in used)]


class ComplexBody(nn.Module):
    """Complex-valued U-Net with one complex head.

    It sees the `complex_channels` of the representation, and the probe as one
    channel, in units in which its intensity is 1 on average.
    """

    def __init__(self, architecture: Architecture):
        super().__init__()
        channels, self.skip = round(architecture.channels / 2**0.5), architecture.skip
        self.input = complex_channels(architecture.representation)
        self.unet = UNet(len(self.input) + 1, channels, ComplexConvLayer, architecture.dropout)
        self.wave = ScaledHead(ComplexConv2d(channels, 1), FIRST_SCALE if self.skip else 1.0)

    def forward(self, features: Features, probe: Wave) -> tuple[Wave, Phase]:
        unit = (probe.shape[-2] * probe.shape[-1]) ** 0.5
        zeros = torch.zeros_like(features[:, 0])
        parts = [
            part
            for real, imag in self.input
            for part in (features[:, real], zeros if imag is None else features[:, imag])
        ]
        maps = torch.cat([torch.stack(parts, dim=1), interleaved(unit * probe[:, None])], dim=1)
        wave = complex_maps(self.wave(self.unet(maps)))[:, 0] / unit
        wave = wave + probe if self.skip else wave
        return wave, (wave * probe.conj() if self.skip else wave).detach().angle()


class ScaledHead(nn.Module):
    """One convolution without activation times a trainable scale, in single precision."""

    def __init__(self, convolution: nn.Module, first_scale: float):
        super().__init__()
        self.convolution = convolution
        self.scale = nn.Parameter(torch.tensor(first_scale))

    def forward(self, maps: Features) -> Float[torch.Tensor, "batch head row col"]:
        with torch.autocast(maps.device.type, enabled=False):
            return self.scale * self.convolution(maps.float())


@dataclass(frozen=True)
class LayerRow:
    """A row of the layer table: parameters include the running statistics of normalisations."""

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int


KINDS: dict[type[nn.Module], str] = {
    ConvLayer: "convolution, normalisation, swish",
    ComplexConvLayer: "complex convolution, normalisation, swish",
    ScaledHead: "convolution, scale",
}


def layer_table(net: ExitWaveNet) -> list[LayerRow]:
    """Layers in the order of computation, with the shape (channel, row, col) of what they return.

    Strided and transposed layers say so in their kind. Complex channels count twice.
    """
    rows: list[LayerRow] = []

    def row_of(name: str, module: nn.Module):
        def add(_module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
            kind = _kind(module)
            rows.append(LayerRow(name, kind, tuple(output.shape[1:]), parameter_count(module)))

        return add

    layers = [(name, module) for name, module in net.named_modules() if type(module) in KINDS]
    handles = [layer.register_forward_hook(row_of(name, layer)) for name, layer in layers]
    size, device = net.architecture.size, next(net.parameters()).device
    channels = representation(net.architecture.representation).channels
    was_training = net.training
    net.eval()
    with torch.no_grad():
        probe = torch.ones(1, size, size, dtype=torch.complex64, device=device)
        net(torch.zeros(1, channels, size, size, device=device), probe)
    net.train(was_training)
    for handle in handles:
        handle.remove()
    return rows


def parameter_count(module: nn.Module, statistics: bool = True) -> int:
    """Trainable values and, as Keras and the paper count, running means and variances.

    PyTorch's counters of batches are not counted.
    """
    running = [values for values in module.buffers() if values.is_floating_point()] if statistics else []
    return sum(values.numel() for values in (*module.parameters(), *running))


def _kind(module: nn.Module) -> str:
    convolution = next(child for child in module.modules() if hasattr(child, "stride"))
    stride = convolution.stride if isinstance(convolution.stride, int) else convolution.stride[0]
    transposed = getattr(convolution, "transposed", False)
    change = {1: ""}.get(stride, ", doubled" if transposed else ", halved")
    return KINDS[type(module)] + change
