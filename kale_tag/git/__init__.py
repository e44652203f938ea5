"""Git's textconv and merge drivers, revisions and attributes; `compare.merge` merges tags."""
