"""Solvers of the latent differential equation: gradient error, time and evaluations of the field.

Run as ``python bench/sequence_solver.py``; ``--write results.csv`` keeps the table, ``--size paper``
takes the paper's latent (512 units, four layers), ``--control hermite`` cubics between the knots.
A control of 12 knots at random times drives random fields; the reference is dopri5 in double
precision with tolerances of 1e-10. The gradient is that of the mean square of z at 50 times with
respect to the field's parameters, and to the control. Times are of the process, on one thread.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from rephase.sequence.networks.latent import LatentSettings
from rephase.sequence.networks.model import LAPTOP, PAPER
from rephase.sequence.networks.path import hermite_path, linear_path
from rephase.sequence.networks.solver import SolverSettings, VectorField, solve

REFERENCE = SolverSettings(method="dopri5", absolute_tolerance=1e-10, relative_tolerance=1e-10)
ROWS = {
    "rk4, 1 step a knot": SolverSettings(),
    "rk4, 2 steps a knot": SolverSettings(steps=2),
    "rk4, 4 steps a knot": SolverSettings(steps=4),
    "rk4, 1 step a knot, adjoint": SolverSettings(adjoint=True),
    "dopri5 1e-4": SolverSettings(method="dopri5"),
    "dopri5 1e-3": SolverSettings(method="dopri5", relative_tolerance=1e-3, absolute_tolerance=1e-5),
    "dopri5 1e-4, adjoint": SolverSettings(method="dopri5", adjoint=True),
}


def problem(latent: LatentSettings, sequences: int, knots: int):
    """A field, the values of a control and its times, and where z starts."""
    torch.manual_seed(0)
    channels = 1 + 4 + latent.code
    times = torch.sort(torch.rand(knots, dtype=torch.float64)).values
    times = (times - times[0]) / (times[-1] - times[0])
    values = torch.randn(2 * sequences, knots, channels, dtype=torch.float64).cumsum(1) / knots**0.5
    values[..., 0] = times
    field = VectorField(latent.state, channels, latent.hidden, latent.layers).double()
    return field, values, times, torch.randn(2 * sequences, latent.state, dtype=torch.float64)


def gradients(field, values, times, start, settings, control, wanted=50):
    """States at the times wanted, gradients, evaluations and seconds."""
    values = values.detach().requires_grad_()
    field.zero_grad()
    began = time.process_time()
    path = hermite_path(values, times) if control == "hermite" else linear_path(values)
    solution = solve(path, field, start, settings)
    states = solution.at(torch.linspace(0, len(times) - 1, wanted, dtype=values.dtype))
    states.square().mean().backward()
    seconds = time.process_time() - began
    of_field = torch.cat([p.grad.flatten() for p in field.parameters()]).double()
    return states.detach().double(), of_field, values.grad.double(), solution.evaluations, seconds


def relative(found: torch.Tensor, exact: torch.Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


def table(latent: LatentSettings, sequences: int, knots: int, repeats: int, control: str) -> pd.DataFrame:
    """One row a solver."""
    parts = problem(latent, sequences, knots)
    exact = gradients(*parts, REFERENCE, control)
    single = [part.float() for part in parts]
    rows = []
    for name, settings in ROWS.items():
        runs = [gradients(*single, settings, control) for _ in range(repeats)]
        errors = [relative(found, true) for found, true in zip(runs[0][:3], exact[:3], strict=True)]
        seconds = float(np.median([run[4] for run in runs]))
        rows.append((name, *errors, runs[0][3], 1e3 * seconds))
    names = ["solver", "state_error", "field_gradient_error", "control_gradient_error", "evaluations", "ms"]
    return pd.DataFrame(rows, columns=names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=("laptop", "paper"), default="laptop")
    parser.add_argument("--control", choices=("linear", "hermite"), default="linear")
    parser.add_argument("--sequences", type=int, default=4)
    parser.add_argument("--knots", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    latent = (LAPTOP if chosen.size == "laptop" else PAPER).latent
    found = table(latent, chosen.sequences, chosen.knots, chosen.repeats, chosen.control)
    print(found.to_string(index=False, float_format="{:.3g}".format))
    if chosen.write:
        found.to_csv(chosen.write, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
