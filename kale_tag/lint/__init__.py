"""Findings on pipelines."""
