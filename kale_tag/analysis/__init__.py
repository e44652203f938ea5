"""The code of cells to the variables that steps define and use."""
