"""Where a pipeline runs: on this machine, on a cluster."""
