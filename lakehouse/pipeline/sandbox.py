"""A lake of its own for samples, so that no run of a sample ever touches the real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.errors import UsageError
from lakehouse.layout import lake_uri, layer_uris, overlap

if TYPE_CHECKING:
    from pathlib import Path

    from lakehouse.settings import Settings


def sandbox(project: Path, settings: Settings) -> Settings:
    """The settings with the lake of samples in the place of the lake: `LAKEHOUSE_SAMPLE_LAKE`, or beside the lake, called `<lake>-sample`.

    Raises:
        UsageError: It shares a place with the real lake, or cannot be beside it.
    """
    lake = lake_uri(settings.lake, project)
    if not settings.sample_lake and "/" not in lake.partition("://")[2].rstrip("/"):
        raise UsageError(
            "the lake is a whole container, so that none can be beside it",
            where=lake,
            next_step="Set LAKEHOUSE_SAMPLE_LAKE to another place.",
        )
    chosen = lake_uri(settings.sample_lake, project, "LAKEHOUSE_SAMPLE_LAKE") if settings.sample_lake else f"{lake}-sample"
    for layer, there in {"lake": lake, **layer_uris(lake, settings.layer, project)}.items():
        if overlap(chosen, there):
            raise UsageError(
                f"the lake of samples shares the place of the real {layer}",
                where=chosen,
                given=there,
                next_step="Set LAKEHOUSE_SAMPLE_LAKE to a place of its own.",
            )
    return settings.model_copy(update={"lake": chosen, "layer": {}})
