"""The folder of a new project; nothing that is there already is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.catalog.schema import SCHEMAS, schema_text
from lakehouse.errors import StorageError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = ("metadata/schema", "metadata/sources", "metadata/tables", "metadata/models", "metadata/tests", "sql/gold")
KEPT_OUT = (".env", "/lake/")
ENVIRONMENT = """\
# The settings by name. Copy this file to .env, take the `# ` away from what you set, and give it a value there:
# .env holds secrets and stays out of git.

# where the lake is: a folder, or abfss://container@account.dfs.core.windows.net/path
# LAKEHOUSE_LAKE=
# the URL of the connection that metadata calls `my_database`; one variable for each connection
# LAKEHOUSE_CONNECTION__MY_DATABASE=
# what the SQL engine may hold before it spills to disk
# LAKEHOUSE_MEMORY_LIMIT=
"""


def make_project(folder: Path) -> tuple[list[str], list[str]]:
    """What was made in the folder (which may be new), and which files were there and stay as they are.

    Raises:
        UsageError: The folder is a project already, or no folder.
        StorageError: It cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError("this is a file, not a folder", where=str(folder), next_step="Name a folder, which may be new.")
    there = next((name for name in ("metadata", "sql") if (folder / name).exists()), None)
    if there:
        raise UsageError(
            f"there is a project already: it has {there}/, and nothing is ever overwritten",
            where=str(folder),
            next_step="Go on with `lakehouse discover`, or name another folder.",
        )
    files = {f"metadata/schema/{kind}.json": schema_text(kind) for kind in SCHEMAS}
    files |= {".env.example": ENVIRONMENT, ".gitignore": "".join(f"{line}\n" for line in KEPT_OUT)}
    made = [f"{name}/" for name in FOLDERS]
    left: list[str] = []
    try:
        for name in FOLDERS:
            (folder / name).mkdir(parents=True)
        for name, text in files.items():
            (made if write_new(folder / name, text) else left).append(name)
    except OSError as exc:
        raise StorageError(
            f"the project cannot be made: {exc.strerror}", where=str(folder), next_step="Grant the right to write there, or name another."
        ) from exc
    return made, left


def write_new(path: Path, text: str) -> bool:
    """Write a file that is not there yet; False, and nothing done, where it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        return False
    return True
