"""A spec and a notebook to a plan, a patch and new bytes."""
