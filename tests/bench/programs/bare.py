"""What a hand-made script does: connectorx's stream straight into a Delta table."""

import sys

import connectorx
from deltalake import write_deltalake

url, query, table = sys.argv[1:]
write_deltalake(table, connectorx.read_sql(url, query, return_type="arrow_stream", batch_size=65_536), mode="append")
