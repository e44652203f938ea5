"""A package on this machine."""
