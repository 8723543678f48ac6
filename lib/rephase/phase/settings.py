"""What the settings of every method have in common."""

from pydantic import BaseModel, ConfigDict


class MethodSettings(BaseModel):
    """Immutable, strict about names it does not know, and free of NaN and infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
