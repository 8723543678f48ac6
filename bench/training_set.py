"""Training samples a second: ours against the plain way, one abTEM scan a sample (target: 5 x).

Run as ``python bench/training_set.py``. All get the same atoms, the same number of
frozen-phonon configurations, slices of one thickness and one thread; abTEM has the grid
that our transmission functions are computed on. The plain way scans the patterns and
then propagates the central probe for its exit wave; one pass takes both from the waves
of the scan.
Memory is measured in a process for each (on Linux). ``--all`` takes 100 samples.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import abtem
import dask
import numpy as np
import torch

from rephase.phase.exit_wave.frame import KERNEL, SIZE
from rephase.phase.exit_wave.sampling import Draw, Ranges, draw
from rephase.phase.exit_wave.simulate import GRID, PIXEL_ANGSTROM, Sample, displaced, simulate, specimen
from rephase.phase.exit_wave.transmission import transmission

ABTEM = {
    "fft": "fftw",
    "fftw.threads": 1,
    "fftw.planning_effort": "FFTW_ESTIMATE",
    "diagnostics.progress_bar": False,
}


def theirs(drawn: Draw, one_pass: bool = False) -> Sample:
    atoms, side = specimen(drawn), drawn.frame.box_angstrom
    points = GRID * math.ceil(side / (GRID * PIXEL_ANGSTROM))
    phonons = abtem.FrozenPhonons(atoms, drawn.configurations, drawn.thermal_rms_angstrom, seed=drawn.seed)
    potential = abtem.Potential(
        phonons, gpts=points, slice_thickness=drawn.slice_angstrom, parametrization="lobato"
    )
    probe = abtem.Probe(
        energy=drawn.optics.energy_ev,
        semiangle_cutoff=drawn.optics.semiangle_mrad,
        aberrations=drawn.optics.coefficients,
        gpts=points,
        extent=side,
    )
    positions = abtem.CustomScan(side / 2 + np.array(KERNEL) * drawn.step_angstrom)
    pixelated, centre = abtem.PixelatedDetector(max_angle="cutoff"), KERNEL.index((0, 0))
    if one_pass:
        scanned = probe.scan(potential, positions, [pixelated, abtem.WavesDetector()])
        patterns, waves = dask.compute(*(measured.array for measured in scanned))
        waves = waves[:, centre]
    else:
        patterns = probe.scan(potential, positions, pixelated).compute().array
        waves = probe.multislice(potential, abtem.CustomScan([(side / 2, side / 2)])).compute().array
    spectrum = np.fft.fftshift(np.fft.fft2(waves.mean(0)))
    wave = np.fft.ifft2(np.fft.ifftshift(central(spectrum))) * SIZE
    return Sample(central(patterns).astype(np.float32), wave)


def central(array: np.ndarray) -> np.ndarray:
    """The detector's pixels around the undeflected beam."""
    first = array.shape[-1] // 2 - SIZE // 2
    return array[..., first : first + SIZE, first : first + SIZE]


METHODS = {"rephase": simulate, "abTEM": theirs, "abTEM, one pass": partial(theirs, one_pass=True)}


def timed(run, *arguments) -> tuple[float, object]:
    start = time.perf_counter()
    result = run(*arguments)
    return time.perf_counter() - start, result


def transmissions(drawn: Draw) -> None:
    """All transmission functions of a sample, as `simulate` makes them."""
    atoms = specimen(drawn)
    depth = float(atoms.cell.lengths()[2])
    count = math.ceil(depth / drawn.slice_angstrom)
    for moved in displaced(atoms.positions, drawn.thermal_rms_angstrom, drawn.configurations, drawn.seed):
        side, energy_ev = drawn.frame.box_angstrom, drawn.optics.energy_ev
        transmission(moved, atoms.numbers, side, (depth / count,) * count, energy_ev, GRID, PIXEL_ANGSTROM)


def resident_mib(key: str) -> float:
    """``VmRSS`` now or its highest value ``VmHWM``, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{key}:")[1].split()[0]) / 1024


def rise_of_peak(name: str, options: list[str]) -> float:
    """Peak memory of one method in a process of its own over that of its first sample, in MiB."""
    command = [sys.executable, __file__, "--measure", name, *options]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, help="16 by default")
    parser.add_argument("--all", action="store_true", help="100 samples")
    parser.add_argument("--configurations", type=int, default=6)
    parser.add_argument("--largest-box", type=float, default=60.0, help="angstrom")
    parser.add_argument("--measure", choices=METHODS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.samples = arguments.samples or (100 if arguments.all else 16)
    torch.set_num_threads(1)
    abtem.config.set(ABTEM)
    dask.config.set(scheduler="synchronous")
    ranges = Ranges(configurations=arguments.configurations, largest_box_angstrom=arguments.largest_box)
    seeds = range(1, arguments.samples + 1)
    if arguments.measure:
        before = resident_mib("VmRSS")
        for seed in seeds:
            METHODS[arguments.measure](draw("train", seed, ranges))
        return print(resident_mib("VmHWM") - before)

    for method in METHODS.values():
        method(draw("train", 0, ranges))
    for seed in seeds:
        draw("train", seed, ranges)  # reads each crystal once
    rows, agreement = [], []
    for seed in seeds:
        drawing, drawn = timed(draw, "train", seed, ranges)
        cutting, _ = timed(specimen, drawn)
        passing = timed(transmissions, drawn)[0] - cutting
        runs = {name: timed(method, drawn) for name, method in METHODS.items()}
        rows.append((drawing, cutting, passing, *(seconds for seconds, _ in runs.values())))
        ours, plain = (runs[name][1].patterns.ravel() for name in ("rephase", "abTEM"))
        agreement.append(np.corrcoef(ours, plain)[0, 1])
    drawing, cutting, passing, *seconds = np.mean(rows, axis=0)
    options = ["--samples", str(arguments.samples), "--configurations", str(arguments.configurations)]
    options += ["--largest-box", str(arguments.largest_box)]

    print(f"{arguments.samples} samples, {arguments.configurations} configurations, one thread, interleaved")
    for name, mean in zip(METHODS, seconds, strict=True):
        print(
            f"{name:<16}{1 / (drawing + mean):7.2f} samples/s {1e3 * (drawing + mean):7.0f} ms a sample,"
            f" peak memory + {rise_of_peak(name, options):.0f} MiB over the imports"
        )
    columns = np.array(rows).T[3:]
    for name, mean, column in list(zip(METHODS, seconds, columns, strict=True))[1:]:
        each = np.percentile(column / columns[0], [0, 50, 100])
        print(
            f"ratio to {name}: {(drawing + mean) / (drawing + seconds[0]):.1f} in all;"
            f" by sample {each[0]:.1f} to {each[2]:.1f}, median {each[1]:.1f}"
        )
    print(
        f"ours, ms: draw {1e3 * drawing:.1f}, atoms {1e3 * cutting:.1f}, transmission {1e3 * passing:.1f},"
        f" waves {1e3 * (seconds[0] - cutting - passing):.1f}"
    )
    print(f"patterns: median correlation {statistics.median(agreement):.5f}, atoms displaced otherwise")


if __name__ == "__main__":
    main()
