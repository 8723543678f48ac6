"""Canonical text of code: what it does, without what it says about itself."""

from __future__ import annotations

import ast
import io
import tokenize
from importlib.util import find_spec
from pathlib import Path

import nbformat

PACKAGE = "rephase"


def canonical(text: str) -> str:
    """Source without comments, docstrings, blank lines and trailing spaces.

    Works on the text rather than on the syntax tree, so that the result is
    the same on every Python version.
    """
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for start, end in _docstrings(ast.parse(text)):
        lines[start - 1 : end] = [""] * (end - start + 1)
    return "".join(f"{line.rstrip()}\n" for line in lines if line.strip())


def _docstrings(tree: ast.AST):
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str):
            yield first.lineno, first.end_lineno


def notebook_code(path: Path) -> str:
    """Canonical text of a notebook's code cells, magics left out."""
    cells = nbformat.read(path, as_version=4).cells
    code = ["".join(c.source) for c in cells if c.cell_type == "code"]
    return canonical(
        "\n".join(line for text in code for line in text.splitlines() if not line.startswith("%"))
    )


def imports(text: str) -> set[str]:
    """Full names of all modules that a source imports, at any depth."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def module_file(name: str) -> Path | None:
    """File of one of the package's own modules; None for anything else."""
    if name.split(".")[0] != PACKAGE:
        return None
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec and spec.origin else None


def closure(text: str, without: tuple[str, ...] = ()) -> tuple[dict[str, Path], set[str]]:
    """Everything that a source imports, directly or through our own modules.

    Parameters
    ----------
    text : str
        Source code.
    without : tuple of str
        Packages of ours that are not entered.

    Returns
    -------
    own : dict
        Name and file of each of the package's modules.
    others : set of str
        Top-level names of all other packages.
    """
    own: dict[str, Path] = {}
    others: set[str] = set()
    waiting = imports(text)
    while waiting:
        name = waiting.pop()
        if name.startswith(without):
            continue
        if name.split(".")[0] != PACKAGE:
            others.add(name.split(".")[0])
            continue
        for module in _with_parents(name):
            file = module_file(module)
            if file and module not in own:
                own[module] = file
                waiting |= imports(file.read_text())
    return own, others


def _with_parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: n + 1]) for n in range(len(parts))]
