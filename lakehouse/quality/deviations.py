"""Which columns of a table's bronze are not protected as its file says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.layout import PERSONAL

if TYPE_CHECKING:
    from lakehouse.lake import Lake
    from lakehouse.model.table import Table
    from lakehouse.transform.custody import Change


def deviations(lake: Lake, table: Table) -> list[Change]:
    """The columns of a table's bronze that are not protected as its file says.

    Raises:
        UsageError: A key is not set, or is none.
        ContractError: A key is another one than the lake was written with.
    """
    bronze = lake.table("bronze", table.name)
    if bronze is None or not (table.protected or bronze.number(PERSONAL)):
        return []
    from lakehouse.transform.custody import changes  # noqa: PLC0415  loaded where there is personal data

    return changes(table, lake.protection(table), bronze, bronze.schema.names)


def require_as_declared(lake: Lake, table: Table) -> None:
    """Refuse to go on upon rows that are protected otherwise than the table's file says.

    Raises:
        UsageError: A key is not set, or is none.
        ContractError: A column is protected otherwise, or by another key.
    """
    if turned := deviations(lake, table):
        from lakehouse.transform.custody import out_of_step  # noqa: PLC0415  as above

        raise out_of_step(table, turned)
