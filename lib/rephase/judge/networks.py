"""One scan at many doses by networks and by classical methods, on the grid on which they are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from rephase.files import open_scan
from rephase.judge.ladder import INFINITE, label
from rephase.judge.region import Grid, as_periodic, as_scanned
from rephase.judge.register import band_limit
from rephase.measurement import Scan
from rephase.microscope.camera import expose
from rephase.microscope.optics import Optics
from rephase.phase.exit_wave.method import CNNSettings
from rephase.phase.exit_wave.method import reconstruct as apply_network
from rephase.phase.exit_wave.repetition import repeated
from rephase.phase.methods import reconstruct

Stacks = dict[str, np.ndarray]
Job = Callable[[Scan], Float[np.ndarray, "slow fast"]]


def climb_networks(
    scan: Scan,
    optics: Optics,
    networks: Mapping[str, Path],
    doses: Sequence[float],
    seeds: int,
    grid: Grid | None = None,
    **settings: Any,
) -> Stacks:
    """Reconstruct one scan at every dose with every network.

    The counts are those that :func:`rephase.judge.ladder.climb` draws from the same
    scan, so that networks and classical methods see the same electrons.

    Parameters
    ----------
    scan : Scan
        Noise-free, in fractions of the beam.
    optics : Optics
    networks : mapping
        Name -> file of weights.
    doses : sequence of float
        In e/A^2; ``inf`` for the noise-free scan.
    seeds : int
        Noise realisations of each finite dose.
    grid : Grid, optional
        Pixels of the images; by default those of ``Grid.of(scan)``.
    **settings
        Of `CNNSettings`, besides the weights.

    Returns
    -------
    dict of array
        ``network/dose`` -> images (seed, slow, fast) in rad, of mean 0, with all the
        frequencies that the grid holds.
    """
    models = {name: CNNSettings(weights=path, **settings) for name, path in networks.items()}
    grid = grid or Grid.of(scan)
    jobs = {name: partial(_by_network, optics, model, grid) for name, model in models.items()}
    return _climb(scan, doses, seeds, jobs)


def climb_methods(
    scan: Scan,
    optics: Optics,
    methods: Mapping[str, Mapping[str, Any]],
    doses: Sequence[float],
    seeds: int,
    grid: Grid | None = None,
    repeat: int = 1,
    whole: bool = False,
    suffix: str = "",
) -> Stacks:
    """Reconstruct one periodic scan at every dose with classical methods.

    Parameters
    ----------
    scan, optics, doses, seeds, grid
        As for `climb_networks`, from the same counts.
    methods : mapping
        Method name -> settings.
    repeat : int
        With 2 or more, from repeated data, as
        :func:`rephase.phase.exit_wave.repetition.repeated` makes them.
    whole : bool
        Whether frequencies beyond twice the aperture stay, where a method has any.
    suffix : str
        Of the methods' names in the results.

    Returns
    -------
    dict of array
        ``method/dose`` -> images (seed, slow, fast) in rad, of mean 0.
    """
    grid, cutoff = grid or Grid.of(scan), None if whole else 2 * optics.aperture_radius
    jobs = {
        name + suffix: partial(_by_method, name, dict(given), optics, grid, repeat, cutoff)
        for name, given in methods.items()
    }
    return _climb(scan, doses, seeds, jobs)


def climb_stored(
    climb: Callable[..., Stacks], path: Path | str, name: str, *args: Any, **settings: Any
) -> Stacks:
    """Open a scan of a file and climb: for a process that cannot be handed an open file.

    Parameters
    ----------
    climb : callable
        `climb_networks` or `climb_methods`.
    path : path
    name : str
        Of the scan in the file.
    *args, **settings
        Of ``climb``, after scan and optics.
    """
    return climb(*open_scan(path, name, check=False), *args, **settings)


def every(scan: Scan, step: int, size: tuple[int, int]) -> Scan:
    """Every ``step``-th position of the first ``size`` of a scan.

    Parameters
    ----------
    scan : Scan
    step : int
    size : (int, int)
        Positions of the full scan along (slow, fast) among which they are taken.
    """
    rows, cols = (slice(0, n, step) for n in size)
    slow, fast = scan.step_angstrom
    return scan.with_intensities(scan.load()[rows, cols], step_angstrom=(slow * step, fast * step))


def _climb(scan: Scan, doses: Sequence[float], seeds: int, jobs: Mapping[str, Job]) -> Stacks:
    results: dict[str, list[np.ndarray]] = {}
    for dose in doses:
        for seed in range(1 if dose == INFINITE else seeds):
            seen = scan if dose == INFINITE else expose(scan, dose, seed)
            for name, job in jobs.items():
                results.setdefault(f"{name}/{label(dose)}", []).append(job(seen))
    return {name: np.stack(stack) for name, stack in results.items()}


def _by_network(optics: Optics, settings: CNNSettings, grid: Grid, seen: Scan) -> np.ndarray:
    return as_scanned(apply_network(seen, optics, settings), grid)


def _by_method(
    name: str,
    settings: dict[str, Any],
    optics: Optics,
    grid: Grid,
    repeat: int,
    cutoff: float | None,
    seen: Scan,
) -> np.ndarray:
    if repeat > 1:
        summed = repeated(seen, repeat)
        seen = summed.with_intensities(summed.load())
    image = reconstruct(name, seen, optics, **settings)
    if cutoff is not None:
        image = replace(image, values=band_limit(image.values, image.pixel_angstrom, cutoff))
    return as_periodic(image, grid)
