"""What decides a claim: the region in which the measured value must lie."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

SMALLEST = math.ulp(0.0)  # 'above 0', as the edge of a closed region
Positive = Annotated[float, Field(gt=0)]
Region = tuple[float, float]


class Strict(BaseModel):
    """Immutable; no unknown keys, no conversions of type, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class WithinMargin(Strict):
    """The measured value lies within ``margin`` of the paper's value."""

    kind: Literal["interval"]
    margin: Positive

    def region(self, paper_value: float) -> Region:
        """Lowest and highest value that satisfy the claim."""
        return paper_value - self.margin, paper_value + self.margin


class AtLeast(Strict):
    """The measured value is ``threshold`` or more."""

    kind: Literal["at_least"]
    threshold: float

    def region(self, paper_value: float | None) -> Region:
        """Lowest and highest value that satisfy the claim."""
        return self.threshold, math.inf


class AtMost(Strict):
    """The measured value is ``threshold`` or less."""

    kind: Literal["at_most"]
    threshold: float

    def region(self, paper_value: float | None) -> Region:
        """Lowest and highest value that satisfy the claim."""
        return -math.inf, self.threshold


class Order(Strict):
    """Things stand in the paper's order: measured is the smallest lead of one over the next."""

    kind: Literal["order"]

    def region(self, paper_value: float | None) -> Region:
        """Lowest and highest value that satisfy the claim."""
        return SMALLEST, math.inf


class Ratio(Strict):
    """The measured ratio agrees with the paper's to a ``factor``, either way."""

    kind: Literal["ratio"]
    factor: Annotated[float, Field(gt=1)]

    def region(self, paper_value: float) -> Region:
        """Lowest and highest value that satisfy the claim."""
        return paper_value / self.factor, paper_value * self.factor


class Trend(Strict):
    """The measured slope has the paper's sign."""

    kind: Literal["trend"]
    direction: Literal["rises", "falls"]

    def region(self, paper_value: float | None) -> Region:
        """Lowest and highest value that satisfy the claim."""
        return (SMALLEST, math.inf) if self.direction == "rises" else (-math.inf, -SMALLEST)


class Equivalence(Strict):
    """The measured difference is no larger than ``margin``, either way."""

    kind: Literal["equivalence"]
    margin: Positive

    def region(self, paper_value: float | None) -> Region:
        """Lowest and highest value that satisfy the claim."""
        return -self.margin, self.margin


Criterion = WithinMargin | AtLeast | AtMost | Order | Ratio | Trend | Equivalence
