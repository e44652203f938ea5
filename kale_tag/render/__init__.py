"""Values to text: diagnostics, plans and summaries."""
