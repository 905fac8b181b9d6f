"""The lakehouse that runs on one machine: SQL sources become Delta tables and a star schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakehouse.api import Lakehouse

__all__ = ["Lakehouse"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Load `Lakehouse` when it is asked for, so that `import lakehouse` stays light."""
    if name == "Lakehouse":
        from lakehouse.api import Lakehouse

        return Lakehouse
    raise AttributeError(f"module 'lakehouse' has no attribute {name!r}")
