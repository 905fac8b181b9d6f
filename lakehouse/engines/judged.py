"""The current rows of a table as they are about to be, in a session of the SQL engine: what its rules find in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from lakehouse.model.quality import Counts, Finding, counted, describe
from lakehouse.transform.checks import BREAKS, across, broken, failing_counts, measures, samples
from lakehouse.transform.drift import LEAST, robust_z
from lakehouse.transform.names import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pyarrow as pa

    from lakehouse.engines.duck import Session
    from lakehouse.model.expectation import Expectation

WITHHELD = "_withheld"
"""The column that names the rules for whose sake a row is withheld."""


@dataclass(frozen=True, slots=True)
class About:
    """A table and its rules.

    Attributes:
        table: Its name.
        where: Its file, for errors.
        keys: Its key columns, as silver calls them; may be empty.
        rules: By name; foreign keys with the columns that they point to.
    """

    table: str
    where: str
    keys: Sequence[str]
    rules: Mapping[str, Expectation]

    def of(self, *kinds: str) -> dict[str, Expectation]:
        """The rules of some kinds."""
        return {name: rule for name, rule in self.rules.items() if rule.kind in kinds}


def judge_rows(
    session: Session, about: About, rules: Mapping[str, Expectation], schema: pa.Schema, rows: Iterable[pa.RecordBatch]
) -> dict[str, Counts]:
    """What these rules, each over one row, find in these rows.

    Raises:
        ModelError: A rule names what is not there, or breaks at a value.
    """
    session.keep("_rows", schema, iter(rows))
    session.model("_counts", f"select count(*) as _judged, {_counts(rules)} from _rows", f"{about.where}: expect", "a rule")
    counts = session.rows("select * from _counts").to_pylist()[0]
    found = {}
    for name, rule in rules.items():
        shown = _samples(session, samples("_rows", broken(rule), about.keys)) if counts[name] else ()
        found[name] = (int(counts[name]), int(counts["_judged"]), shown)
    return found


def _counts(rules: Mapping[str, Expectation]) -> str:
    return failing_counts("_rows", rules).removeprefix("select ").removesuffix(" from _rows")


def _samples(session: Session, query: str) -> tuple[str, ...]:
    return tuple(session.rows(query).column("sample").to_pylist())


class Judged:
    """All current rows of one table, of which only the columns that its rules need are held."""

    def __init__(self, session: Session, about: About, schema: pa.Schema) -> None:
        """Begin without rows; `schema` has the keys, what orders versions, and the columns of the rules."""
        self._session, self._about, self._schema = session, about, schema
        self._parts = 0
        session.stream("_judged_none", schema, iter(()))
        session.execute("create temp table _judged as select * from _judged_none")

    def add(self, rows: Iterable[pa.RecordBatch]) -> None:
        """Take rows in."""
        self._parts += 1
        self._session.stream(f"_judged_{self._parts}", self._schema, iter(rows))
        self._session.execute(f"insert into _judged select * from _judged_{self._parts}")

    def across(self, parents: Mapping[str, str]) -> tuple[list[Finding], pa.Table]:
        """What the rules that look at other rows find, and the keys to withhold with the names of the rules that say so.

        Args:
            parents: For each foreign key, the SQL relation that it points to, if it is not this table.

        Raises:
            ModelError: Columns that are compared cannot be.
        """
        rules = self._about.of("unique", "foreign_key")
        verdicts = across(rules, "_judged", {**dict.fromkeys(rules, "_judged"), **parents})
        columns = ", ".join(["*", *(f"{sql} as {quote(name)}" for name, sql in verdicts.items())])
        self._session.model("_across", f"select {columns} from _judged", f"{self._about.where}: expect", "a rule")
        found = []
        for name, rule in rules.items():
            breaks = quote(BREAKS + name)
            facts = self._session.rows(f"select count(*) as judged, count(*) filter (where {breaks}) as failed from _across").to_pylist()[0]
            shown = _samples(self._session, samples("_across", breaks, self._about.keys)) if facts["failed"] else ()
            found.append(counted(self._about.table, name, rule, (facts["failed"], facts["judged"], shown)))
        return found, self._withhold({name: rule for name, rule in rules.items() if rule.withholds})

    def _withhold(self, rules: Mapping[str, Expectation]) -> pa.Table:
        keys = ", ".join(quote(name) for name in self._about.keys)
        named = ", ".join(f"case when {quote(BREAKS + name)} then '{name}' end" for name in sorted(rules))
        kinds = " or ".join(quote(BREAKS + name) for name, rule in rules.items() if rule.foreign_key) or "false"
        any_of = " or ".join(quote(BREAKS + name) for name in rules) or "false"
        names = f"concat_ws(',', {named})" if named else "''"
        reason = f"case when {kinds} then 'foreign_key' else 'unique' end"
        self._session.execute(
            f"create temp table {WITHHELD} as select {keys or 'null as _none'}, _batch, {names} as rules, {reason} as reason "
            f"from _across where {any_of}"
        )
        if rules:
            self._session.execute("create temp table _judged_left as select * from _across where not (" + any_of + ")")
            self._session.execute("drop table _judged; alter table _judged_left rename to _judged")
        return self._session.rows(f"select * from {WITHHELD}")

    def whole(self, now: datetime, before: int | None, past: Callable[[str, int], list[float]]) -> list[Finding]:
        """What the rules that look at the table as a whole find in the rows that are left.

        Args:
            now: The run's clock.
            before: How many current rows the table had, or None where there was none.
            past: The newest recorded values of a rule, given its name and how many at most.

        Raises:
            ModelError: An aggregate cannot be run.
        """
        rules = self._about.of("freshness", "row_count", "complete", "metric", "drift")
        if not rules:
            return []
        columns = ", ".join(f"{sql} as {quote(name)}" for name, sql in measures(rules).items())
        self._session.model("_measured", f"select count(*) as _judged, {columns} from _judged", f"{self._about.where}: expect", "a rule")
        facts = self._session.rows("select * from _measured").to_pylist()[0]
        found = []
        for name, rule in rules.items():
            value, rows = facts[name], int(facts["_judged"])
            finding = Finding(self._about.table, name, rule.kind, rule.otherwise)
            if rule.freshness:
                finding = _fresh(finding, rule, value, now)
            elif rule.row_count:
                finding = _row_count(finding, rule, rows, before)
            elif rule.complete:
                finding = _complete(finding, rule, int(value), rows)
            else:
                finding = _metric(finding, rule, value, past)
            found.append(replace(finding, stops=finding.broken and rule.otherwise == "fail"))
        return found


def _fresh(finding: Finding, rule: Expectation, value: Any, now: datetime) -> Finding:  # noqa: ANN401  a date, an instant or NULL
    assert rule.freshness is not None  # noqa: S101  the caller looked
    if isinstance(value, datetime):
        newest = value if value.tzinfo else value.replace(tzinfo=UTC)
    elif isinstance(value, date):
        newest = datetime(value.year, value.month, value.day, tzinfo=UTC)
    else:
        return replace(finding, broken=True, told=f"no row has a time ({describe(rule)})")
    age = (now - newest).total_seconds()
    broken_ = age > rule.freshness.within.total_seconds()
    return replace(finding, value=age, broken=broken_, told=f"the newest row is {age:.0f} s old ({describe(rule)})")


def _row_count(finding: Finding, rule: Expectation, rows: int, before: int | None) -> Finding:
    given = rule.row_count
    assert given is not None  # noqa: S101  as above
    moved = None if not before or given.change is None else abs(rows - before) / before
    out = (given.min is not None and rows < given.min) or (given.max is not None and rows > given.max)
    changed = moved is not None and given.change is not None and moved > given.change
    after = "" if moved is None else f" after {before}"
    return replace(finding, value=float(rows), broken=out or changed, told=f"{rows} rows{after} ({describe(rule)})")


def _complete(finding: Finding, rule: Expectation, there: int, rows: int) -> Finding:
    assert rule.complete is not None  # noqa: S101  as above
    share = there / rows if rows else 1.0
    told = f"{share:.2%} of {rows} rows have a value ({describe(rule)})"
    return replace(finding, passed=there, failed=rows - there, value=share, broken=share < rule.complete.at_least, told=told)


def _metric(finding: Finding, rule: Expectation, value: float | None, past: Callable[[str, int], list[float]]) -> Finding:
    if value is None:
        return replace(finding, broken=True, told=f"there is no value ({describe(rule)})")
    if rule.metric:
        low, high = rule.metric.min, rule.metric.max
        out = (low is not None and value < low) or (high is not None and value > high)
        return replace(finding, value=value, broken=out, told=f"{value:g} ({describe(rule)})")
    assert rule.drift is not None  # noqa: S101  the last kind
    z = robust_z(value, past(finding.rule, rule.drift.over))
    told = f"{value:g}, " + (f"fewer than {LEAST} recorded values to compare with" if z is None else f"{z:.1f} deviations from its past")
    return replace(finding, value=value, broken=z is not None and z > rule.drift.z, told=f"{told} ({describe(rule)})")
