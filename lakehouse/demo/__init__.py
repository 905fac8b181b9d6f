"""A small living world to try the lakehouse on, without any server."""
