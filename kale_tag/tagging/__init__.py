"""From a spec and a notebook to a patch: what a notebook shall be tagged with."""
