"""Pages: HTML that needs no other file, no network and no script."""
