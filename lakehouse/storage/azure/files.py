"""The file system by which DuckDB reads a lake on Azure: data files of Delta tables, which never change."""

from __future__ import annotations

from typing import Any

from adlfs import AzureBlobFileSystem

BLOCK_BYTES = 1024**2
"""What is read ahead: footers and column chunks are small, and a larger block brings columns that nobody asked for."""


class DataFiles(AzureBlobFileSystem):  # type: ignore[misc]  # adlfs ships no types
    """Reads only; a file's size is asked for once, since its content never changes."""

    protocol = ("abfs",)
    cachable = False  # fsspec would keep instances, with their secrets, for the life of the process

    def __init__(self, **given: Any) -> None:  # noqa: ANN401  adlfs' own arguments
        """As adlfs."""
        self._known: dict[str, dict[str, Any]] = {}
        super().__init__(**given, blocksize=BLOCK_BYTES)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        stripped = str(super()._strip_protocol(path))
        if ".." in stripped.replace("\\", "/").split("/"):  # DuckDB compares a path with the allowed folders as text, Azure resolves it
            raise PermissionError("a path on the lake names no parent folder")
        return stripped

    def info(self, path: str, **given: Any) -> dict[str, Any]:  # noqa: ANN401  as fsspec
        """A file's facts, from the first answer."""
        name = self._strip_protocol(path)
        if name not in self._known:
            self._known[name] = dict(super().info(name, **given))
        return self._known[name]

    def exists(self, path: str, **given: Any) -> bool:  # noqa: ANN401  as fsspec
        """Whether the file is there, from the first answer."""
        try:
            return bool(self.info(path, **given))
        except FileNotFoundError:
            return False

    def _open(self, path: str, mode: str = "rb", **given: Any) -> Any:  # noqa: ANN401  as fsspec
        if mode != "rb":
            raise PermissionError("readers of the lake do not write")
        return super()._open(path, mode=mode, **given)
