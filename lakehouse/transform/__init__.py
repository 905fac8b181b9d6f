"""Thought: frames and texts in, frames and texts out; nothing here reads or writes."""
