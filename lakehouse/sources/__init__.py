"""Edges that data comes from: databases now; what a source is follows from its connection's URL."""
