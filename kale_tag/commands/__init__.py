"""One file a command: parse, call, print; each returns its exit code."""
