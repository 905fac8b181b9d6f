"""The lake's edge: every byte that is written, and every table handle, passes here."""
