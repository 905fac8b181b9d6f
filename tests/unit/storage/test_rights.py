"""A store's rights are found by trying, and nothing of it stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import obstore
import pytest
from obstore.store import MemoryStore, S3Store

from lakehouse.errors import StorageError
from lakehouse.storage.folder import Folder
from lakehouse.storage.rights import opened, refusals


class Store(BaseHTTPRequestHandler):
    """A small store that speaks S3's wire and breaks the promises in `broken`."""

    broken: ClassVar[set[str]] = set()
    files: ClassVar[dict[str, bytes]] = {}

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        taken = "If-None-Match" in self.headers and self.path in self.files and "put if absent" not in self.broken
        if "write" in self.broken or taken:
            self.answer(412 if taken else 403)
        else:
            self.files[self.path] = b"other" if "read" in self.broken else body
            self.answer(200)

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        if "list-type" in query:
            names = [] if "list" in self.broken else [path.removeprefix("/bucket/") for path in self.files]
            rows = "".join(
                f"<Contents><Key>{name}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified><Size>1</Size><ETag>e</ETag></Contents>"
                for name in names
            )
            self.answer(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>".encode())
        else:
            self.answer(200, self.files[self.path])

    def do_DELETE(self) -> None:
        if "delete" not in self.broken:
            self.files.pop(self.path, None)
        self.answer(403 if "delete" in self.broken else 204)

    def do_POST(self) -> None:
        """S3's delete of several files."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        name = body.partition("<Key>")[2].partition("</Key>")[0]
        if "delete" in self.broken:
            self.answer(403)
        else:
            self.files.pop(f"/bucket/{name}", None)
            self.answer(200, f"<DeleteResult><Deleted><Key>{name}</Key></Deleted></DeleteResult>".encode())

    def answer(self, code: int, body: bytes = b"") -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), "ETag": "e", "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@contextmanager
def store_that_breaks(*promises: str) -> Iterator[S3Store]:
    Store.broken, Store.files = set(promises), {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Store)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield S3Store(
            "bucket",
            endpoint=f"http://127.0.0.1:{server.server_address[1]}",
            skip_signature=True,
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )
    finally:
        server.shutdown()
        server.server_close()


def test_a_store_with_all_rights_stays_as_it_was() -> None:
    store = MemoryStore()
    obstore.put(store, "bronze/a", b"a")
    assert refusals(store) == {}
    assert [part["path"] for part in obstore.list(store).collect()] == ["bronze/a"]


def test_a_store_behind_http_with_all_rights() -> None:
    with store_that_breaks() as store:
        assert refusals(store) == {}
        assert Store.files == {}


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("write", "403"),
        ("read", "it gave other bytes than were written"),
        ("list", "it does not list the file"),
        ("put if absent", "it let a second writer have a name that was taken"),
        ("delete", "403"),
    ],
)
def test_each_broken_promise_is_found_alone(broken: str, words: str) -> None:
    with store_that_breaks(broken) as store:
        found = refusals(store)
    assert broken in found
    assert words in found[broken]
    assert set(found) <= {broken, "put if absent"} if broken == "read" else set(found) == {broken}


def test_a_folder_that_is_not_there_is_gone_again(tmp_path: Path) -> None:
    with opened(Folder((tmp_path / "new lake/deep").as_uri())) as store:
        assert refusals(store) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "bronze").mkdir()
    with opened(Folder(tmp_path.as_uri())) as store:
        assert refusals(store) == {}
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "bronze"]


def test_where_no_lake_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StorageError, match="cannot be made") as caught, opened(Folder((tmp_path / "file/lake").as_uri())):
        pass
    assert caught.value.next_step
