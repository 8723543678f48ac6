"""Variants of a crystal for training: other species on its sites, and another size of its cell."""

from __future__ import annotations

from collections.abc import Collection
from numbers import Real

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from rephase.errors import InputError
from rephase.specimen.geometry import reduced_formula

ALIKE = (
    ("Li", "Na", "K", "Rb", "Cs"),
    ("Mg", "Ca", "Sr", "Ba"),
    ("Y", "La", "Ce", "Nd", "Gd", "Lu"),
    ("Ti", "Zr", "Hf", "Sn", "Ge", "Si"),
    ("V", "Nb", "Ta", "Cr", "Mo", "W"),
    ("Mn", "Fe", "Co", "Ni"),
    ("Ru", "Rh", "Pd", "Ir", "Pt", "Cu", "Ag", "Au"),
    ("Zn", "Cd", "Hg"),
    ("B", "Al", "Ga", "In", "Tl"),
    ("N", "P", "As", "Sb", "Bi"),
    ("O", "S", "Se", "Te"),
    ("F", "Cl", "Br", "I"),
)
"""Groups of species that take each other's place; a species in none of them stays."""


def decorate(
    atoms: Atoms,
    seed: int,
    *,
    substitution: Real = 0.5,
    max_strain: Real = 0.03,
    forbidden: Collection[str] = (),
) -> Atoms:
    """Substitute species by chemically alike ones and scale the cell to fit.

    Every species is replaced on all of its sites with probability
    ``substitution``; the cell grows or shrinks with the mean covalent radius
    of the atoms and then by a random factor within ``1 +- max_strain``.
    Fractional coordinates and symmetry stay.

    Parameters
    ----------
    atoms : ase.Atoms
        A crystal.
    seed : int
        The same seed gives the same variant.
    substitution : float
        Probability of replacing a species, 0 to 1.
    max_strain : float
        Largest random change of the cell's edges as a fraction, 0 to below 1.
    forbidden : collection of str
        Reduced formulas (Hill order) that the variant must not have.

    Returns
    -------
    ase.Atoms

    Raises
    ------
    InputError
        If a number is out of range, or every variant is forbidden.
    """
    if not 0 <= substitution <= 1:
        raise InputError("substitution", substitution, "a probability, 0 to 1")
    if not 0 <= max_strain < 1:
        raise InputError("max_strain", max_strain, "a fraction, 0 to below 1")
    rng = np.random.default_rng(seed)
    for _ in range(200):
        variant = _substituted(atoms, rng, substitution)
        if reduced_formula(variant) not in forbidden:
            break
    else:
        raise InputError("forbidden", sorted(forbidden), f"formulas that leave a variant of {atoms.symbols}")
    size = _mean_radius(variant) / _mean_radius(atoms) * (1 + rng.uniform(-max_strain, max_strain))
    variant.set_cell(atoms.cell * size, scale_atoms=True)
    return variant


def _substituted(atoms: Atoms, rng: np.random.Generator, probability: float) -> Atoms:
    """A copy with some species replaced, each by one that the crystal does not hold already."""
    symbols = np.array(atoms.get_chemical_symbols(), dtype="<U2")
    present = set(symbols)
    replaced = symbols.copy()
    for species in sorted(present):
        group = next((group for group in ALIKE if species in group), (species,))
        free = [candidate for candidate in group if candidate not in present]
        if free and rng.random() < probability:
            new = free[rng.integers(len(free))]
            present.add(new)
            replaced[symbols == species] = new
    variant = atoms.copy()
    variant.set_chemical_symbols(replaced.tolist())
    return variant


def _mean_radius(atoms: Atoms) -> float:
    """Mean covalent radius of the atoms (those of ``ase.data``), in angstrom."""
    return float(np.mean(covalent_radii[atoms.numbers]))
