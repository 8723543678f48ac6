"""p(t): what an experimenter knows of a sequence and tells the network.

The energy, an estimate of the thickness and the dose; nothing of how the specimen changes. They
do not change in time here. In training the estimate of the thickness is the true one times
1 + 0.1 n with a normal n, drawn once per sequence.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

THICKNESS_ERROR = 0.1
MOST_ELECTRONS = 1e8  # a pattern; more is as good as no noise
PARAMETERS = 3


def known(
    energy_ev: Float[np.ndarray, " sequence"],
    thickness_angstrom: Float[np.ndarray, " sequence"],
    dose: Float[np.ndarray, " sequence"],
) -> Float[torch.Tensor, "sequence parameter"]:
    """Logarithms about their middle, each of order 1.

    Parameters
    ----------
    energy_ev, thickness_angstrom, dose : array (sequence,)
        The dose in electrons per pattern; infinite without noise.
    """
    columns = (
        np.log(energy_ev / 150e3),
        np.log(thickness_angstrom / 150),
        np.log(np.minimum(dose, MOST_ELECTRONS) / 1e5) / math.log(100),
    )
    return torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))


def thickness_estimates(parameters: pd.DataFrame) -> Float[np.ndarray, " sequence"]:
    """Thickness in angstrom as an experimenter would know it: the true one with an error of 10 %.

    Parameters
    ----------
    parameters : pandas.DataFrame
        Columns ``thickness_angstrom`` and ``seed``, which the error follows from.
    """
    true = parameters["thickness_angstrom"].to_numpy(dtype=float)
    normal = np.array([_error(seed) for seed in parameters["seed"]])
    return true * np.clip(1 + THICKNESS_ERROR * normal, 0.5, None)


def _error(seed: Any) -> float:
    return float(np.random.default_rng([int(seed), 0x7E5]).normal())
