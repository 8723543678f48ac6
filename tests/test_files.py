"""Measurement files: other programs read them, and nothing wrong or half gets through."""

import errno
import resource
import signal
import subprocess
import sys
import time
import tracemalloc
import warnings
from contextlib import contextmanager, suppress

import h5py
import numpy as np
import pytest

from rephase.errors import InputError
from rephase.files import open_scan, scan_names, write_scan, write_scans
from rephase.measurement import Scan
from rephase.microscope.optics import Optics

OPTICS = Optics(energy_ev=300e3, semiangle_mrad=21.4, defocus_angstrom=-50.0, aberrations={"C12": 7.0})


def scan_of(shape=(3, 4, 6, 8), dtype=np.float32, **changes):
    intensities = (np.random.default_rng(0).random(shape) * 100).astype(dtype)
    fields = {
        "step_angstrom": (0.5, 0.5),
        "pixel_mrad": (0.7, 0.7),
        "centre_px": (2.75, 4.1),
        "unit": "electrons",
        "rotation_deg": -30.4,
        "mirrored": True,
        "lineage": {"specimen": {"material": "SrTiO3", "seeds": [1, 2]}, "dose": 1e4},
    }
    return Scan(intensities, **(fields | changes))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "scan.h5"


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.uint16])
def test_a_scan_comes_back_exactly(path, dtype):
    scan = scan_of(dtype=dtype)
    write_scan(path, scan, OPTICS)
    found, optics = open_scan(path)
    assert optics == OPTICS
    assert found.intensities.dtype == dtype
    assert np.array_equal(found.intensities, scan.intensities)
    assert found.with_intensities(scan.intensities) == scan


def read_with_py4dstem(path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import py4DSTEM

        for _ in range(10):  # the first calls may stumble over modules that are only then loaded
            with suppress(RuntimeError):
                return py4DSTEM.read(path, **options)
    raise AssertionError("py4DSTEM did not read the file")


def test_py4dstem_reads_data_and_calibration(path):
    scan = scan_of()
    write_scan(path, scan, OPTICS)
    cube = read_with_py4dstem(path)
    assert np.array_equal(cube.data, scan.intensities)
    assert cube.dim_units == ("A", "A", "mrad", "mrad")
    assert [axis[1] for axis in cube.dims] == pytest.approx([0.5, 0.5, 0.7, 0.7])
    assert cube.calibration.get_R_pixel_size() == 0.5
    assert cube.calibration.get_Q_pixel_size() == 0.7


def test_py4dstem_reads_one_scan_of_several(path):
    for name, value in (("sto/focus", 1.0), ("sto/defocus", 2.0)):
        write_scan(path, scan_of().with_intensities(np.full((2, 2, 3, 3), value)), OPTICS, name)
    assert read_with_py4dstem(path, datapath="sto.defocus").data.max() == 2.0


@pytest.mark.parametrize(("suffix", "options"), [("emd", {}), ("h5", {"file_format": "EMD"})])
def test_hyperspy_reads_data_and_axes(tmp_path, suffix, options):
    scan = scan_of(step_angstrom=(0.5, 0.6), pixel_mrad=(0.7, 0.8))
    write_scan(tmp_path / f"scan.{suffix}", scan, OPTICS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import hyperspy.api as hs

        signal = hs.load(tmp_path / f"scan.{suffix}", **options).transpose(signal_axes=2)
    assert np.array_equal(signal.data, scan.intensities)
    axes = signal.axes_manager
    assert [axis.scale for axis in axes.navigation_axes[::-1]] == pytest.approx([0.5, 0.6])
    assert [axis.scale for axis in axes.signal_axes[::-1]] == pytest.approx([0.7, 0.8])
    assert [axis.units for axis in axes.navigation_axes + axes.signal_axes] == ["Å", "Å", "mrad", "mrad"]


def test_the_same_scan_gives_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        for name in ("first", "second"):
            write_scan(tmp_path / folder / "scan.h5", scan_of(), OPTICS, name)
        time.sleep(1.1)
    assert (tmp_path / "a/scan.h5").read_bytes() == (tmp_path / "b/scan.h5").read_bytes()


def test_opening_does_not_load(path):
    scan = scan_of((40, 40, 40, 40))
    write_scan(path, scan, OPTICS)
    open_scan(path)
    tracemalloc.start()
    found, _ = open_scan(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(found.intensities, h5py.Dataset)
    assert peak < scan.intensities.nbytes / 10
    assert np.array_equal(found.intensities[39, 39], scan.intensities[39, 39])


def test_scans_share_a_file_and_one_is_replaced_by_name(path):
    write_scan(path, scan_of(), OPTICS, "sto/focus")
    write_scan(path, scan_of((2, 2, 4, 4)), OPTICS, "sto/defocus")
    write_scan(path, scan_of((3, 3, 4, 4)), OPTICS, "sto/defocus")
    assert scan_names(path) == ["sto/defocus", "sto/focus"]
    assert open_scan(path, "sto/defocus")[0].shape == (3, 3, 4, 4)
    assert open_scan(path, "sto.focus")[0].shape == (3, 4, 6, 8)
    with pytest.raises(InputError, match=r"scan.h5: found 2 scans, expected the name of one of"):
        open_scan(path)
    with pytest.raises(InputError, match=r"scan.h5: other: found no such scan, expected one of"):
        open_scan(path, "other")


def test_several_scans_written_at_once_come_back_each_by_its_name(path):
    scans = {"a": scan_of((2, 2, 4, 4)), "b/x": scan_of((3, 2, 6, 4))}
    write_scan(path, scan_of(), OPTICS, "kept")
    write_scans(path, {name: (scan, OPTICS) for name, scan in scans.items()})
    assert scan_names(path) == ["a", "b/x", "kept"]
    assert all(np.array_equal(open_scan(path, n)[0].intensities, s.intensities) for n, s in scans.items())


def test_one_bad_scan_among_several_leaves_no_file(tmp_path):
    good, bad = scan_of(), scan_of()
    bad.intensities[0, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match="b.*NaN"):
        write_scans(tmp_path / "scans.h5", {"a": (good, OPTICS), "b": (bad, OPTICS)})
    assert not list(tmp_path.iterdir())


def test_a_scan_of_one_file_can_be_written_back_to_it(path):
    write_scan(path, scan_of(), OPTICS)
    scan, optics = open_scan(path)
    write_scan(path, scan, optics)
    assert np.array_equal(open_scan(path)[0].intensities, scan_of().intensities)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_bad_intensities_are_neither_written_nor_read(path, bad):
    scan = scan_of()
    write_scan(path, scan, OPTICS)
    before = path.read_bytes()
    wrong = scan.intensities.copy()
    wrong[2, 3, 5, 7] = bad
    with pytest.raises(InputError, match=r"scan.h5: scan.intensities\[2\]"):
        write_scan(path, scan.with_intensities(wrong), OPTICS)
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir()] == ["scan.h5"]
    with h5py.File(path, "r+") as file:
        file["scan/datacube/data"][2, 3, 5, 7] = bad
    with pytest.raises(InputError, match=r"scan.h5: scan/datacube/data\[2\]"):
        open_scan(path)


def test_a_missing_file_is_named(path):
    with pytest.raises(InputError, match=r"scan.h5: found no such file"):
        open_scan(path)


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.99])
def test_a_truncated_file_is_refused(path, kept):
    write_scan(path, scan_of(), OPTICS)
    whole = path.read_bytes()
    path.write_bytes(whole[: kept if isinstance(kept, int) else int(kept * len(whole))])
    with pytest.raises(InputError, match=r"scan.h5: found no readable HDF5"):
        open_scan(path)


def test_text_is_refused(path):
    path.write_text("step: 0.5\n")
    with pytest.raises(InputError, match=r"scan.h5: found no readable HDF5"):
        open_scan(path)


def test_damaged_intensities_are_noticed(path):
    scan = scan_of()
    write_scan(path, scan, OPTICS)
    content = bytearray(path.read_bytes())
    place = content.find(scan.intensities[1].tobytes()[:64])
    content[place + 10] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"scan.h5: scan/datacube/data.*undamaged"):
        open_scan(path)


def rewrite(path, key, text):
    with h5py.File(path, "r+") as file:
        bundle = file["scan/metadatabundle/rephase"]
        del bundle[key]
        if text is not None:
            bundle[key] = text


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("calibration", None, "rephase: calibration: found nothing, expected a value"),
        ("optics", None, "rephase: optics: found nothing, expected a value"),
        ("optics", '{"energy_ev": 3e5}', "rephase: optics.semiangle_mrad: found"),
        ("optics", '{"energy_ev": 3e5, "semiangle_mrad": -1}', "optics.semiangle_mrad: found -1, expected"),
        ("calibration", '{"step_angstrom": [1, 1]}', "calibration.pixel_mrad: found nothing"),
        ("calibration", "not JSON", "expected JSON"),
    ],
)
def test_a_missing_or_wrong_calibration_names_file_and_key(path, key, text, message):
    write_scan(path, scan_of(), OPTICS)
    rewrite(path, key, text)
    with pytest.raises(InputError, match=message) as caught:
        open_scan(path)
    assert "scan.h5" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_hdf5_without_a_scan_is_refused(path):
    with h5py.File(path, "w") as file:
        file["data"] = np.ones((2, 2, 3, 3))
    with pytest.raises(InputError, match="found 0 scans"):
        open_scan(path)


def test_a_lineage_that_json_does_not_know_is_refused(path):
    with pytest.raises(InputError, match=r"scan.lineage: found .*ndarray"):
        write_scan(path, scan_of(lineage={"array": np.ones(3)}), OPTICS)
    assert not path.exists()


KILLED = """
import signal, sys
import numpy as np
from rephase.files import write_scan
from rephase.measurement import Scan
from rephase.microscope.optics import Optics

class Killing(np.ndarray):
    def __getitem__(self, key):
        if key == 1:
            signal.raise_signal(signal.SIGKILL)
        return np.asarray(self)[key]

scan = Scan(np.ones((8, 8, 64, 64)).view(Killing), (1.0, 1.0), (1.0, 1.0))
write_scan(sys.argv[1], scan, Optics(energy_ev=3e5, semiangle_mrad=20))
"""


def test_a_kill_in_the_middle_leaves_the_file_as_it_was(path):
    write_scan(path, scan_of(), OPTICS)
    before = path.read_bytes()
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)])
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    write_scan(path, scan_of((3, 3, 4, 4)), OPTICS)
    assert open_scan(path)[0].shape == (3, 3, 4, 4)
    assert [item.name for item in path.parent.iterdir()] == ["scan.h5"]


@contextmanager
def files_no_larger_than(size):
    """Refuse larger files, as a full disk does; the system's answer is EFBIG.

    Put back at once: the limit would stop pytest's own output to a file too.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("limit", [1000, 100_000, 500_000])
def test_a_full_disk_is_one_clear_line_and_leaves_nothing(path, limit):
    message = "nothing was written: File too large: .*scan.h5"
    with pytest.raises(OSError, match=message) as caught, files_no_larger_than(limit):
        write_scan(path, scan_of((8, 8, 48, 48)), OPTICS)
    assert caught.value.errno == errno.EFBIG
    assert list(path.parent.iterdir()) == []
