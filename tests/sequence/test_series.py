"""A time series of scans is read where it is wanted, and nowhere else."""

import zipfile

import numpy as np
import pytest
import zarr

from rephase import external
from rephase.errors import InputError
from rephase.sequence.linear import complete
from rephase.sequence.sampling import draw_mask
from rephase.sequence.series import binned, open_series

SHAPE = (6, 3, 4, 16, 16)
COUNTS = np.random.default_rng(0).poisson(3.0, SHAPE).astype(np.uint16)
INTERVAL = 1.6384


def write(path, counts=COUNTS, navigate=3, scale=INTERVAL):
    """The layout of the PdCuSi file: one chunk a scan, and a time axis whose unit is called nm."""
    file = zarr.open_group(path, mode="w", zarr_format=2)
    file.attrs.update({"file_format": "ZSpy", "file_format_version": "3.3"})
    signal = file.create_group("Experiments/__unnamed__")
    signal.create_array("data", data=counts, chunks=(1, *counts.shape[1:]))
    names = ("time", "y", "x", "ky", "kx")[-counts.ndim :]
    for i, (name, size) in enumerate(zip(names, counts.shape, strict=True)):
        axis = {
            "name": name,
            "scale": 0.5,
            "units": "nm",
            "offset": 0.0,
            "size": size,
            "navigate": i < navigate,
        }
        axis["scale"] = scale if name == "time" else 0.5
        signal.create_group(f"axis-{i}").attrs.update(axis | {"_type": "UniformDataAxis"})
    signal.create_group("metadata/General").attrs["title"] = ""
    signal.create_group("metadata/Signal").attrs["signal_type"] = "electron_diffraction"
    signal.create_group("original_metadata")
    return path


@pytest.fixture(params=["folder", "zip"])
def path(request, tmp_path):
    folder = write(tmp_path / "folder.zspy")
    if request.param == "folder":
        return folder
    zipped = tmp_path / "zipped.zspy"
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())
    return zipped


def test_chosen_positions_are_read_at_all_times(path):
    series = open_series(path)
    assert series.shape == SHAPE
    positions = [(0, 0), (2, 3), (1, 2)]
    times, frames = series.read(positions)
    assert times == pytest.approx(INTERVAL * np.arange(6))
    assert frames.dtype == np.float32
    expected = np.stack([COUNTS[:, slow, fast] for slow, fast in positions], axis=1)
    assert np.array_equal(frames, expected)


def test_some_scans_binned(path):
    times, frames = open_series(path, interval_s=2.0).read([(1, 1)], binning=5, scans=slice(1, None, 2))
    assert times == pytest.approx([2.0, 6.0, 10.0])
    assert frames.shape == (3, 1, 3, 3)
    assert frames[2, 0, 1, 2] == COUNTS[5, 1, 1, 5:10, 10:15].sum()


def test_binning_keeps_counts():
    assert binned(COUNTS[0, 0], 4).sum() == COUNTS[0, 0].sum()


def test_a_method_takes_what_is_read(path):
    times, frames = open_series(path).read([(0, 0), (0, 1)], binning=4)
    found = complete(times, frames, draw_mask(6, 2, 0.5, 0))
    assert found.frames.shape == (6, 2, 4, 4)


def test_only_the_chosen_scans_are_touched(tmp_path):
    folder = write(tmp_path / "scan.zspy")
    for chunk in ("3.0.0.0.0", "5.0.0.0.0"):
        (folder / "Experiments/__unnamed__/data" / chunk).write_bytes(b"damaged")
    series = open_series(folder)
    times, frames = series.read([(1, 1)], scans=slice(0, 3))
    assert len(times) == 3 and np.array_equal(frames[:, 0], COUNTS[:3, 1, 1])
    with pytest.raises(InputError, match="scan 3: found .* expected a part that can be unpacked"):
        series.read([(1, 1)])


@pytest.mark.parametrize(
    ("message", "positions", "settings"),
    [
        (r"positions: found \(3, 0\), expected indices below \(3, 4\)", [(0, 0), (3, 0)], {}),
        (r"positions: found \(0, -1\)", [(0, -1)], {}),
        ("positions: found none", [], {}),
        ("binning: found 17, expected 1 to 16", [(0, 0)], {"binning": 17}),
        ("binning: found 0", [(0, 0)], {"binning": 0}),
        ("scans: found none, expected some of the 6", [(0, 0)], {"scans": slice(6, None)}),
    ],
)
def test_what_is_not_there_cannot_be_chosen(tmp_path, message, positions, settings):
    with pytest.raises(InputError, match=message):
        open_series(write(tmp_path / "scan.zspy")).read(positions, **settings)


def test_files_of_another_layout_are_refused(tmp_path):
    with pytest.raises(InputError, match="found no such file"):
        open_series(tmp_path / "none.zspy")
    (tmp_path / "text.zspy").write_text("no zarr")
    with pytest.raises(InputError, match="expected a whole .zspy file"):
        open_series(tmp_path / "text.zspy")
    with pytest.raises(InputError, match=r"shapes \[\(3, 4, 16, 16\)\], expected one of \(time, slow"):
        open_series(write(tmp_path / "scan.zspy", COUNTS[0], navigate=2))
    with pytest.raises(InputError, match="axes .time, y, x, ky, kx., expected three of navigation"):
        open_series(write(tmp_path / "other.zspy", navigate=2))
    with pytest.raises(InputError, match="scans 0 s apart, expected interval_s above 0"):
        open_series(write(tmp_path / "still.zspy", scale=0.0))


def test_values_that_are_no_counts_are_refused(tmp_path):
    counts = COUNTS.astype(np.float32)
    counts[4, 1, 1, 2, 2] = np.nan
    series = open_series(write(tmp_path / "scan.zspy", counts))
    with pytest.raises(InputError, match="scan 4: found NaN"):
        series.read([(1, 1)])
    assert np.isfinite(series.read([(0, 0)])[1]).all()


def test_the_registry_says_what_to_download_and_where_to_put_it():
    entry = external.registry()["pdcusi_crystallisation"]
    told = external.absence("pdcusi_crystallisation")
    for part in ("zenodo.15490547", "REPHASE_DATA", "sha256 in external.yaml", "open_series", "CC BY 4.0"):
        assert part in told
    assert entry.optics.energy_ev == 200e3
