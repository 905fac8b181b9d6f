"""Every error of the product, by who must act. Facts are attributes; the sentence is built from them."""

from __future__ import annotations

from dataclasses import dataclass


class LakehouseError(Exception):
    """Says what happened, where, what was expected and given, and the next step.

    Attributes:
        exit_code: What the command line returns: 1 failed, 2 misuse, 3 data quality stopped it.
        transient: Whether the same call may succeed later without anybody acting.
    """

    exit_code = 1
    transient = False

    def __init__(self, what: str, *, where: str = "", expected: str = "", given: str = "", next_step: str = "") -> None:
        """Keep the facts; `str(error)` is the sentence."""
        self.what, self.where, self.expected, self.given, self.next_step = what, where, expected, given, next_step
        super().__init__(what)

    @property
    def kind(self) -> str:
        """The class name, as machines read it."""
        return type(self).__name__

    def __str__(self) -> str:
        """One text: where, what, expected and given, next step."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        facts = [f"expected {self.expected}"] * bool(self.expected) + [f"given {self.given}"] * bool(self.given)
        if facts:
            head = f"{head.rstrip('.')} ({', '.join(facts)})"
        return f"{head.rstrip('.')}. {self.next_step}".strip() if self.next_step else f"{head.rstrip('.')}."


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault of one metadata or SQL file.

    Attributes:
        file: Path below the project.
        line: Line in that file, from 1.
        key: Dotted path of the key concerned; empty for the whole file.
        what: What is wrong, with what is allowed.
        hint: A "did you mean" or the next step; may be empty.
    """

    file: str
    line: int
    key: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        """`file:line: key: what (hint)`."""
        head = f"{self.file}:{self.line}: " + (f"{self.key}: " if self.key else "")
        return head + self.what + (f" ({self.hint})" if self.hint else "")


class MetadataError(LakehouseError):
    """The author of `metadata/` or `sql/` must act; carries every fault of every file."""

    exit_code = 2

    def __init__(self, faults: list[Fault]) -> None:
        """Keep the faults, sorted by file and line."""
        self.faults = sorted(faults)
        n = len(self.faults)
        super().__init__(f"{n} fault{'s' * (n != 1)} in the metadata", next_step="Mend them, then run `lakehouse validate`.")

    def __str__(self) -> str:
        """All faults, one a line, then the next step."""
        return "\n".join([f"{self.what}:", *(f"  {fault}" for fault in self.faults), self.next_step])


class UsageError(LakehouseError):
    """The operator asked for something that does not exist or is not set up."""

    exit_code = 2


class SourceError(LakehouseError):
    """The source refused or cannot serve what was asked."""


class SourceUnreachableError(SourceError):
    """The source did not answer: it may later."""

    transient = True


class SourceBusyError(SourceError):
    """The source has transactions open that a safe read must wait for: they may be gone later."""

    transient = True


class SourceDataError(SourceError):
    """A value of the source does not fit its declared type."""


class StorageError(LakehouseError):
    """The lake could not be read or written."""


class ConflictError(StorageError):
    """Another run committed to the same table first: planning anew is enough."""

    transient = True


class BusyError(ConflictError):
    """Another run is writing the table and went on for longer than this one waits."""


class ContractError(LakehouseError):
    """The source's shape contradicts what was declared or already stored."""


class QualityError(LakehouseError):
    """The data breaks a rule that stops the load."""

    exit_code = 3


class ModelError(LakehouseError):
    """A gold model cannot be built as it is written."""
