"""The variables that steps define and use: an abstract run of the code of all cells."""
