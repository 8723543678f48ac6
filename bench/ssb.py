"""Our SSB against py4DSTEM's on the same 64x64x64x64 scan: seconds, agreement, peak memory.

Run as ``python bench/ssb.py``. py4DSTEM gets every setting from us, so that it
estimates nothing; both get one thread. Memory is measured in a process for each
(on Linux): how far the resident set rises over what the scan and the imports take.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from rephase.measurement import Scan
from rephase.microscope.grid import frequencies
from rephase.microscope.optics import Optics
from rephase.microscope.probe import probe_spectrum
from rephase.phase.py4dstem import data_cube, load_py4dstem, quiet
from rephase.phase.ssb import SSBSettings, reconstruct

OPTICS = Optics(energy_ev=300e3, semiangle_mrad=20.0)
SIZE, STEP_ANGSTROM = 64, 0.2  # positions and pixels along each axis; a detector pixel is 1 / (64 x 0.2)


def simulated() -> np.ndarray:
    """Patterns of a weak phase object with all frequencies up to twice the aperture's radius."""
    shape, side = (SIZE, SIZE), SIZE * STEP_ANGSTROM
    k_row, k_col = frequencies(shape, STEP_ANGSTROM)
    noise = torch.fft.fft2(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    phase = torch.fft.ifft2(noise * (torch.hypot(k_row, k_col) < 2 * OPTICS.aperture_radius)).real
    transmission = torch.exp(0.02j * phase / phase.std())
    probes = torch.fft.ifft2(probe_spectrum(OPTICS, shape, (side, side)))
    patterns = torch.empty(*shape, *shape)
    for i in range(SIZE):
        line = torch.stack([probes.roll((i, j), (0, 1)) for j in range(SIZE)])
        patterns[i] = torch.fft.fftshift(torch.fft.fft2(line * transmission).abs() ** 2, dim=(-2, -1))
    return patterns.numpy()


def scan_of(patterns: np.ndarray) -> Scan:
    pixel_mrad = 1e3 * OPTICS.wavelength_angstrom / (SIZE * STEP_ANGSTROM)
    return Scan(patterns, (STEP_ANGSTROM, STEP_ANGSTROM), (pixel_mrad, pixel_mrad))


def ours(scan: Scan) -> np.ndarray:
    return reconstruct(scan, OPTICS, SSBSettings(weighting="plain")).values


def theirs(scan: Scan) -> np.ndarray:
    with quiet(seed=0):
        ssb = load_py4dstem().process.phase.SSB(
            datacube=data_cube(scan),
            energy=OPTICS.energy_ev,
            semiangle_cutoff=OPTICS.semiangle_mrad,
            rolloff=0.0,
            verbose=False,
        )
        ssb.preprocess(
            force_com_shifts=scan.centre_px,
            force_com_rotation=0,
            force_com_transpose=False,
            vectorized_com_calculation=True,
            bf_disk_padding_px=2,
            plot_center_of_mass=False,
            plot_rotation=False,
            plot_overlap_trotters=False,
        )
        return np.angle(ssb.reconstruct(progress_bar=False, num_jobs=1).object)


METHODS = {"rephase": ours, "py4DSTEM": theirs}


def timed(method, scan: Scan) -> float:
    start = time.perf_counter()
    method(scan)
    return time.perf_counter() - start


def resident_mib(key: str) -> float:
    """``VmRSS`` now or its highest value ``VmHWM``, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{key}:")[1].split()[0]) / 1024


def rise_of_peak(name: str, file: Path) -> float:
    """Peak memory of one method in a process of its own, over scan and imports, in MiB."""
    command = [sys.executable, __file__, "--measure", name, "--file", str(file)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def measure(name: str, file: Path) -> None:
    load_py4dstem()
    scan = scan_of(np.load(file))
    reconstruct(scan.with_intensities(scan.intensities[:8, :8].copy()), OPTICS)  # torch's own set-up
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = resident_mib("VmRSS")
    METHODS[name](scan)
    print(resident_mib("VmHWM") - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved repeats")
    parser.add_argument("--measure", choices=METHODS, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.measure:
        return measure(arguments.measure, arguments.file)

    patterns = simulated()
    scan = scan_of(patterns)
    found, reference = ours(scan), theirs(scan)
    scale = (found * reference).sum() / (found**2).sum()
    residual = reference - reference.mean() - scale * found
    rounds = [[timed(method, scan) for method in METHODS.values()] for _ in range(arguments.rounds)]
    ratios = sorted(there / here for here, there in rounds)
    with tempfile.TemporaryDirectory() as folder:
        np.save(file := Path(folder) / "scan.npy", patterns)
        memory = {name: rise_of_peak(name, file) for name in METHODS}

    size, mib = "x".join(map(str, scan.shape)), patterns.nbytes / 2**20
    print(f"SSB of a {size} scan ({mib:.0f} MiB), one thread, median of {len(rounds)} rounds")
    for name, seconds in zip(METHODS, zip(*rounds, strict=True), strict=True):
        print(f"{name:<12}{statistics.median(seconds):8.3f} s, peak memory + {memory[name]:.0f} MiB")
    print(
        f"{'ratio':<12}{statistics.median(ratios):8.1f}"
        f"   (target at least 5; from {ratios[0]:.1f} to {ratios[-1]:.1f})"
    )
    print(f"{'correlation':<12}{np.corrcoef(found.ravel(), reference.ravel())[0, 1]:8.5f}")
    difference = np.linalg.norm(residual) / np.linalg.norm(reference)
    print(f"{'difference':<12}{difference:8.3f}   relative, L2, after one global scale")


if __name__ == "__main__":
    main()
