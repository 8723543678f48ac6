"""The exit-wave network at work: patterns a second of its parts and of the whole, and what speed costs.

Run as ``python bench/exit_wave.py``; uses the GPU where there is one. The whole takes
counts of a detector of 128 x 128 pixels: resampling, kernels, network, patches. A phase is
compared with that in float32, not compiled, at the same batch. Without ``--weights`` the
network has random weights, whose phases say little; speeds do not depend on them.

``--write FOLDER`` puts the tables into ``exit_wave_cpu.md`` or ``exit_wave_cuda.md`` and
into a JSON of the same name, from which claims E9 and E10b are judged:

patterns_per_second
    representation -> precision -> patterns a second of the whole, at the best batch,
    compiled or not.
complex_over_real
    representation -> forward time of the complex-valued network over that of the
    real-valued one with about as many parameters (`Architecture.channels`), in float32, not
    compiled, at the largest batch; median of interleaved rounds.
parts, networks, kinds
    The tables, row by row; times of ``kinds`` are those of the networks alone.
machine, versions, commit_date, settings
    Where, with what, of which day's code and how this was measured.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from rephase.measurement import Scan
from rephase.microscope.acquire import acquire_phase_object, default_device, white_noise_phase
from rephase.microscope.field import Field
from rephase.phase.exit_wave.frame import SIZE, Frame
from rephase.phase.exit_wave.inputs import representation
from rephase.phase.exit_wave.live import LiveReconstruction
from rephase.phase.exit_wave.network import Architecture, ExitWaveNet, parameter_count
from rephase.phase.exit_wave.patches import Stitching
from rephase.phase.exit_wave.predict import Predictor
from rephase.phase.exit_wave.resample import Detector, Resampling, choose_frame
from rephase.phase.exit_wave.sampling import Ranges
from rephase.phase.exit_wave.weights import load_weights
from rephase.publish.files import write_json, write_text
from rephase.publish.provenance import versions

OPTICS = Ranges().optics(300e3, 20.0)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
FEW_BATCHES = (1, 8, 64)
CHANNELS = {"cpu": 16, "cuda": 32}
POSITIONS = {"cpu": 14, "cuda": 64}
ELECTRONS = 1000
ROUNDS = 5
Rows = list[dict[str, Any]]


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


def parts(scan: Scan, batch: int, device: str, seconds: float) -> dict[str, Any]:
    """Patterns a second of resampling and of stitching, without a network."""
    detector = Detector.of(scan)
    frame = choose_frame(detector, OPTICS)
    resampling = Resampling(detector, frame, device)
    counts = scan.intensities.reshape(-1, *detector.shape)[:batch]
    stitching = Stitching(frame.probe(device), frame.pixel_angstrom, scan.shape[:2], scan.step_angstrom)
    waves = stitching_input(frame, batch, device)
    numbers = torch.arange(batch, device=device) % (scan.shape[0] * scan.shape[1])
    return {
        "batch": batch,
        "resampling": rate(lambda: resampling(counts), len(counts), device, seconds),
        "stitching": rate(lambda: stitching.add(waves, numbers), batch, device, seconds),
    }


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


def measure(net: ExitWaveNet, scan: Scan, arguments: argparse.Namespace) -> Rows:
    """Patterns a second of a network with its input, and of the whole."""
    device, frame = arguments.device, choose_frame(Detector.of(scan), OPTICS)
    kernels = torch.rand(max(arguments.batches), 9, SIZE, SIZE, device=device)
    count, reference, rows = scan.shape[0] * scan.shape[1], {}, []
    predictors = {
        variant: Predictor(net, frame, scan.step_angstrom, device, *variant)
        for variant in variants(arguments, device)
    }
    for ((precision, compiled), predictor), batch in itertools.product(predictors.items(), arguments.batches):
        seen = kernels[:batch]
        alone = rate(lambda: predictor(seen), batch, device, arguments.seconds)  # noqa: B023
        phase = reconstructed(scan, predictor, batch, device)
        start = time.perf_counter()
        reconstructed(scan, predictor, batch, device)
        whole = count / (time.perf_counter() - start)
        exact = reference.setdefault(batch, phase)
        rows.append(
            {
                "input": net.architecture.representation,
                "parameters": parameter_count(net),
                "precision": precision,
                "compiled": compiled,
                "batch": batch,
                "network": alone,
                "whole": whole,
                "correlation": float(np.corrcoef(phase.ravel(), exact.ravel())[0, 1]),
                "rms_rad": float(np.sqrt(np.mean((phase - exact) ** 2))),
            }
        )
    return rows


def kinds(architecture: Architecture, batch: int, device: str) -> dict[str, Any]:
    """Forward times of the real-valued and the complex-valued network, side by side, as `Predictor` runs."""
    size, channels = architecture.size, representation(architecture.representation).channels
    order = torch.channels_last
    maps = torch.randn(batch, channels, size, size, device=device).contiguous(memory_format=order)
    probe = torch.ones(batch, size, size, dtype=torch.complex64, device=device)
    nets = {
        kind: ExitWaveNet(architecture.model_copy(update={"kind": kind})).to(device, memory_format=order)
        for kind in ("real", "complex")
    }
    for net in nets.values():
        net.eval()
    with torch.inference_mode():
        rounds = [[forward_s(net, maps, probe) for net in nets.values()] for _ in range(ROUNDS + 1)][1:]
    real, unreal = (1e3 * statistics.median(column) / batch for column in zip(*rounds, strict=True))
    ratios = sorted(there / here for here, there in rounds)
    return {
        "input": architecture.representation,
        "batch": batch,
        "real_parameters": parameter_count(nets["real"]),
        "complex_parameters": parameter_count(nets["complex"]),
        "real_ms": real,
        "complex_ms": unreal,
        "ratio": statistics.median(ratios),
        "least_ratio": ratios[0],
        "greatest_ratio": ratios[-1],
    }


def forward_s(net: ExitWaveNet, maps: torch.Tensor, probe: torch.Tensor) -> float:
    """Seconds of one forward pass."""
    if maps.is_cuda:
        torch.cuda.synchronize()
    start = time.perf_counter()
    net(maps, probe)
    if maps.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def summary(tables: dict[str, Rows], where: dict[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """What ``--write`` stores, see the module."""
    best: dict[str, dict[str, float]] = {}
    for row in tables["networks"]:
        of_input = best.setdefault(row["input"], {})
        of_input[row["precision"]] = max(row["whole"], of_input.get(row["precision"], 0.0))
    return tables | {
        "patterns_per_second": best,
        "complex_over_real": {row["input"]: row["ratio"] for row in tables["kinds"]},
        "machine": where,
        "versions": versions(),
        "commit_date": commit_date(),
        "settings": {
            "detector_px": 128,
            "electrons_per_pattern": ELECTRONS,
            "seconds": arguments.seconds,
            "weights": "trained" if arguments.weights else "random",
        },
    }


def machine(device: str) -> dict[str, Any]:
    """Processor or GPU, threads of torch, and how busy the machine is (load over 1, 5 and 15 minutes)."""
    cpuinfo = Path("/proc/cpuinfo")
    named = (
        [row for row in cpuinfo.read_text().splitlines() if "model name" in row] if cpuinfo.exists() else []
    )
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else f"CPU {platform.machine()}",
        "processor": named[0].split(":")[1].strip() if named else platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def commit_date() -> str:
    """Day of the last commit, or ``unknown``."""
    command = ["git", "-C", str(Path(__file__).parent), "log", "-1", "--format=%cs"]
    found = subprocess.run(command, capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


def markdown(rows: Rows) -> str:
    """A table, numbers with three digits or more."""
    shown = pd.DataFrame(rows).map(digits)
    return shown.to_markdown(index=False, disable_numparse=True)


def digits(cell: object) -> object:
    if not isinstance(cell, float):
        return cell
    return f"{cell:.0f}" if cell >= 100 else f"{cell:.3g}" if cell < 0.99 else f"{cell:.4g}"


def write(
    folder: Path, tables: dict[str, Rows], where: dict[str, Any], arguments: argparse.Namespace
) -> None:
    """The JSON, and its tables as Markdown."""
    found = summary(tables, where, arguments)
    write_json(folder / f"exit_wave_{arguments.device}.json", found)
    text = [
        "# Speed of the exit-wave network",
        f"{where['device']} ({where['processor']}), {where['threads']} threads of {where['cores']} cores,"
        f" load average {where['load_average'][0]} in the minute before the start;"
        f" torch {found['versions']['torch']}, code of {found['commit_date']}."
        " Written by `bench/exit_wave.py --write`, which says what is measured.",
        "Patterns a second of the parts around the network:",
        markdown(tables["parts"]),
        "Patterns a second of the network with its input, and of the whole; its phase against that in"
        " float32, not compiled:",
        markdown(tables["networks"]),
        "Forward time a pattern in ms, real-valued and complex-valued, float32:",
        markdown(tables["kinds"]),
    ]
    write_text(folder / f"exit_wave_{arguments.device}.md", "\n\n".join(text) + "\n")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
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
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="store JSON and Markdown there")
    arguments = parser.parse_args()
    arguments.compile |= arguments.all
    everything = arguments.all or arguments.device == "cuda"
    arguments.batches = arguments.batches or (BATCHES if everything else FEW_BATCHES)
    return arguments


def main() -> None:
    arguments = parsed()
    device, batches = arguments.device, arguments.batches
    where = machine(device)
    scan = noisy_scan(POSITIONS[device], device)
    print(f"Patterns a second on {where['device']}, {where['threads']} threads, 128x128 pixels\n")
    tables: dict[str, Rows] = {"networks": [], "kinds": []}
    tables["parts"] = [parts(scan, batch, device, arguments.seconds) for batch in batches]
    print(markdown(tables["parts"]), flush=True)
    nets = networks(arguments, scan, device)
    for net in nets:
        rows = measure(net, scan, arguments)
        print(f"\n{markdown(rows)}", flush=True)
        tables["networks"] += rows
    for architecture in dict.fromkeys(net.architecture for net in nets if net.architecture.kind == "real"):
        tables["kinds"].append(kinds(architecture, max(batches), device))
    print(f"\n{markdown(tables['kinds'])}")
    if arguments.write:
        write(arguments.write, tables, where, arguments)


if __name__ == "__main__":
    main()
