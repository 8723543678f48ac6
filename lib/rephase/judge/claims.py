"""The claims ledger: what each paper says, the test that decides, and the verdict.

Every test names a region in which the measured value must lie. The claim holds
where the whole interval of the measurement lies inside, fails where it lies
outside, and is undecided where it straddles an edge.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from rephase.errors import InputError
from rephase.judge.criteria import Criterion, Ratio, Strict, WithinMargin

Outcome = Literal["holds", "fails", "undecided at this scale", "not testable"]
Text = Annotated[str, Field(min_length=1)]


class Entry(Strict):
    """One claim as it stands in ``claims.yaml``."""

    id: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]*[0-9][a-z]?$")]
    paper: Text
    place: Text
    statement: Text
    quantity: Text
    unit: Text
    paper_value: float | None = None
    paper_spread: Annotated[float, Field(ge=0)] | None = None
    test: Annotated[Criterion, Field(discriminator="kind")]
    seeds: Annotated[int, Field(ge=1)]
    why_not_testable: Text | None = None

    @model_validator(mode="after")
    def _comparable(self) -> Entry:
        compares = isinstance(self.test, WithinMargin | Ratio)
        if compares and self.paper_value is None:
            raise ValueError(f"a paper_value, as a test of kind {self.test.kind} compares with it")
        if isinstance(self.test, Ratio) and not self.paper_value > 0:
            raise ValueError("a paper_value above 0, as a ratio has")
        return self


class Claim(Entry):
    """An entry with the hashes that its verdict will carry."""

    entry_sha256: str
    claims_sha256: str


@dataclass(frozen=True)
class Measurement:
    """What a results notebook measured for one claim.

    Parameters
    ----------
    claim : str
        The claim's id.
    value, low, high : float or None
        Measured value and its interval; None where the scale could not measure it.
    n_seeds : int
        Seeds behind the value.
    scale : str
        The scale at which it was measured.
    reason : str, optional
        Why the scale could not measure the value: required then.
    unfinished : str, optional
        Why what was measured would do better at a larger scale, as a network that has
        not been trained to the end: the claim may hold then, but not fail.

    Raises
    ------
    InputError
        If the interval does not hold the value, a number is not finite, or
        there is neither a value nor a reason.
    """

    claim: str
    value: float | None
    low: float | None
    high: float | None
    n_seeds: int
    scale: str
    reason: str | None = None
    unfinished: str | None = None

    def __post_init__(self) -> None:
        numbers = (self.low, self.value, self.high)
        where = f"measurement of {self.claim}"
        if numbers == (None, None, None):
            if not self.reason:
                raise InputError(where, "neither a value nor a reason", "one of the two")
        elif None in numbers or not all(map(math.isfinite, numbers)):
            raise InputError(where, f"low, value, high = {numbers}", "three finite numbers, or none")
        elif not self.low <= self.value <= self.high:
            raise InputError(where, f"low, value, high = {numbers}", "an interval that holds the value")


class Verdict(Strict):
    """The outcome for one claim at one scale, with what was measured and the hashes of the claim."""

    claim: str
    outcome: Outcome
    value: float | None
    low: float | None
    high: float | None
    n_seeds: int
    scale: str
    reason: str | None
    entry_sha256: str
    claims_sha256: str


def verdict(claim: Claim, measurement: Measurement) -> Verdict:
    """Whether a claim holds, by its own test.

    Judged and stored is the interval as it is printed, to six significant digits.

    Raises
    ------
    InputError
        If the measurement is of another claim.
    """
    if measurement.claim != claim.id:
        raise InputError("measurement.claim", measurement.claim, f"the claim's id, {claim.id}")
    printed = {name: _printed(getattr(measurement, name)) for name in ("value", "low", "high")}
    measurement = replace(measurement, **printed)
    outcome, reason = _decide(claim, measurement)
    return Verdict(
        claim=claim.id,
        outcome=outcome,
        value=measurement.value,
        low=measurement.low,
        high=measurement.high,
        n_seeds=measurement.n_seeds,
        scale=measurement.scale,
        reason=reason,
        entry_sha256=claim.entry_sha256,
        claims_sha256=claim.claims_sha256,
    )


def _printed(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.6g}")


def _decide(claim: Claim, measured: Measurement) -> tuple[Outcome, str | None]:
    if claim.why_not_testable:
        return "not testable", claim.why_not_testable
    if measured.value is None:
        return "undecided at this scale", measured.reason
    if measured.n_seeds < claim.seeds:
        return "undecided at this scale", measured.reason or f"{measured.n_seeds} of {claim.seeds} seeds"
    lower, upper = claim.test.region(claim.paper_value)
    if lower <= measured.low and measured.high <= upper:
        return "holds", measured.reason
    if measured.high < lower or measured.low > upper:
        if measured.unfinished:
            return "undecided at this scale", measured.unfinished
        return "fails", measured.reason
    edges = [f"{round(edge, 12):.6g}" for edge in (lower, upper) if measured.low <= edge <= measured.high]
    straddled = f"the interval {measured.low:.6g} to {measured.high:.6g} straddles {' and '.join(edges)}"
    return "undecided at this scale", measured.reason or straddled


def read_claims(path: Path | str = "claims.yaml") -> dict[str, Claim]:
    """Read ``claims.yaml``: a mapping with the one key ``claims``, a list of entries.

    The hashes are taken of the content in canonical JSON: comments, order of
    keys and layout do not change them.

    Returns
    -------
    dict of str to Claim
        The claims by id, in the order of the file.

    Raises
    ------
    InputError
        Naming the file and the key: missing file, invalid YAML, a key or type
        that is wrong, an id that stands twice.
    """
    try:
        content = YAML(typ="safe").load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(str(path), "no such file", "the claims ledger") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise InputError(str(path), " ".join(str(error).split()), "valid YAML") from None
    rows = content.get("claims") if isinstance(content, dict) and len(content) == 1 else None
    if not isinstance(rows, list):
        raise InputError(str(path), "something else", "one key, 'claims', with a list of entries")
    entries: dict[str, Entry] = {}
    for i, raw in enumerate(rows):
        name = raw["id"] if isinstance(raw, dict) and isinstance(raw.get("id"), str) else i
        entry = _validated(Entry, raw, f"{path}: claims.{name}")
        if entry.id in entries:
            raise InputError(f"{path}: claims.{name}.id", f"{entry.id} a second time", "an id of its own")
        entries[entry.id] = entry
    whole = _sha256(content)
    return {
        entry.id: Claim(**dict(entry), entry_sha256=_sha256(raw), claims_sha256=whole)
        for entry, raw in zip(entries.values(), rows, strict=True)
    }


def write_verdicts(path: Path | str, verdicts: Iterable[Verdict]) -> None:
    """Write ``verdicts.json`` beside its place and rename it, sorted by scale and claim.

    Raises
    ------
    InputError
        If a claim has two verdicts at one scale.
    """
    by_name = {}
    for one in verdicts:
        if (one.scale, one.claim) in by_name:
            raise InputError("verdicts", f"{one.claim} twice at scale {one.scale}", "one verdict a claim")
        by_name[one.scale, one.claim] = one.model_dump()
    rows = [by_name[name] for name in sorted(by_name)]
    text = json.dumps({"verdicts": rows}, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_verdicts(path: Path | str) -> list[Verdict]:
    """Read what `write_verdicts` wrote.

    Raises
    ------
    InputError
        Naming the file and the key: missing file, invalid JSON, a key or type that is wrong.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(str(path), "no such file", "verdicts, written by the pipeline") from None
    except ValueError as error:
        raise InputError(str(path), str(error), "valid JSON") from None
    if not isinstance(content, dict) or not isinstance(content.get("verdicts"), list):
        raise InputError(str(path), "something else", "one key, 'verdicts', with a list")
    return [_validated(Verdict, raw, f"{path}: verdicts.{i}") for i, raw in enumerate(content["verdicts"])]


def _validated(model: type[BaseModel], raw: Any, where: str) -> Any:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join((where, *map(str, first["loc"])))
        found = "nothing" if first["type"] == "missing" else repr(first["input"])
        message = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        raise InputError(key, found, message) from None


def _sha256(content: Any) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
