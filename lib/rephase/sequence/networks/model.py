"""The networks: weighted observed frames plus what an encoder, a state z(t) and a decoder add.

    M(t) = sum_k w(t, k) M(t_k) + s D(skips(t), [z(t), p, age(t), change(t)])

The weights w are those of the linear interpolation of each position between its own observations at
first, and follow z(t) when trained (`rephase.sequence.networks.weighing`), s is the spread of
the observed frames and D the decoder, which is zero at first. The encoder sees, at every time at
which any position is observed, how the frames of all positions (interpolated where they are not
observed) differ from their mean, and how old they are. Its skips are carried to other times by
linear interpolation. All networks are the same but for z(t); see `rephase.sequence.networks.latent`.

Two more have no temporal model at all and keep the linear weights. They differ in the order of U-Net
and interpolation:

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
from rephase.sequence.networks.weighing import Weighing

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
        alone = architecture.kind in ("after", "before")
        told = latent.model_copy(update={"code": latent.code + 2 * positions})
        self.latent = LATENTS["none" if alone else architecture.kind](told, positions)
        condition = latent.state + PARAMETERS + 3 * positions
        self.decoder = Decoder(widths, condition, positions, patch)
        self.weighing = None if alone else Weighing(condition, latent.state + told.code, positions)

    @property
    def evaluations(self) -> int:
        """Evaluations of the vector field for the latest batch; 0 without one."""
        return getattr(self.latent, "evaluations", 0)

    def forward(
        self, observed: Observed, at: Wanted
    ) -> Float[torch.Tensor, "sequence wanted position row col"]:
        """Frames at the times of these indices, in the unit of those observed."""
        if self.weighing is not None:
            return self._over_time(observed, at)
        if self.architecture.kind == "before":
            added = torch.einsum("wk,skprc->swprc", observed.carry[at], self._alone(observed, observed.knots))
        else:
            added = self._alone(observed, at)
        return observed.linear(at) + observed.spread[:, None, None, None, None] * added

    def _alone(
        self, observed: Observed, at: Wanted
    ) -> Float[torch.Tensor, "sequence wanted position row col"]:
        """What the decoder adds to each frame from that frame, in units of the spread."""
        skips, codes = self._encoded(observed, at)
        return self._decoded(skips, self._condition(self.latent.read(codes), observed, at))

    def _over_time(
        self, observed: Observed, at: Wanted
    ) -> Float[torch.Tensor, "sequence wanted position row col"]:
        """Frames from all that are observed, by way of z(t)."""
        skips, codes = self._encoded(observed, observed.knots)
        z, there = self.latent(codes, observed, torch.cat([at, observed.knots])).split(
            [len(at), len(observed.knots)], dim=1
        )
        condition = self._condition(z, observed, at)
        weights = self.weighing(condition, torch.cat([there, codes], dim=-1), observed, at)
        weighted = torch.einsum("spwk,skprc->swprc", weights, observed.frames)
        carry = observed.carry[at].to(skips[0])
        carried = [torch.einsum("wk,skchv->swchv", carry, skip) for skip in skips]
        added = self._decoded(carried, condition)
        return weighted + observed.spread[:, None, None, None, None] * added

    def _condition(
        self, z: Float[torch.Tensor, "sequence wanted state"], observed: Observed, at: Wanted
    ) -> Float[torch.Tensor, "sequence wanted condition"]:
        """z, p, and of each position the age, the change in this gap and in all gaps."""
        known, usual = (
            values[:, None].expand(-1, z.shape[1], -1) for values in (observed.known, observed.change.mean(1))
        )
        age = observed.age[at].expand(len(z), -1, -1)
        return torch.cat([z, known, age, observed.change[:, at], usual], dim=-1)

    def _decoded(
        self, skips: list[Skip], condition: Float[torch.Tensor, "sequence wanted condition"]
    ) -> Float[torch.Tensor, "sequence wanted position row col"]:
        with self._autocast(condition.device):
            added = self.decoder([skip.flatten(0, 1) for skip in skips], condition.flatten(0, 1))
        return added.float().unflatten(0, condition.shape[:2])

    def _encoded(
        self, observed: Observed, sites: Wanted
    ) -> tuple[list[Skip], Float[torch.Tensor, "sequence site code"]]:
        """Skips and codes of the frames at these times, codes with the change before and after."""
        deviations = observed.deviations(sites)
        deviations = deviations / (1 + deviations.abs()).sqrt()
        age = observed.age[sites][None, :, :, None, None].expand_as(deviations)
        mean = observed.mean / observed.mean.mean(dim=(1, 2, 3), keepdim=True)
        features = self.features.expand(len(mean), -1, -1, -1)
        static = torch.cat([mean.clamp_min(0).sqrt(), features], dim=1)
        with self._autocast(static.device):
            skips, codes = self.encoder(torch.cat([deviations, age], dim=2), static)
        before, after = (observed.change[:, one] for one in ((sites - 1).clamp_min(0), sites))
        return skips, torch.cat([codes.float(), before, after], dim=-1)

    def _autocast(self, device: torch.device) -> torch.autocast:
        return torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16")


def parameter_count(net: nn.Module) -> int:
    """Number of trained values."""
    return sum(values.numel() for values in net.parameters())
