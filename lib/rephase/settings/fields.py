"""What blocks of ``params.yaml`` are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Seeds = Annotated[int, Field(ge=2, description="noise seeds; with fewer than two there is no variance")]
Doses = Annotated[list[Positive], Field(min_length=1, description="e/A^2, besides infinite dose")]
Seed = Annotated[int, Field(ge=0)]


class Settings(BaseModel):
    """Immutable, and strict about names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")
