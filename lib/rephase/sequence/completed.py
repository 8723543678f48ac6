"""What goes into every method of this task and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

# Whether sizes agree, `rephase.sequence.checks` says in its own words.
Times = Float[np.ndarray, " _time"]
Frames = Float[np.ndarray, "_time _position _row _col"]
Mask = Bool[np.ndarray, "_time _position"]


@dataclass(frozen=True)
class Completed:
    """A sequence with no frame missing.

    Parameters
    ----------
    frames : array (time, position, row, col)
        Estimate at all times, in the unit of the observed frames.
    deviation : array (time, position, row, col), optional
        Standard deviation of the estimate, where the method knows one.
    details : mapping
        What else the method found: length scale, rank, ...
    """

    frames: Float[np.ndarray, "time position row col"]
    deviation: Float[np.ndarray, "time position row col"] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
