"""Git's textconv and merge drivers, revisions and attributes; `compare.merge_tags` merges tags."""
