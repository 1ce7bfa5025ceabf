"""HTML pages of one file, which need no network and no script."""
