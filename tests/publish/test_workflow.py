"""The figure of the whole way shows the arrays it was given, each in its place and unit."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import Rectangle
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

from rephase.publish.figures import house_style
from rephase.publish.workflow import workflow

RNG = np.random.default_rng(0)
N = 16


def disc(radius):
    offset = np.arange(N) - N // 2
    return np.hypot(offset[:, None], offset) <= radius


@pytest.fixture
def drawn():
    house_style()
    patterns = RNG.random((9, N, N)).astype(np.float32)
    probe = (disc(5) * (1 + 0j)).astype(np.complex64)
    given = {
        "patterns": patterns,
        "probe": probe,
        "exit_wave": probe * np.exp(0.4j * disc(2)).astype(np.complex64),
        "patch": np.ma.masked_where(~disc(5), 0.4 * disc(2)),
        "stitched": RNG.random((60, 80)),
    }
    figure = workflow(**given, pixel_mrad=(2.0, 2.0), pixel_angstrom=(0.2, 0.2), place_angstrom=(4.0, 9.0))
    figure.canvas.draw()
    yield given, {ax.get_title(): ax for ax in figure.axes if ax.images}
    plt.close(figure)


def shown(panels, title):
    (ax,) = (ax for name, ax in panels.items() if title in name)
    return ax, ax.images[0].get_array()


def test_patterns_stand_as_their_positions_do(drawn):
    given, panels = drawn
    ax, mosaic = shown(panels, "patterns")
    side = (mosaic.shape[0] - 3 * N) // 2 + N
    for n, pattern in enumerate(given["patterns"]):
        top, left = n // 3 * side, n % 3 * side
        block = mosaic[top : top + N, left : left + N]
        np.testing.assert_allclose(block.filled(), pattern**0.25, rtol=1e-6)
    box = next(patch for patch in ax.patches if isinstance(patch, Rectangle))
    assert box.get_xy() == pytest.approx((2.0 * side, 2.0 * side))  # around the fifth


def test_phase_of_the_exit_wave_is_blank_where_it_is_dark(drawn):
    given, panels = drawn
    _, phase = shown(panels, "exit wave, phase")
    np.testing.assert_array_equal(np.ma.getmaskarray(phase), ~disc(5))
    inner, outer = phase[N // 2, N // 2], phase[N // 2, N // 2 + 4]
    assert inner - outer == pytest.approx(0.4, abs=1e-6)


def test_panels_have_scale_bars_in_their_own_units(drawn):
    _, panels = drawn
    bars = {}
    for title, ax in panels.items():
        (bar,) = (artist for artist in ax.artists if isinstance(artist, AnchoredSizeBar))
        bars[title] = bar.txt_label.get_text()
    assert len(bars) == 6
    assert [text for title, text in bars.items() if "patterns" in title] == ["20 mrad"]
    assert all(text.endswith(("Å", "nm")) for title, text in bars.items() if "patterns" not in title)


def test_the_patch_is_framed_at_its_place(drawn):
    given, panels = drawn
    ax, image = shown(panels, "stitched")
    np.testing.assert_array_equal(image, given["stitched"])
    box = next(patch for patch in ax.patches if isinstance(patch, Rectangle))
    middle = (box.get_x() + box.get_width() / 2, box.get_y() + box.get_height() / 2)
    assert middle == pytest.approx((9.0, 4.0))
    assert (box.get_width(), box.get_height()) == pytest.approx((N * 0.2, N * 0.2))
