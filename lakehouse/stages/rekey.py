"""Rekey: write bronze anew where its personal data is to be protected otherwise, from its own rows, in one commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse.errors import StorageError
from lakehouse.layout import RESCUED
from lakehouse.model.run import Commit, Step
from lakehouse.quality.deviations import deviations
from lakehouse.transform.custody import marks, out_of_step
from lakehouse.transform.protection import clear
from lakehouse.transform.tokens import NoTokenError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lakehouse.lake import Lake
    from lakehouse.model.table import Table as Metadata
    from lakehouse.storage.delta import Table
    from lakehouse.transform.custody import Change


def rekey(lake: Lake, metadata: Metadata) -> Step:
    """Bring what bronze has in the place of personal data to what the table's file says; every row stays, with its batch and its run.

    Files without a place in the new version keep what they have until they are vacuumed.

    Raises:
        ContractError: An hmac or a mask would have to be undone.
        UsageError: A key is not set, or is none.
        StorageError: The key that made the tokens is none of the environment's.
    """
    step = Step("rekey", metadata.name, "unchanged")
    table, turned = lake.table("bronze", metadata.name), deviations(lake, metadata)
    if table is None or not turned:
        return step
    if not all(change.can_be_made for change in turned) or (RESCUED in table.schema.names and _uncovers(turned)):
        raise out_of_step(metadata, turned)
    protection = lake.protection(metadata)
    schema = _schema(table.schema, turned)
    facts = {"rekeyed": [str(change) for change in turned], "definition": lake.catalog.definition(metadata.name)}
    commit = Commit(lake.run_id, "rekey", marks(protection, turned), facts)
    secrets = [lake.settings.secret(name) for name in lake.settings.key]
    step.rows_out = table.replace(_rewritten(lake, table, turned, schema, secrets), lambda: commit, schema)
    table.hide(Commit(lake.run_id, "rekey"))
    step.rows_in, step.status, step.version = step.rows_out, "success", table.version
    return step


def _uncovers(turned: Sequence[Change]) -> bool:
    """Whether values in clear may stand beside their columns too."""
    return any(change.before.word == "clear" for change in turned)


def _schema(there: pa.Schema, turned: Sequence[Change]) -> pa.Schema:
    """Bronze's columns after the change."""
    gone = {change.column for change in turned if change.dropped}
    texts = {change.column for change in turned}
    return pa.schema([pa.field(field.name, pa.string()) if field.name in texts else field for field in there if field.name not in gone])


def _rewritten(lake: Lake, table: Table, turned: Sequence[Change], schema: pa.Schema, secrets: Sequence[bytes]) -> Iterator[pa.RecordBatch]:
    """All rows of bronze, file by file in their order."""
    for file in table.files(()):
        for part in table.read([file]).to_batches(max_chunksize=lake.settings.batch_rows):
            lake.go_on()
            columns = {name: part.column(name) for name in part.schema.names}
            for change in turned:
                if not change.dropped:
                    columns[change.column] = _turned(table, change, columns[change.column], secrets)
            yield pa.RecordBatch.from_arrays([columns[field.name] for field in schema], schema=schema)


def _turned(table: Table, change: Change, values: pa.Array, secrets: Sequence[bytes]) -> pa.Array:
    try:
        plain = clear(values, change.before, secrets)
    except NoTokenError:
        plain = None
    if plain is None:
        raise StorageError(
            f"column {change.column} has tokens of version {change.before.version} of its key, which is none of the keys that are set",
            where=table.name,
            next_step="Set LAKEHOUSE_KEY__<NAME> of that version too, until this run has gone through.",
        )
    return change.guard.at_the_door(plain) if change.guard else plain.cast(pa.string())
