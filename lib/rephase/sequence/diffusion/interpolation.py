"""What linear interpolation leaves: the unknown that is drawn, in units of its expected size.

Between two observed frames a random walk of the intensity, observed with counting noise, has
the straight line as its mean and a variance around it that is known:

    scale^2 = rate (t - a) (b - t) / (b - a) + sum of (weight^2 noise^2) of both frames,

and beyond the first and last frame rate |t - end| + noise^2. The rate is a sequence's own, from
the differences of its observed frames. The unknown x0 = (truth - line) / scale so has a variance
near 1 everywhere. At an observed frame the scale is its noise alone: what is drawn keeps to
observed frames as well as their noise allows, and to noise-free ones exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from jaxtyping import Bool, Float

from rephase.sequence.linear import linear_weights

LEAST_RATE = 0.01  # of what the differences of frames alone would say: noise is not known that well
LEAST_UNIT = 1e-4  # of the root mean square intensity, for what stands still

Stack = Float[torch.Tensor, "*sequence time position row col"]


@dataclass(frozen=True)
class Line:
    """A linearly interpolated sequence, or several stacked, and what is known of its error.

    Parameters
    ----------
    frames : tensor (..., time, position, row, col)
    scale : tensor (..., time, position, row, col)
        Expected standard deviation of the truth from these.
    mean : tensor (..., 1, position, row, col)
        Mean of the frames in time.
    unit : tensor (..., 1, 1, 1, 1)
        Root mean square of the scale, above 0.
    marks : tensor (..., time, mark)
        For each position whether it is observed, and the logarithm of 1 + the times since the
        last and until the next observed frame; then what is known of the sequence.
    times : tensor (..., time)
        In mean intervals between frames, as those of the marks.
    """

    frames: Stack
    scale: Stack
    mean: Float[torch.Tensor, "*sequence 1 position row col"]
    unit: Float[torch.Tensor, "*sequence 1 1 1 1"]
    marks: Float[torch.Tensor, "*sequence time mark"]
    times: Float[torch.Tensor, "*sequence time"]

    def window(self, first: int, length: int) -> Line:
        """Some of the frames of one sequence."""
        part = slice(first, first + length)
        cut = {name: getattr(self, name)[part] for name in ("frames", "scale", "marks", "times")}
        return replace(self, **cut)


def stacked(lines: list[Line]) -> Line:
    """Several sequences of the same size as one stack."""
    return Line(*(torch.stack([getattr(line, one.name) for line in lines]) for one in fields(Line)))


def interpolated(
    times: Float[np.ndarray, " time"],
    frames: Float[torch.Tensor, "time position row col"],
    mask: Bool[np.ndarray, "time position"],
    dose: float,
    known: Float[torch.Tensor, " parameter"],
) -> Line:
    """Interpolate a sequence linearly in time, each position between its own observed frames.

    Parameters
    ----------
    times : array (time,)
        Increasing, in any unit.
    frames : tensor (time, position, row, col)
        Whatever stands where the mask is False is ignored.
    mask : bool array (time, position)
        True where a frame is observed.
    dose : float
        Electrons counted where a frame's intensity is 1, those per pattern for fractions of the
        beam; infinite without noise.
    known : tensor (parameter,)
        See `rephase.sequence.networks.known`.
    """
    times = (times - times[0]) * ((len(times) - 1) / (times[-1] - times[0]))
    seen = torch.from_numpy(mask).to(frames.device)
    frames = torch.where(seen[..., None, None], frames, 0)
    noise = _noise_variance(frames, seen, dose)
    weights, bridge = _bridges(times, mask)
    weights, bridge = (torch.from_numpy(part).to(frames) for part in (weights, bridge))
    variance = _rate(times, frames, mask, noise) * bridge[..., None, None]
    variance = variance + weights.square().sum(2)[..., None, None] * noise
    marks = torch.from_numpy(_marks(times, mask))
    line = torch.einsum("tpk,kpij->tpij", weights, frames)
    unit = (variance.mean() + LEAST_UNIT**2 * line.square().mean()).sqrt()
    return Line(
        line,
        variance.sqrt(),
        line.mean(0, keepdim=True),
        unit.reshape(1, 1, 1, 1),
        torch.cat([marks.to(frames), known.to(frames).expand(len(times), -1)], 1),
        torch.from_numpy(times).to(frames),
    )


def _noise_variance(
    frames: Float[torch.Tensor, "time position row col"],
    seen: Bool[torch.Tensor, "time position"],
    dose: float,
) -> Float[torch.Tensor, "position row col"]:
    """Poisson's, of the mean intensity in time; an electron more in all frames keeps it above 0."""
    count = seen.sum(0)[:, None, None]
    return (frames.sum(0) + 1 / dose) / count / dose


def _bridges(
    times: Float[np.ndarray, " time"], mask: Bool[np.ndarray, "time position"]
) -> tuple[Float[np.ndarray, "time position time"], Float[np.ndarray, "time position"]]:
    """Weights of all frames in the line, and a random walk's variance around it at a rate of 1."""
    weights, bridge = np.zeros((*mask.shape, len(times))), np.empty(mask.shape)
    for position, seen in enumerate(mask.T):
        weights[:, position, seen] = linear_weights(times[seen], times)
        before, after = _distances(times, seen)
        with np.errstate(divide="ignore"):
            bridge[:, position] = 1 / (1 / before + 1 / after)
    return weights, bridge


def _distances(
    times: Float[np.ndarray, " time"], seen: Bool[np.ndarray, " time"]
) -> tuple[Float[np.ndarray, " time"], Float[np.ndarray, " time"]]:
    """Time since the last observed frame and until the next, infinite where there is none."""
    last = np.maximum.accumulate(np.where(seen, times, -np.inf))
    following = np.minimum.accumulate(np.where(seen, times, np.inf)[::-1])[::-1]
    return times - last, following - times


def _marks(
    times: Float[np.ndarray, " time"], mask: Bool[np.ndarray, "time position"]
) -> Float[np.ndarray, "time mark"]:
    distances = [part for seen in mask.T for part in _distances(times, seen)]
    return np.column_stack([mask, np.log1p(np.minimum(distances, times[-1]).T)])


def _rate(
    times: Float[np.ndarray, " time"],
    frames: Float[torch.Tensor, "time position row col"],
    mask: Bool[np.ndarray, "time position"],
    noise: Float[torch.Tensor, "position row col"],
) -> float:
    """Mean square change of a pixel in unit time, from one observed frame to the next."""
    change, expected, duration = 0.0, 0.0, 0.0
    for position, seen in enumerate(mask.T):
        differences = frames[torch.from_numpy(seen), position].diff(dim=0)
        change += float(differences.square().mean((1, 2)).sum())
        expected += 2 * len(differences) * float(noise[position].mean())
        duration += float(np.ptp(times[seen]))
    return max(change - expected, LEAST_RATE * change) / duration
