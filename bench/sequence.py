"""A sequence of patterns of moving atoms: ours against the plain way, one abTEM potential a frame.

Run as ``python bench/sequence.py``; ``--device cuda`` for ours on the GPU. Lead titanate
whose titanium moves, 200 kV, 3 mrad, 32 x 32 pixels. All get the same atoms, grid, slices
one cell thick, and one thread. A crystal that repeats along the beam may also be given as
one cell that is passed often.

Patterns of either depend on the wave's pixels: the beam is scattered to angles that a
coarse grid does not hold, and abTEM spreads atoms over pixels besides. So both are held
against ours on four times as many points along each side.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import abtem
import dask
import numpy as np
import torch

from rephase.microscope import sequence
from rephase.microscope.optics import Optics
from rephase.microscope.sequence import acquire_sequence
from rephase.specimen.trajectory import Trajectory

CELL_ANGSTROM, DETECTOR = 3.9, 32
OPTICS = Optics(energy_ev=200e3, semiangle_mrad=3.0)
BASIS = np.array([(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)])
ABTEM = {
    "fft": "fftw",
    "fftw.threads": 1,
    "fftw.planning_effort": "FFTW_ESTIMATE",
    "diagnostics.progress_bar": False,
}


def lead_titanate(cells: tuple[int, int, int], frames: int) -> Trajectory:
    corners = np.stack(np.meshgrid(*map(np.arange, cells), indexing="ij"), -1).reshape(-1, 1, 3)
    numbers = np.tile([82, 22, 8, 8, 8], len(corners))
    positions = np.repeat((CELL_ANGSTROM * (corners + BASIS + 0.1)).reshape(1, -1, 3), frames, 0)
    positions[:, numbers == 22, 0] += np.linspace(0, 0.3, frames)[:, None]
    present = np.ones(positions.shape[:2], dtype=bool)
    box = tuple(CELL_ANGSTROM * n for n in cells)
    return Trajectory(numbers, positions.astype(np.float32), present, box, np.arange(float(frames)))


def theirs(trajectory: Trajectory, at: np.ndarray, gpts: int) -> np.ndarray:
    """Patterns of each frame, the central part that is as wide as the detector."""
    frames, first = [], None
    for index in range(len(trajectory.times)):
        potential = abtem.Potential(
            trajectory.atoms(index), gpts=gpts, slice_thickness=CELL_ANGSTROM, parametrization="lobato"
        )
        beam = abtem.Probe(
            energy=OPTICS.energy_ev,
            semiangle_cutoff=OPTICS.semiangle_mrad,
            gpts=gpts,
            extent=trajectory.box_angstrom[:2],
        )
        detector = abtem.PixelatedDetector(max_angle="cutoff")
        patterns = beam.scan(potential, abtem.CustomScan(at), detector).compute().array
        first = patterns.shape[-1] // 2 - DETECTOR // 2
        frames.append(patterns[:, first : first + DETECTOR, first : first + DETECTOR])
    return np.stack(frames)


def ours(
    trajectory: Trajectory, at: np.ndarray, gpts: int, repeats: int = 1, device: str = "cpu"
) -> np.ndarray:
    width_mrad = 1e3 * OPTICS.wavelength_angstrom / trajectory.box_angstrom[0] * DETECTOR
    return acquire_sequence(
        trajectory,
        OPTICS,
        at,
        detector_px=DETECTOR,
        detector_mrad=width_mrad / 2,
        slice_angstrom=CELL_ANGSTROM,
        gpts=(gpts, gpts),
        repeats=repeats,
        device=device,
    )


def timed(run: Callable[..., np.ndarray], *arguments) -> tuple[float, np.ndarray]:
    start = time.perf_counter()
    result = run(*arguments)
    return time.perf_counter() - start, result


def parts(run: Callable[[], object], device: str) -> dict[str, float]:
    """Seconds of the parts of `acquire_sequence` in one run."""
    names = {"layer_potential": "potential", "antialiased_transmission": "transmission", "_pass": "waves"}
    seconds, whole = dict.fromkeys(names.values(), 0.0), {name: getattr(sequence, name) for name in names}

    def stopped(name: str) -> Callable:
        def call(*arguments):
            start = time.perf_counter()
            result = whole[name](*arguments)
            if device == "cuda":
                torch.cuda.synchronize()
            seconds[names[name]] += time.perf_counter() - start
            return result

        return call

    for name in names:
        setattr(sequence, name, stopped(name))
    total, _ = timed(run)
    for name, function in whole.items():
        setattr(sequence, name, function)
    return seconds | {"rest": total - sum(seconds.values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--gpts", type=int, default=96)
    parser.add_argument("--layers", type=int, default=61, help="cells along the beam, 0.39 nm each")
    parser.add_argument("--side", type=int, default=2, help="probe positions along each axis")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved repeats")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    abtem.config.set(ABTEM)
    dask.config.set(scheduler="synchronous")
    axis = 1.0 + CELL_ANGSTROM * np.arange(arguments.side) / arguments.side
    at = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    whole, cell = (lead_titanate((5, 5, n), arguments.frames) for n in (arguments.layers, 1))
    methods = {
        "abTEM": lambda: theirs(whole, at, arguments.gpts),
        "rephase": lambda: ours(whole, at, arguments.gpts, 1, arguments.device),
        "rephase, one cell": lambda: ours(cell, at, arguments.gpts, arguments.layers, arguments.device),
    }
    patterns = {name: timed(run)[1] for name, run in methods.items()}
    rounds = [[timed(run)[0] for run in methods.values()] for _ in range(arguments.rounds)]
    share = parts(methods["rephase"], arguments.device)

    count = arguments.frames * len(at)
    fine = ours(cell, at, 4 * arguments.gpts, arguments.layers, arguments.device)
    print(
        f"PbTiO3, {arguments.layers} slices ({arguments.layers * CELL_ANGSTROM / 10:.0f} nm),"
        f" {len(whole.numbers)} atoms, {arguments.gpts}x{arguments.gpts} grid"
        f" ({whole.box_angstrom[0] / arguments.gpts:.2f} angstrom), {arguments.frames} frames of"
        f" {len(at)} positions, float32, one thread, ours on {arguments.device},"
        f" median of {len(rounds)} interleaved runs"
    )
    for name, column in zip(methods, zip(*rounds, strict=True), strict=True):
        ratios = [plain / here for here, (plain, *_) in zip(column, rounds, strict=True)]
        error = np.linalg.norm(patterns[name] - fine) / np.linalg.norm(fine)
        print(
            f"{name:<18}{1e3 * statistics.median(column) / count:8.2f} ms a pattern,"
            f" {statistics.median(ratios):5.1f} x as fast as abTEM, {100 * error:3.0f} % from the fine grid's"
        )
    shares = ", ".join(f"{name} {100 * part / sum(share.values()):.0f} %" for name, part in share.items())
    print(f"rephase, its time {shares}")


if __name__ == "__main__":
    main()
