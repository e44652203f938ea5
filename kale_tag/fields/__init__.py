"""YAML documents to nodes that know their place, and their fields validated."""
