"""Web page of the server: static files, and what they load at the start."""
