"""Other people's tools in an environment of their own, made at first use; where they cannot be installed, their rows are left out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.bench.harness import ROOT

PINNED = ("dlt[filesystem,deltalake]==1.31.0", "dbt-core==1.10.23", "dbt-duckdb==1.10.1", "duckdb==2.0.1", "pyarrow==26.0.1")
FOLDER = ROOT / ".venv" / "bench-peers"


def python() -> str | None:
    """The interpreter that has these tools, or None, said on the screen, where they cannot be had."""
    found, ready = FOLDER / "bin" / "python", FOLDER / ".ready"
    if not ready.exists() or ready.read_text() != "\n".join(PINNED):
        uv = str(Path(sys.executable).with_name("uv"))
        environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_SYSTEM_CERTS": "true"}
        index = {"PIP_INDEX_URL": "UV_DEFAULT_INDEX", "PIP_EXTRA_INDEX_URL": "UV_INDEX", "PIP_CERT": "SSL_CERT_FILE"}
        environment |= {uv_name: os.environ[name] for name, uv_name in index.items() if name in os.environ and uv_name not in os.environ}
        for words in (("venv", "-q", "--clear", "-p", sys.executable, str(FOLDER)), ("pip", "install", "-q", "-p", str(found), *PINNED)):
            done = subprocess.run((uv, *words), env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"\ndlt and dbt are left out, since they cannot be installed: {done.stderr.strip()[-400:]}")
                return None
        ready.write_text("\n".join(PINNED))
    return str(found)
