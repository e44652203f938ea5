"""A package on a KFP server."""
