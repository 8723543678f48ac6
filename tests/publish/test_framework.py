"""The diagram of the framework: everything named is drawn within its frame, and nothing overlaps."""

from itertools import combinations

import matplotlib.pyplot as plt

from rephase.publish.framework import ARROWS, BOXES, HEIGHT, WIDTH, framework


def test_boxes_do_not_overlap_and_arrows_join_them():
    for (left, low, _), (right, high, _) in combinations(BOXES.values(), 2):
        assert abs(left - right) >= WIDTH or abs(low - high) >= HEIGHT
    assert {name for pair in ARROWS for name in pair} == set(BOXES)


def test_every_word_lies_within_the_figure():
    figure = framework()
    figure.draw_without_rendering()
    frame = figure.bbox
    for text in figure.axes[0].texts:
        box = text.get_window_extent()
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
    plt.close(figure)
