"""What every phase method returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class PhaseImage:
    """An image of the specimen, on a grid tied to the scan's.

    Pixel ``[i, j]`` lies at ``origin + (i, j) * pixel`` in the coordinates in
    which scan position ``[0, 0]`` is the origin.

    Parameters
    ----------
    values : array (slow, fast)
        Phase in rad, or signal as a fraction of the beam for virtual detectors.
    pixel_angstrom : (float, float)
        Pixel size along (slow, fast), in angstrom.
    origin_angstrom : (float, float)
        Position of pixel ``[0, 0]``, in angstrom.
    unit : {'rad', 'fraction'}
        Unit of ``values``.
    details : mapping
        What else the method found: defocus, error per iteration, ...
    """

    values: Float[np.ndarray, "slow fast"]
    pixel_angstrom: tuple[float, float]
    origin_angstrom: tuple[float, float] = (0.0, 0.0)
    unit: Literal["rad", "fraction"] = "rad"
    details: Mapping[str, Any] = field(default_factory=dict)
