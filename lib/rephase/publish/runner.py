"""Run one notebook as one stage of the pipeline.

The notebook gets its parameters from ``params.yaml`` and its files from the
command line, writes into a folder beside the stage's output, and the folder
takes its place only when the notebook has finished.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat

from rephase.checkpoint import VARIABLE as CHECKPOINTS
from rephase.errors import InputError
from rephase.publish import estimate
from rephase.publish.files import write_json, write_text
from rephase.publish.kernel import prepare
from rephase.publish.progress import VARIABLE, clock
from rephase.publish.provenance import provenance
from rephase.settings import read_params

ANSI = re.compile(r"\x1b\[[0-9;]*m")
FRAMES = 3


class NotebookFailed(RuntimeError):
    """A cell raised; the message is the short report."""


def declared_parameters(notebook: nbformat.NotebookNode) -> set[str]:
    """Names assigned in the cell tagged ``parameters``."""
    cells = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    return {name for c in cells for name in re.findall(r"^(\w+)\s*(?::[^=]+)?=", c.source, re.M)}


def check_parameters(path: Path, given: set[str]) -> None:
    """Refuse parameters that the notebook does not declare, and the reverse."""
    declared = declared_parameters(nbformat.read(path, as_version=4))
    if given != declared:
        unknown, missing = sorted(given - declared), sorted(declared - given)
        raise InputError(f"{path}: parameters", f"unknown {unknown}, not given {missing}", "the same names")


def execute(path: Path, parameters: Mapping[str, Any]) -> nbformat.NotebookNode:
    """Execute a notebook at the repository's root.

    Raises
    ------
    NotebookFailed
        With the cell, the exception and the last frames, in a dozen lines.
    """
    import papermill

    logging.getLogger("papermill").setLevel(logging.ERROR)
    os.environ["IPYTHONDIR"] = str(prepare())
    target = Path("build/run") / f"{path.parent.name}-{path.stem}.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        papermill.execute_notebook(
            str(path),
            str(target),
            dict(parameters),
            kernel_name="python3",
            language="python",
            progress_bar=False,
            cwd=".",
        )
    except papermill.PapermillExecutionError as error:
        raise NotebookFailed(report(path, error)) from None
    return normalise(nbformat.read(target, as_version=4))


def report(path: Path, error: Any) -> str:
    """Say in at most a dozen lines which cell failed, how, and where."""
    lines = [ANSI.sub("", line) for frame in error.traceback for line in frame.splitlines()]
    frames = [line.strip() for line in lines if re.match(r"\s*File |.* in .*\(.*\)$|-+> *\d+", line)]
    message = error.evalue.splitlines()[0] if error.evalue else ""
    first = f"{path}, cell {error.exec_count}: {error.ename}: {message}"
    if error.ename == "InputError":
        return first
    return "\n".join([first, *(f"  {line[:160]}" for line in frames[-2 * FRAMES :])])


def normalise(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop what differs from run to run: times, random ids, progress bars, streams of warnings."""
    notebook.metadata = {"kernelspec": notebook.metadata.get("kernelspec", {})}
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        cell.metadata = {"tags": cell.metadata["tags"]} if cell.metadata.get("tags") else {}
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
            for output in cell.outputs:
                output.get("metadata", {}).clear()
    return notebook


def follow(log: Path, stop: threading.Event) -> None:
    """Print what the notebook reports while it runs."""
    seen = 0
    while True:
        last = stop.wait(1.0)
        lines = log.read_text().splitlines() if log.exists() else []
        for text in lines[seen:]:
            print(f"  {text}", flush=True)
        seen = len(lines)
        if last:
            return


def run(name: str, scale: str, inputs: Mapping[str, str], out: Path) -> None:
    """Run a notebook as a stage and put its output in place.

    Parameters
    ----------
    name : str
        ``paper/notebook`` below ``notebooks/``, such as ``baselines/1_simulate``.
    scale : str
        A block of ``params.yaml``.
    inputs : mapping
        Notebook parameter -> file of an earlier stage.
    out : Path
        The stage's output folder.
    """
    path = Path("notebooks") / f"{name}.ipynb"
    if not path.exists():
        raise InputError("notebook", name, f"a file {path}")
    settings = stage_settings(name, scale)
    part = out.with_name(f"{out.name}.part")
    given = settings | dict(inputs) | {"scale": scale, "out": str(part)}
    check_parameters(path, set(given))
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    stamp = provenance(Path("build/canonical") / f"{name}.txt", inputs, {"scale": scale} | settings)
    write_json(part / "provenance.json", stamp)
    stage = f"{name}@{scale}"
    kept = checkpoint_folder(stage, stamp)
    os.environ[CHECKPOINTS] = str(kept.resolve())
    print(estimate.announce(stage), flush=True)
    start = time.monotonic()
    notebook = _execute_followed(path, given, stage)
    write_text(part / "notebook.ipynb", nbformat.writes(notebook).replace(str(part), str(out)) + "\n")
    shutil.rmtree(out, ignore_errors=True)
    os.replace(part, out)
    shutil.rmtree(kept.parent, ignore_errors=True)
    estimate.record(stage, time.monotonic() - start)
    print(f"{stage}: done in {clock(time.monotonic() - start)}, see {out}/notebook.ipynb", flush=True)


def checkpoint_folder(stage: str, stamp: Mapping[str, Any]) -> Path:
    """Where a stage keeps its finished parts: another folder for any other code, input or parameter."""
    key = hashlib.sha256(json.dumps(stamp, sort_keys=True).encode()).hexdigest()[:16]
    return Path("build/checkpoints") / stage.replace("/", "-") / key


def stage_settings(name: str, scale: str) -> dict[str, Any]:
    """The notebook's block of ``params.yaml``, validated, as plain values."""
    paper, notebook = name.split("/")
    block = read_params().section(paper, scale)
    part = notebook.split("_", 1)[1]
    fields = type(block).model_fields
    nested = {key for key in fields if hasattr(getattr(block, key), "model_dump")}
    if part in nested:
        block = getattr(block, part)
    elif nested:
        return {}
    return block.model_dump()


def _execute_followed(path: Path, parameters: Mapping[str, Any], stage: str) -> nbformat.NotebookNode:
    log = Path("build/progress") / f"{stage.replace('/', '-')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    os.environ[VARIABLE] = str(log.resolve())
    stop = threading.Event()
    watcher = threading.Thread(target=follow, args=(log, stop))
    watcher.start()
    try:
        return execute(path, parameters)
    finally:
        stop.set()
        watcher.join()


def main() -> int:
    """Command line: ``runner PAPER/NOTEBOOK SCALE --out FOLDER [--in NAME=FILE ...]``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("notebook")
    parser.add_argument("scale")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--in", dest="inputs", action="append", default=[], metavar="NAME=FILE")
    given = parser.parse_args()
    try:
        run(given.notebook, given.scale, dict(i.split("=", 1) for i in given.inputs), given.out)
    except (InputError, NotebookFailed) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
