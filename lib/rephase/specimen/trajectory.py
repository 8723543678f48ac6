"""Atoms that move in a box, and the slab of crystal that their motion starts from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from jaxtyping import Bool, Float, Int
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rephase.errors import InputError
from rephase.specimen.orient import MARGIN_ANGSTROM

_FACE = 1e-3  # atoms this close to a face of the slab, in angstrom, count as lying on it


@dataclass(frozen=True)
class Trajectory:
    """Atoms at successive times, in a fixed box that is periodic in x and y.

    Atoms keep their index. They are not wrapped into the box laterally: a path is as
    continuous as the motion is.

    Parameters
    ----------
    numbers : array (atom,)
        Atomic numbers.
    positions : array (time, atom, 3)
        In angstrom; the beam travels along +z.
    present : array (time, atom)
        False from the time at which an atom has left the specimen.
    box_angstrom : (float, float, float)
        Periods along x and y, and the height that holds all present atoms.
    times : array (time,)
        Increasing, in seconds.

    Raises
    ------
    InputError
        If the arrays do not belong together, the times do not increase, a number is not
        finite, or a present atom lies below or above the box.
    """

    numbers: Int[np.ndarray, " atom"]
    positions: Float[np.ndarray, "time atom 3"]
    present: Bool[np.ndarray, "time atom"]
    box_angstrom: tuple[float, float, float]
    times: Float[np.ndarray, " time"]

    def __post_init__(self):
        checked_times(self.times)
        shape = (len(self.times), len(self.numbers))
        for name, array, expected in (
            ("positions", self.positions, (*shape, 3)),
            ("present", self.present, shape),
        ):
            if array.shape != expected:
                raise InputError(name, f"shape {array.shape}", f"{expected}, as times and numbers have it")
        if not np.isfinite(self.positions).all():
            raise InputError("positions", "NaN or infinity", "finite coordinates")
        if len(self.box_angstrom) != 3 or not all(math.isfinite(v) and v > 0 for v in self.box_angstrom):
            raise InputError("box_angstrom", self.box_angstrom, "three lengths above 0")
        z = self.positions[..., 2][self.present]
        if len(z) and not (z.min() >= 0 and z.max() <= self.box_angstrom[2]):
            found = f"atoms from z = {z.min():g} to {z.max():g}"
            raise InputError("box_angstrom", found, f"all within its height of {self.box_angstrom[2]:g}")

    def atoms(self, index: int) -> Atoms:
        """The atoms present at one of the times, within the box.

        Parameters
        ----------
        index : int
            Of the time; negative from the end.

        Returns
        -------
        ase.Atoms
            Periodic in x and y.

        Raises
        ------
        InputError
            If there is no such time.
        """
        count = len(self.times)
        if not -count <= index < count:
            raise InputError("index", index, f"{-count} to {count - 1}, one of {count} times")
        here = self.present[index]
        atoms = Atoms(
            self.numbers[here],
            self.positions[index, here].astype(float),
            cell=self.box_angstrom,
            pbc=(True, True, False),
        )
        atoms.wrap()
        return atoms


class SlabSettings(BaseModel):
    """What the settings of every motion have in common: the slab that moves.

    Parameters
    ----------
    box_angstrom : (float, float)
        The lateral periods are the smallest of the crystal's that are at least this long.
    thickness_angstrom : float
        Thickness of the slab.

    Raises
    ------
    InputError
        If a value is out of range or a name unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    box_angstrom: tuple[float, float] = Field(default=(40.0, 40.0))
    thickness_angstrom: float = Field(default=20.0, gt=0)

    def __init__(self, **settings):
        try:
            super().__init__(**settings)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join((type(self).__name__, *map(str, first["loc"])))
            raise InputError(where, repr(first["input"]), first["msg"]) from None


def checked_times(times: Float[np.ndarray, " time"]) -> Float[np.ndarray, " time"]:
    """The times as given, if there are any, finite and increasing.

    Raises
    ------
    InputError
        If they are not.
    """
    if times.ndim != 1 or not len(times) or not np.isfinite(times).all():
        raise InputError("times", times, "finite numbers, at least one")
    late = np.flatnonzero(np.diff(times) <= 0)
    if len(late):
        pair = times[late[0] : late[0] + 2]
        raise InputError("times", f"{pair[0]:g} followed by {pair[1]:g}", "increasing times")
    return times


def cubic_slab(
    crystal: Atoms,
    directions: Int[np.ndarray, "3 3"],
    box_angstrom: Sequence[Real],
    thickness_angstrom: Real,
) -> Atoms:
    """A slab of a cubic crystal with chosen directions along x, y and z.

    Unlike `orient.periodic_slab` it leaves no choice of the directions in the plane.

    Parameters
    ----------
    crystal : ase.Atoms
        The conventional cubic cell; its arrays are carried along.
    directions : array (3, 3)
        Directions ``[u v w]`` along x, y and z, one a row: at right angles, right-handed.
    box_angstrom : (float, float)
        The lateral periods are multiples of the directions' lengths, at least this long.
    thickness_angstrom : float
        From a lattice point on the lower face up to, not including, this height.

    Returns
    -------
    ase.Atoms
        Periodic in x and y, its lowest lattice plane at z = 0.

    Raises
    ------
    InputError
        If the cell is not cubic, the directions are not a right-handed orthogonal
        triad, or a size is not above 0.
    """
    lengths = crystal.cell.lengths()
    if not np.allclose(crystal.cell.array, lengths[0] * np.eye(3), atol=1e-4):
        raise InputError("crystal", f"a cell of {crystal.cell.cellpar()}", "a cubic cell along x, y and z")
    gram = directions @ directions.T
    if np.any(gram - np.diag(np.diag(gram))) or not np.linalg.det(directions) > 0.5:
        raise InputError("directions", directions.tolist(), "three at right angles, right-handed")
    sizes = np.array([*box_angstrom, thickness_angstrom], dtype=float)
    if sizes.shape != (3,) or not (np.isfinite(sizes) & (sizes > 0)).all():
        raise InputError("box_angstrom, thickness_angstrom", sizes.tolist(), "three lengths above 0")
    block = make_supercell(crystal, directions)
    periods = block.cell.lengths()
    block.set_cell(periods, scale_atoms=True)
    slab = block.repeat(np.ceil(sizes / periods - 1e-6).astype(int))
    slab.positions += _FACE
    slab.wrap(eps=0)
    slab.positions -= _FACE
    slab = slab[slab.positions[:, 2] < thickness_angstrom - _FACE]
    slab.pbc = (True, True, False)
    return slab


def boxed(
    slab: Atoms,
    positions: Float[np.ndarray, "time atom 3"],
    times: Float[np.ndarray, " time"],
    present: Bool[np.ndarray, "time atom"] | None = None,
) -> Trajectory:
    """The trajectory of a slab's atoms in a box just high enough for them.

    Parameters
    ----------
    slab : ase.Atoms
        Its numbers and lateral periods are the trajectory's.
    positions : array (time, atom, 3)
        In angstrom.
    times : array (time,)
        In seconds.
    present : array (time, atom) or None
        None where no atom leaves.

    Returns
    -------
    Trajectory
        Positions in float32; `MARGIN_ANGSTROM` below and above all that is ever present.
    """
    if present is None:
        present = np.ones(positions.shape[:2], dtype=bool)
    z = positions[..., 2][present]
    low, high = (z.min(), z.max()) if len(z) else (0.0, 0.0)
    raised = positions + [0, 0, MARGIN_ANGSTROM - low]
    width, depth = slab.cell.lengths()[:2]
    box = (float(width), float(depth), float(high - low + 2 * MARGIN_ANGSTROM))
    return Trajectory(slab.numbers.astype(np.int64), raised.astype(np.float32), present, box, times)
