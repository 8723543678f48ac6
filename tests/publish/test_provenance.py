"""What a stamp says of a run."""

from rephase.publish.provenance import md5, provenance


def test_a_folder_given_as_input_stands_for_its_files(tmp_path):
    code, folder, single = tmp_path / "paper" / "1.txt", tmp_path / "bench", tmp_path / "one.h5"
    for path, text in ((code, "code"), (folder / "b.json", "b"), (folder / "a.json", "a"), (single, "x")):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    found = provenance(code, {"speeds": str(folder), "scans": str(single)}, {})["inputs_md5"]
    assert found == {str(p): md5(p) for p in (folder / "a.json", folder / "b.json", single)}
