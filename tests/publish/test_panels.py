"""Every picture that is given is drawn, in its place."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from rephase.publish.panels import image_rows, images_above, images_and_spectra

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
