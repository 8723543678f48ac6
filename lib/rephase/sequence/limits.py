"""What the best methods could reach: marks to hold results against, each with what it assumes.

`best_linear` : frames are weighted sums of the observed ones of the same scan position, all pixels
    with the same weights, and the true second moments of the intensities in time are known, of
    this very sequence or as its process has them on average. Where all positions are observed at
    the same times, no such weights do better on average over the counting noise. It is not a
    bound: what is not linear, or lets one pixel or position tell of another, may pass it.
`fit` : the motion's own law is known, and only its parameters are fitted to the counts. Not a
    bound either: where all change falls between two observed frames, least squares picks one of
    many parameters that agree with them, and knowing which are likely would help.
`generator_floor` : the Cramer-Rao bound of such a fit: no unbiased estimate of the parameters
    leaves less error in the frames (to first order in the errors of the parameters).
`counting_nmse` : the error of a sequence of which every frame is counted once and left as it is.
`static_floor` : the Cramer-Rao bound of a pattern that does not change, from all exposures of
    its position: the error of their mean. A changing sequence has to be told from as many
    electrons; prior knowledge, as the generator's law is, may pass it.

All are in percent of sum M^2 over all frames, as the NMSE is. Counting noise is that of Poisson:
the variance of an intensity M, in fractions of the beam, is M / electrons.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
from jaxtyping import Float, Int
from scipy.interpolate import make_interp_spline
from scipy.optimize import least_squares
from statsmodels.tools.numdiff import approx_fprime

from rephase.errors import InputError
from rephase.sequence.completed import Frames, Mask
from rephase.sequence.sampling import alike

Moment = Float[np.ndarray, "time time"]
Parameters = Float[np.ndarray, " parameter"]
Render = Callable[[Parameters], Frames]

_ROUNDING = 1e-10  # of the mean square intensity: what single precision leaves undecided
_FAINTEST = 1e-3  # electrons in a pixel; the noise of fainter ones counts as theirs


def second_moment(frames: Frames) -> Moment:
    """Mean over all positions and pixels of M(t) M(t'), the mean intensity not taken off."""
    curves = frames.reshape(len(frames), -1).astype(np.float64)
    return curves @ curves.T / curves.shape[1]


def process_moment(moments: Sequence[Moment], power: Real) -> Moment:
    """Second moment of a process, for a sequence of known power.

    Parameters
    ----------
    moments : sequence of array (time, time)
        `second_moment` of training sequences, all at the same times. Each is divided by its
        mean square intensity first, as the NMSE is.
    power : float
        Mean square intensity of the sequence to complete; see `observed_power`.
    """
    return power * np.mean([moment / np.diag(moment).mean() for moment in moments], axis=0)


def observed_power(frames: Frames, mask: Mask, electrons: Real = math.inf) -> float:
    """Mean square intensity of the frames that are observed, without what counting adds to it."""
    seen = frames[mask].astype(np.float64)
    return float(np.mean(seen**2) - np.mean(seen) / electrons)


def best_linear(
    frames: Frames, mask: Mask, moment: Moment, electrons: Real = math.inf
) -> Float[np.ndarray, "time position row col"]:
    """The linear estimate of least mean square error: weights G_to (G_oo + R)^-1.

    G are second moments between all times (t) and those observed (o), R the mean variance of the
    counts of each observed frame.

    Parameters
    ----------
    frames : array (time, position, row, col)
        Counts over ``electrons``; read where the mask is True.
    mask : bool array (time, position)
    moment : array (time, time)
        In the squared unit of the frames: `second_moment` of the true frames, or `process_moment`.
    electrons : float
        Beam electrons in a frame; infinite without noise.

    Raises
    ------
    InputError
        If the moment is not one of so many times, or the electrons are not above 0.
    """
    if moment.shape != (len(frames),) * 2:
        raise InputError("moment", f"shape {moment.shape}", f"{len(frames)} times squared")
    _check_electrons(electrons)
    result = np.empty(frames.shape)
    for seen, own in alike(mask):
        values = frames[np.ix_(seen, own)].astype(np.float64)
        weights = _weights(moment, seen, values.mean(axis=(1, 2, 3)) / electrons)
        result[:, own] = np.tensordot(weights, values, axes=1)
    return result


def best_linear_nmse(truth: Frames, mask: Mask, electrons: Real = math.inf) -> float:
    """Expected NMSE, in percent, of `best_linear` with the sequence's own second moment."""
    _check_electrons(electrons)
    moment, left = second_moment(truth), 0.0
    for seen, own in alike(mask):
        curves = truth[:, own]
        noise = curves[seen].mean(axis=(1, 2, 3), dtype=np.float64) / electrons
        weights, exact = _weights(moment, seen, noise), second_moment(curves)
        spread = weights @ (exact[np.ix_(seen, seen)] + np.diag(noise)) @ weights.T
        left += curves[0].size * np.trace(exact - 2 * weights @ exact[seen] + spread)
    return 100 * left / _power(truth)


def counting_nmse(truth: Frames, electrons: Real) -> float:
    """Expected NMSE, in percent, of frames all counted: sum M / electrons over sum M^2."""
    _check_electrons(electrons)
    return 100 * float(truth.sum(dtype=np.float64)) / electrons / _power(truth)


def static_floor(truth: Frames, mask: Mask, electrons: Real) -> float:
    """NMSE, in percent, of the mean of n exposures of a static pattern: 1/n of `counting_nmse`.

    The pattern of each position is its temporal mean; n is how often the position is observed.
    """
    _check_electrons(electrons)
    mean = truth.mean(axis=0, dtype=np.float64).sum(axis=(1, 2))
    return 100 * len(truth) * float(np.sum(mean / mask.sum(axis=0))) / electrons / _power(truth)


@dataclass(frozen=True)
class Fit:
    """Frames by a law whose parameters were fitted.

    Parameters
    ----------
    parameters : array (parameter,)
    frames : array (time, position, row, col)
    converged : bool
        Whether the solver met its tolerances before its limit of evaluations.
    """

    parameters: Parameters
    frames: Float[np.ndarray, "time position row col"]
    converged: bool


def fit(
    render: Render,
    starts: Float[np.ndarray, "start parameter"],
    frames: Frames,
    mask: Mask,
    electrons: Real = math.inf,
    evaluations: int = 200,
) -> Fit:
    """The oracle: fit the parameters of the generator's own law to the observed frames.

    Of all starts the one that agrees best is improved by least squares; then once more with
    each pixel over the standard deviation of its counts, as the first fit foretells it.

    Parameters
    ----------
    render : callable
        Parameters -> noise-free frames (time, position, row, col), smooth in the parameters and
        in double precision: it is differentiated by finite differences.
    starts : array (start, parameter)
    frames : array (time, position, row, col)
        Counts over ``electrons``; read where the mask is True.
    mask : bool array (time, position)
    electrons : float
        Beam electrons in a frame; infinite without noise.
    evaluations : int
        Largest number of steps of each of the two fits.
    """
    _check_electrons(electrons)
    seen = frames[mask].astype(np.float64).ravel()

    def misfit(parameters: Parameters, deviation: float | np.ndarray) -> Float[np.ndarray, " pixel"]:
        return (render(parameters)[mask].ravel() - seen) / deviation

    scale = math.sqrt(np.mean(seen**2))
    best = starts[np.argmin([np.sum(misfit(start, scale) ** 2) for start in starts])]
    found = least_squares(misfit, best, x_scale="jac", args=(scale,), max_nfev=evaluations)
    if math.isfinite(electrons):
        expected = render(found.x)[mask].ravel()
        deviation = np.sqrt(np.maximum(expected, _FAINTEST / electrons) / electrons)
        found = least_squares(misfit, found.x, x_scale="jac", args=(deviation,), max_nfev=evaluations)
    return Fit(found.x, render(found.x), bool(found.success))


def generator_floor(render: Render, parameters: Parameters, mask: Mask, electrons: Real) -> float:
    """Cramer-Rao bound, as an NMSE in percent: tr(J F^-1 J') over sum M^2.

    F = electrons sum (dM/dp)(dM/dp)' / M over the observed pixels is the Fisher matrix of
    Poisson counts, J has dM/dp of all frames, by finite differences. Pixels that expect less
    than a thousandth of an electron tell nothing.

    Raises
    ------
    InputError
        If the observed frames do not tell the parameters apart, or the electrons are not above 0.
    """
    _check_electrons(electrons)
    truth = render(parameters)
    slopes = approx_fprime(parameters, lambda p: render(p).ravel(), centered=True).reshape(*truth.shape, -1)
    expected, told = truth[mask].ravel(), slopes[mask].reshape(-1, len(parameters))
    lit = expected * electrons > _FAINTEST
    fisher = electrons * told[lit].T @ (told[lit] / expected[lit, None])
    size = np.sqrt(np.diag(fisher))
    if not size.min() > 0 or np.linalg.cond(fisher / np.outer(size, size)) > 1 / np.sqrt(_ROUNDING):
        raise InputError("mask", "frames that leave parameters undecided", "frames while they matter")
    gram = np.einsum("trijp,trijq->pq", slopes, slopes)
    return 100 * float(np.trace(np.linalg.solve(fisher, gram))) / _power(truth)


def tabulated(
    order: Float[np.ndarray, " node"], frames: Float[np.ndarray, "node position row col"]
) -> Callable[[Float[np.ndarray, " time"]], Float[np.ndarray, "time position row col"]]:
    """Frames as a function of one order parameter, such as time: a surrogate of the simulation, for `fit`.

    A cubic spline through simulated frames; beyond the outermost it stays with these.

    Parameters
    ----------
    order : array (node,)
        Order parameters, in any order. Of such as are closer than 1e-4 of their range one is kept.
    frames : array (node, position, row, col)
        Noise-free frames at these.

    Raises
    ------
    InputError
        If there are fewer than two different ones.
    """
    ranks = np.argsort(order, kind="stable")
    ordered, nodes = order[ranks], []
    closest = 1e-4 * np.ptp(order)
    for rank, value in zip(ranks, ordered, strict=True):
        if not nodes or value > order[nodes[-1]] + closest:
            nodes.append(rank)
    if len(nodes) < 2:
        raise InputError("order", "order parameters all alike", "two different ones at least")
    low, high = order[nodes[0]], order[nodes[-1]]
    spline = make_interp_spline(order[nodes], frames[nodes].astype(np.float64), k=min(3, len(nodes) - 1))
    return lambda wanted: spline(wanted.clip(low, high))


def course(times: Float[np.ndarray, " time"], truth: Frames) -> tuple[Render, Float[np.ndarray, "start 2"]]:
    """The law of the true sequence with its clock unknown, and where to start: for `fit`.

    Everything is known but when it happens and how fast: onset and width of a transition, arrival
    and speed of a dislocation, beginning and rate of the dose. A frame is the true one at

        middle + exp(rate) (t - middle - delay),

    and parameters are the delay in seconds and the logarithm of the rate, 0 and 0 in truth.
    Beyond its ends the true sequence stays as it is there. Starts are as dense as the frames are
    in half of their time, for a fast change that is missed by more than its width has no slope to follow.

    Parameters
    ----------
    times : array (time,)
        In seconds.
    truth : array (time, position, row, col)
        Noise-free.
    """
    table, middle, span = tabulated(times, truth), float(np.mean(times)), float(np.ptp(times))
    delays, rates = np.linspace(-span / 2, span / 2, 50), np.log(np.geomspace(0.3, 3.0, 7))
    starts = np.stack(np.meshgrid(delays, rates), axis=-1).reshape(-1, 2)
    return lambda p: table(middle + np.exp(p[1]) * (times - middle - p[0])), starts


def _weights(
    moment: Moment, seen: Int[np.ndarray, " observed"], noise: Float[np.ndarray, " observed"]
) -> Float[np.ndarray, "time observed"]:
    rounding = _ROUNDING * np.trace(moment) / len(moment)
    return np.linalg.solve(moment[np.ix_(seen, seen)] + np.diag(noise + rounding), moment[seen]).T


def _power(frames: Frames) -> float:
    return float(np.square(frames, dtype=np.float64).sum())


def _check_electrons(electrons: Real) -> None:
    if not electrons > 0:
        raise InputError("electrons", electrons, "a number above 0")
