"""Specs in few words, for tests."""

from kale_tag.diagnostics import Label, Source
from kale_tag.spec.model import Spec
from kale_tag.spec.read import read_spec

VARIABLES = {"stem": "nb", "name": "nb.ipynb", "dir": ".", "parent": "corpus"}
"""The variables of any notebook of the corpus."""


def no_base(_path: str, _label: Label) -> Source:
    raise AssertionError


def spec_of(text: str) -> Spec:
    """The spec that *text* spells."""
    return read_spec(Source("spec.yaml", f"version: 1\n{text}"), no_base)
