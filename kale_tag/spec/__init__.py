"""YAML to a Spec."""
