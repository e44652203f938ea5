"""Cargo: the program that runs a step in its container. Standard library only, Python 3.9 on.

Nothing imports these files: `pipeline.runtime_text` joins their text, and each step carries it.
"""
