"""Kale's language: tags, settings, steps, the pipeline model, and the checks of Kale's rules."""
