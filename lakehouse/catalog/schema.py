"""The JSON Schemas of the metadata files, generated from the models; editors check by them while people type."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from lakehouse.model.case import Cases
from lakehouse.model.star import Model
from lakehouse.model.table import Source, Table

SCHEMAS: dict[str, type[BaseModel]] = {"source": Source, "table": Table, "model": Model, "test": Cases}
_FROM_PLACE = {"table": ("name", "source"), "model": ("name",), "source": (), "test": ()}
_SYNONYMS = {"table": {"cdc_col": "cursor", "from_date": "start_at"}}


def schema_text(kind: str) -> str:
    """The JSON Schema of one kind of file, as it stands in `metadata/schema/<kind>.json`."""
    schema: dict[str, Any] = SCHEMAS[kind].model_json_schema(by_alias=True)
    for name in _FROM_PLACE[kind]:
        schema["properties"].pop(name)
        schema["required"].remove(name)
    for synonym, name in _SYNONYMS.get(kind, {}).items():
        schema["properties"][synonym] = schema["properties"][name]
    for holder in (schema, *schema.get("$defs", {}).values()):
        for shape in holder.get("properties", {}).values():
            _accept_short_forms(shape)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def _accept_short_forms(shape: dict[str, Any]) -> None:
    """Let the schema take what the models take: one word for a list, a type's name for a column, nothing for a measure."""
    if shape.get("type") == "array" and shape.get("items", {}).get("type") == "string":
        items = dict(shape)
        shape.clear()
        shape.update({"anyOf": [items, items["items"]], **({"default": items.pop("default")} if "default" in items else {})})
    if shape.get("$ref", "").endswith("/Deletes"):
        shape["anyOf"] = [{"$ref": shape.pop("$ref")}, {"enum": ["none", "column", "sweep", "tracking"]}]
    if shape.get("$ref", "").endswith("/Contract"):
        shape["anyOf"] = [{"$ref": shape.pop("$ref")}, {"enum": ["evolve", "freeze", "rescue", "discard"]}]
    if shape.get("$ref", "").endswith("/Track"):
        shape["anyOf"] = [{"$ref": shape.pop("$ref")}, {"type": "string"}, {"type": "array", "items": {"type": "string"}}]
    for pattern, inner in shape.get("patternProperties", {}).items():
        if inner.get("$ref", "").endswith("/Column"):
            shape["patternProperties"][pattern] = {"anyOf": [inner, {"type": "string"}]}
        if inner.get("$ref", "").endswith("/Measure"):
            shape["patternProperties"][pattern] = {"anyOf": [inner, {"type": "null"}]}
