"""The product's way of one table into bronze, without what a run does after it."""

import sys
from pathlib import Path

from lakehouse.lake import Lake
from lakehouse.stages.bronze import append
from lakehouse.stages.extract import extract

project, table = sys.argv[1:]
with Lake.open(Path(project)) as lake:
    print(append(lake, extract(lake, lake.catalog.tables[table])).rows_out)
