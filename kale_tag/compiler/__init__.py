"""A tagged notebook to a pipeline, the pipeline to a KFP package, and back."""
