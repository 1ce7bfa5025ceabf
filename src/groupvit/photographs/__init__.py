"""Photographs of the package, free of copyright; see `bundled`."""
