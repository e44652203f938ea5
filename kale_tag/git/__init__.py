"""Git's textconv and merge drivers, revisions and attributes."""
