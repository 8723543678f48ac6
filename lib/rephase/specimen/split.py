"""The split of the crystals into training, validation and test, fixed by name in the library.

A structure belongs to one part with everything derived from it: variants are
drawn from the crystals of a part, and substitution never leads to the formula
of a crystal of another part.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import get_args

import numpy as np
from ase import Atoms

from rephase.errors import InputError
from rephase.specimen.prototypes import LIBRARY, Split, catalogue, prototype
from rephase.specimen.variants import decorate


def members(part: str, exclude_types: Collection[str] = (), path: Path = LIBRARY) -> list[str]:
    """Names of the crystals of one part.

    Parameters
    ----------
    part : {'train', 'validation', 'test'}
        The part of the split.
    exclude_types : collection of str
        Structure types to leave out, e.g. all perovskites from a training set.
    path : Path
        The library file.

    Raises
    ------
    InputError
        If the part or a structure type is unknown.
    """
    _require_part(part)
    crystals = catalogue(path)
    known = sorted({crystal.structure_type for crystal in crystals})
    for unknown in set(exclude_types) - set(known):
        raise InputError("exclude_types", repr(unknown), f"one of {', '.join(known)}")
    return [c.name for c in crystals if c.split == part and c.structure_type not in exclude_types]


def held_out_formulas(part: str, path: Path = LIBRARY) -> frozenset[str]:
    """Reduced formulas of all crystals outside a part: substitution must not lead to one of them."""
    _require_part(part)
    return frozenset(crystal.formula for crystal in catalogue(path) if crystal.split != part)


def draw_variant(
    part: str, seed: int, exclude_types: Collection[str] = (), path: Path = LIBRARY
) -> tuple[str, Atoms]:
    """Draw a crystal of a part and decorate it.

    Parameters
    ----------
    part : {'train', 'validation', 'test'}
        The part of the split.
    seed : int
        The same seed gives the same variant.
    exclude_types : collection of str
        Structure types to leave out.
    path : Path
        The library file.

    Returns
    -------
    (str, ase.Atoms)
        Name of the crystal that the variant was made from, and the variant.
    """
    choices = members(part, exclude_types, path)
    if not choices:
        raise InputError("exclude_types", sorted(exclude_types), f"types that leave a crystal in {part}")
    pick, decoration = np.random.SeedSequence(seed).generate_state(2)
    chosen = prototype(choices[np.random.default_rng(pick).integers(len(choices))], path)
    forbidden = held_out_formulas(part, path) - {chosen.formula}
    return chosen.name, decorate(chosen.atoms, int(decoration), forbidden=forbidden)


def _require_part(part: str) -> None:
    if part not in get_args(Split):
        raise InputError("part", repr(part), f"one of {', '.join(get_args(Split))}")
