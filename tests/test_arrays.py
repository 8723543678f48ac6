"""Arrays come back as they went, from files of the same bytes."""

import numpy as np

from rephase.arrays import read_arrays, write_arrays


def test_two_writes_are_the_same_bytes(tmp_path):
    arrays = {"b/c": np.eye(3), "a": np.arange(4)}
    for name in ("one.h5", "two.h5"):
        write_arrays(tmp_path / name, arrays)
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
    assert read_arrays(tmp_path / "one.h5").keys() == arrays.keys()
