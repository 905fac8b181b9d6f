"""Gold: bring a model to what its inputs say, from their changes where its SELECT allows it, and write only what differs."""

from lakehouse.stages.gold.build import build, build_in_memory, why_in_full

__all__ = ["build", "build_in_memory", "why_in_full"]
