"""Every picture that is given is drawn, in its place."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from rephase.errors import InputError
from rephase.publish.panels import image_rows, images_above, images_and_spectra, profiles

RNG = np.random.default_rng(0)
PICTURES = {name: RNG.normal(size=(12, 16)) for name in ("a", "b", "c")}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def titles(figure):
    return [ax.get_title() for ax in figure.axes if ax.get_title()]


def test_rows_follow_each_other_each_with_its_pixel():
    figure = image_rows([PICTURES, PICTURES], [(0.2, 0.2), (0.4, 0.4)])
    assert titles(figure) == ["a", "b", "c"] * 2
    images = [ax.images[0] for ax in figure.axes if ax.get_title()]
    assert np.ptp(images[3].get_extent()[:2]) == pytest.approx(2 * np.ptp(images[0].get_extent()[:2]))


def test_each_image_stands_above_its_spectrum():
    figure = images_and_spectra(PICTURES, (0.2, 0.2), 1.5)
    assert titles(figure) == ["a", "b", "c"]
    assert sum(bool(ax.images) for ax in figure.axes) >= 6


def test_plots_below_are_empty_and_as_many():
    _, plots = images_above(PICTURES, (0.2, 0.2))
    assert len(plots) == 3 and not any(ax.images or ax.lines for ax in plots)


PIXEL = (0.1, 0.2)
SLOW, FAST = np.meshgrid(np.arange(80) * PIXEL[0], np.arange(40) * PIXEL[1], indexing="ij")


def blob(slow, fast, height):
    return height * np.exp(-((SLOW - slow) ** 2 + (FAST - fast) ** 2) / (2 * 0.5**2))


def test_a_profile_has_its_peaks_at_the_atoms_it_labels():
    first, second = (2.0, 2.0), (5.0, 6.0)  # 5 angstrom apart, on pixels that are not square
    picture = blob(*first, 2.0) + blob(*second, 1.0)
    atoms = [("Mo", first), ("S", second)]
    ax = profiles({"image": picture}, PIXEL, first, second, atoms, 1.0, scaled=False)
    x, y = ax.lines[0].get_data()
    assert [line.get_xdata()[0] for line in ax.lines[1:]] == pytest.approx([0, 5])
    assert [text.get_text() for text in ax.texts] == ["Mo", "S"]
    for at, height in ((0, 2.0), (5, 1.0)):
        assert x[np.abs(x - at) < 1][np.argmax(y[np.abs(x - at) < 1])] == pytest.approx(at, abs=0.03)
        assert np.interp(at, x, y) == pytest.approx(height, rel=0.02)
    assert (x[0], x[-1]) == pytest.approx((-1, 6))
    assert ax.get_ylabel() == "phase (rad)"


def test_scaled_profiles_run_from_0_to_1():
    pictures = {"a": blob(4, 4, 3.0), "b": 7 - blob(4, 4, 0.1)}
    ax = profiles(pictures, PIXEL, (4.0, 2.0), (4.0, 6.0))
    for line in ax.lines:
        assert (line.get_ydata().min(), line.get_ydata().max()) == pytest.approx((0, 1))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]


def test_a_wide_profile_is_the_mean_across_the_line():
    ax = profiles({"image": (SLOW - 4) ** 2}, PIXEL, (4.0, 1.0), (4.0, 6.0), (), 0.0, 2.0, scaled=False)
    assert ax.lines[0].get_ydata() == pytest.approx(2.0**2 / 12, rel=0.15)


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [((4.0, 4.0), (4.0, 4.0), "both ends at"), ((90.0, 1.0), (90.0, 6.0), "outside the image")],
)
def test_lines_that_cross_nothing_are_refused(start, end, found):
    with pytest.raises(InputError, match=found):
        profiles({"image": SLOW}, PIXEL, start, end)
