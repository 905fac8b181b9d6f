"""The checks of a project's star: `sql/checks/<name>.sql`, each one SELECT that gives the rows which are wrong."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Literal, cast

from lakehouse.catalog.document import Document, read_text
from lakehouse.catalog.select import Check, parse_select
from lakehouse.errors import Fault
from lakehouse.layout import NAME

if TYPE_CHECKING:
    from lakehouse.catalog.catalog import Catalog
    from lakehouse.catalog.check import Reading

FOLDER = "sql/checks"
_OTHERWISE = re.compile(r"^--[ \t]*else:[ \t]*(.*?)[ \t]*$", re.MULTILINE)


def read_checks(reading: Reading, catalog: Catalog) -> dict[str, Check]:
    """The project's checks by the names of their files; faults are noted.

    A line `-- else: warn` in a file makes its check one that only tells.
    """
    found = {}
    for path in sorted((reading.project / FOLDER).glob("*.sql")):
        file = path.relative_to(reading.project).as_posix()
        document = Document(file)
        text = read_text(path, reading.project, document)
        reading.faults += document.faults
        if text is None:
            continue
        if not NAME.match(path.stem):
            reading.faults.append(Fault(file, 1, "", "the file's name names the check; expected lower-case letters, digits and _"))
        words = _OTHERWISE.findall(text)
        if wrong := [word for word in words if word not in ("fail", "warn")]:
            reading.faults.append(Fault(file, 1, "", f"`-- else: {wrong[0][:40]}` says nothing; expected fail or warn"))
        select, faults = parse_select(text)
        reading.faults += [Fault(file, line, "", what) for line, what in faults]
        if select is None:
            continue
        for layer, table in select.reads:
            there = catalog.tables if layer == "silver" else catalog.models
            if table not in there and f"{'Table' if layer == 'silver' else 'Model'}:{table}" not in reading.files:
                close = difflib.get_close_matches(table, sorted(there), n=1)
                hint = f"did you mean {layer}.{close[0]}?" if close else ""
                reading.faults.append(Fault(file, 1, "", f"reads {layer}.{table}, which no metadata file describes", hint))
        found[path.stem] = Check(select, cast("Literal['fail', 'warn']", words[-1] if words else "fail"))
    return found
