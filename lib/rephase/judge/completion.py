"""One trial of sequence methods: a simulated sequence seen through a mask, completed and measured.

Every method sees the same electrons through the same mask, and is told no more than an
experimenter knows: the energy, an estimate of the thickness and the number of electrons, as far
as it has settings of these names.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache, partial
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rephase.microscope.camera import poisson_counts
from rephase.parallel import each
from rephase.sequence.completed import Completed, Frames, Mask, Times
from rephase.sequence.constraints import mean_intensity, projected, shrunk
from rephase.sequence.experimental import ExperimentalSettings, record, repaired
from rephase.sequence.limits import best_linear, counting_nmse, course, fit, second_moment, static_floor
from rephase.sequence.methods import complete, method
from rephase.sequence.metrics import Context, measure
from rephase.sequence.networks.known import thickness_estimates
from rephase.sequence.sampling import Arm, Pattern, draw_mask
from rephase.sequence.store import SequenceSet

Row = dict[str, Any]
Domain = Literal["ideal", "experimental"]
SHRUNK = 0.2  # of the way to the temporal mean


@dataclass(frozen=True)
class Candidate:
    """A method as it takes part.

    Parameters
    ----------
    method : str
        Name in the table of methods.
    settings : mapping
        Besides what an experimenter knows.
    then : {'projected', 'shrunk'}, optional
        A control: its frames are symmetrised and rescaled to I0, or moved towards their
        temporal mean by ``SHRUNK``.
    """

    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    then: Literal["projected", "shrunk"] | None = None


@dataclass(frozen=True)
class Trial:
    """What is asked: which sequence, which frames of it, and from how many electrons.

    Parameters
    ----------
    sequence : int
        Its index in the set.
    arm : {'synchronous', 'staggered'}
    pattern : {'irregular', 'regular', 'bursty'}
    sparsity : float
    electrons : float
        Beam electrons in a frame; infinite without noise.
    domain : {'ideal', 'experimental'}
        A perfect detector, or `rephase.sequence.experimental` with its default settings, stuck
        pixels repaired: what is then true are the frames at the drifted positions.
    """

    sequence: int
    arm: Arm
    pattern: Pattern
    sparsity: float
    electrons: float
    domain: Domain = "ideal"

    @property
    def seed(self) -> int:
        """Of the mask, the same for all numbers of electrons."""
        words = (self.arm, self.pattern, f"{self.sparsity:g}")
        entropy = [self.sequence, *"".join(words).encode()]
        return int(np.random.SeedSequence(entropy).generate_state(1)[0])


def trials(
    sequences: Iterable[int],
    arms: Sequence[Arm],
    patterns: Sequence[Pattern],
    sparsities: Sequence[float],
    electrons: Sequence[float],
    domain: Domain = "ideal",
) -> list[Trial]:
    """Every combination, in the order given."""
    return [Trial(*one, domain) for one in product(sequences, arms, patterns, sparsities, electrons)]


class Observation:
    """What a trial gives to the methods, and what they are held against.

    Parameters
    ----------
    stored : SequenceSet
    trial : Trial

    Attributes
    ----------
    times, truth, frames, mask : array
        Noise-free frames; observed frames in fractions of the beam, NaN where not observed.
    """

    def __init__(self, stored: SequenceSet, trial: Trial):
        self.trial = trial
        self.times: Times = stored.times(trial.sequence)
        self.truth: Frames = stored.frames(trial.sequence)
        shape = self.truth.shape[:2]
        drawn = {"arm": trial.arm, "pattern": trial.pattern}
        self.mask: Mask = draw_mask(*shape, trial.sparsity, trial.seed, **drawn)
        if trial.domain == "experimental":
            recorded = record(
                self.times, self.truth, ExperimentalSettings(electrons=trial.electrons, seed=trial.seed)
            )
            self.truth, seen = recorded.expected, repaired(recorded.frames, self.mask)[self.mask]
        else:
            seen = poisson_counts(self.truth[self.mask], trial.electrons, trial.seed)
            seen = seen / (1.0 if math.isinf(trial.electrons) else trial.electrons)
        self.frames: Frames = np.full(self.truth.shape, np.nan, np.float32)
        self.frames[self.mask] = seen
        self._row = stored.parameters.iloc[trial.sequence]
        self._thickness = float(thickness_estimates(stored.parameters.iloc[[trial.sequence]])[0])
        self._structure = stored.structure(trial.sequence)

    @cached_property
    def context(self) -> Context:
        """What measures need to know besides the frames."""
        pixel, angle = float(self._row["pixel_mrad"]), float(self._row["semiangle_mrad"])
        return Context(pixel, angle, self._structure, mean_intensity(self.frames, self.mask))

    @cached_property
    def facts(self) -> dict[str, float | None]:
        """What an experimenter knows, by the names that settings give it."""
        electrons = None if math.isinf(self.trial.electrons) else self.trial.electrons
        known = {"energy_ev": float(self._row["energy_ev"]), "thickness_angstrom": self._thickness}
        return known | {"dose": electrons, "electrons": electrons}

    @property
    def description(self) -> Row:
        """The trial's columns of a table of scores."""
        kind = {name: str(self._row[name]) for name in ("process", "material", "part")}
        return asdict(self.trial) | kind | {"change_gaps": float(self._row["change_gaps"])}

    def by(self, candidate: Candidate) -> Completed:
        """The sequence completed by one method."""
        fields = method(candidate.method).settings.model_fields
        known = {key: value for key, value in self.facts.items() if key in fields}
        settings = known | dict(candidate.settings)
        found = complete(candidate.method, self.times, self.frames, self.mask, **settings)
        if candidate.then == "projected":
            return replace(found, frames=projected(found.frames, self.context.intensity))
        if candidate.then == "shrunk":
            return replace(found, frames=shrunk(found.frames, SHRUNK))
        return found

    def score(self, estimate: Frames) -> dict[str, float]:
        """Measures of a completed sequence."""
        return measure(estimate, self.truth, self.mask, self.context)


def score(seen: Observation, candidates: Mapping[str, Candidate]) -> list[Row]:
    """Complete one observation by every candidate and measure the results.

    Parameters
    ----------
    seen : Observation
    candidates : mapping
        By label.

    Returns
    -------
    list of dict
        One row a candidate: columns of the trial, ``method`` (the label), measures.
    """
    return [
        seen.description | {"method": label} | seen.score(seen.by(candidate).frames)
        for label, candidate in candidates.items()
    ]


@dataclass(frozen=True)
class Job:
    """A trial and who takes part in it.

    Parameters
    ----------
    trial : Trial
    candidates : mapping
        By label.
    marks : bool
        Whether rows of `marks` are added.
    """

    trial: Trial
    candidates: Mapping[str, Candidate]
    marks: bool = True


def score_several(path: Path | str, jobs: Sequence[Job], workers: int = 0) -> Iterator[list[Row]]:
    """Scores of many trials of one set.

    Parameters
    ----------
    path : path
        File of a `SequenceSet`.
    jobs : sequence of Job
    workers : int
        Processes, each on one thread; by default this process does all.

    Yields
    ------
    list of dict
        Rows of each job, in the order given.
    """
    yield from each(partial(_rows, Path(path)), jobs, workers)


def _rows(path: Path, job: Job) -> list[Row]:
    seen = Observation(_stored(path), job.trial)
    return score(seen, job.candidates) + (marks(seen) if job.marks else [])


@lru_cache(maxsize=1)
def _stored(path: Path) -> SequenceSet:
    return SequenceSet(path)


def marks(seen: Observation) -> list[Row]:
    """What a trial is held against: the temporal mean, two that know too much, the truth, and counting."""
    electrons = seen.trial.electrons
    linear = best_linear(np.nan_to_num(seen.frames), seen.mask, second_moment(seen.truth), electrons)
    oracle = fit(*course(seen.times, seen.truth), seen.frames, seen.mask, electrons).frames
    frames = {
        "temporal mean of the truth": np.broadcast_to(seen.truth.mean(axis=0), seen.truth.shape),
        "best linear": linear.astype(np.float32),
        "oracle": oracle.astype(np.float32),
        "truth": seen.truth,
    }
    rows = [seen.description | {"method": label} | seen.score(one) for label, one in frames.items()]
    floors = {"counting": counting_nmse(seen.truth, electrons)}
    floors["static floor"] = static_floor(seen.truth, seen.mask, electrons)
    return rows + [seen.description | {"method": label, "nmse": value} for label, value in floors.items()]
