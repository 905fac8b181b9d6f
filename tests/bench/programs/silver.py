"""The product's way of bronze batches into one silver table, without what a run does before and after it."""

import sys
from pathlib import Path

from lakehouse.lake import Lake
from lakehouse.stages.silver import fold

project, table = sys.argv[1:]
with Lake.open(Path(project)) as lake:
    print(fold(lake, lake.catalog.tables[table]).rows_out)
