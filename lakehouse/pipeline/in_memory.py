"""Silver of rows that are in memory, by the very path that a run in the lake takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from lakehouse.layout import BATCH, EXTRACTED_AT, RUN_ID
from lakehouse.quality.judging import require_none_stops
from lakehouse.stages.silver import Folding
from lakehouse.transform.corrected import Rows
from lakehouse.transform.spans import Spans

if TYPE_CHECKING:
    from lakehouse.model.table import Table as Metadata
    from lakehouse.quality.judging import World


@dataclass(frozen=True, slots=True)
class Built:
    """What silver is of some rows of bronze: its `rows`, and the `rejects` among what came."""

    rows: pl.DataFrame
    rejects: pl.DataFrame


def fold_in_memory(metadata: Metadata, bronze: pl.DataFrame, world: World) -> Built:
    """What silver is of these rows of bronze, by the very path that a run in the lake takes; for tests of people and of properties.

    Args:
        metadata: The table.
        bronze: Its rows: the source's columns, and of the lake's own `_batch`, `_run_id`, `_extracted_at`, `_op` those that matter;
            without them all rows came with batch 1, at the beginning of 1970, as the source showed them.
        world: What its rules look at, and what opens a session of the SQL engine where the table needs one.

    Raises:
        QualityError: A rule would hold the commit back.
        ModelError: A condition of the table names what is not there, or breaks at a value.
    """
    stamps = {
        BATCH: pl.lit(1, pl.Int64),
        RUN_ID: pl.lit(""),
        EXTRACTED_AT: pl.lit(datetime(1970, 1, 1, tzinfo=UTC)).dt.cast_time_unit("us"),
    }
    bronze = bronze.with_columns(stamp.alias(name) for name, stamp in stamps.items() if name not in bronze.columns)
    schema = pa.schema(bronze.clear().to_arrow(compat_level=pl.CompatLevel.oldest()).schema)
    with Folding(metadata, schema, Rows(lambda *_: bronze.lazy()), world) as folding:
        quality = folding.quality
        quality.count(folding.versions())
        rows = pl.concat(folding.built(Spans(tuple(folding.roles.keys))))
        require_none_stops(quality.findings(), f"silver.{metadata.name}")
        rejects = pl.concat([quality.listed(folding.pointing()), quality.pointers(folding.pointing)])
        return Built(rows.select(folding.roles.schema.names), rejects)
