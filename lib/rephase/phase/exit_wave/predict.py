"""A trained network at work: exit waves of the kernels of one scan."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Complex, Float

from rephase.nets.folding import folded
from rephase.phase.exit_wave.frame import Frame
from rephase.phase.exit_wave.inputs import cropped, prepare
from rephase.phase.exit_wave.network import ExitWaveNet

Precision = Literal["float32", "bfloat16"]


class Predictor:
    """Exit waves from kernels of patterns, for one frame and step.

    Parameters
    ----------
    net : ExitWaveNet
        Copied, not changed.
    frame : Frame
    step_angstrom : (float, float)
        Of the scan; the network is told the geometric mean of the two.
    device : str or torch.device
    precision : {'float32', 'bfloat16'}
        Of the network's layers; its input and output are in single precision.
    compiled : bool
        Whether ``torch.compile`` is used: up to a minute once, less for every batch after.

    Attributes
    ----------
    probe : tensor (n, n)
        Incident wave on the grid of the exit waves.
    """

    def __init__(
        self,
        net: ExitWaveNet,
        frame: Frame,
        step_angstrom: tuple[float, float],
        device: torch.device | str = "cpu",
        precision: Precision = "float32",
        compiled: bool = False,
    ):
        self.frame, self.device, self.precision = frame, torch.device(device), precision
        probe = frame.probe(self.device)
        self.probe = cropped(probe, net.architecture.size).contiguous()
        lengths = (math.sqrt(math.prod(step_angstrom)), frame.box_angstrom)
        step, box = (torch.tensor([length], device=self.device) for length in lengths)
        self._features = prepare(net.architecture.representation, probe[None], step, box)
        net = folded(net).to(self.device, memory_format=torch.channels_last)
        if compiled:  # what is real in it, for batches of any size
            net.body.unet = torch.compile(net.body.unet, dynamic=True)
        self._net = net

    @torch.inference_mode()
    def __call__(self, patterns: Float[torch.Tensor, "batch 9 64 64"]) -> Complex[torch.Tensor, "batch n n"]:
        """Exit waves in real space, the probe in the middle.

        Parameters
        ----------
        patterns : tensor (batch, 9, 64, 64)
            On the frame, in the order of `KERNEL`, in electrons or fractions of the beam.
        """
        seen = self.features(patterns).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            return self._net(seen, self.probe.expand(len(patterns), -1, -1))

    def features(
        self, patterns: Float[torch.Tensor, "batch 9 64 64"]
    ) -> Float[torch.Tensor, "batch channel row col"]:
        """The network's input for kernels of patterns."""
        return self._features(patterns)
