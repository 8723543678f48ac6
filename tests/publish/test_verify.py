"""A difference of one byte is seen."""

from rephase.publish.verify import compare


def test_changed_missing_and_new_files_are_named(tmp_path):
    for name, files in (
        ("a", {"same": "1", "x/changed": "1", "gone": "1"}),
        ("b", {"same": "1", "x/changed": "2"}),
    ):
        for file, text in files.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    assert compare(tmp_path / "a", tmp_path / "b") == ["gone", "x/changed"]
