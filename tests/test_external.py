"""Data of others: the right file, checked, or a plain word that it is absent."""

import hashlib

import numpy as np
import pytest

from rephase import external
from rephase.errors import InputError
from rephase.microscope.optics import Optics


@pytest.fixture
def entry(tmp_path, monkeypatch):
    """A registry of one small array, and the folder that holds it."""
    path = tmp_path / "data" / "scan.npy"
    path.parent.mkdir()
    np.save(path, np.ones((2, 2, 8, 8), np.float32))
    registry = tmp_path / "external.yaml"
    registry.write_text(
        "small:\n  file: scan.npy\n  what: ones\n  source: https://example.org\n  licence: MIT\n"
        f"  sha256: {hashlib.sha256(path.read_bytes()).hexdigest()}\n"
        "  optics: {energy_ev: 3.0e+5, semiangle_mrad: 20}\n"
        "  calibration: {step_angstrom: [0.5, 0.5], pixel_mrad: [5, 5], unit: electrons}\n"
    )
    monkeypatch.setattr(external, "REGISTRY", registry)
    monkeypatch.setenv("REPHASE_DATA", str(path.parent))
    return path


def test_a_file_is_opened_with_its_calibration_and_whose_it_is(entry):
    scan, optics = external.open_external("small")
    assert optics == Optics(energy_ev=3e5, semiangle_mrad=20)
    assert (scan.step_angstrom, scan.unit) == ((0.5, 0.5), "electrons")
    assert scan.lineage["source"] == "https://example.org"
    assert scan.lineage["licence"] == "MIT"


def test_a_changed_file_is_refused(entry):
    np.save(entry, np.zeros((2, 2, 8, 8), np.float32))
    with pytest.raises(InputError, match=r"scan.npy: found sha256 .* expected .* the file that small names"):
        external.open_external("small")


def test_an_absent_file_is_none_and_a_plain_sentence(entry):
    entry.unlink()
    assert external.open_external("small") is None
    assert "is not at hand, so this part is skipped" in external.absence("small")
    assert "\n" not in external.absence("small")


def test_a_file_without_a_known_checksum_is_refused_and_told_its_own(entry, tmp_path):
    registry = tmp_path / "external.yaml"
    digest = hashlib.sha256(entry.read_bytes()).hexdigest()
    registry.write_text(registry.read_text().replace(digest, "unknown"))
    with pytest.raises(InputError, match=rf"sha256 {digest} and none to hold it against.*example.org"):
        external.open_external("small")
    entry.unlink()
    assert external.open_external("small") is None
    assert "enter its sha256 in external.yaml: small" in external.absence("small")


def test_a_file_of_unknown_name_is_absent_and_told_where_to_go(entry, tmp_path):
    registry = tmp_path / "external.yaml"
    registry.write_text(registry.read_text().replace("scan.npy", "unknown"))
    (entry.parent / "unknown").touch()  # even so
    assert external.open_external("small") is None
    told = external.absence("small")
    for part in ("small is not at hand", "https://example.org", "REPHASE_DATA", "enter its file in"):
        assert part in told


@pytest.mark.parametrize(
    ("name", "record"),
    [("antwerp_srtio3", "5572123"), ("antwerp_gold", "5572123"), ("antwerp_zeolite", "5068510")],
)
def test_scans_of_the_exit_wave_paper_say_what_to_download_and_where_to_put_it(name, record):
    assert external.open_external(name) is None
    told = external.absence(name)
    for part in (f"zenodo.{record}", "REPHASE_DATA", "file and sha256 in external.yaml", ".t3p", ".mib"):
        assert part in told
    assert "\n" not in told


def test_an_unknown_name_is_refused(entry):
    with pytest.raises(
        InputError, match=r"external.yaml: other: found no such entry, expected one of \['small'\]"
    ):
        external.find("other")


def test_an_entry_without_licence_is_refused(entry, tmp_path):
    registry = tmp_path / "external.yaml"
    registry.write_text(registry.read_text().replace("  licence: MIT\n", ""))
    with pytest.raises(InputError, match="small: licence: found nothing, expected a value"):
        external.registry(registry)


def test_a_missing_registry_says_what_brings_it(tmp_path):
    with pytest.raises(InputError, match="none.yaml: found no such file, expected .*dvc pull"):
        external.registry(tmp_path / "none.yaml")


def test_the_projects_own_registry_is_whole():
    assert "rotavirus_full127_bin8_32x32" in external.registry()
