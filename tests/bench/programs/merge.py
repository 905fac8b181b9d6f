"""What delta-rs does by itself: MERGE, with the source's statistics to prune by."""

import sys

import polars as pl
from deltalake import DeltaTable

work, uri, changes = sys.argv[1:]
came = pl.read_parquet(changes).with_columns(_batch=pl.lit(2, pl.Int64))
table = DeltaTable(uri)
if work == "upsert":
    merger = table.merge(came.to_arrow(), "t.id = s.id", source_alias="s", target_alias="t", streamed_exec=False)
    merger.when_matched_update_all().when_not_matched_insert_all().execute()
else:
    opened = came.with_columns(valid_from="changed_at", valid_to=pl.lit(None, came.schema["changed_at"]), is_current=True)
    both = pl.concat([opened.with_columns(which=pl.col("id")), opened.with_columns(which=pl.lit(None, pl.Int64))])
    merger = table.merge(both.to_arrow(), "t.id = s.which and t.is_current", source_alias="s", target_alias="t", streamed_exec=False)
    merger = merger.when_matched_update({"valid_to": "s.valid_from", "is_current": "false"})
    merger.when_not_matched_insert({name: f"s.{name}" for name in opened.columns}, predicate="s.which is null").execute()
