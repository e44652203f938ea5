"""Tag notebooks for Kubeflow Kale from a YAML spec."""

__version__ = "0.1.0"
