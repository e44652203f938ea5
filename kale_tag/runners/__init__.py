"""Where a pipeline runs; kfp is imported here, inside of functions, and nowhere else."""
