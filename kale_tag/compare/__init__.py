"""Differences between two notebooks, and merges of three."""
