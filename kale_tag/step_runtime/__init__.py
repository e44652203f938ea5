"""The program that runs a step in its container. Standard library only, Python 3.9 on.

Nothing imports these files: `compiler.step_command` joins the text of those that a step needs.
`values` saves and loads variables; `tables`, `libraries` and `keras` are the formats of types.
"""
