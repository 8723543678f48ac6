"""The kernel that runs the notebooks: at the repository's root, without noise."""

from __future__ import annotations

from pathlib import Path

from rephase.publish.files import write_text

FOLDER = Path("build/ipython")


def prepare(folder: Path = FOLDER) -> Path:
    """Write the kernel's profile and return the folder for ``IPYTHONDIR``.

    A notebook opened in JupyterLab then finds ``results/`` and ``data/`` as it
    does in the pipeline, and the kernel reports errors only. Figures inside a notebook
    are small: they lie beside it in full.
    """
    start = f"import os; os.chdir({str(Path.cwd())!r})"
    text = (
        "c.IPKernelApp.log_level = 40\n"
        f"c.InteractiveShellApp.exec_lines = [{start!r}]\n"
        'c.InlineBackend.figure_formats = {"jpeg"}\n'
        'c.InlineBackend.print_figure_kwargs = {"bbox_inches": None, "dpi": 72}\n'
    )
    config = folder / "profile_default" / "ipython_kernel_config.py"
    if not config.exists() or config.read_text() != text:
        write_text(config, text)
    return folder.resolve()


if __name__ == "__main__":
    print(prepare())
