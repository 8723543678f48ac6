"""Figures promise: true scale bars, captions and alt text, no meaning by colour alone, the same bytes."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

from rephase.errors import InputError
from rephase.publish import figures
from rephase.publish.figures import (
    house_style,
    nice_length,
    save_figure,
    show_image,
    show_pattern,
    show_spectrum,
    show_vectors,
)


@pytest.fixture(autouse=True)
def no_display():
    plt.switch_backend("Agg")


@pytest.fixture
def ax():
    house_style()
    fig, axes = plt.subplots(figsize=(3, 3))
    yield axes
    plt.close(fig)


def scale_bar(ax):
    """Length on the page over length of the whole axis, and the text."""
    (bar,) = (artist for artist in ax.artists if isinstance(artist, AnchoredSizeBar))
    ax.figure.canvas.draw()
    rectangle = bar.size_bar.get_children()[0]
    drawn = rectangle.get_window_extent().width / ax.get_window_extent().width
    return drawn, bar.txt_label.get_text()


def lattice(n=64, period=8):
    phase = 2 * np.pi * np.arange(n) / period
    return np.cos(phase)[:, None] * np.cos(phase)[None, :]


@pytest.mark.parametrize(
    ("pixel", "text", "length"), [(0.2, "2 Å", 2.0), (0.7, "1 nm", 10.0), (9.0, "10 nm", 100.0)]
)
def test_scale_bar_has_the_length_it_states(ax, pixel, text, length):
    show_image(ax, lattice(), (pixel, pixel), label="phase (rad)")
    drawn, stated = scale_bar(ax)
    assert stated == text
    assert drawn == pytest.approx(length / (64 * pixel), rel=1e-6)


def test_oblong_pixels_keep_the_shape_of_the_specimen(ax):
    image = show_image(ax, lattice()[:, :32], (0.1, 0.8))
    left, right, bottom, top = image.get_extent()
    assert (right - left, bottom - top) == pytest.approx((25.6, 6.4))
    drawn, stated = scale_bar(ax)
    assert stated == "5 Å"
    assert drawn == pytest.approx(5 / 25.6)


def test_pattern_and_spectrum_have_scale_bars_in_their_own_units(ax):
    show_pattern(ax, np.ones((32, 32)), (1.0, 1.0))
    drawn, stated = scale_bar(ax)
    assert stated == "5 mrad"
    assert drawn == pytest.approx(5 / 32)


def test_spectrum_circle_passes_through_the_spots_it_names(ax):
    period, pixel = 8, 0.25
    power = np.abs(np.fft.fftshift(np.fft.fft2(lattice(64, period)))) ** 2
    image = show_spectrum(ax, power, (pixel, pixel), {"spots": np.sqrt(2) / (period * pixel)})
    row, col = np.unravel_index(np.argmax(image.get_array()), power.shape)
    left, _, _, top = image.get_extent()
    step = 1 / (64 * pixel)
    spot = np.hypot(left + (col + 0.5) * step, top + (row + 0.5) * step)
    assert ax.patches[0].radius == pytest.approx(spot)
    drawn, stated = scale_bar(ax)
    assert stated == "1 Å$^{-1}$"
    assert drawn == pytest.approx(1 / np.ptp(ax.get_xlim()))


def test_spectrum_refuses_negative_power(ax):
    with pytest.raises(InputError, match="power"):
        show_spectrum(ax, -np.ones((8, 8)), (1.0, 1.0))


def test_vectors_point_down_the_page_along_the_slow_axis(ax):
    slow, fast = np.ones((16, 16)), np.zeros((16, 16))
    show_vectors(ax, slow, fast, (0.5, 0.5), arrows=4, label="gradient (rad/Å)")
    (quiver,) = (c for c in ax.collections if hasattr(c, "angles"))
    start, towards = ax.transData.transform([(0, 0), (quiver.U[0], quiver.V[0])])
    assert towards[1] < start[1]
    assert towards[0] == pytest.approx(start[0])


def test_images_with_nan_are_refused(ax):
    values = lattice()
    values[3, 4] = np.nan
    with pytest.raises(InputError, match="image SSB: found NaN"):
        show_image(ax, values, (1.0, 1.0), title="SSB")
    show_image(ax, np.ma.masked_invalid(values), (1.0, 1.0))


@given(st.floats(1e-6, 1e6))
def test_nice_length_is_a_nice_length(largest):
    length = nice_length(largest)
    assert 0.39 * largest <= length <= largest * (1 + 1e-6)
    assert float(f"{length:e}".split("e")[0]) in (1, 2, 5)


def test_first_eight_series_differ_without_colour(ax):
    lines = [ax.plot([0, 1, 2], [i, i, i])[0] for i in range(8)]
    assert len({line.get_marker() for line in lines}) == 8
    assert len({str(line._dash_pattern) for line in lines}) == 8
    assert len({line.get_color() for line in lines}) == 8


@pytest.mark.parametrize("cmap", ["cividis", "magma"])
def test_default_maps_rise_in_lightness(cmap):
    rgb = plt.get_cmap(cmap)(np.linspace(0, 1, 64))[:, :3]
    luminance = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [
        0.2126,
        0.7152,
        0.0722,
    ]
    assert np.all(np.diff(luminance) > 0)


def draw(out):
    house_style()
    fig, (left, right) = plt.subplots(1, 2, figsize=(6, 3))
    show_image(left, lattice(), (0.2, 0.2), "SSB", "phase (rad)")
    right.errorbar([1e2, 1e3, 1e4], [1, 0.1, 0.01], yerr=[0.1, 0.01, 0.001], label="SSB")
    right.set(xlabel="dose (e/Å$^2$)", ylabel="MSE (rad$^2$)", xscale="log", yscale="log")
    right.legend()
    paths = save_figure(fig, out, "dose", "Error against dose.", "The error falls tenfold per decade.")
    plt.close(fig)
    return paths


def test_two_writes_are_byte_identical_in_every_format(tmp_path):
    first, second = draw(tmp_path / "a"), draw(tmp_path / "b")
    assert set(first) == {"png", "svg", "pdf", "json"}
    for ending in first:
        assert first[ending].read_bytes() == second[ending].read_bytes(), ending
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [
        "dose.json",
        "dose.pdf",
        "dose.png",
        "dose.svg",
    ]


def test_every_format_has_the_axes_at_the_same_places(tmp_path, ax, monkeypatch):
    show_image(ax, lattice(), (0.2, 0.2), "SSB", "phase (rad)")
    ax.set(xlabel="a label below the image")
    seen, save = [], ax.figure.savefig

    def spy(*given, **options):
        save(*given, **options)
        seen.append([each.get_position().bounds for each in ax.figure.axes])

    monkeypatch.setattr(ax.figure, "savefig", spy)
    save_figure(ax.figure, tmp_path, "f", "Caption.", "Alt.")
    assert len(seen) == 3 and seen[0] == seen[1] == seen[2]
    page, drawn = ax.figure.bbox, ax.figure.get_tightbbox().transformed(ax.figure.dpi_scale_trans)
    assert page.contains(*drawn.min) and page.contains(*drawn.max)


def test_files_carry_no_date_or_version(tmp_path):
    paths = draw(tmp_path)
    assert b"Software" not in paths["png"].read_bytes()
    assert b"CreationDate" not in paths["pdf"].read_bytes()
    assert b"<dc:date>" not in paths["svg"].read_bytes()
    assert json.loads(paths["json"].read_text("utf-8")) == {
        "alt": "The error falls tenfold per decade.",
        "caption": "Error against dose.",
    }


@pytest.mark.parametrize(("caption", "alt", "named"), [("", "Alt.", "caption"), ("Caption.", " \n", "alt")])
def test_caption_and_alt_text_are_required(tmp_path, ax, caption, alt, named):
    with pytest.raises(InputError, match=f"figure f: {named}"):
        save_figure(ax.figure, tmp_path, "f", caption, alt)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["../f", "a b", "", "f.png"])
def test_name_must_be_plain(tmp_path, ax, name):
    with pytest.raises(InputError, match="name"):
        save_figure(ax.figure, tmp_path, name, "Caption.", "Alt.")


def test_heavy_svg_is_refused_before_anything_is_written(tmp_path, ax, monkeypatch):
    monkeypatch.setattr(figures, "SVG_LIMIT_BYTES", 1000)
    with pytest.raises(InputError, match="rasterise"):
        save_figure(ax.figure, tmp_path, "f", "Caption.", "Alt.")
    assert not list(tmp_path.iterdir())
