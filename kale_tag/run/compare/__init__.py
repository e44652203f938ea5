"""A pipeline's variables against those of its notebook."""
