"""Every method that completes sequences, on the same one: time a frame, parameters, memory, training step.

Run as ``python bench/sequence_methods.py``; uses the GPU where there is one. A simulated sequence of
100 frames, each of 2 x 2 positions of 32 x 32 pixels, is counted with 1e5 electrons a pattern and
observed at 90 % sparsity, whole frames (synchronous) or each position at times of its own (staggered). A
time a frame is that of completing the sequence over its 100 frames, four patterns each. Settings are
the defaults. Networks have the laptop's size and random weights, on which their speed does not depend;
they are at hand, and not read from a file each time.

Each row is measured in a process of its own. Methods without a ``device`` in their settings stay on
the CPU. A step of a training is that of `fit`, with masks and doses drawn as there; "physics" is the
Neural CDE with its four terms of physics. On a busy machine the least of the rounds comes closest to what
a quiet one takes.

The network of the paper's size is measured in parts: the encoder once an observed frame, the
decoder once a frame, and the whole, from frames in memory to frames in memory. The paper has 15 ms.

How the time grows with the length of a sequence is measured for a few methods, whole frames missing. A
shorter sequence is the beginning of the simulated one; a longer one runs it to its end and back.

``--write FOLDER`` puts the tables into ``sequences_cpu.md`` or ``sequences_cuda.md`` and into a JSON
of the same name, from which claim N8 is judged:

methods
    One row a method: ``synchronous_ms``, ``staggered_ms`` and ``step_s`` with median, ``least`` and
    ``greatest`` of the rounds; peaks of memory in MiB, of the process (``peak_mib``, which had
    ``idle_mib`` before) or of tensors on the GPU (``gpu_mib``), in completing and in training.
paper_size
    The same of the network of the paper's size, a row a precision.
lengths
    One row a method and length: ``frames`` of the sequence, and ``ms`` a frame as above.
machine, versions, commit_date, settings
    Where, with what, of which day's code and how this was measured.

For a quick look, ``--tables lengths --methods linear none --seconds 0.1`` measures a part and writes nothing.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from exit_wave import Rows, commit_date, digits, machine, markdown

from rephase.microscope.acquire import default_device
from rephase.publish.files import write_json, write_text
from rephase.publish.provenance import versions
from rephase.sequence.diffusion.fit import fit as fit_diffusion
from rephase.sequence.diffusion.network import DiffusionNet
from rephase.sequence.diffusion.schedule import FitSettings as DiffusionFit
from rephase.sequence.diffusion.weights import save_weights
from rephase.sequence.methods import METHODS, complete
from rephase.sequence.networks.fit import fit
from rephase.sequence.networks.known import known
from rephase.sequence.networks.loss import TERMS
from rephase.sequence.networks.method import predict
from rephase.sequence.networks.model import LAPTOP, PAPER, SequenceNet, parameter_count
from rephase.sequence.networks.samples import Sequences
from rephase.sequence.networks.schedule import FitSettings
from rephase.sequence.processes import SequenceSettings, plan
from rephase.sequence.sampling import draw_mask
from rephase.sequence.simulate import Simulated, simulate

SPARSITY, ELECTRONS = 0.9, 1e5
ARMS = ("synchronous", "staggered")
KINDS = {
    "after": "interpolation, then U-Net",
    "before": "U-Net, then interpolation",
    "none": "network, no temporal model",
    "lstm": "LSTM",
    "ode": "neural ODE (Eq. 2)",
    "log_ode": "neural CDE, log-signatures",
    "cde": "neural CDE",
}
PHYSICS = {"friedel": 0.01, "kinematic": 0.01, "energy": 0.1, "temporal": 1e-4}
LEAST_ROUNDS, MOST_ROUNDS = 3, 20
STEPS = {"network": 7, "diffusion": 5}  # of which the first two are not counted
PAPER_FRAMES = {"cpu": 4, "cuda": 100}
AT_ONCE = {"cpu": 2, "cuda": 10}  # frames that encoder and decoder are measured with
TABLES = ("methods", "paper_size", "lengths")
LENGTHS = (25, 50, 100, 200)
LENGTHENED = ("linear", "joint", "compressed", "none", "cde")


def alone(measure: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """The same call in a process of its own, with the memory that it took."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([name for name in sys.modules if name.startswith("rephase.")])
    with ProcessPoolExecutor(1, context) as process:
        return process.submit(with_memory, measure, *arguments).result()


def with_memory(measure: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    idle = resident_mib()
    found = measure(*arguments) | {"idle_mib": idle, "peak_mib": resident_mib()}
    if torch.cuda.is_initialized():
        found["gpu_mib"] = torch.cuda.max_memory_allocated() / 2**20
    return found


def resident_mib() -> float:
    """Most memory that the process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def clock(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def rounds(runs: Mapping[str, Callable[[], object]], device: str, seconds: float) -> dict[str, list[float]]:
    """Seconds of each run, all in turn: three rounds or as many as fit into the time.

    The first round is not counted, unless it takes longer than this time by itself.
    """
    found, start = [one_round(runs, device)], time.perf_counter()
    if sum(found[0]) < seconds:
        found.clear()
    while len(found) < LEAST_ROUNDS or (time.perf_counter() - start < seconds and len(found) < MOST_ROUNDS):
        found.append(one_round(runs, device))
    return dict(zip(runs, map(list, zip(*found, strict=True)), strict=True))


def one_round(runs: Mapping[str, Callable[[], object]], device: str) -> list[float]:
    ticks = [clock(device)]
    for run in runs.values():
        run()
        ticks.append(clock(device))
    return np.diff(ticks).tolist()


def spread(name: str, values: list[float], unit: float = 1.0) -> dict[str, float]:
    """Median, least and greatest, under names that begin alike."""
    low, middle, high = (unit * found for found in (min(values), statistics.median(values), max(values)))
    return {name: middle, f"{name}_least": low, f"{name}_greatest": high}


def completion(
    name: str, settings: SequenceSettings, sequence: Simulated, device: str, seconds: float
) -> dict[str, Any]:
    """Milliseconds a frame of completing the sequence by one method."""
    frames = counted(sequence)
    with tempfile.TemporaryDirectory() as folder:
        run, parameters, where = completer(name, settings, device, Path(folder))
        masks = {arm: draw_mask(*frames.shape[:2], SPARSITY, 0, arm=arm) for arm in ARMS}
        runs = {arm: partial(run, sequence.times, frames, mask) for arm, mask in masks.items()}
        found = rounds(runs, where, seconds)
    row = {"device": where, "parameters": parameters, "rounds": len(found[ARMS[0]])}
    for arm, taken in found.items():
        row |= spread(f"{arm}_ms", taken, 1e3 / len(frames))
    return row


def counted(sequence: Simulated) -> np.ndarray:
    """The frames as so many electrons show them."""
    counts = np.random.default_rng(0).poisson(ELECTRONS * sequence.frames.clip(0))
    return (counts / ELECTRONS).astype(np.float32)


def by_length(
    name: str, settings: SequenceSettings, sequence: Simulated, device: str, seconds: float
) -> dict[str, Any]:
    """Milliseconds a frame of completing sequences of several lengths, in turn, by one method."""
    frames, runs = counted(sequence), {}
    with tempfile.TemporaryDirectory() as folder:
        run, _, where = completer(name, settings, device, Path(folder))
        for length in LENGTHS:
            there_and_back = np.pad(np.arange(len(frames)), (0, max(LENGTHS)), "symmetric")[:length]
            mask = draw_mask(length, frames.shape[1], SPARSITY, 0)
            times = np.arange(length) * (sequence.times[1] - sequence.times[0])
            runs[str(length)] = partial(run, times, frames[there_and_back], mask)
        found = rounds(runs, where, seconds)
    rows = [
        {"frames": int(length), "device": where, "rounds": len(taken)}
        | spread("ms", taken, 1e3 / int(length))
        for length, taken in found.items()
    ]
    return {"rows": rows}


def completer(
    name: str, settings: SequenceSettings, device: str, folder: Path
) -> tuple[Callable[..., object], int | None, str]:
    """A method with random weights where it has any, their number, and where it computes."""
    facts = {"energy_ev": settings.energy_ev, "thickness_angstrom": settings.thickness_angstrom}
    torch.manual_seed(0)
    if name in KINDS:
        net = SequenceNet(LAPTOP.model_copy(update={"kind": name})).to(device).eval()
        told = known(*(np.array([value]) for value in (*facts.values(), ELECTRONS)))
        return lambda *observed: predict(net, *observed, told), parameter_count(net), device
    parameters, chosen = None, {}
    if name == "diffusion":
        net = DiffusionNet(DiffusionFit().architecture)
        chosen = facts | {"weights": save_weights(folder / "weights", net, {}), "dose": ELECTRONS}
        parameters = parameter_count(net)
    elif name == "compressed":
        chosen = {"electrons": ELECTRONS}
    where = device if "device" in METHODS[name].settings.model_fields else "cpu"
    chosen |= {"device": where} if "device" in METHODS[name].settings.model_fields else {}
    return lambda *observed: complete(name, *observed, **chosen), parameters, where


def training(name: str, settings: SequenceSettings, sequence: Simulated, device: str) -> dict[str, Any]:
    """Seconds a step of a training."""
    batch, ticks = FitSettings().batch, []
    sequences = several(settings, sequence, batch).to(device)
    some = several(settings, sequence, 1).to(device)
    with tempfile.TemporaryDirectory() as folder:
        chosen: dict[str, Any] = {"epochs": 1, "batch": batch}
        report = {"report": lambda *_: ticks.append(clock(device))}
        if name == "diffusion":
            course = DiffusionFit(**chosen, steps_per_epoch=STEPS["diffusion"], validation_uses=1)
            fit_diffusion(sequences, some, course, folder, 0, **report)
        else:
            weights = PHYSICS if name == "physics" else {}
            chosen["architecture"] = LAPTOP.model_copy(update={"kind": name} if name in KINDS else {})
            course = FitSettings(**chosen, steps_per_epoch=STEPS["network"], weights=weights)
            fit(sequences, some, course, folder, 0, TERMS, **report)
    return {"device": device} | spread("step_s", np.diff(ticks).tolist()[1:])


def several(settings: SequenceSettings, sequence: Simulated, count: int) -> Sequences:
    """The same sequence several times, to train on."""
    times = sequence.times / sequence.times[-1]
    frames, structure = (
        torch.from_numpy(part).expand(count, *part.shape).clone()
        for part in (sequence.frames, sequence.structure)
    )
    facts = np.array([[settings.energy_ev, settings.thickness_angstrom]] * count)
    return Sequences(times, frames, facts, structure)


@torch.inference_mode()
def paper_size(precision: str, device: str, seconds: float) -> dict[str, Any]:
    """Milliseconds a frame of encoder, decoder and the whole of the paper's network."""
    torch.manual_seed(0)
    net, count, some = SequenceNet(PAPER).to(device).eval(), PAPER_FRAMES[device], AT_ONCE[device]
    side, positions = PAPER.size, PAPER.positions
    frames = np.random.default_rng(0).random((count, positions, side, side), dtype=np.float32) / side**2
    times, mask = np.arange(float(count)), draw_mask(count, positions, SPARSITY, 0)
    told = known(np.array([200e3]), np.array([200.0]), np.array([math.inf]))
    seen = torch.randn(1, some, 2 * positions, side, side, device=device)
    static = torch.randn(1, positions + len(net.features), side, side, device=device)
    condition = torch.randn(some, net.decoder.start.in_features, device=device)
    cast = torch.autocast(device, torch.bfloat16, enabled=precision == "bf16")
    with cast:
        skips = [skip[0] for skip in net.encoder(seen, static)[0]]
    runs = {
        "encoder": cast(lambda: net.encoder(seen, static)),
        "decoder": cast(lambda: net.decoder(skips, condition)),
        "whole": lambda: predict(net, times, frames, mask, told, precision),
    }
    found = rounds(runs, device, seconds)
    row = {
        "precision": precision,
        "device": device,
        "parameters": parameter_count(net),
        "frames": count,
        "observed": int(mask[:, 0].sum()),
    }
    for part, taken in found.items():
        row |= spread(f"{part}_ms", taken, 1e3 / (count if part == "whole" else some))
    return row


def method_rows(
    names: list[str], settings: SequenceSettings, sequence: Simulated, device: str, seconds: float
) -> Rows:
    """One row a method, printed as it comes."""
    rows = []
    for name in names:
        row = {"name": name, "method": title(name)}
        if name != "physics":
            row |= alone(completion, name, settings, sequence, device, seconds)
        if name in KINDS or name in ("diffusion", "physics"):
            trained = alone(training, name, settings, sequence, device)
            row |= {f"training_{key}" if key.endswith("_mib") else key: trained[key] for key in trained}
        rows.append(row)
        print(" | ".join(f"{head} {cell}" for head, cell in shown([row])[0].items() if cell), flush=True)
    return rows


def title(name: str) -> str:
    return KINDS.get(name) or ("neural CDE + physics" if name == "physics" else METHODS[name].title)


def length_rows(
    names: list[str], settings: SequenceSettings, sequence: Simulated, device: str, seconds: float
) -> Rows:
    """One row a method and length."""
    found = {name: alone(by_length, name, settings, sequence, device, seconds)["rows"] for name in names}
    return [{"name": name, "method": title(name)} | row for name, rows in found.items() for row in rows]


def side_by_side(rows: Rows) -> Rows:
    """Times by length, a row a method, as people read them."""
    table: dict[str, dict[str, Any]] = {row["name"]: {"method": row["method"]} for row in rows}
    for row in rows:
        table[row["name"]][f"{row['frames']} frames"] = cell(row, "ms")
    return list(table.values())


def shown(rows: Rows) -> Rows:
    """Rows as people read them: a median with least and greatest, memory without fractions."""
    heads = dict.fromkeys(key for row in rows for key in row if not key.endswith(("_least", "_greatest")))
    return [{head: cell(row, head) for head in heads if head != "name"} for row in rows]


def cell(row: dict[str, Any], head: str) -> object:
    if row.get(head) is None:
        return ""
    if f"{head}_least" in row:
        middle, low, high = (digits(row[name]) for name in (head, f"{head}_least", f"{head}_greatest"))
        return f"{middle} ({low} to {high})"
    return f"{row[head]:.0f}" if head.endswith("_mib") else row[head]


def write(folder: Path, tables: dict[str, Rows], where: dict[str, Any], chosen: dict[str, Any]) -> None:
    """The JSON, and its tables as Markdown."""
    device, made = chosen["device"], versions()
    about = {"machine": where, "versions": made, "commit_date": commit_date(), "settings": chosen}
    write_json(folder / f"sequences_{device}.json", tables | about)
    text = [
        "# Time and memory of the methods that complete sequences",
        f"{where['device']} ({where['processor']}), {where['threads']} threads of {where['cores']} cores,"
        f" load average {where['load_average'][0]} in the minute before the start and"
        f" {where['load_average_after'][0]} in that before the end;"
        f" torch {made['torch']}, code of {about['commit_date']}."
        " Written by `bench/sequence_methods.py --write`, which says what is measured.",
        "A frame is the patterns of all four positions at one time. Medians, with the least and the"
        " greatest of the rounds; 32 x 32 pixels:",
        markdown(shown(tables["methods"])),
        "The network of the paper's size, 256 x 256 pixels, ms a frame (an observed one for the encoder);"
        " the paper has 15 ms:",
        markdown(shown(tables["paper_size"])),
        "Milliseconds a frame by the length of the sequence, whole frames missing:",
        markdown(side_by_side(tables["lengths"])),
    ]
    write_text(folder / f"sequences_{device}.md", "\n\n".join(text) + "\n")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [
        *(name for name in METHODS if name not in ("network", "diffusion")),
        *KINDS,
        "physics",
        "diffusion",
    ]
    parser.add_argument(
        "--methods", nargs="*", choices=names, default=names, metavar="NAME", help="all by default"
    )
    parser.add_argument(
        "--tables", nargs="*", choices=TABLES, default=TABLES, metavar="TABLE", help="all by default"
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="of the rounds of a measurement")
    parser.add_argument("--device", choices=PAPER_FRAMES, default=default_device())
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="store JSON and Markdown there")
    arguments = parser.parse_args()
    if arguments.write and set(arguments.tables) != set(TABLES):
        parser.error("--write needs every table")
    return arguments


def main() -> None:
    arguments = parsed()
    device, seconds = arguments.device, arguments.seconds
    where = machine(device)
    settings = plan({"test": 1})[0]
    sequence = simulate(settings, device)
    shape = " x ".join(map(str, sequence.frames.shape))
    print(
        f"{settings.process} of {settings.material}, {shape}, {where['device']}, {where['threads']} threads"
    )
    common, tables = (settings, sequence, device, seconds), {}
    if "methods" in arguments.tables:
        tables["methods"] = method_rows(arguments.methods, *common)
        print(f"\n{markdown(shown(tables['methods']))}")
    if "paper_size" in arguments.tables:
        tables["paper_size"] = [alone(paper_size, precision, device, seconds) for precision in ("32", "bf16")]
        print(f"\n{markdown(shown(tables['paper_size']))}")
    if "lengths" in arguments.tables:
        lengthened = [name for name in LENGTHENED if name in arguments.methods]
        tables["lengths"] = length_rows(lengthened, *common)
        print(f"\n{markdown(side_by_side(tables['lengths']))}")
    if arguments.write:
        where["load_average_after"] = machine(device)["load_average"]
        chosen = {
            "device": device,
            "seconds": seconds,
            "sparsity": SPARSITY,
            "electrons_per_pattern": ELECTRONS,
            "sequence": list(sequence.frames.shape),
            "weights": "random",
        }
        write(arguments.write, tables, where, chosen)


if __name__ == "__main__":
    main()
