"""Names of a source in the lake's spelling.

A table's lake name is made by this rule: words are parted where lower case meets upper case (`OrderLine`) and at every sign that is no
letter or digit; they are written in lower case, without accents, with `_` between them; `t_` comes before a digit, `_table` behind a word
that SQL could not read (`select`); at 63 letters it is cut. Where two tables would have one name, the later one in the list gets its
schema's name before it, else its source's name, else a number behind it.

Columns keep their names; those that the lake cannot hold are left out with the reason.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import count
from typing import TYPE_CHECKING

from lakehouse.layout import COLUMN, IS_CURRENT, VALID_FROM, VALID_TO

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

LONGEST = 63
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_UNREADABLE = {
    *("and", "as", "create", "distinct", "else", "except", "fetch", "for", "from", "having", "intersect", "into", "lateral", "not", "on"),
    *("only", "or", "qualify", "returning", "select", "summarize", "then", "union", "using", "when", "where", "with"),
}
_PLAIN = "the lake takes letters, digits and _, a letter first, 63 at most; give it such a name in a view of the source"


def words(name: str) -> tuple[str, ...]:
    """The words of a name, in lower case and without accents.

    >>> words("lastUpdateDate"), words("HTTP-Größe 2")
    (('last', 'update', 'date'), ('http', 'grosse', '2'))
    """
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return tuple(re.findall(r"[a-z0-9]+", _HUMP.sub("_", plain).lower()))


def lake_name(name: str) -> str:
    """A name as the lake's tables are called.

    >>> lake_name("OrderLine"), lake_name("2024 totals"), lake_name("select")
    ('order_line', 't_2024_totals', 'select_table')
    """
    found = "_".join(words(name)) or "t"
    found = f"t_{found}" if found[0].isdigit() else found
    return (f"{found}_table" if found in _UNREADABLE else found)[:LONGEST].rstrip("_")


def table_names(
    tables: Sequence[tuple[str, ...]], source: str, named: Mapping[tuple[str, ...], str], taken: Collection[str]
) -> dict[tuple[str, ...], str]:
    """The lake name of each table: the one in `named` where it has one, else by the rule, no name twice and none of `taken`.

    >>> table_names([("a", "User"), ("b", "User")], "crm", {}, ())
    {('a', 'User'): 'user', ('b', 'User'): 'b_user'}
    """
    names, used = dict(named), {*taken, *named.values()}
    for parts in tables:
        if parts not in names:
            names[parts] = next(name for name in _candidates(parts, source) if name not in used)
            used.add(names[parts])
    return names


def _candidates(parts: tuple[str, ...], source: str) -> Iterator[str]:
    yield lake_name(parts[-1])
    if len(parts) > 1:
        yield lake_name(f"{parts[-2]}_{parts[-1]}")
    yield lake_name(f"{source}_{parts[-1]}")
    stem = lake_name(parts[-1])
    for number in count(2):
        yield f"{stem[: LONGEST - 8]}_{number}"


def refused_columns(names: Sequence[str]) -> dict[str, str]:
    """The columns that cannot stand in the lake, each with the reason; of two that differ in case alone the lower-case one stays.

    >>> sorted(refused_columns(["id", "ID", "valid_from", "Unit Price"]))
    ['ID', 'Unit Price', 'valid_from']
    """
    refused = {name: _PLAIN for name in names if not COLUMN.match(name)}
    own = (VALID_FROM, VALID_TO, IS_CURRENT)
    refused |= {name: "the lake's own history column is called so" for name in names if name.lower() in own}
    kept: dict[str, str] = {}
    for name in sorted((name for name in names if name not in refused), key=lambda name: name != name.lower()):
        first = kept.setdefault(name.lower(), name)
        if first != name:
            refused[name] = f"it differs from {first} in case alone"
    return refused
