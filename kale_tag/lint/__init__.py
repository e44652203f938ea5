"""Findings on compiled pipelines; what Kale itself refuses is in `kale.checks`."""
