"""Reports of evaluations: JSON, a Markdown table, and an HTML page."""
