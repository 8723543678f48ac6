"""Metrics, statistics, physical limits and the verdict on a claim."""
