"""An interrupted stage goes on from its last finished part, to the same result."""

import numpy as np
import pytest

from rephase.checkpoint import VARIABLE, resume


def test_a_finished_part_is_not_computed_again(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    first = resume("a/b", lambda: {"x/y": np.arange(3.0)})
    again = resume("a/b", lambda: pytest.fail("computed twice"))
    assert np.array_equal(first["x/y"], again["x/y"])


def test_a_part_that_was_interrupted_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        resume("a", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    assert not list(tmp_path.iterdir())


def test_nothing_is_kept_outside_the_runner(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert resume("a", lambda: {"x": np.ones(1)})["x"] == 1
    assert resume("a", lambda: {"x": np.zeros(1)})["x"] == 0
