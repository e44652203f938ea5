"""Specs that are too long to be one."""

import pytest

from kale_tag.diagnostics import Source, UserError
from kale_tag.fields import yaml_tree


def test_a_file_that_is_too_long() -> None:
    """It is not read at all."""
    with pytest.raises(UserError, match="a spec may have 1,000,000"):
        yaml_tree.read_yaml(Source("spec.yaml", "#" * (yaml_tree.LIMIT + 1)))
