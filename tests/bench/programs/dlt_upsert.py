"""What dlt does: a merge by `upsert` into a Delta table of its filesystem destination."""

import sys
from collections.abc import Iterator

import dlt  # type: ignore[import-not-found]  # of the environment of the peers
import pyarrow as pa
import pyarrow.parquet as pq

folder, changes = sys.argv[1:]


@dlt.resource(  # type: ignore[untyped-decorator]
    name="orders",
    table_format="delta",
    primary_key="id",
    write_disposition={"disposition": "merge", "strategy": "upsert"},
)
def orders() -> Iterator[pa.Table]:
    """The rows of the file, as Arrow."""
    file = pq.ParquetFile(changes)
    for group in range(file.num_row_groups):
        yield file.read_row_group(group)


pipeline = dlt.pipeline(
    "bench", pipelines_dir=f"{folder}/pipelines", destination=dlt.destinations.filesystem(f"{folder}/bucket"), dataset_name="silver"
)
pipeline.run(orders(), loader_file_format="parquet")
