"""A period repeated until a probe's surroundings fit into the box, while only one period is scanned."""

from __future__ import annotations

import math

from ase import Atoms

from rephase.errors import InputError
from rephase.microscope.field import Field

Window = tuple[slice, slice]


def supercell(atoms: Atoms, field: Field, least_box_angstrom: float) -> tuple[Atoms, Field, Window]:
    """Repeat a specimen and its field, and name the positions of one period.

    The wave meets its periodic images at the distance of the box, and the
    detector's pixel is one frequency step of it: a small period makes both
    coarse. The scan of one period stays periodic.

    Parameters
    ----------
    atoms : ase.Atoms
        One period, its cell the field's box.
    field : Field
        Sampling of that period.
    least_box_angstrom : float
        The new box is at least as long along both axes.

    Returns
    -------
    atoms : ase.Atoms
    field : Field
        The same wave pixel and scan step in a larger box, on a finer detector.
    window : (slice, slice)
        The positions of the first period.

    Raises
    ------
    InputError
        If the length is not above 0.
    """
    if not (math.isfinite(least_box_angstrom) and least_box_angstrom > 0):
        raise InputError("least_box_angstrom", least_box_angstrom, "a length above 0 angstrom")
    times = tuple(math.ceil(least_box_angstrom / side - 1e-9) for side in field.box_angstrom)
    larger = Field(
        box_angstrom=tuple(n * side for n, side in zip(times, field.box_angstrom, strict=True)),
        gpts=tuple(n * points for n, points in zip(times, field.gpts, strict=True)),
        scan_shape=tuple(n * positions for n, positions in zip(times, field.scan_shape, strict=True)),
        detector_shape=tuple(n * pixels for n, pixels in zip(times, field.detector_shape, strict=True)),
    )
    return atoms.repeat((*times, 1)), larger, tuple(slice(0, n) for n in field.scan_shape)
