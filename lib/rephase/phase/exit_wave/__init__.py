"""Exit waves by a network from 3x3 neighbouring patterns, and the phase object from them."""
