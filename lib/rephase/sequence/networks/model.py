"""The networks: linear interpolation plus what an encoder, a state z(t) and a decoder add.

    M(t) = L(t) + s D(skips(t), [z(t), p, age(t)])

L is the linear interpolation of each position between its own observations, s the spread of
the observed frames and D the decoder, which is zero at first. The encoder sees, at every time at
which any position is observed, how the frames of all positions (interpolated where they are not
observed) differ from their mean, and how old they are. Its skips are carried to other times by
linear interpolation. All networks are the same but for z(t); see `rephase.sequence.networks.latent`.

Two more have no temporal model at all, and differ in the order of U-Net and interpolation:

    after       frames are interpolated, then the U-Net sees each by itself
    before      the U-Net sees each observed frame, then what it adds is interpolated
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import nn

from rephase.sequence.networks.encoder import CODE_SIDE, Decoder, Encoder, Skip, fourier_features
from rephase.sequence.networks.known import PARAMETERS
from rephase.sequence.networks.latent import LATENTS, LatentSettings
from rephase.sequence.networks.observed import Observed, Wanted

Kind = Literal["none", "lstm", "cde", "log_ode", "ode", "after", "before"]
WIDEST = 8  # channels of the lowest level, in units of those of the first


class Architecture(BaseModel):
    """What a network is made of; two equal ones have the same parameters.

    Parameters
    ----------
    kind : str
        How z(t) comes about: 'none', 'lstm', 'cde', 'log_ode', 'ode', 'after' or 'before'.
    size : int
        Side of the detector in pixels.
    positions : int
        Scan positions.
    channels, levels : int
        Of the first level, and how often maps are halved; channels double up to eight times.
    patch : int
        Pixels of squares of this side are channels of the first level.
    fourier : int
        Gaussian frequencies; 0 leaves the Fourier features out.
    fourier_scale : float
        Their standard deviation, in periods per half detector.
    latent : LatentSettings
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Kind = "cde"
    size: int = Field(default=256, ge=8)
    positions: int = Field(default=4, ge=1)
    channels: int = Field(default=64, ge=1)
    levels: int = Field(default=4, ge=1)
    patch: int = Field(default=1, ge=1)
    fourier: int = Field(default=16, ge=0)
    fourier_scale: float = Field(default=4.0, gt=0)
    latent: LatentSettings = LatentSettings()

    @model_validator(mode="after")
    def _halved(self) -> Architecture:
        unit = CODE_SIDE * 2**self.levels * self.patch
        if self.size % unit:
            raise ValueError(f"a size that is a multiple of {unit} px, for these levels and this patch")
        return self

    @property
    def widths(self) -> list[int]:
        """Channels of each level."""
        return [self.channels * min(2**level, WIDEST) for level in range(self.levels + 1)]


PAPER = Architecture()
LAPTOP = Architecture(
    size=32,
    channels=16,
    levels=2,
    patch=2,
    fourier=8,
    fourier_scale=2.0,
    latent=LatentSettings(state=32, code=16, hidden=64, layers=2),
)


class SequenceNet(nn.Module):
    """Network that completes sequences.

    Parameters
    ----------
    architecture : Architecture

    Attributes
    ----------
    precision : {'32', 'bf16'}
        Of encoder and decoder; what is linear in the frames, and z(t), stay in single precision.
    """

    def __init__(self, architecture: Architecture):
        super().__init__()
        self.architecture, self.precision = architecture, "32"
        latent, positions = architecture.latent, architecture.positions
        features = torch.zeros(0, architecture.size, architecture.size)
        if architecture.fourier:
            generator = torch.Generator().manual_seed(0)  # B is fixed, the same for every seed
            args = architecture.size, architecture.fourier, architecture.fourier_scale
            features = fourier_features(*args, generator)
        self.register_buffer("features", features)
        widths = architecture.widths
        seen, static = 2 * positions, positions + len(features)
        size, patch = architecture.size, architecture.patch
        self.encoder = Encoder(seen, static, widths, size, latent.code, patch)
        kind = "none" if architecture.kind in ("after", "before") else architecture.kind
        self.latent = LATENTS[kind](latent, positions)
        self.decoder = Decoder(widths, latent.state + PARAMETERS + positions, positions, patch)

    @property
    def evaluations(self) -> int:
        """Evaluations of the vector field for the latest batch; 0 without one."""
        return getattr(self.latent, "evaluations", 0)

    def forward(
        self, observed: Observed, at: Wanted
    ) -> Float[torch.Tensor, "sequence wanted position row col"]:
        """Frames at the times of these indices, in the unit of those observed."""
        if self.architecture.kind == "before":
            knots = self._added(observed, observed.knots)
            added = torch.einsum("wk,skprc->swprc", observed.carry[at], knots)
        else:
            added = self._added(observed, at)
        return observed.linear(at) + observed.spread[:, None, None, None, None] * added

    def _added(
        self, observed: Observed, at: Wanted
    ) -> Float[torch.Tensor, "sequence wanted position row col"]:
        """What the decoder adds, in units of the spread."""
        alone = self.architecture.kind in ("after", "before")
        skips, codes = self._encoded(observed, at if alone else observed.knots)
        if alone:
            z = self.latent.read(codes)
        else:
            z = self.latent(codes, observed, at)
            carry = observed.carry[at].to(skips[0])
            skips = [torch.einsum("wk,skchv->swchv", carry, skip) for skip in skips]
        count, length = z.shape[:2]
        known = observed.known[:, None].expand(-1, length, -1)
        age = observed.age[at].expand(count, -1, -1)
        condition = torch.cat([z, known, age], dim=-1)
        with self._autocast(z.device):
            added = self.decoder([skip.flatten(0, 1) for skip in skips], condition.flatten(0, 1))
        return added.float().unflatten(0, (count, length))

    def _encoded(
        self, observed: Observed, sites: Wanted
    ) -> tuple[list[Skip], Float[torch.Tensor, "sequence site code"]]:
        """Skips and codes of the frames at these times."""
        deviations = observed.deviations(sites)
        deviations = deviations / (1 + deviations.abs()).sqrt()
        age = observed.age[sites][None, :, :, None, None].expand_as(deviations)
        mean = observed.mean / observed.mean.mean(dim=(1, 2, 3), keepdim=True)
        features = self.features.expand(len(mean), -1, -1, -1)
        static = torch.cat([mean.clamp_min(0).sqrt(), features], dim=1)
        with self._autocast(static.device):
            skips, codes = self.encoder(torch.cat([deviations, age], dim=2), static)
        return skips, codes.float()

    def _autocast(self, device: torch.device) -> torch.autocast:
        return torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16")


def parameter_count(net: nn.Module) -> int:
    """Number of trained values."""
    return sum(values.numel() for values in net.parameters())
