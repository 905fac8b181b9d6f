"""How a column of bronze becomes one of silver: names, texts, values and types, and columns that are made of others."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StrictBool, StringConstraints, model_validator

from lakehouse.model.personal import PROTECTED, Guarded, version_of
from lakehouse.model.types import INTEGERS, DataType, TypeName
from lakehouse.model.words import ColumnName, Frozen, Misfit, Sentence

Scalar = bool | int | float | str | datetime | date
NUMBERS = (*INTEGERS, "decimal", "float", "double")
TIMES = ("date", "timestamp")
CASTS: Mapping[str, tuple[str, ...]] = {
    "string": (*INTEGERS, "decimal", "double", "boolean", *TIMES),
    **dict.fromkeys((*INTEGERS, "decimal"), (*NUMBERS, "boolean", "string")),
    **dict.fromkeys(("float", "double"), (*NUMBERS, "string")),
    "boolean": (*INTEGERS, "string"),
    "date": ("timestamp", "string"),
    "timestamp": ("date", "string"),
}
"""What silver can make of each type without guessing; a value that would lose something by it is refused, row by row."""
_SCALARS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "date": (date,),
    "timestamp": (datetime, date),
    "float": (int, float),
    "double": (int, float),
    "decimal": (int, float),
    **dict.fromkeys(INTEGERS, (int,)),
}


class Texts(Frozen):
    """What is done to a text, in this order."""

    trim: StrictBool = False
    """Whether white space at its ends goes."""
    case: Literal["lower", "upper"] | None = None
    unicode: Literal["NFC"] | None = None
    """The form of composed signs: one text for those that look alike."""

    @property
    def changes(self) -> bool:
        """Whether anything is done."""
        return self.trim or self.case is not None or self.unicode is not None


class Column(Guarded, Texts):
    """One column of a table, and what silver makes of its values: texts, then `nulls`, `map`, `as`, and `default` at last.

    Of a column with `pii` the texts are made before the token is.
    """

    type: TypeName
    """The type in bronze; of a column with `pii` the type in the source, since its tokens are strings."""
    rename: ColumnName | None = None
    """What silver calls it."""
    nulls: tuple[Scalar, ...] = ()
    """Values that mean that there is none."""
    map: dict[str | int | bool, Scalar | None] = Field(default_factory=dict)
    """Values and what stands in silver for them; others stay as they are."""
    as_: TypeName | None = Field(default=None, alias="as")
    """The type in silver; a row with a value that cannot be it exactly is a reject."""
    format: Annotated[str, StringConstraints(min_length=2, max_length=60)] | None = None
    """How a text writes a day or an instant, such as `%d.%m.%Y`; default: as ISO 8601 does."""
    default: Scalar | None = None
    """What stands in silver where there is no value."""
    description: Sentence | None = None

    @property
    def stored(self) -> DataType:
        """The type in bronze."""
        return DataType("string") if self.pii else self.type

    @property
    def shown(self) -> DataType:
        """The type in silver."""
        return self.as_ or self.stored

    @property
    def cleans(self) -> bool:
        """Whether cleaning changes values."""
        return (self.changes and not self.pii) or bool(self.nulls or self.map) or self.as_ is not None or self.default is not None

    @model_validator(mode="after")
    def _agree(self) -> Column:
        if self.changes and self.type.name != "string":
            raise Misfit(f"`trim`, `case` and `unicode` are for texts, and this is a {self.type}", "type")
        self._agree_on_pii()
        if self.as_ is not None and self.as_.name not in (self.type.name, *CASTS.get(self.type.name, ())):
            allowed = ", ".join(CASTS.get(self.type.name, ())) or "none"
            raise Misfit(f"a {self.type} cannot be a {self.as_}; it can be: {allowed}", "as")
        if self.format is not None and (self.type.name != "string" or self.shown.name not in TIMES):
            raise Misfit("`format` is for a text that becomes a date or a timestamp by `as`", "format")
        given = [("nulls", self.type, value) for value in self.nulls] + [("map", self.type, value) for value in self.map]
        given += [("map", self.type, value) for value in self.map.values() if value is not None]
        given += [("default", self.shown, self.default)] if self.default is not None else []
        for word, kind, value in given:
            wanted = _SCALARS.get(kind.name, ())
            if not isinstance(value, wanted) or (isinstance(value, bool) and kind.name != "boolean"):
                raise Misfit(f"{value!r} is no {kind}; write it as one", word)
        return self

    def _agree_on_pii(self) -> None:
        if self.pii is None:
            for word, given in (("key", self.key), ("sealed", self.sealed)):
                if given:
                    raise Misfit(f"`{word}` speaks of personal data: say with `pii` what becomes of it", word)
            return
        if (self.pii in ("hmac", "tokenise")) is not (self.key is not None):
            needs = "needs a `key`, by its name" if self.key is None else "takes no `key`"
            raise Misfit(f"`pii: {self.pii}` {needs}", "pii" if self.key is None else "key")
        if self.sealed and self.pii not in ("hmac", "mask"):
            raise Misfit(f"`sealed` is for hmac and mask; `pii: {self.pii}` has no use for it", "sealed")
        if self.sealed and self.key and version_of(self.sealed)[0] == version_of(self.key)[0]:
            raise Misfit("bronze is sealed under a key of its own: who holds the tokens' key must not read the values", "sealed")
        if self.pii != "drop" and self.type.name not in PROTECTED:
            raise Misfit(f"a {self.type} has no one text to make a token of; allowed: {', '.join(PROTECTED)}", "type")
        words: dict[str, object] = {"nulls": self.nulls, "map": self.map, "as": self.as_, "format": self.format, "default": self.default}
        words |= {"rename": self.rename, "trim": self.changes} if self.pii == "drop" else {}
        for word, said in words.items():
            if said not in (None, (), {}, False):
                raise Misfit(f"with `pii: {self.pii}` there is no value left for `{word}`", word)


def column(given: object) -> object:
    """A column, of which the type alone may be given."""
    return {"type": given} if isinstance(given, str) else given


class Derived(Frozen):
    """A column of silver that is made of the others of its row."""

    sql: Annotated[str, StringConstraints(min_length=1, max_length=4000)]
    """A row-wise expression in DuckDB's dialect over the columns after cleaning; where it breaks at a value, the step stops and says so."""
    type: TypeName
    """Its type; a row with a value that cannot be it exactly is a reject."""
    description: Sentence | None = None


def _normal(given: object) -> object:
    if given is True:
        return {"trim": True, "case": "lower", "unicode": "NFC"}
    return {} if given is False else given


class Cleaning(Frozen):
    """The words of a table's file that say what silver makes of each row."""

    columns: dict[ColumnName, Annotated[Column, BeforeValidator(column)]] = Field(default_factory=dict)
    """The columns to read and their types; empty: all that the source has, as it declares them."""
    derive: dict[ColumnName, Derived] = Field(default_factory=dict)
    """Columns that silver adds."""
    normalize_keys: Annotated[Texts, BeforeValidator(_normal)] = Texts()
    """What is done to the texts of all keys, so that writing one otherwise makes no new key; `true` is all of it, in lower case."""

    def named(self, name: str) -> str:
        """What silver calls a column of the source."""
        return (self.columns[name].rename or name) if name in self.columns else name

    def writes_otherwise(self, key: str, *, is_text: bool) -> bool:
        """Whether silver writes the values of a key otherwise than bronze, so that two of them can become one."""
        if key in self.columns and self.columns[key].pii:
            return False
        return (is_text and self.normalize_keys.changes) or (key in self.columns and self.columns[key].cleans)

    @property
    def shown(self) -> dict[str, DataType]:
        """The columns that conditions may name, with their types in silver; empty where the file does not tell them."""
        if not self.columns:
            return {}
        own = {self.named(name): shape.shown for name, shape in self.columns.items() if shape.pii != "drop"}
        return {**own, **{name: made.type for name, made in self.derive.items()}}

    @property
    def stored(self) -> dict[str, DataType]:
        """The declared columns that bronze has, with their types there; empty where the file declares none."""
        return {name: shape.stored for name, shape in self.columns.items() if shape.pii != "drop"}

    @property
    def personal(self) -> dict[str, Column]:
        """The columns of bronze that hold personal data, protected."""
        return {name: shape for name, shape in self.columns.items() if shape.pii and shape.pii != "drop"}

    def texts(self, name: str) -> tuple[Texts, ...]:
        """What is done to the text of a column with `pii` before its token is made, in order; the same things only once."""
        shape = self.columns[name]
        both = (self.normalize_keys, shape) if name in getattr(self, "keys", ()) and shape.type.name == "string" else (shape,)
        return tuple(Texts(trim=how.trim, case=how.case, unicode=how.unicode) for how in both if how.changes)

    @property
    def protected(self) -> dict[str, object]:
        """What is declared of personal data; empty where nothing is."""
        return {
            name: [shape.pii, shape.key, shape.sealed, [how.model_dump() for how in self.texts(name)]]
            for name, shape in self.columns.items()
            if shape.pii
        }

    @property
    def cleaned(self) -> dict[str, object]:
        """What is declared of these words; empty where nothing is."""
        personal = {"pii", "key", "sealed", "trim", "case", "unicode"}
        columns = {
            name: shape.model_dump(
                mode="json", by_alias=True, exclude_defaults=True, exclude={"type", "description", *(personal if shape.pii else ())}
            )
            for name, shape in self.columns.items()
        }
        given = {
            "columns": {name: words for name, words in columns.items() if words},
            "derive": {name: [made.sql, str(made.type)] for name, made in self.derive.items()},
            "normalize_keys": self.normalize_keys.model_dump(exclude_defaults=True),
        }
        return {word: said for word, said in given.items() if said}

    def twin(self) -> str | None:
        """A name that two columns of silver would have, where there is one; only case apart is one too."""
        names = [self.named(name).lower() for name, shape in self.columns.items() if shape.pii != "drop"] + [
            name.lower() for name in self.derive
        ]
        return next((name for name in names if names.count(name) > 1), None)
