"""What tokens were made of, for who holds their key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from lakehouse.errors import UsageError
from lakehouse.model.personal import setting_of
from lakehouse.transform.tokens import NoTokenError, opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakehouse.lake import Lake


def reveal(lake: Lake, column: str, tokens: Sequence[str]) -> list[str]:
    """The values behind tokens of `<table>.<column>`, in their order; of a sealed column they are bronze's.

    Raises:
        UsageError: There is no such column, its tokens cannot be undone, its key is not set, or made none of these tokens.
    """
    table, _, name = column.removeprefix("silver.").removeprefix("bronze.").partition(".")
    about = lake.catalog.tables.get(table)
    shape = None if about is None else next((s for n, s in about.personal.items() if name in (n, about.named(n))), None)
    if shape is None:
        there = [f"{each}.{own}" for each, meta in lake.catalog.tables.items() for own in meta.personal]
        raise UsageError(f"{column} is no column with personal data", given=", ".join(there) or "none", next_step="Name <table>.<column>.")
    key = shape.sealed or (shape.key if shape.pii == "tokenise" else None)
    if key is None:
        raise UsageError(f"`pii: {shape.pii}` cannot be undone", where=column, next_step="Ask the source; `pii: tokenise` can be undone.")
    secret = lake.settings.secret(setting_of(key))
    try:
        return [str(value) for value in opened(pa.array(tokens, pa.string()), secret)]
    except NoTokenError:
        raise UsageError(
            "not all of these are tokens that the key made",
            where=f"{column}, key {key}",
            next_step="Take them from the table as it is now: a rotation makes others." if not shape.sealed else "Take them from bronze.",
        ) from None
