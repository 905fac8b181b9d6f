"""The same fact by hand: one query of DuckDB streamed into a new Delta table: `star.py LAKE MEMORY`."""

import sys
from pathlib import Path

import duckdb
from deltalake import DeltaTable, write_deltalake

lake, memory = Path(sys.argv[1]), sys.argv[2]
con = duckdb.connect(config={"memory_limit": memory, "preserve_insertion_order": False})
con.execute("set timezone = 'UTC'")


def files(table: str) -> str:
    return str(DeltaTable(lake / table).file_uris())


def versions(name: str) -> str:
    over = "over (partition by id order by valid_from)"
    begin = f"case when row_number() {over} > 1 then valid_from end as _from"
    rows = f"read_parquet({files(f'gold/dim_{name}')}) where {name}_key <> -1"
    return f"select {name}_key, id, {begin}, lead(valid_from) {over} as _until from {rows}"


reader = con.sql(f"""
    with customer as ({versions("customer")}), product as ({versions("product")}),
    store as (from read_parquet({files("gold/dim_store")}) where store_key <> -1),
    day as (from read_parquet({files("gold/dim_date")}) where date_key <> -1)
    select f.n, coalesce(c.customer_key, -1) as customer_key, coalesce(p.product_key, -1) as product_key,
        coalesce(s.store_key, -1) as store_key, coalesce(d.date_key, -1) as date_key, f.* exclude (n)
    from (select n, customer, product, store, cast(sold_at as date) as day, sold_at, amount from read_parquet({files("silver/sales")})) f
    left join customer c on c.id = f.customer
        and (c._from is null or f.sold_at >= c._from) and (c._until is null or f.sold_at < c._until)
    left join product p on p.id = f.product and (p._from is null or f.sold_at >= p._from) and (p._until is null or f.sold_at < p._until)
    left join store s on s.id = f.store
    left join day d on d.date = f.day
""").to_arrow_reader(131_072)
write_deltalake(lake / "by_hand", reader)
