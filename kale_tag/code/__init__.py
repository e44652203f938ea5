"""The code of cells: read as Python, and what is in it, whether or not it runs."""
