"""HTTP server: an API that segments images by labels, and a web page."""
