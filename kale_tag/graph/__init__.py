"""Pipelines to pictures."""
