"""What dbt does: a snapshot by timestamp in DuckDB; `begin` makes the history, `snapshot` takes the changes in."""

import sys
from pathlib import Path

work, folder, rows = sys.argv[1:]
SNAPSHOT = """{{% snapshot dim %}}
{{{{ config(target_schema='main', unique_key='id', strategy='timestamp', updated_at='changed_at') }}}}
select * from read_parquet('{rows}')
{{% endsnapshot %}}
"""
FILES = {
    "dbt_project.yml": "name: bench\nprofile: bench\nflags: {send_anonymous_usage_stats: false}\n",
    "profiles.yml": "bench:\n  target: here\n  outputs:\n    here: {type: duckdb, path: dim.duckdb, threads: 2}\n",
    "snapshots/dim.sql": SNAPSHOT.format(rows=rows),
}
for name, text in FILES.items():
    path = Path(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
if work == "begin":
    import duckdb

    history = f"""create table dim as select id, name, country, segment, score, changed_at, md5(id || '|' || changed_at) as dbt_scd_id,
        changed_at as dbt_updated_at, changed_at as dbt_valid_from,
        lead(changed_at) over (partition by id order by changed_at) as dbt_valid_to
        from read_parquet('{rows}')"""
    with duckdb.connect(str(Path(folder, "dim.duckdb"))) as connection:
        connection.execute(history)
else:
    import os

    from dbt.cli.main import dbtRunner  # type: ignore[import-not-found]  # of the peers' environment

    os.chdir(folder)
    done = dbtRunner().invoke(["-q", "snapshot", "--profiles-dir", "."])
    sys.exit(0 if done.success else str(done.exception or done.result))
