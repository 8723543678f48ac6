"""Twisted bilayers as commensurate supercells in an orthogonal cell.

Both layers start parallel (every atom of the upper one above its like), and the
upper one is turned. With ``a1`` and ``a2`` 60 degrees apart, ``m a1 + n a2`` and
``n a1 + m a2`` are equally long: turned by the angle between them, both layers
share the vector, and with it a hexagonal cell.
"""

from __future__ import annotations

import math

import numpy as np
from ase import Atoms
from ase.build import make_supercell

from rephase.errors import InputError
from rephase.specimen.orient import MARGIN_ANGSTROM
from rephase.specimen.prototypes import prototype

LAYERED = {"graphene": "graphite", "MoS2": "MoS2"}
"""Material of a bilayer -> the layered crystal that gives the layer and the interlayer distance."""


def twist_angle_deg(m: int, n: int) -> float:
    """Twist of the commensurate bilayer ``(m, n)``, in degrees.

    ``cos(theta) = (m^2 + 4 m n + n^2) / (2 (m^2 + m n + n^2))``.

    Parameters
    ----------
    m, n : int
        Coprime positive integers.

    Raises
    ------
    InputError
        If they are not.
    """
    if not (m > 0 and n > 0 and math.gcd(m, n) == 1):
        raise InputError("(m, n)", (m, n), "coprime positive integers")
    return math.degrees(math.acos((m * m + 4 * m * n + n * n) / (2 * (m * m + m * n + n * n))))


def interlayer_distance_angstrom(material: str) -> float:
    """Distance between the layers: half the height of the two-layer cell of the bulk crystal, in angstrom."""
    return float(prototype(_bulk(material)).atoms.cell.lengths()[2] / 2)


def twisted_bilayer(material: str, m: int, n: int) -> Atoms:
    """Two layers turned against each other, periodic in an orthogonal cell.

    The cell is the rectangular ``1 x sqrt(3)`` supercell of the hexagonal moire
    cell; layers and distance are those of the bulk crystal (`LAYERED`).

    Parameters
    ----------
    material : {'graphene', 'MoS2'}
        What the layers are made of.
    m, n : int
        Coprime positive integers; (1, 2) gives 21.79 degrees.

    Returns
    -------
    ase.Atoms
        Periodic in x and y, the layers across z with `MARGIN_ANGSTROM` of vacuum
        below and above; ``info`` holds ``twist_deg`` and ``interlayer_angstrom``,
        and the array ``layer`` tells the layers apart (0 below, 1 above).

    Raises
    ------
    InputError
        If the material is unknown or (m, n) not coprime and positive.
    """
    twist = twist_angle_deg(m, n)
    layer = _layer(material)
    below, above = _rectangle(layer, m, n), _rectangle(layer, n, m)
    distance = interlayer_distance_angstrom(material)
    above.positions[:, 2] += distance
    below.set_array("layer", np.zeros(len(below), dtype=int))
    above.set_array("layer", np.ones(len(above), dtype=int))
    bilayer = below + above
    heights = bilayer.positions[:, 2]
    heights += MARGIN_ANGSTROM - heights.min()
    bilayer.set_cell([*below.cell.lengths()[:2], heights.max() + MARGIN_ANGSTROM])
    bilayer.pbc = (True, True, False)
    bilayer.info = {"twist_deg": twist, "interlayer_angstrom": distance}
    return bilayer


def _bulk(material: str) -> str:
    if material not in LAYERED:
        raise InputError("material", repr(material), f"one of {', '.join(LAYERED)}")
    return LAYERED[material]


def _layer(material: str) -> Atoms:
    """The lower of the two layers of the bulk cell, with cell vectors 60 degrees apart."""
    bulk = prototype(_bulk(material)).atoms
    layer = bulk[bulk.get_scaled_positions()[:, 2] < 0.5]
    return make_supercell(layer, [[1, 0, 0], [1, 1, 0], [0, 0, 1]])


def _rectangle(layer: Atoms, m: int, n: int) -> Atoms:
    """Rectangular supercell with ``m a1 + n a2`` along x."""
    # t1 = m a1 + n a2; t2 = t1 turned by 60 degrees = -n a1 + (m + n) a2; the rectangle is t1, 2 t2 - t1.
    rectangle = make_supercell(layer, [[m, n, 0], [-2 * n - m, 2 * m + n, 0], [0, 0, 1]])
    rectangle.set_cell(rectangle.cell.lengths(), scale_atoms=True)
    rectangle.wrap()
    return rectangle
