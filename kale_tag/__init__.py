"""Tag notebooks for Kubeflow Kale from a YAML spec; `kale_tag.api` is the Python API."""

__version__ = "0.1.0"
HOME = "https://github.com/kale-tag/kale-tag"
"""The address of the project: the one place that names it."""
