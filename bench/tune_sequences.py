"""The same small search over the settings of every method that completes sequences.

    OMP_NUM_THREADS=1 python bench/tune_sequences.py

Every method has the same number of trials, and its default settings as one more (trial -1). A score
is the NMSE in percent over all frames, the mean over the same observations of validation sequences: some of
each process, whole frames missing (synchronous) and each position at times of its own
(staggered), 90 % of the frames missing at random, 1e5 electrons a pattern. Test sequences are
not touched. A network is trained anew for each trial, with the architecture of
``params.yaml``, for fewer steps than there, from seed 0; a training that diverges scores infinity.

Each trial becomes a row of ``results/tuning/sequences.csv``. A search that was stopped goes on from there, or
is refused where the file beside it (``.json``) says that the scores were of something else. At the
end a table of defaults and winners is printed and written beside it (``.md``); docs/tuning.md says more.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
from exit_wave import Rows, commit_date, machine
from sequence_methods import ARMS, ELECTRONS, KINDS, SPARSITY

from rephase.errors import InputError
from rephase.judge.completion import Candidate, Observation, Trial, trials
from rephase.publish.files import read_json, write_json, write_text
from rephase.sequence.diffusion.network import Architecture as VideoArchitecture
from rephase.sequence.diffusion.schedule import FitSettings as VideoFit
from rephase.sequence.diffusion.several import Training as VideoTraining
from rephase.sequence.diffusion.several import fit_several as fit_videos
from rephase.sequence.methods import METHODS
from rephase.sequence.metrics import relative_error
from rephase.sequence.networks.model import Architecture
from rephase.sequence.networks.schedule import FitSettings
from rephase.sequence.networks.several import Training, fit_several
from rephase.sequence.store import SequenceSet
from rephase.sequence.tuning import DEFAULT, Settings, Space, best, search
from rephase.settings import read_params
from rephase.settings.neural_cde import Train

NETWORKS = {kind: kind for kind in KINDS} | {"full": "cde"}
TITLES = {name: row.title for name, row in METHODS.items() if name != "network"} | KINDS
TITLES["full"] = "neural CDE + physics"
NAMES = [*(name for name in METHODS if name not in ("network", "diffusion")), *NETWORKS, "diffusion"]

KERNELS = ["matern32", "rbf"]
CLASSICAL: dict[str, Space] = {
    "linear": {},
    "pchip": {},
    "modes": {"modes": [1, 2, 3, 4, 6, 8], "between": ["linear", "pchip"]},
    "gp_modes": {"kernel": KERNELS},
    "gp_sequence": {"kernel": KERNELS},
    "joint": {
        "smoothness": (0.01, 1.0, "log"),
        "rank": [None, 2, 4, 8],
        "rounds": [5, 10, 20, 40],
        "kernel": KERNELS,
    },
    "compressed": {
        "temporal": (0.05, 5.0, "log"),
        "spatial": (0.01, 1.0, "log"),
        "wavelet": (0.003, 0.3, "log"),
        "order": [1, 2],
    },
}
COURSE: Space = {"learning_rate": (5e-4, 1e-2, "log"), "weight_decay": (1e-3, 0.2, "log")}
SAMPLING: Space = {"steps": [1, 2, 4, 8]}  # of DDIM
SEED = 0  # of the search and of all trainings


def spaces(train: Train) -> dict[str, Space]:
    """What is varied of each method; weights of terms by a factor of ten either way."""
    around = {name: (weight / 10, weight * 10, "log") for name, weight in terms("full", train).items()}
    networks = {kind: COURSE | {name: around[name] for name in terms(kind, train)} for kind in NETWORKS}
    return CLASSICAL | networks | {"diffusion": COURSE | SAMPLING}


def defaults(train: Train) -> dict[str, Settings]:
    """The same of each method as it stands: from ``params.yaml``, or from the model of its settings."""
    found = {name: standing(METHODS[name].settings, space) for name, space in CLASSICAL.items()}
    rate = {"learning_rate": train.learning_rate}
    found |= {kind: standing(FitSettings, COURSE) | rate | terms(kind, train) for kind in NETWORKS}
    sampling = standing(METHODS["diffusion"].settings, SAMPLING)
    return found | {"diffusion": standing(VideoFit, COURSE) | rate | sampling}


def terms(kind: str, train: Train) -> dict[str, float]:
    """Weights of the terms of physics that a network is trained with."""
    return {"temporal": train.temporal} | (train.physics if kind == "full" else {})


def standing(model: Any, space: Space) -> Settings:
    return {name: model.model_fields[name].default for name in space}


@dataclass(frozen=True)
class Score:
    """Mean NMSE in percent of a method over the same observations.

    Parameters
    ----------
    file : path
        Of a `SequenceSet`.
    asked : tuple of Trial
        Of validation sequences.
    train : Train
        Architecture and batch of the networks.
    steps : int
        Of their training.
    device : str
        Where they are trained and used.
    """

    file: Path
    asked: tuple[Trial, ...]
    train: Train
    steps: int
    device: str

    def __call__(self, method: str, settings: Settings) -> float:
        try:
            if method in CLASSICAL:
                value = self.mean(Candidate(method, settings))
            else:
                value = self.trained(method, settings)
        except FloatingPointError:  # diverged
            value = math.inf
        print(f"{method} {json.dumps(settings)}: {value:.4f} %", flush=True)
        return value

    def mean(self, candidate: Candidate) -> float:
        """NMSE of the observations completed by one method."""
        seen = observations(self.file, self.asked)
        return sum(relative_error(one.by(candidate).frames, one.truth) for one in seen) / len(seen)

    def trained(self, method: str, settings: Settings) -> float:
        """The same of a network after a training with these settings."""
        with tempfile.TemporaryDirectory() as folder:
            where, known = self.sources(), {"device": self.device}
            if method == "diffusion":
                training = VideoTraining(*where, self.video(settings), Path(folder), SEED)
                known["weights"] = next(fit_videos([training], device=self.device))
                return self.mean(Candidate("diffusion", known | {name: settings[name] for name in SAMPLING}))
            training = Training(*where, self.network(method, settings), Path(folder), SEED)
            known["weights"] = next(fit_several([training], device=self.device))
            return self.mean(Candidate("network", known))

    def sources(self) -> list[tuple[Path, tuple[int, ...]]]:
        """Sequences of the training, and those that its own validation looks at."""
        own = sorted({one.sequence for one in self.asked})
        return [(self.file, tuple(rows)) for rows in (SequenceSet(self.file).of("train"), own)]

    def network(self, kind: str, settings: Settings) -> FitSettings:
        """A course of one epoch with the architecture of ``params.yaml``."""
        train, recording = self.train, SequenceSet(self.file).recording
        latent = {"state": train.latent, "code": train.latent, "hidden": train.hidden, "layers": train.layers}
        architecture = Architecture(
            kind=NETWORKS[kind],
            size=recording.detector_px,
            positions=recording.side**2,
            channels=train.channels,
            levels=train.levels,
            patch=train.patch,
            fourier=train.fourier,
            latent=latent,
        )
        weights = {name: settings[name] for name in terms(kind, train)}
        return FitSettings(architecture=architecture, weights=weights, **self.course(settings))

    def video(self, settings: Settings) -> VideoFit:
        """The same of video diffusion, as the pipeline has it."""
        positions = SequenceSet(self.file).recording.side ** 2
        architecture = VideoArchitecture(
            positions=positions, channels=2 * self.train.channels, patch=2 * self.train.patch
        )
        course = self.course(settings) | {"window": self.train.window, "validation_uses": 1}
        return VideoFit(architecture=architecture, **course)

    def course(self, settings: Settings) -> dict[str, Any]:
        """What both have in common."""
        common = {"batch": self.train.batch, "precision": self.train.precision}
        return (
            common | {name: settings[name] for name in COURSE} | {"epochs": 1, "steps_per_epoch": self.steps}
        )


@lru_cache(maxsize=1)
def observations(file: Path, asked: tuple[Trial, ...]) -> list[Observation]:
    """What all methods see, drawn once a process."""
    stored = SequenceSet(file)
    return [Observation(stored, trial) for trial in asked]


def validation(stored: SequenceSet, count: int) -> list[int]:
    """The first validation sequences of each process, processes alternating."""
    processes = stored.parameters["process"].unique()
    own = [stored.of("validation", process)[:count] for process in processes]
    if any(len(rows) < count for rows in own):
        least = min(map(len, own))
        raise InputError("sequences", f"{count} of each process", f"at most {least}, the validation's")
    return [row for rows in zip(*own, strict=True) for row in rows]


def pin(path: Path, asked: Mapping[str, Any]) -> None:
    """Store what the scores are of, or refuse to mix them with others."""
    if path.exists() and (stored := read_json(path)) != asked:
        changed = [name for name in asked | stored if stored.get(name) != asked.get(name)]
        raise InputError(
            f"{path}", f"a search with another {', '.join(changed)}", "the same, or another --out"
        )
    write_json(path, asked)


def winners(table: pd.DataFrame) -> Rows:
    """One row a method: scores of its defaults and of its best settings."""
    rows, found = [], best(table)
    for name in sorted(found, key=NAMES.index):
        own = table[table["method"] == name]
        tried = own.drop_duplicates("settings")
        default = own.loc[own["trial"] == DEFAULT, "score"].item()
        rows.append(
            {
                "method": TITLES[name],
                "trials": len(own),
                "distinct": len(tried),
                "default, NMSE (%)": f"{default:.4f}",
                "best, NMSE (%)": f"{own['score'].min():.4f}",
                "its settings": "the defaults" if default <= own["score"].min() else listed(found[name]),
                "s": f"{tried['seconds'].sum():.0f}",
            }
        )
    return rows


def listed(settings: Settings) -> str:
    pairs = settings.items()
    return ", ".join(f"{name} {v:.3g}" if isinstance(v, float) else f"{name} {v}" for name, v in pairs)


def report(rows: Rows, asked: Mapping[str, Any], workers: int) -> str:
    """The table as Markdown, with what it is of."""
    where = machine("cpu")
    text = [
        "# Search over the settings of the methods that complete sequences",
        f"Mean NMSE of {asked['observations']} observations of validation sequences,"
        f" {asked['sequences']} of each process: {' and '.join(ARMS)}, {100 * SPARSITY:.0f} % missing,"
        f" {ELECTRONS:.0e} electrons a pattern. Networks were trained for {asked['steps']} steps. Defaults"
        " count as one of the trials; settings drawn twice were scored once (distinct). Seconds are those of"
        f" distinct trials, {workers} at a time, on {where['processor']} ({where['cores']} cores); code of"
        f" {commit_date()}. Written by `bench/tune_sequences.py`, which says what is measured.",
        pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True),
    ]
    return "\n\n".join(text) + "\n"


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="?", type=Path, help="sequences; by default those of the scale")
    parser.add_argument("--scale", default="laptop", help="block of params.yaml")
    parser.add_argument("--methods", default=",".join(NAMES), metavar="A,B", help="all by default")
    parser.add_argument("--trials", type=int, default=8, help="of each method, besides its defaults")
    parser.add_argument("--steps", type=int, default=300, help="of each training")
    parser.add_argument("--sequences", type=int, default=4, help="of each process")
    parser.add_argument("--workers", type=int, default=2, help="trials at a time, each on one thread")
    parser.add_argument("--device", default="cpu", help="of the networks")
    parser.add_argument("--out", type=Path, default=Path("results/tuning/sequences.csv"))
    arguments = parser.parse_args()
    arguments.methods = arguments.methods.split(",")
    if unknown := [name for name in arguments.methods if name not in NAMES]:
        parser.error(f"no method {', '.join(unknown)}: {', '.join(NAMES)}")
    return arguments


def main() -> None:
    """Read the command line, search, and write the table."""
    chosen = parsed()
    file = chosen.file or Path(f"results/{chosen.scale}/neural_cde/simulate/sequences.h5")
    train, stored = read_params().section("neural_cde", chosen.scale, "train"), SequenceSet(file)
    rows = validation(stored, chosen.sequences)
    asked = trials(rows, ARMS, ["irregular"], [SPARSITY], [ELECTRONS])
    score, known = Score(file, tuple(asked), train, chosen.steps, chosen.device), defaults(train)
    about = {
        "sequences": chosen.sequences,
        "observations": len(asked),
        "steps": chosen.steps,
        "device": chosen.device,
        "data": stored.digest,
        "network": score.network("full", known["full"]).model_dump(mode="json"),
        "diffusion": score.video(known["diffusion"]).model_dump(mode="json"),
    }
    pin(chosen.out.with_suffix(".json"), about)
    everything = spaces(train)
    own = {name: everything[name] for name in chosen.methods}
    search(score, own, chosen.trials, SEED, chosen.out, defaults=known, workers=chosen.workers)
    table = pd.read_csv(chosen.out, float_precision="round_trip")
    text = report(winners(table), about, chosen.workers)
    write_text(chosen.out.with_suffix(".md"), text)
    print(f"\n{text}")


if __name__ == "__main__":
    main()
