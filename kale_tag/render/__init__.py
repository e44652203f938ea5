"""Values to text, Markdown, HTML and SARIF; what HTML pages look like is in `templates/`."""
