"""A notebook to the spec that makes its tags."""
