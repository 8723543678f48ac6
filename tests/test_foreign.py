"""Scans of other programs come in with their axes right, or are refused in one line."""

import warnings

import h5py
import numpy as np
import pytest

from rephase.errors import InputError
from rephase.files import write_scan
from rephase.foreign import import_scan
from rephase.measurement import Scan
from rephase.microscope.optics import Optics

OPTICS = Optics(energy_ev=300e3, semiangle_mrad=21.4)
COUNTS = np.random.default_rng(0).poisson(20.0, (3, 4, 6, 8)).astype(np.uint16)
CALIBRATION = {"step_angstrom": (0.5, 0.6), "pixel_mrad": (0.7, 0.8), "unit": "electrons"}


def sidecar(path, optics=True, **more):
    lines = ["optics: {energy_ev: 300000.0, semiangle_mrad: 21.4}"] if optics else []
    lines += ["calibration: {step_angstrom: [0.5, 0.6], pixel_mrad: [0.7, 0.8], unit: electrons}"]
    path.with_suffix(".yaml").write_text(
        "\n".join(lines + [f"{key}: {value}" for key, value in more.items()])
    )


def require_same(found, intensities=COUNTS):
    scan, optics = found
    assert optics == OPTICS
    assert scan.step_angstrom == pytest.approx((0.5, 0.6))
    assert scan.pixel_mrad == pytest.approx((0.7, 0.8))
    assert np.array_equal(np.asarray(scan.intensities), intensities)
    assert np.array_equal(np.asarray(scan.intensities[1]), intensities[1])


def test_our_own_file(tmp_path):
    write_scan(tmp_path / "scan.h5", Scan(COUNTS, **CALIBRATION), OPTICS)
    require_same(import_scan(tmp_path / "scan.h5"))
    assert import_scan(tmp_path / "scan.h5", rotation_deg=5.0)[0].rotation_deg == 5.0


def test_a_file_of_py4dstem(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import py4DSTEM

        cube = py4DSTEM.DataCube(COUNTS.astype(np.float32))
        cube.calibration.set_R_pixel_size(0.05)
        cube.calibration.set_R_pixel_units("nm")
        cube.calibration.set_Q_pixel_size(0.02)
        cube.calibration.set_Q_pixel_units("A^-1")
        cube.calibrate()
        py4DSTEM.save(str(tmp_path / "scan.h5"), cube, mode="o")
    scan, _ = import_scan(tmp_path / "scan.h5", OPTICS)
    assert np.array_equal(np.asarray(scan.intensities), COUNTS)
    assert scan.step_angstrom == pytest.approx((0.5, 0.5))
    assert scan.pixel_mrad == pytest.approx((0.02 * OPTICS.wavelength_angstrom * 1e3,) * 2)


NAMES, UNITS = ("y", "x", "ky", "kx"), ("nm", "nm", "mrad", "mrad")
SCALES, OFFSETS = (0.05, 0.06, 0.7, 0.8), (0.0, 0.0, -2.1, -3.2)
AXES = [
    {"name": name, "scale": scale, "units": unit, "offset": offset, "size": size, "navigate": i < 2}
    for i, (name, scale, unit, offset, size) in enumerate(
        zip(NAMES, SCALES, UNITS, OFFSETS, COUNTS.shape, strict=True)
    )
]
MICROSCOPE = {"beam_energy": 300.0, "convergence_angle": 21.4}


def test_a_file_of_hyperspy(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import hyperspy.api as hs

        signal = hs.signals.Signal2D(COUNTS, axes=AXES)
        signal.metadata.add_dictionary({"Acquisition_instrument": {"TEM": MICROSCOPE}})
        signal.save(tmp_path / "scan.hspy")
    found = import_scan(tmp_path / "scan.hspy")
    require_same(found)
    assert found[0].centre_px == pytest.approx((3.0, 4.0))


def test_a_zarr_file_of_hyperspy(tmp_path):
    """Laid out by hand, because RosettaSciIO 0.15 does not write with zarr 3."""
    import zarr

    file = zarr.open_group(tmp_path / "scan.zspy", mode="w", zarr_format=2)
    file.attrs.update({"file_format": "ZSpy", "file_format_version": "3.3"})
    signal = file.create_group("Experiments/scan")
    signal.create_array("data", data=COUNTS)
    for i, axis in enumerate(AXES):
        signal.create_group(f"axis-{i}").attrs.update(axis | {"_type": "UniformDataAxis"})
    signal.create_group("metadata/General").attrs["title"] = "scan"
    signal.create_group("metadata/Signal").attrs["signal_type"] = ""
    signal.create_group("metadata/Acquisition_instrument/TEM").attrs.update(MICROSCOPE)
    signal.create_group("original_metadata")
    require_same(import_scan(tmp_path / "scan.zspy"))


def write_merlin(path, frames):
    """A minimal .mib file of 12-bit frames: a header of 384 bytes before each, rows from the bottom."""
    rows, cols = frames.shape[-2:]
    with path.open("wb") as file:
        for number, frame in enumerate(frames.reshape(-1, rows, cols)):
            fields = ["MQ1", f"{number + 1:06d}", "00384", "01", f"{cols:04d}", f"{rows:04d}", "U16", "1x1"]
            header = ",".join(
                [
                    *fields,
                    "01",
                    "2026-01-01 00:00:00",
                    "0.001",
                    "0",
                    "2026-01-01T00:00:00.0Z",
                    "1000000ns",
                    "12",
                ]
            )
            file.write((header + ",").ljust(384).encode())
            file.write(frame[::-1].astype(">u2").tobytes())


def test_a_merlin_file(tmp_path):
    write_merlin(tmp_path / "scan.mib", COUNTS)
    sidecar(tmp_path / "scan.mib", scan_shape="[3, 4]")
    require_same(import_scan(tmp_path / "scan.mib"))


@pytest.mark.parametrize("shape", [(3, 4, 6, 8), (12, 6, 8)])
def test_a_bare_array_with_a_sidecar(tmp_path, shape):
    np.save(tmp_path / "scan.npy", COUNTS.reshape(shape))
    sidecar(tmp_path / "scan.npy", scan_shape="[3, 4]", lineage="{specimen: Au}")
    found = import_scan(tmp_path / "scan.npy")
    require_same(found)
    assert isinstance(found[0].intensities, np.memmap)
    assert found[0].lineage == {"file": "scan.npy", "specimen": "Au"}


def test_a_json_sidecar_and_arguments_before_it(tmp_path):
    np.save(tmp_path / "scan.npy", COUNTS)
    (tmp_path / "scan.json").write_text(
        '{"calibration": {"step_angstrom": [9, 9], "pixel_mrad": [0.7, 0.8]}}'
    )
    require_same(import_scan(tmp_path / "scan.npy", OPTICS, step_angstrom=(0.5, 0.6)))


def test_plain_hdf5_stays_on_disk(tmp_path):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_dataset("entry/data", data=COUNTS)
        file.create_dataset("entry/gain", data=np.ones((6, 8)))
    found = import_scan(tmp_path / "scan.h5", OPTICS, **CALIBRATION)
    require_same(found)
    assert isinstance(found[0].intensities, h5py.Dataset)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"optics: found nothing, expected energy_ev and semiangle_mrad as an argument or in scan.yaml"),
        (
            {"optics": OPTICS},
            r"calibration.step_angstrom: found nothing, expected two numbers as an argument",
        ),
        ({"optics": OPTICS} | CALIBRATION | {"step_angstrom": (0.5, "x")}, r"calibration: step_angstrom.1"),
        ({"optics": OPTICS} | CALIBRATION | {"stepp": 1}, r"stepp: found 1, expected no such key"),
        ({"optics": OPTICS} | CALIBRATION | {"scan_shape": (5, 5)}, r"expected \(5, 5\) patterns"),
    ],
)
def test_what_is_missing_or_wrong_is_named(tmp_path, given, message):
    np.save(tmp_path / "scan.npy", COUNTS.reshape(12, 6, 8) if "scan_shape" in given else COUNTS)
    with pytest.raises(InputError, match=message):
        import_scan(tmp_path / "scan.npy", **given)


def test_a_wrong_key_in_the_sidecar_is_named(tmp_path):
    np.save(tmp_path / "scan.npy", COUNTS)
    sidecar(tmp_path / "scan.npy", voltage=300)
    with pytest.raises(InputError, match=r"scan.yaml: voltage: found 300, expected no such key"):
        import_scan(tmp_path / "scan.npy")


def test_negative_intensities_are_refused(tmp_path):
    np.save(tmp_path / "scan.npy", -COUNTS.astype(np.float32))
    with pytest.raises(InputError, match=r"scan.npy\[0\]: found an intensity of -"):
        import_scan(tmp_path / "scan.npy", OPTICS, **CALIBRATION)


@pytest.mark.parametrize("suffix", ["h5", "emd", "hspy", "zspy", "mib", "npy"])
def test_a_broken_file_is_one_line(tmp_path, suffix):
    (tmp_path / f"scan.{suffix}").write_bytes(b"half a file")
    with pytest.raises(InputError, match=rf"scan.{suffix}: found .*, expected a whole") as caught:
        import_scan(tmp_path / f"scan.{suffix}", OPTICS, **CALIBRATION)
    assert "\n" not in str(caught.value)


def test_nothing_is_unpickled(tmp_path):
    np.save(tmp_path / "scan.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(InputError, match="a whole .npy file of numbers"):
        import_scan(tmp_path / "scan.npy", OPTICS, **CALIBRATION)


def test_an_unknown_suffix_is_refused(tmp_path):
    (tmp_path / "scan.xyz").touch()
    with pytest.raises(InputError, match=r"found suffix '.xyz', expected one of"):
        import_scan(tmp_path / "scan.xyz", OPTICS, **CALIBRATION)
