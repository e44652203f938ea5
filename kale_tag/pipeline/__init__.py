"""From a tagged notebook to a pipeline: steps, the variables between them, the package."""
