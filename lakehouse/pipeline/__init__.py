"""The order of things: what is due, and doing it."""
