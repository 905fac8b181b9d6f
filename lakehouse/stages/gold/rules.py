"""The rules of a model at work: how many of its rows break each, and whether one holds the commit back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.layout import UNKNOWN_MEMBER, failing
from lakehouse.model.quality import Finding
from lakehouse.stages.gold.shape import count
from lakehouse.transform.checks import broken, failing_counts, require_no_stop, samples
from lakehouse.transform.names import quote

if TYPE_CHECKING:
    from lakehouse.engines.duck import Session
    from lakehouse.model.star import Model
    from lakehouse.storage.delta import Table


def check(engine: Session, model: Model, found: list[Finding]) -> dict[str, int]:
    """The counts of the rules that some rows of `_staged` break; what each rule found is added to `found`.

    Raises:
        QualityError: A rule says `fail`.
        ModelError: A rule cannot be judged.
    """
    if not model.expect:
        return {}
    known = _known(model, "_staged")
    return told(engine, model, found, counts=_counts(engine, model, known), rows=count(engine, known), known=known)


def check_changes(engine: Session, model: Model, found: list[Finding], gold: Table) -> dict[str, int]:
    """The same of the whole table as it will stand, from what broke the rules so far, `_gone` and `_came`.

    Raises:
        QualityError: A rule says `fail`.
        ModelError: A rule cannot be judged.
    """
    if not model.expect:
        return {}
    before = {name: gold.number(failing(name)) for name in model.expect}
    if any(value is None for value in before.values()):
        before = dict(_counts(engine, model, _known(model, "gold._standing")))
    came, gone = (_counts(engine, model, table) for table in ("_came", "_gone"))
    counts = {name: (before[name] or 0) + came[name] - gone[name] for name in model.expect}
    identity = [model.surrogate_key] if model.surrogate_key else list(model.keys)
    same = " and ".join(f"s.{quote(name)} is not distinct from g.{quote(name)}" for name in identity)
    kept = f"select s.* from gold._standing s anti join _gone g on {same}"
    rows = gold.rows() + count(engine, "_came") - count(engine, "_gone") - (model.kind == "dimension")
    return told(engine, model, found, counts=counts, rows=rows, known=_known(model, f"({kept} union all by name select * from _came)"))


def told(engine: Session, model: Model, found: list[Finding], *, counts: dict[str, int], rows: int, known: str) -> dict[str, int]:
    """The counts that are not 0, with a finding for each rule.

    Raises:
        QualityError: A rule says `fail`.
    """
    for name, rule in model.expect.items():
        failed, sentence = counts[name], f"{counts[name]} of {rows} rows ({rule.that})"
        shown = engine.rows(samples(known, broken(rule), model.keys)).column("sample").to_pylist() if failed else []
        stops = bool(failed) and rule.otherwise == "fail"
        found.append(
            Finding(model.name, name, "that", rule.otherwise, rows - failed, failed, None, bool(failed), stops, tuple(shown), sentence)
        )
    return require_no_stop(counts, model.expect, f"gold.{model.name}")


def _known(model: Model, table: str) -> str:
    return table if model.kind != "dimension" else f"(select * from {table} where {quote(model.surrogate_key or '')} <> {UNKNOWN_MEMBER})"


def _counts(engine: Session, model: Model, known: str) -> dict[str, int]:
    where = f"metadata/models/{model.name}.yml: expect"
    engine.execute("drop table if exists _counts")
    engine.model("_counts", failing_counts(known, model.expect), where, "a rule")
    return {name: int(value) for name, value in engine.rows("select * from _counts").to_pylist()[0].items()}
