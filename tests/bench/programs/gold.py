"""The product's way of silver and dimensions into one fact, without what a run does before and after it."""

import sys
from pathlib import Path

from lakehouse.lake import Lake
from lakehouse.stages.gold import build

with Lake.open(Path(sys.argv[1])) as lake:
    for name in sys.argv[2:]:
        step = build(lake, lake.catalog.models[name])
        print(name, step.built, step.why_in_full, step.rows_out)
