"""Certificates of erasures: numbered files in the lake, each with the hash of the one before it, and no personal value."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

from lakehouse.errors import StorageError
from lakehouse.layout import ERASURES
from lakehouse.pipeline.person import places
from lakehouse.storage.erasing import listed, read_bytes
from lakehouse.storage.objects import folders, put_new
from lakehouse.transform.suppression import key_text, keyed_hash, mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakehouse.lake import Lake
    from lakehouse.pipeline.person import Claim

ATTEMPTS = 20


def certificates(lake: Lake) -> list[tuple[int, bytes]]:
    """All certificates, each with its number, in their order."""
    place, (root, _, folder) = lake.places.at(lake.layers[ERASURES]), lake.layers[ERASURES].rpartition("/")
    there = listed(place) if folder in folders(lake.places.at(root)) else []
    names = [name for name in there if name.removesuffix(".json").isdecimal()]
    return [(int(name.removesuffix(".json")), body) for name, body in read_bytes(place, names)]


def number_of(lake: Lake, erasure: str) -> int | None:
    """The number of an erasure's certificate, or None where it has none yet."""
    return next((number for number, body in certificates(lake) if json.loads(body)["erasure"] == erasure), None)


def key_id(secret: bytes) -> str:
    """What tells keys of hashes apart without telling anything of them."""
    return hmac.digest(secret, b"lakehouse key id", "sha256").hex()[:16]


def write(lake: Lake, secret: bytes, about: dict[str, Any], claims: Sequence[Claim]) -> int:
    """Write the certificate of an erasure whose files are gone; its number.

    It has `erasure`, `table`, `by`, `why`, `at`, `run_id`, `key_id`, `previous` (SHA-256 of the certificate before), `keys` (where which
    keyed hashes must not be found any more) and `rewritten` (of commits: the files that are gone, those in their place, with checksums).
    """
    keys: dict[tuple[str, tuple[str, ...]], dict[str, str]] = {}
    for (layer, name), held in places(lake, list(claims)).items():
        for columns, claim in held:
            texts = claim.keys.select(key_text(claim.keys.schema, claim.columns)).to_series().drop_nulls().to_list()
            keys.setdefault((f"{layer}.{name}", columns), {}).update({keyed_hash(text, secret): mark(text, secret) for text in texts})
    entries = [{"table": table, "columns": list(columns), "hashes": hashes} for (table, columns), hashes in sorted(keys.items())]
    facts = {**about, "at": lake.now().isoformat(), "run_id": lake.run_id, "key_id": key_id(secret), "keys": entries}
    facts["rewritten"] = _rewritten(lake, about["erasure"])
    for _ in range(ATTEMPTS):
        there = certificates(lake)
        number = there[-1][0] + 1 if there else 1
        facts["previous"] = hashlib.sha256(there[-1][1]).hexdigest() if there else None
        body = json.dumps({"number": number, **facts}, indent=1).encode()
        if put_new(lake.places.at(lake.layers[ERASURES]), f"{number:06}.json", body, lake.effects):
            return number
    raise StorageError("others write certificates all the time", next_step="Erase the same person again.")


def _rewritten(lake: Lake, erasure: str) -> list[dict[str, Any]]:
    """What the commits of an erasure tell of bronze's files, from the records that were kept."""
    found = []
    for row in lake.ledger.kept():
        told = json.loads(row["record"])
        if told.get("erasure") == erasure and "erased" in told:
            found.append(
                {"table": row["table"], "version": row["version"], "rows": told["rows"], "gone": told["erased"], "written": told["files"]}
            )
    return sorted(found, key=lambda each: (each["table"], each["version"]))
