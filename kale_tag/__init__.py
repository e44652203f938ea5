"""Tag notebooks for Kubeflow Kale from a YAML spec; `kale_tag.api` is the Python API."""

__version__ = "0.1.0"
HOME = "https://github.com/kale-tag/kale-tag"
"""The address of the project: the one place that names it."""


def data_file(name: str) -> str:
    """The text of a data file of this package, such as `spec/schema.json`."""
    # Not importlib.resources, which takes longer to import than most files to read.
    import pkgutil  # noqa: PLC0415  few commands read one

    found = pkgutil.get_data("kale_tag", name)
    assert found is not None, "data files are part of the package"
    return found.decode().replace("\r\n", "\n")
