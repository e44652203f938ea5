"""Local code that travels with a step: files in a folder on `sys.path`."""

import os, sys, tempfile

FOLDER = []


def unpack(path, text):
    """Write a file; the log names it."""
    if not FOLDER:
        FOLDER.append(tempfile.TemporaryDirectory())
        sys.path.insert(0, FOLDER[0].name)
    place = os.path.join(FOLDER[0].name, path)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with open(place, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    print("file of the package:", path, file=sys.stderr)
