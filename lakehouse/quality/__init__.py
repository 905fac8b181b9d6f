"""Quality: the rules of a silver table at work, and the table of what they keep out of it."""
