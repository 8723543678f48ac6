"""Reproducible replication of five 4D-STEM papers."""

__version__ = "0.1.0"
