"""Work done by several processes comes back in order."""

import os
from functools import partial

import numpy as np
import pytest
import torch

from rephase.checkpoint import VARIABLE
from rephase.errors import InputError
from rephase.parallel import each, resume_each


def done(scale: int, item: int) -> tuple[int, int, int]:
    if item == 3:
        raise ValueError("three")
    if item == 4:
        raise InputError("item", 4, "another")
    return scale * item, os.getpid(), torch.get_num_threads()


def test_results_come_in_the_order_of_the_items_from_processes_of_one_thread():
    found = list(each(partial(done, 10), [2, 0, 1], workers=2))
    assert [value for value, _, _ in found] == [20, 0, 10]
    assert all(process != os.getpid() and threads == 1 for _, process, threads in found)


def test_without_workers_this_process_does_them_when_they_are_asked_for():
    results = each(partial(done, 1), [1, 3])
    assert next(results)[:2] == (1, os.getpid())
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_an_error_in_a_process_is_the_caller_s():
    with pytest.raises(InputError, match=r"^item: found 4, expected another$"):
        list(each(partial(done, 1), [4], workers=1))


def numbers(value: float) -> dict[str, np.ndarray]:
    return {"value": np.array(value)}


def test_parts_that_are_there_are_read_and_the_others_made(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    list(resume_each({"one": partial(numbers, 1.0)}))
    found = list(resume_each({"two": partial(numbers, 2.0), "one": partial(numbers, 3.0)}, workers=2))
    assert [float(part["value"]) for part in found] == [2.0, 1.0]
