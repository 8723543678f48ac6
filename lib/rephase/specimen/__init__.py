"""Atoms: crystals, bilayers, structure files, and how they are oriented and cut."""
