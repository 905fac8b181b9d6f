"""One YAML file as plain data with the line of every key; anchors, tags and duplicate keys are refused."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from lakehouse.errors import Fault
from lakehouse.model.words import Misfit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

M = TypeVar("M", bound=BaseModel)
MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
_INTEGER = re.compile(r"^[-+]?[0-9]{1,19}$")
_FLOAT = re.compile(r"^[-+]?([0-9]{1,19}\.[0-9]{0,19}|\.[0-9]{1,19}|[0-9]{1,19}(?=[eE]))([eE][-+]?[0-9]{1,2})?$")
_WORDS: Mapping[str, object] = {"": None, "~": None, "null": None, "true": True, "false": False}
_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Document:
    """A file's data, the lines of its keys, and what was wrong with reading it."""

    file: str
    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[tuple[str, ...], int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def fault(self, key: tuple[str, ...], what: str, hint: str = "") -> None:
        """Note a fault at `key`, or at the nearest key above it that the file has."""
        at = key
        while at and at not in self.lines:
            at = at[:-1]
        self.faults.append(Fault(self.file, self.lines.get(at, 1), ".".join(key), what, hint))


def read(path: Path, project: Path) -> Document:
    """The file's data with lines; never raises for what stands in it, the faults say so."""
    document = Document(path.relative_to(project).as_posix())
    text = read_text(path, project, document)
    if text is None:
        return document
    try:
        node = yaml.compose(text, Loader=_LOADER) if _plain(text, document) else None
    except (yaml.YAMLError, RecursionError) as exc:
        mark = getattr(exc, "problem_mark", None)
        what = getattr(exc, "problem", None) or "it is nested too deeply"
        document.faults.append(Fault(document.file, mark.line + 1 if mark else 1, "", f"no YAML: {what}"))
    else:
        if isinstance(node, yaml.MappingNode):
            document.data = _build(node, (), document)
        elif not document.faults:
            document.fault((), "the file is empty or no mapping of keys to values")
    return document


def read_text(path: Path, project: Path, document: Document) -> str | None:
    """The text of a file of the project, or None after a fault was noted."""
    try:
        if not path.resolve().is_relative_to(project.resolve()):
            document.fault((), "the file is a link that leaves the project")
        elif not path.is_file():
            document.fault((), "expected a file, given a folder or a link that leads nowhere")
        elif path.stat().st_size > MAX_BYTES:
            document.fault((), f"the file has {path.stat().st_size} bytes; allowed: {MAX_BYTES}")
        else:
            return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        document.fault((), f"the file is not UTF-8 text (byte {exc.start})")
    except (OSError, RuntimeError) as exc:  # a link that leads to itself is a RuntimeError
        document.fault((), f"the file cannot be read: {getattr(exc, 'strerror', None) or exc}")
    return None


def _plain(text: str, document: Document) -> bool:
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            document.faults.append(Fault(document.file, line, "", "anchors and aliases are not allowed"))
            return False
        if tag := getattr(event, "tag", None):
            document.faults.append(Fault(document.file, line, "", f"tags are not allowed; given {tag!r}"))
            return False
        if depth > MAX_DEPTH:
            document.faults.append(Fault(document.file, line, "", f"nested deeper than {MAX_DEPTH} levels"))
            return False
    return True


def _build(node: yaml.Node, path: tuple[str, ...], document: Document) -> Any:  # noqa: ANN401  YAML is any plain data
    document.lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                document.fault(path, "a key must be a plain word")
                continue
            key = key_node.value
            document.lines[(*path, key)] = key_node.start_mark.line + 1
            if key in found:
                document.fault((*path, key), "the key stands twice")
                continue
            found[key] = _build(value_node, (*path, key), document)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, (*path, str(i)), document) for i, item in enumerate(node.value)]
    return _scalar(node.value) if isinstance(node, yaml.ScalarNode) and not node.style else node.value


def _scalar(text: str) -> object:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.match(text):
        return int(text)
    return float(text) if _FLOAT.match(text) else text


def check(document: Document, model: type[M], given: dict[str, Any]) -> M | None:
    """The document's data as `model`, with `given` added; None after faults were noted."""
    for taken in given.keys() & document.data.keys():
        document.fault((taken,), "the key is not allowed here: the file's place gives it")
    if document.faults:
        return None
    try:
        return model.model_validate({**document.data, **given})
    except ValidationError as exc:
        told: dict[tuple[str, ...], list[tuple[str, str]]] = {}
        for key, error in _meant(exc.errors(include_url=False), document):
            cause = error.get("ctx", {}).get("error")
            place = (*key, *cause.key) if isinstance(cause, Misfit) else key
            told.setdefault(place, []).append(_sentence(error, model, key, document))
        for place, sentences in told.items():
            first, *others = dict.fromkeys(what for what, _ in sentences)
            what = ", or ".join((first, *(other.removeprefix("Input should be ") for other in others)))
            document.fault(place, what, next((hint for _, hint in sentences if hint), ""))
    return None


def _meant(errors: Iterable[Any], document: Document) -> list[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """The errors by the file's own keys.

    Where a value may have one of several shapes, pydantic tries each, and names it between the keys: those of the shape count
    that was read furthest.
    """
    placed = []
    furthest: dict[tuple[str, ...], dict[str, int]] = {}
    for error in errors:
        parts, own, point, shape = [str(part) for part in error["loc"]], tuple[str, ...](), tuple[str, ...](), ""
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            if (*own, part) in document.lines or (last and error["type"] == "missing"):
                own = (*own, part)
            elif not shape and own:
                point, shape = own, part
        own = own or tuple(parts)
        if shape:
            depths = furthest.setdefault(point, {})
            depths[shape] = max(depths.get(shape, 0), len(own))
        placed.append((own, point, shape, error))
    return [(own, error) for own, point, shape, error in placed if not shape or furthest[point][shape] == max(furthest[point].values())]


def _sentence(error: Mapping[str, Any], model: type[BaseModel], key: tuple[str, ...], document: Document) -> tuple[str, str]:
    if error["type"] == "extra_forbidden":
        allowed = _allowed(model, key)
        close = difflib.get_close_matches(key[-1], allowed, n=1)
        return f"unknown key {key[-1]!r}; allowed: {', '.join(allowed)}", f"did you mean {close[0]!r}?" if close else ""
    if error["type"] == "missing":
        return "the key is missing", ""
    given = error.get("input")
    shown = "" if isinstance(given, dict | list) or key not in document.lines else f"; given {str(given)[:80]!r}"
    what = str(error["msg"]).removeprefix("Value error, ")
    return what + ("" if error["type"] == "value_error" else shown), ""


def _allowed(model: type[BaseModel], key: tuple[str, ...]) -> list[str]:
    at: Any = model.model_json_schema(by_alias=True)
    definitions = at.get("$defs", {})
    for part in key[:-1]:
        inner = at.get("items") if part.isdecimal() else next(iter(at.get("patternProperties", {}).values()), None)
        at = at.get("properties", {}).get(part) or inner or at
        for option in (at, *at.get("anyOf", [])):
            if "$ref" in option:
                at = definitions[option["$ref"].rsplit("/", 1)[-1]]
    return sorted(set(at.get("properties", {})) - {"name", "source"} if at.get("title") in ("Table", "Model") else at.get("properties", {}))
