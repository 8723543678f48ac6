"""Networks that complete sequences: one encoder and decoder, and the ways to carry a state through time."""
