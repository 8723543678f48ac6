"""Settings of the notebooks on measured scans, ``notebooks/experimental`` and ``notebooks/own_data``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rephase.settings.fields import Count, Settings


class Experimental(Settings):
    """``experimental/1_rotavirus``: a real scan."""

    parallax_iterations: Count
    ptychography_iterations: Count


class OwnData(Settings):
    """``own_data/1_reconstruct``: a file of the reader's."""

    file: str
    ptychography_iterations: Annotated[int, Field(ge=0)]
