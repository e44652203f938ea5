"""Bytes to cells that know their place, and spliced back."""
