"""Prove an erasure again, from the bytes: nothing that a certificate says is gone is in any file, log entry or checkpoint."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lakehouse.errors import UsageError
from lakehouse.layout import ERASURES, table_uri
from lakehouse.pipeline.certificate import certificates, key_id
from lakehouse.quality.suppression import SECRET
from lakehouse.storage.erasing import LOG, listed, log_entries, read_bytes
from lakehouse.storage.objects import folders
from lakehouse.transform.suppression import Suppressed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lakehouse.lake import Lake
    from lakehouse.storage.place import Place

AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Proof:
    """One check of one certificate (0: of the whole lake): how it ended, and what was found."""

    certificate: int
    check: str
    status: Literal["ok", "fail"]
    what: str

    def facts(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def prove(lake: Lake, number: int | None = None, values: Sequence[str] = ()) -> list[Proof]:
    """What the bytes say of the lake's certificates, or of one, and of texts that nothing may have.

    Raises:
        UsageError: There is no such certificate, or the key of the hashes is not set.
    """
    there, secret = certificates(lake), lake.settings.secret(SECRET)
    if number is not None and number not in {each for each, _ in there}:
        raise UsageError(
            f"there is no certificate {number}",
            where=lake.layers[ERASURES],
            given=", ".join(str(each) for each, _ in there) or "none",
            next_step="Name one that is there, or none for all.",
        )
    found, before = list[Proof](), None
    for each, body in there:
        told = json.loads(body)
        if number in (None, each):
            found.append(
                _check(each, "chain", [] if told["previous"] == before else ["the certificate before it was changed, or is missing"])
            )
            if told["key_id"] == key_id(secret):
                found += _of_tables(lake, each, told, secret)
            else:
                found.append(_check(each, "key", [f"it was made with another key ({told['key_id']}) than LAKEHOUSE_KEY__{SECRET.upper()}"]))
        before = hashlib.sha256(body).hexdigest()
    if values:
        found.append(_check(0, "values", list(_with_values(lake, values)), f"{len(values)} texts are in no file of the lake"))
    return found


def _check(number: int, what: str, faults: Sequence[str], well: str = "as it should be") -> Proof:
    return Proof(number, what, "fail" if faults else "ok", "; ".join(faults) or well)


def _of_tables(lake: Lake, number: int, told: dict[str, Any], secret: bytes) -> Iterator[Proof]:
    for entry in told["keys"]:
        layer, _, name = entry["table"].partition(".")
        if name not in folders(lake.places.at(lake.layers[layer])):
            continue
        place = lake.places.at(table_uri(lake.layers[layer], name))
        gone = Suppressed(tuple(entry["columns"]), "delete", entry["hashes"])
        paths = listed(place)
        data = [path for path in paths if path.endswith(".parquet") and not path.startswith(f"{LOG}/")]
        rows = _distinct(place, data, gone.columns)
        hits = gone.among(rows, secret) if rows.height else []
        faults = [f"{len(hits)} of its keys in {', '.join(gone.columns)}"] if hits else []
        bounds = _bounds(place, [path for path in paths if path.startswith(f"{LOG}/")], gone.columns, rows.schema)
        faults += ["bounds in the log"] if bounds.height and gone.among(bounds, secret) else []
        yield _check(number, entry["table"], faults, f"{len(data)} files, {len(entry['hashes'])} keys, by {', '.join(gone.columns)}")
    for entry in told["rewritten"]:
        layer, _, name = entry["table"].partition(".")
        left = {file["path"] for file in entry["gone"]} & set(listed(lake.places.at(table_uri(lake.layers[layer], name))))
        yield _check(
            number, f"{entry['table']} files", [f"{path} is still there" for path in sorted(left)], f"{len(entry['gone'])} are gone"
        )


def _distinct(place: Place, paths: Sequence[str], columns: Sequence[str]) -> pl.DataFrame:
    """The different values of some columns in these files, whatever log names them."""

    def of(path: str) -> pl.DataFrame:
        rows = pl.scan_parquet(f"{place.path}/{path}", glob=False, **place.scanning())
        if not set(columns) <= set(rows.collect_schema().names()):
            return pl.DataFrame()
        return rows.select(columns).unique().collect()

    with ThreadPoolExecutor(AT_ONCE, "proof") as pool:
        parts = [rows for rows in pool.map(of, paths) if rows.height]
    return pl.concat(parts, how="vertical_relaxed").unique() if parts else pl.DataFrame()


def _bounds(place: Place, paths: Sequence[str], columns: Sequence[str], kinds: pl.Schema) -> pl.DataFrame:
    """What entries of a log and checkpoints keep as least and greatest values of some columns, side by side."""
    rows = []
    for entry in log_entries(place, paths):
        for action in ("add", "remove"):
            stats = json.loads((entry.get(action) or {}).get("stats") or "{}")
            ends = [stats.get(end, {}) for end in ("minValues", "maxValues")]
            rows += [{name: end[name] for name in columns} for end in ends if all(end.get(name) is not None for name in columns)]
    found = pl.DataFrame(rows, infer_schema_length=None) if rows else pl.DataFrame()
    return found.select(_as(name, found.schema[name], kinds.get(name)) for name in columns) if rows else found


def _as(name: str, kind: pl.DataType, wanted: pl.DataType | None) -> pl.Expr:
    if isinstance(wanted, pl.Datetime) and kind == pl.String:
        return pl.col(name).str.to_datetime(time_unit="us", time_zone=wanted.time_zone, strict=False)
    return pl.col(name) if wanted is None else pl.col(name).cast(wanted, strict=False)


def _with_values(lake: Lake, values: Sequence[str]) -> Iterator[str]:
    """The files that have one of these texts: in their bytes, or in a text or a number of a decoded Parquet file."""
    wanted = [value.encode() for value in values]
    uris = dict.fromkeys([lake.layers[ERASURES].rpartition("/")[0], *lake.layers.values()])
    seen: set[str] = set()
    for uri in uris:
        root = lake.places.at(uri)
        paths = [path for path in listed(root) if f"{uri}/{path}" not in seen]
        seen |= {f"{uri}/{path}" for path in paths}
        has = partial(_has, root, wanted)
        with ThreadPoolExecutor(AT_ONCE, "proof") as pool:
            yield from (f"{uri}/{path}" for path, hit in zip(paths, pool.map(has, paths), strict=True) if hit)


def _has(place: Place, wanted: Sequence[bytes], path: str) -> bool:
    for _, body in read_bytes(place, [path]):
        if any(value in body for value in wanted):
            return True
        if path.endswith(".parquet"):
            file = pq.ParquetFile(pa.py_buffer(body))
            return any(
                _column_has(column, wanted) for group in range(file.num_row_groups) for column in _leaves(file.read_row_group(group))
            )
    return False


def _leaves(table: pa.Table) -> Iterator[pa.Array]:
    while any(pa.types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    for column in table.columns:
        yield pc.cast(column, pa.binary()) if pa.types.is_string(column.type) or pa.types.is_large_string(column.type) else column


def _column_has(column: pa.ChunkedArray, wanted: Sequence[bytes]) -> bool:
    if pa.types.is_binary(column.type):
        return any(bool(pc.any(pc.match_substring(column, value)).as_py()) for value in wanted)
    if pa.types.is_integer(column.type):
        numbers = [int(value) for value in wanted if value.removeprefix(b"-").isdigit() and len(value) < 19]  # noqa: PLR2004  as int64 holds
        return bool(numbers) and bool(pc.any(pc.is_in(column.cast(pa.int64()), pa.array(numbers, pa.int64()))).as_py())
    return False
