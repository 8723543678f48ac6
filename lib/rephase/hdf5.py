"""HDF5 files, opened with a plain word about what is wrong, and written whole or not at all."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from rephase.errors import InputError

CACHE_BYTES = 2**26  # room for the chunks of several scan lines, which files of others may have


def open_hdf5(path: Path) -> h5py.File:
    """Open an HDF5 file for reading; an `InputError` if it is missing, truncated or something else."""
    if not path.is_file():
        raise InputError(f"{path}", "no such file", "a measurement file")
    try:
        return h5py.File(path, "r", rdcc_nbytes=CACHE_BYTES)
    except OSError as error:
        reason = str(error).split("(")[-1].rstrip(")")
        raise InputError(f"{path}", f"no readable HDF5 ({reason})", "a whole measurement file") from None


@contextmanager
def renamed_when_whole(path: Path) -> Iterator[PartFile]:
    """A file beside ``path`` to give to `h5py.File`: renamed on success, removed on failure.

    Raises
    ------
    OSError
        One line with the path and what the system said: no space left on device, ...
    """
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with PartFile(part, "w+b") as file:
            try:
                yield file
            finally:
                file.raise_error()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(error.errno or errno.EIO, f"nothing was written: {reason}", f"{path}") from None
    finally:
        part.unlink(missing_ok=True)


class PartFile(io.FileIO):
    """File that HDF5 writes to, which keeps the first error of the disk for later.

    HDF5 1.14 crashes when closing a file that it cannot flush, so it is not told.
    """

    error: OSError | None = None

    def write(self, data: Any) -> int:
        left = memoryview(data)
        try:
            while left and not self.error:
                left = left[super().write(left) :]
        except OSError as error:
            self.error = error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def raise_error(self) -> None:
        if self.error:
            raise self.error
