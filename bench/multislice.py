"""Our multislice against abTEM's on the same slices: patterns a second, error, memory.

Run as ``python bench/multislice.py``; uses the GPU for ours where there is one.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time

import abtem
import ase
import numpy as np
import torch

from rephase.microscope.multislice import scan_4d
from rephase.microscope.optics import Optics

THREADS = 2
GRID, SLICES, DETECTOR = 192, 20, 128
LATTICE_ANGSTROM = 3.905  # SrTiO3
OPTICS = Optics(energy_ev=300e3, semiangle_mrad=20.0, defocus_angstrom=50.0)


def strontium_titanate() -> ase.Atoms:
    """Five by five by ten cells: two slices a cell."""
    basis = [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    cell = ase.Atoms("SrTiO3", scaled_positions=basis, cell=[LATTICE_ANGSTROM] * 3, pbc=True)
    crystal = cell * (5, 5, SLICES // 2)
    crystal.positions[:, 2] += LATTICE_ANGSTROM / 4
    return crystal


def timed(run) -> tuple[float, np.ndarray]:
    start = time.perf_counter()
    patterns = run()
    return time.perf_counter() - start, patterns


def resident_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scan", type=int, default=24, help="probe positions along each axis")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved repeats")
    arguments = parser.parse_args()

    torch.set_num_threads(THREADS)
    abtem.config.set(
        {
            "fft": "fftw",
            "fftw.threads": THREADS,
            "fftw.planning_effort": "FFTW_ESTIMATE",
            "diagnostics.progress_bar": False,
        }
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    atoms = strontium_titanate()
    box = (float(atoms.cell[0, 0]), float(atoms.cell[1, 1]))
    potential = abtem.Potential(atoms, gpts=GRID, slice_thickness=LATTICE_ANGSTROM / 2).build().compute()
    slices = torch.from_numpy(np.asarray(potential.array))[None].to(device)
    axis = np.arange(arguments.scan) * LATTICE_ANGSTROM / arguments.scan
    positions = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1)

    probe = abtem.Probe(energy=OPTICS.energy_ev, semiangle_cutoff=OPTICS.semiangle_mrad, defocus=50.0)
    probe.grid.match(potential)
    scan = abtem.GridScan((0, 0), (LATTICE_ANGSTROM, LATTICE_ANGSTROM), gpts=arguments.scan, endpoint=False)
    detector = abtem.PixelatedDetector(max_angle="cutoff")

    def theirs() -> np.ndarray:
        return probe.scan(potential, scan=scan, detectors=detector).compute().array

    def ours() -> np.ndarray:
        patterns = scan_4d(
            slices,
            list(potential.slice_thickness),
            OPTICS,
            box,
            torch.from_numpy(positions),
            (DETECTOR, DETECTOR),
        )
        return patterns.cpu().numpy()

    with torch.no_grad():
        before = resident_mib()
        _, measured = timed(ours)
        after_ours = resident_mib()
        _, reference = timed(theirs)
        after_theirs = resident_mib()
        rounds = [(timed(ours)[0], timed(theirs)[0]) for _ in range(arguments.rounds)]

    count = arguments.scan**2
    ours_s, theirs_s = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratios = sorted(there / here for here, there in rounds)
    error = np.linalg.norm(measured - reference) / np.linalg.norm(reference)
    print(
        f"SrTiO3, {GRID}x{GRID} grid, {slices.shape[1]} slices, {count} patterns of {DETECTOR}x{DETECTOR},"
        f" float32, {THREADS} threads, ours on {device}, median of {len(rounds)} interleaved runs"
    )
    print(f"abTEM (FFTW)  {count / theirs_s:8.1f} patterns/s  {1e3 * theirs_s / count:6.2f} ms a pattern")
    print(f"rephase       {count / ours_s:8.1f} patterns/s  {1e3 * ours_s / count:6.2f} ms a pattern")
    print(
        f"ratio         {statistics.median(ratios):8.2f}  (target at least 1.5;"
        f" from {ratios[0]:.2f} to {ratios[-1]:.2f})"
    )
    print(f"error         {error:8.1e}  relative, L2 over all intensities (target at most 1e-4)")
    print(
        f"peak RSS      {after_ours:8.0f} MiB after ours ({before:.0f} before),"
        f" {after_theirs:.0f} MiB after abTEM; the result holds {measured.nbytes / 2**20:.0f} MiB"
    )
    if device == "cuda":
        print(f"peak CUDA     {torch.cuda.max_memory_allocated() / 2**20:8.0f} MiB")


if __name__ == "__main__":
    main()
