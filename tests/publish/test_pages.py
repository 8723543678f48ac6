"""Everything a reader looks at is copied, and nothing large."""

from rephase.publish.pages import copy_pages


def test_figures_and_notebooks_are_copied_and_large_files_are_not(tmp_path):
    for stage in ("simulate", "direct"):
        (tmp_path / stage).mkdir()
        for name in ("notebook.ipynb", "a.png", "a.svg", "scans.h5"):
            (tmp_path / stage / name).write_text(stage + name)
        (tmp_path / stage / "scores.csv").write_bytes(bytes(2_000_001))
    (tmp_path / "pages" / "old").mkdir(parents=True)
    copy_pages([tmp_path / "simulate", tmp_path / "direct"], tmp_path / "pages")
    copied = {p.relative_to(tmp_path / "pages").as_posix() for p in (tmp_path / "pages").rglob("*.*")}
    assert copied == {f"{s}/{n}" for s in ("simulate", "direct") for n in ("notebook.ipynb", "a.png")}
    assert not (tmp_path / "pages.part").exists()
