"""The SQL around a model's SELECT: surrogate keys, unknown and inferred members, joins in time (rules 9 and 10 of the design).

Texts in DuckDB's dialect; `_key(text)` is the first 15 hex digits of the text's md5 as an integer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse.layout import IS_CURRENT, IS_INFERRED, UNKNOWN_MEMBER, VALID_FROM
from lakehouse.transform.names import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lakehouse.model.star import Calendar, Model


def key_text(column: str, kind: pa.DataType) -> str:
    """SQL for the text of a value inside a key: the same for equal values of widened types.

    Integers and integral decimals have one text; instants are epoch microseconds, dates epoch days, texts carry their length in bytes.
    """
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return f"(strlen({column})::varchar || ':' || {column})"
    if pa.types.is_timestamp(kind):
        return f"epoch_us({column})::varchar"
    if pa.types.is_date(kind):
        return f"datediff('day', date '1970-01-01', {column})::varchar"
    if pa.types.is_decimal(kind) and kind.scale:
        return f"rtrim(rtrim({column}::varchar, '0'), '.')"
    return f"{column}::varchar"


def surrogate_key(columns: Sequence[str], schema: pa.Schema, sequence: str | None) -> str:
    """SQL for a surrogate key: of the natural key and the version's sequence, or the word `first` for a key's earliest version."""
    texts = [f"coalesce({key_text(quote(name), schema.field(name).type)}, '~')" for name in columns]
    last = "'first'" if sequence is None else key_text(quote(sequence), schema.field(sequence).type)
    return f"_key({' || chr(59) || '.join([*texts, last])})"


def dimension(model: Model, schema: pa.Schema, members: Sequence[str], *, unknown: bool = True) -> str:
    """The dimension's rows: every version of `_source` with its key, members that only facts know, and the unknown member.

    Args:
        model: The dimension.
        schema: The columns of `_source`, the result of the model's SELECT.
        members: Queries that give natural keys as the columns of `model.keys`.
        unknown: Whether the unknown member is among them.
    """
    keys = ", ".join(quote(name) for name in model.keys)
    own = quote(model.surrogate_key or "")
    columns = ", ".join(quote(name) for name in schema.names)
    first = surrogate_key(model.keys, schema, None)
    if model.history == "scd2":
        number = f"row_number() over (partition by {keys} order by {quote(VALID_FROM)})"
        version = f"case when {number} = 1 then {first} else {surrogate_key(model.keys, schema, VALID_FROM)} end"
    else:
        version = first
    current = {IS_CURRENT: "true"} if model.history == "scd2" else {}

    def alone(values: Mapping[str, str]) -> str:
        return ", ".join(f"{values.get(name, 'null')} as {quote(name)}" for name in schema.names)

    latest = f"over (partition by {keys} order by {quote(VALID_FROM)} rows between unbounded preceding and unbounded following)"
    given = [f"last_value({quote(name)}) {latest}" if name in model.scd1 else quote(name) for name in schema.names]
    shown = ", ".join(f"{sql} as {quote(name)}" for sql, name in zip(given, schema.names, strict=True))
    parts = [f"select {version} as {own}, {shown}, false as {IS_INFERRED} from _source"]
    if members:
        known = " and ".join(f"s.{quote(name)} = m.{quote(name)}" for name in model.keys)
        whole = " and ".join(f"{quote(name)} is not null" for name in model.keys)
        values = {**{name: f"m.{quote(name)}" for name in model.keys}, **current}
        found = " union ".join(f"select {keys} from ({query}) where {whole}" for query in members)
        inferred = f"select {alone(values)} from ({found}) m anti join _source s on {known}"
        parts.append(f"select {first}, {columns}, true from ({inferred})")
    if unknown:
        parts.append(f"select {UNKNOWN_MEMBER}, {alone(current)}, false")
    return " union all ".join(parts)


def fact(model: Model, dimensions: Mapping[str, Model], columns: Sequence[str], *, narrow: bool = False) -> str:
    """The fact's rows: every row of `_source` once, with the surrogate key of each reference.

    A versioned member is found as it was at `as_of`; its earliest version also serves what came before it (unless the dimension says
    `early: unknown`), and its last one what comes after it. A row whose member has no value gets the unknown member.

    Args:
        model: The fact.
        dimensions: By name.
        columns: Those of `_source`.
        narrow: Whether to look at the members alone that `_source` names, where it has few rows.
    """
    ctes, joins, keys = [], [], []
    for name in _in_order(model):
        reference = model.references[name]
        target = dimensions[reference.dimension]
        alias = quote(f"_{name}")
        side = "f" if reference.through is None else quote(f"_{reference.through}")
        own = ", ".join(quote(each) for each in reference.match)
        theirs = ", ".join(quote(each) for each in reference.match.values())
        few = f"({own}) in (select ({theirs}) from {'_source' if side == 'f' else side})" if narrow else "true"
        ctes.append(f"{alias} as materialized ({_versions(target, few)})" if narrow else f"{alias} as ({_versions(target, few)})")
        matches = [f"{alias}.{quote(own)} = {side}.{quote(theirs)}" for own, theirs in reference.match.items()]
        if target.history == "scd2":
            at = f"f.{quote(model.as_of or '')}"
            matches.append(f"({alias}._from is null or {at} >= {alias}._from) and ({alias}._until is null or {at} < {alias}._until)")
        joins.append(f"left join {alias} on {' and '.join(matches)}")
    for name, reference in model.references.items():
        keys.append(
            f"coalesce({quote(f'_{name}')}.{quote(dimensions[reference.dimension].surrogate_key or '')}, {UNKNOWN_MEMBER}) as {quote(name)}"
        )
    grain = [f"f.{quote(name)}" for name in model.keys]
    rest = [f"f.{quote(name)}" for name in columns if name not in model.keys]
    head = f"with {', '.join(ctes)} " if ctes else ""
    return f"{head}select {', '.join([*grain, *keys, *rest])} from _source f {' '.join(joins)}"


def _in_order(model: Model) -> list[str]:
    """The references, each after the one it goes through."""
    ordered: list[str] = []
    while len(ordered) < len(model.references):
        ordered += [
            name for name, ref in model.references.items() if name not in ordered and (ref.through is None or ref.through in ordered)
        ]
    return ordered


def _versions(target: Model, few: str) -> str:
    known = f"{quote(target.surrogate_key or '')} <> {UNKNOWN_MEMBER} and {few}"
    rows = f"select * from gold.{quote(target.name)} where {known}"
    return rows if target.history != "scd2" else intervals(target, rows)


def intervals(target: Model, rows: str) -> str:
    """Versions of members, whole ones, with the half-open interval in which facts find each as `_from` and `_until`; NULL is no bound."""
    over = f"over (partition by {', '.join(quote(name) for name in target.keys)} order by {quote(VALID_FROM)})"
    begin = quote(VALID_FROM)
    if target.early == "first":
        begin = f"case when row_number() {over} > 1 then {begin} end"
    return f"select *, {begin} as _from, lead({quote(VALID_FROM)}) {over} as _until from ({rows})"


def moved(target: Model, columns: Sequence[str], changed: str) -> str:
    """The members and intervals (`_from`, `_until`) in which facts may find another version than before, or other values in it.

    Args:
        target: The dimension; `gold.<name>` is how it stands.
        columns: Those of its columns that facts take from it: its keys, its surrogate key, and what other references go through.
        changed: The relation of its changed rows, with `_n` below 0 for those that went and above 0 for those that came.
    """
    own = quote(target.surrogate_key or "")
    keys = ", ".join(quote(name) for name in target.keys)
    names = [*dict.fromkeys([*columns, *([VALID_FROM] if target.history == "scd2" else [])])]
    listed = ", ".join(quote(name) for name in names)
    net = f"select {listed}, sum(_n) as _n from {changed} where {own} <> {UNKNOWN_MEMBER} group by all having sum(_n) <> 0"
    if target.history != "scd2":
        return f"select distinct {keys}, null::bigint as _from, null::bigint as _until from ({net})"
    standing = f"select {listed} from gold.{quote(target.name)} where {own} <> {UNKNOWN_MEMBER} and ({keys}) in (select ({keys}) from _net)"
    same = " and ".join(f"s.{quote(name)} is not distinct from n.{quote(name)}" for name in names)
    kept = f"select s.*, 0 as _n from ({standing}) s anti join (from _net where _n > 0) n on {same}"
    came, gone = (f"{kept} union all select {listed}, _n from _net where _n {sign} 0" for sign in (">", "<"))
    both = " union all ".join(f"select {keys}, _from, _until from ({intervals(target, rows)}) where _n <> 0" for rows in (came, gone))
    return f"with _net as materialized ({net}) {both}"


def affected(model: Model, reference: str, dimensions: Mapping[str, Model], spans: str) -> str:
    """The keys of the facts that stand in `gold._standing` whose reference falls into the members and intervals of the relation `spans`."""
    ref = model.references[reference]
    keys = ", ".join(f"f.{quote(name)}" for name in model.keys)
    source, side = spans, "f"
    pairs = [(quote(theirs), quote(own)) for own, theirs in ref.match.items()]
    if ref.through is not None:
        via = dimensions[model.references[ref.through].dimension]
        same = " and ".join(f"v.{theirs} = m.{own}" for theirs, own in pairs)
        rows = f"gold.{quote(via.name)} v join {spans} m on {same}"
        source = f"(select v.{quote(via.surrogate_key or '')} as _via, m._from, m._until from {rows})"
        pairs = [(quote(ref.through), "_via")]
    matches = [f"{side}.{theirs} = m.{own}" for theirs, own in pairs]
    if dimensions[ref.dimension].history == "scd2":
        at = f"f.{quote(model.as_of or '')}"
        matches.append(f"({at} is null or ((m._from is null or {at} >= m._from) and (m._until is null or {at} < m._until)))")
    return f"select {keys} from gold._standing f semi join {source} m on {' and '.join(matches)}"


def calendar(span: Calendar, key: str) -> str:
    """The rows of a generated date dimension: one a day, its key the day as yyyymmdd, and the unknown member."""
    start = span.fiscal_year_starts_in
    fiscal = f"(d - interval {start - 1} month)" if start > 1 else "d"
    return f"""
        select strftime(d, '%Y%m%d')::bigint as {quote(key)}, d::date as date,
            year(d)::integer as year, quarter(d)::integer as quarter, month(d)::integer as month,
            monthname(d) as month_name, day(d)::integer as day,
            isoyear(d)::integer as iso_year, weekofyear(d)::integer as iso_week, isodow(d)::integer as weekday, dayname(d) as weekday_name,
            isodow(d) >= 6 as is_weekend,
            (year({fiscal}) + {int(start > 1)})::integer as fiscal_year, quarter({fiscal})::integer as fiscal_quarter
        from generate_series(timestamp '{span.starts_on}', timestamp '{span.ends_on}', interval 1 day) as days(d)
        union all by name select {UNKNOWN_MEMBER}::bigint as {quote(key)}
    """
