"""Every run of the tests is the same run, on a slow machine too, and no test tells the next one anything."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Take back what the runner, which has a process of its own elsewhere, sets for its kernel."""
    before = {name: value for name, value in os.environ.items() if name.startswith("REPHASE_")}
    try:
        return (yield)
    finally:
        for name in [name for name in os.environ if name.startswith("REPHASE_")]:
            del os.environ[name]
        os.environ.update(before)
