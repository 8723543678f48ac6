"""The exit-wave network at work: patterns a second of its parts and of the whole, and what speed costs.

Run as ``python bench/exit_wave.py``; uses the GPU where there is one. The whole takes
counts of a detector of 128 x 128 pixels: resampling, kernels, network, patches. A phase is
compared with that in float32, not compiled, at the same batch. Without ``--weights`` the
network has random weights, whose phases say little; speeds do not depend on them.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path

import numpy as np
import torch

from rephase.measurement import Scan
from rephase.microscope.acquire import acquire_phase_object, default_device, white_noise_phase
from rephase.microscope.field import Field
from rephase.phase.exit_wave.frame import SIZE, Frame
from rephase.phase.exit_wave.live import LiveReconstruction
from rephase.phase.exit_wave.network import Architecture, ExitWaveNet, parameter_count
from rephase.phase.exit_wave.patches import Stitching
from rephase.phase.exit_wave.predict import Predictor
from rephase.phase.exit_wave.resample import Detector, Resampling, choose_frame
from rephase.phase.exit_wave.sampling import Ranges
from rephase.phase.exit_wave.weights import load_weights

OPTICS = Ranges().optics(300e3, 20.0)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
FEW_BATCHES = (1, 8, 64)
CHANNELS = {"cpu": 16, "cuda": 32}
POSITIONS = {"cpu": 14, "cuda": 64}
ELECTRONS = 1000


def noisy_scan(positions: int, device: str) -> Scan:
    """Counts of a white-noise phase object at 0.5 angstrom or finer, detector pixels half the frame's."""
    side = 2 * Frame.of_aperture(OPTICS, 10.0).box_angstrom
    field = Field((side, side), (192, 192), (64, 64), (128, 128))
    phase = white_noise_phase(field, 0.1, 2 * OPTICS.aperture_radius, seed=0)
    part = Field(field.box_angstrom, field.gpts, (positions, positions), field.detector_shape)
    fractions = acquire_phase_object(phase, {"scan": OPTICS}, part, device, soft=True)["scan"]
    counts = np.random.default_rng(0).poisson(ELECTRONS * fractions.clip(0)).astype(np.uint16)
    step = (field.step_angstrom[0],) * 2
    return Scan(counts, step, field.detector_pixel_mrad(OPTICS), unit="electrons")


def networks(arguments: argparse.Namespace, scan: Scan, device: str) -> list[ExitWaveNet]:
    if arguments.weights:
        return [load_weights(path).net for path in arguments.weights]
    torch.manual_seed(0)
    channels = arguments.channels or CHANNELS[device]
    nets = [ExitWaveNet(Architecture(channels=channels, representation=r)) for r in ("paper", "real_space")]
    for net in nets:
        settle(net, scan)
    return nets


def settle(net: ExitWaveNet, scan: Scan) -> None:
    """Give a random network the statistics of its layers, and phases of some tenths of a rad."""
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean over all batches, of which there is one
    for head in (net.body.amplitude, net.body.phase):
        head.scale.data.fill_(0.2)
    detector = Detector.of(scan)
    frame = choose_frame(detector, OPTICS)
    patterns = Resampling(detector, frame)(scan.intensities[:8].reshape(-1, *detector.shape)[:72])
    predictor = Predictor(net, frame, scan.step_angstrom)
    with torch.no_grad():
        net.train()(predictor.features(patterns.reshape(8, 9, SIZE, SIZE)), predictor.probe.expand(8, -1, -1))
    net.eval()


def rate(run, patterns: int, device: str, least_seconds: float) -> float:
    """Patterns a second, after one run to warm up."""
    run()
    rounds, start = 0, time.perf_counter()
    while rounds == 0 or time.perf_counter() - start < least_seconds:
        run()
        if device == "cuda":
            torch.cuda.synchronize()
        rounds += 1
    return rounds * patterns / (time.perf_counter() - start)


def parts(scan: Scan, batch: int, device: str, seconds: float) -> tuple[float, float]:
    """Patterns a second of resampling and of stitching, without a network."""
    detector = Detector.of(scan)
    frame = choose_frame(detector, OPTICS)
    resampling = Resampling(detector, frame, device)
    counts = scan.intensities.reshape(-1, *detector.shape)[:batch]
    stitching = Stitching(frame.probe(device), frame.pixel_angstrom, scan.shape[:2], scan.step_angstrom)
    waves = stitching_input(frame, batch, device)
    numbers = torch.arange(batch, device=device) % (scan.shape[0] * scan.shape[1])
    return (
        rate(lambda: resampling(counts), len(counts), device, seconds),
        rate(lambda: stitching.add(waves, numbers), batch, device, seconds),
    )


def stitching_input(frame: Frame, batch: int, device: str) -> torch.Tensor:
    phase = torch.rand(batch, SIZE, SIZE, device=device)
    return frame.probe(device) * torch.polar(torch.ones_like(phase), phase)


def reconstructed(scan: Scan, predictor: Predictor, batch: int, device: str) -> np.ndarray:
    resampling = Resampling(Detector.of(scan), predictor.frame, device)
    lines = -(-batch // scan.shape[1])
    live = LiveReconstruction(
        scan.shape[:2], scan.step_angstrom, resampling, predictor, batch, lines_at_once=lines
    )
    for i in range(scan.shape[0]):
        live.add(scan.intensities[i])
    return live.finish().values


def variants(arguments: argparse.Namespace, device: str) -> list[tuple[str, bool]]:
    """Precision, and whether compiled; the first is what the others are compared with."""
    compiled = (False, True) if arguments.compile or device == "cuda" else (False,)
    return [(precision, flag) for flag in compiled for precision in ("float32", "bfloat16")]


def measure(net: ExitWaveNet, scan: Scan, arguments: argparse.Namespace, device: str) -> None:
    frame = choose_frame(Detector.of(scan), OPTICS)
    kernels = torch.rand(max(arguments.batches), 9, SIZE, SIZE, device=device)
    count, reference = scan.shape[0] * scan.shape[1], {}
    predictors = {
        variant: Predictor(net, frame, scan.step_angstrom, device, *variant)
        for variant in variants(arguments, device)
    }
    for ((precision, compiled), predictor), batch in itertools.product(predictors.items(), arguments.batches):
        seen = kernels[:batch]
        alone = rate(lambda: predictor(seen), batch, device, arguments.seconds)  # noqa: B023
        run = lambda: reconstructed(scan, predictor, batch, device)  # noqa: B023, E731
        phase = run()
        start = time.perf_counter()
        run()
        whole = count / (time.perf_counter() - start)
        exact = reference.setdefault(batch, phase)
        error = np.sqrt(np.mean((phase - exact) ** 2))
        correlation = np.corrcoef(phase.ravel(), exact.ravel())[0, 1]
        print(
            f"{net.architecture.representation:<12}{precision:<10}{'yes' if compiled else 'no':<9}{batch:>6}"
            f"{alone:>12.0f}{whole:>12.0f}{correlation:>13.6f}{error:>11.1e}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, nargs="*", help="trained networks; random ones by default")
    parser.add_argument(
        "--channels", type=int, help="of random networks; 16 on a CPU, the paper's 32 on a GPU"
    )
    parser.add_argument("--batches", type=int, nargs="*", help="batch sizes")
    parser.add_argument(
        "--compile", action="store_true", help="torch.compile on a CPU too: a minute a network"
    )
    parser.add_argument("--all", action="store_true", help="everything on a CPU too")
    parser.add_argument("--seconds", type=float, default=0.5, help="least time of a measurement")
    parser.add_argument("--device", choices=CHANNELS, default=default_device())
    arguments = parser.parse_args()
    device = arguments.device
    arguments.compile |= arguments.all
    arguments.batches = arguments.batches or (BATCHES if arguments.all or device == "cuda" else FEW_BATCHES)
    scan = noisy_scan(POSITIONS[device], device)

    where = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"Patterns a second on {where}, {scan.shape[2]}x{scan.shape[3]} pixels\n")
    print(f"{'batch':>6}{'resampling':>12}{'stitching':>12}")
    for batch in arguments.batches:
        resampling, stitching = parts(scan, batch, device, arguments.seconds)
        print(f"{batch:>6}{resampling:>12.0f}{stitching:>12.0f}", flush=True)
    print(
        f"\n{'input':<12}{'precision':<10}{'compiled':<9}{'batch':>6}{'network':>12}{'whole':>12}"
        f"{'correlation':>13}{'rms, rad':>11}"
    )
    for net in networks(arguments, scan, device):
        measure(net, scan, arguments, device)
        print(f"{'':<12}{parameter_count(net)} parameters")


if __name__ == "__main__":
    main()
