"""Optics, multislice, scans and detectors: from atoms to a measurement."""
