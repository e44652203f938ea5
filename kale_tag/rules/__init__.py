"""Every code of a diagnostic: how bad it is, and its page."""
