"""A sequence completed by a trained network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field

from rephase.errors import InputError
from rephase.phase.settings import MethodSettings
from rephase.sequence.checks import check_sequence
from rephase.sequence.completed import Completed, Frames, Mask, Times
from rephase.sequence.networks.known import known
from rephase.sequence.networks.model import SequenceNet
from rephase.sequence.networks.observed import observe
from rephase.sequence.networks.weights import load_weights


class NetworkSettings(MethodSettings):
    """Settings of the completion by a network.

    Parameters
    ----------
    weights : path
        File of the trained network.
    energy_ev, thickness_angstrom : float
        Of the beam, and an estimate of the specimen's.
    dose : float, optional
        Electrons per pattern; without noise if not given.
    device : str
        Where torch computes: 'cpu', 'cuda', ...
    precision : {'32', 'bf16'}
        Of the network's layers.
    """

    weights: Path
    energy_ev: float = Field(gt=0)
    thickness_angstrom: float = Field(gt=0)
    dose: float | None = Field(default=None, gt=0)
    device: str = "cpu"
    precision: str = Field(default="32", pattern="^(32|bf16)$")


def complete(times: Times, frames: Frames, mask: Mask, settings: NetworkSettings) -> Completed:
    """All frames by a trained network; observed frames change as far as they are taken for noise.

    Intensities below 0 are set to 0.

    Returns
    -------
    Completed
        ``details`` has ``evaluations`` of the vector field (0 without one) and the ``sha256`` of
        the weights.

    Raises
    ------
    InputError
        If the sequence cannot be completed (see `rephase.sequence.checks`), the weights cannot
        be used, or the frames have not the size that the network was trained on.
    SolverError
        If a differential equation is not solved.
    """
    check_sequence(times, frames, mask)
    weights = load_weights(settings.weights)
    dose = np.inf if settings.dose is None else settings.dose
    facts = (np.array([value]) for value in (settings.energy_ev, settings.thickness_angstrom, dose))
    net = weights.net.to(settings.device)
    found = predict(net, times, frames, mask, known(*facts), settings.precision)
    return Completed(found, None, {"evaluations": net.evaluations, "sha256": weights.sha256})


def predict(
    net: SequenceNet,
    times: Times,
    frames: Frames,
    mask: Mask,
    parameters: Float[torch.Tensor, "1 parameter"],
    precision: str = "32",
) -> Float[np.ndarray, "time position row col"]:
    """Frames at all times by a network that is at hand, on its device.

    Parameters
    ----------
    net : SequenceNet
    times, frames, mask : array
        As for `complete`, not checked.
    parameters : tensor (1, parameter)
        From `rephase.sequence.networks.known.known`.
    precision : {'32', 'bf16'}

    Raises
    ------
    InputError
        If the frames have not the size that the network was trained on.
    SolverError
        If a differential equation is not solved.
    """
    architecture, device = net.architecture, next(net.parameters()).device
    expected = (architecture.positions, architecture.size, architecture.size)
    if frames.shape[1:] != expected:
        found = f"(position, row, col) = {frames.shape[1:]}"
        raise InputError("frames", found, f"{expected}, as in training")
    seen = torch.from_numpy(frames[mask.any(axis=1)].astype(np.float32))[None].to(device)
    at = torch.arange(len(times), device=device)
    net.precision = precision
    with torch.inference_mode():
        observed = observe(np.asarray(times, dtype=float), seen, mask, parameters.to(device))
        return net(observed, at)[0].clamp_min(0).cpu().numpy()
