"""Where SQL text runs: DuckDB in this process now."""
