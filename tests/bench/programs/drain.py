"""The floor of a load: connectorx's stream, read to its end and thrown away."""

import sys

import connectorx

url, query = sys.argv[1:]
rows = sum(batch.num_rows for batch in connectorx.read_sql(url, query, return_type="arrow_stream", batch_size=65_536))
print(rows)
