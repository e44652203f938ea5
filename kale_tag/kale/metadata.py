"""Keys of metadata, and the tags in it; quick to import, see `json_value.py`."""

SETTINGS_KEY = "kubeflow_notebook"
"""The key of a notebook's metadata that holds the settings of its pipeline."""

PATH_KEY = "notebook_path"
"""The key of a cell's metadata that holds the path of the notebook it refers to."""


def member(metadata: object, key: str, default: object = None) -> object:
    """The value of *key* in *metadata*; *default* where it has none, or is not an object."""
    return metadata.get(key, default) if isinstance(metadata, dict) else default


def tags_in(metadata: object) -> list[str]:
    """The tags in the metadata of a cell, [] where there are none that can be read."""
    found = member(metadata, "tags")
    return found if isinstance(found, list) and all(isinstance(tag, str) for tag in found) else []
