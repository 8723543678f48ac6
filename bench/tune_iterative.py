"""Tune parallax and ptychography on silicon, which no result is judged on.

    python bench/tune_iterative.py single --thickness 8 --grid dose=1e4,1e5 step_size=0.3,1

prints one line per setting: the error of the phase in the band of 2 alpha, as a
fraction of the phase's own contrast, after every few iterations, and processor seconds.
The truth is sigma times the projected potential of the same atoms. The winners
are the defaults of the settings; docs/tuning.md holds the table.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import itertools
import tempfile
import time
from pathlib import Path

import abtem
import numpy as np
import torch
from ase.build import bulk, make_supercell

from rephase.measurement import Scan
from rephase.microscope.grid import fourier_resample
from rephase.microscope.optics import Optics
from rephase.phase import parallax, ptychography
from rephase.phase.py4dstem import load_py4dstem, quiet, unmirrored

POSITIONS, PIXELS, GRID = 32, 64, 128


def silicon_110(thickness_angstrom: float):
    """Silicon along [110] in a box of about 11 x 11.5 angstrom, at least so thick."""
    cell = make_supercell(bulk("Si"), [[1, 1, -1], [-1, 1, 0], [0, 0, 1]])  # [001], [1-10]/2, [110]/2
    cell.set_cell(np.diag(cell.cell.lengths()), scale_atoms=True)
    atoms = cell * (2, 3, max(1, round(thickness_angstrom / cell.cell.lengths()[2])))
    atoms.positions += (1.0, 0.7, 0.0)  # no symmetry point at the corner
    atoms.wrap()
    return atoms


def simulate(thickness: float, optics: Optics) -> tuple[Scan, np.ndarray, float]:
    """Noise-free scan over one box, true phase on the object's pixels, and thickness, from abTEM."""
    name = hashlib.sha256(f"{thickness} {optics!r}".encode()).hexdigest()[:12]
    cache = Path(tempfile.gettempdir()) / f"rephase-tune-{name}.npz"
    atoms = silicon_110(thickness)
    box, depth = atoms.cell.lengths()[:2], float(atoms.cell.lengths()[2])
    if not cache.exists():
        potential = abtem.Potential(atoms, gpts=GRID, slice_thickness=depth / max(2, round(depth / 1.92)))
        built = potential.build().compute()
        probe = abtem.Probe(
            energy=optics.energy_ev, semiangle_cutoff=optics.semiangle_mrad, defocus=optics.defocus_angstrom
        )
        scan = abtem.GridScan((0, 0), box, gpts=POSITIONS, endpoint=False)
        detector = abtem.PixelatedDetector(max_angle=None)
        patterns = probe.scan(built, scan=scan, detectors=detector).compute().array
        keep = slice(GRID // 2 - PIXELS // 2, GRID // 2 + PIXELS // 2)
        truth = optics.sigma * built.project().compute().array
        truth = fourier_resample(torch.as_tensor(np.array(truth)), (PIXELS, PIXELS)).numpy()
        np.savez(cache, patterns=patterns[..., keep, keep], truth=truth)
    stored = np.load(cache)
    mrad = tuple(optics.wavelength_angstrom * 1e3 / side for side in box)
    step = tuple(side / POSITIONS for side in box)
    return Scan(stored["patterns"], step, mrad), stored["truth"], depth


def counted(scan: Scan, dose: float, seed: int = 1) -> Scan:
    """Poisson counts at a dose in electrons per square angstrom; the scan itself if infinite."""
    if np.isinf(dose):
        return scan
    electrons = dose * scan.step_angstrom[0] * scan.step_angstrom[1]
    counts = np.random.default_rng(seed).poisson(scan.load(np.float64).clip(0) * electrons)
    return scan.with_intensities(counts.astype(np.float32), unit="electrons")


def relative_error(image: np.ndarray, truth: np.ndarray, optics: Optics, box: tuple[float, float]) -> float:
    """RMS error over RMS truth, both without their mean and within 2 alpha."""
    error, contrast = (_banded(array, optics, box) for array in (image - truth, truth))
    return float(np.sqrt((error**2).mean() / (contrast**2).mean()))


def _banded(image: np.ndarray, optics: Optics, box: tuple[float, float]) -> np.ndarray:
    k = [np.fft.fftfreq(n, side / n) for n, side in zip(image.shape, box, strict=True)]
    q = np.hypot(k[0][:, None], k[1])
    return np.fft.ifft2(np.fft.fft2(image) * ((q > 0) & (q < 2 * optics.aperture_radius))).real


def iterate(scan: Scan, optics: Optics, settings: ptychography.PtychographySettings):
    """The summed phase after every iteration, the errors py4DSTEM reports, and seconds per pass."""
    scan = unmirrored(scan)
    pixel = ptychography.object_pixel_angstrom(scan, optics)
    shape = ptychography._object_shape(scan, pixel, settings.periodic)
    with quiet(settings.seed):
        method = ptychography._prepare(scan, optics, settings, pixel, shape)
        start = time.process_time()
        method.reconstruct(**ptychography._reconstruct_options(settings), store_iterations=True)
    seconds = (time.process_time() - start) / settings.iterations
    layers = (step.reshape(-1, *step.shape[-2:]) for step in method.object_iterations)
    images = [ptychography._over_the_scan(each, scan, pixel, settings.periodic).sum(0) for each in layers]
    return images, method.error_iterations, seconds


def tune_ptychography(scan: Scan, truth: np.ndarray, optics: Optics, fixed: dict, grid: dict) -> None:
    """Print the error against iterations for each combination of settings and each dose."""
    shown = sorted({1, 2, 3, 5, 10, 15, 20, 30, 40, 60, fixed["iterations"]})
    shown = [n for n in shown if n <= fixed["iterations"]]
    print(" | ".join(grid), "|", " | ".join(map(str, shown)), "| best at | residual | s/iteration |")
    for values in itertools.product(*grid.values()):
        chosen = dict(zip(grid, values, strict=True))
        dose = float(chosen.pop("dose", "inf"))
        settings = ptychography.PtychographySettings(**fixed, **chosen)
        images, residuals, seconds = iterate(counted(scan, dose), optics, settings)
        errors = [relative_error(image, truth, optics, scan.extent_angstrom) for image in images]
        cells = [*map(str, values), *(f"{errors[n - 1]:.3f}" for n in shown)]
        best = int(np.argmin(errors))
        print(
            "|",
            " | ".join(cells),
            f"| {errors[best]:.3f} at {best + 1} | {residuals[-1]:.2e} | {seconds:.2f} |",
        )


def tune_parallax(scan: Scan, truth: np.ndarray, optics: Optics, grid: dict) -> None:
    """Print error and found defocus for each combination of settings and each dose."""
    print("|", " | ".join(grid), "| error | defocus | s |")
    for values in itertools.product(*grid.values()):
        chosen = dict(zip(grid, values, strict=True))
        dose = float(chosen.pop("dose", "inf"))
        settings = parallax.ParallaxSettings(periodic=True, **chosen)
        start = time.process_time()
        image = parallax.reconstruct(counted(scan, dose), optics, settings)
        seconds = time.process_time() - start
        fine = fourier_resample(torch.as_tensor(image.values), truth.shape).numpy()
        error = relative_error(fine, truth, optics, scan.extent_angstrom)
        found = image.details["defocus_angstrom"]
        print("|", " | ".join(map(str, values)), f"| {error:.3f} | {found:.1f} | {seconds:.2f} |")


def main() -> None:
    """Read the command line and tune."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("method", choices=("single", "multislice", "parallax"))
    parser.add_argument("--thickness", type=float, default=8.0, help="angstrom")
    parser.add_argument("--defocus", type=float, default=100.0, help="angstrom")
    parser.add_argument("--iterations", type=int, default=40)
    parser.add_argument(
        "--grid", nargs="*", default=[], help="name=value,value,... for dose and each setting to vary"
    )
    arguments = parser.parse_args()
    abtem.config.set({"fft": "fftw", "diagnostics.progress_bar": False})
    load_py4dstem()
    optics = Optics(energy_ev=300e3, semiangle_mrad=20, defocus_angstrom=arguments.defocus)
    scan, truth, depth = simulate(arguments.thickness, optics)
    print(
        f"Si [110], {depth:.1f} angstrom, defocus {arguments.defocus:g}, true phase rms {truth.std():.3f} rad"
    )
    grid = {
        name: [_value(v) for v in values.split(",")]
        for name, values in (g.split("=") for g in arguments.grid)
    }
    if arguments.method == "parallax":
        return tune_parallax(scan, truth, optics, grid)
    fixed = {"iterations": arguments.iterations, "periodic": True}
    if arguments.method == "multislice":
        fixed |= {"slices": max(2, round(depth / 25)), "thickness_angstrom": depth}
    return tune_ptychography(scan, truth, optics, {k: v for k, v in fixed.items() if k not in grid}, grid)


def _value(text: str):
    try:
        return ast.literal_eval(text)
    except ValueError:
        return text


if __name__ == "__main__":
    main()
