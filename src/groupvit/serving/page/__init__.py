"""Web page of the server."""
