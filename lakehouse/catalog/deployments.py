"""Checks `prefect.yaml` against its own words and against the flows that it names; Prefect itself would drop what it does not know."""

from __future__ import annotations

import ast
import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakehouse.catalog.document import Document, check, read, read_text
from lakehouse.model.deployment import Deployments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from lakehouse.errors import Fault

FILE = "prefect.yaml"
_ENTRYPOINT = re.compile(r"^([A-Za-z0-9_./-]+\.py):(\w+)$")
_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}")
_KNOWN = re.compile(r"^\s*(\$[A-Za-z_][A-Za-z0-9_]*|prefect\.(variables|blocks)\.[A-Za-z0-9_.\-\[\]]+|ctx\.[A-Za-z0-9_.]+)\s*$")
_BLOCK = re.compile(r"^\s*\{\{\s*prefect\.blocks\.[^}]*\}\}\s*$")
_SECRET = re.compile(
    r"password|passwd|secret|token|credential|(api|access|account|private)key|(^|_)(key|sas)$|^lakehouse_connection__", re.IGNORECASE
)
_URL_PASSWORD = re.compile(r"://[^/\s@:]*:[^/\s@]+@")
_MACHINE_PATH = re.compile(r"(^|[\s\"'=:])(/[A-Za-z0-9_.]|~/|[A-Za-z]:[\\/]|file:/)")

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Flow:
    """The parameters of a flow's function; None for those without end."""

    names: tuple[str, ...]
    required: tuple[str, ...]
    takes_all: bool


def check_deployments(project: Path) -> list[Fault]:
    """Every fault of the project's `prefect.yaml`; none where there is no such file."""
    path = project / FILE
    if not path.exists() and not path.is_symlink():
        return []
    document = read(path, project)
    if document.faults:
        return document.faults
    check(document, Deployments, {})
    _check_texts(document)
    _check_unique(document, "name", _mappings(document.data.get("deployments"), ("deployments",)))
    for key, deployment in _mappings(document.data.get("deployments"), ("deployments",)):
        if not (deployment["pull"] if "pull" in deployment else document.data.get("pull")):
            document.fault(
                (*key, "pull"), "no `pull` step: a worker would look for the flow in an empty folder", "use set_working_directory"
            )
        _check_flow(document, project, key, deployment)
    return document.faults


def _mappings(given: object, key: Key) -> Iterator[tuple[Key, dict[str, Any]]]:
    for number, item in enumerate(given if isinstance(given, list) else []):
        if isinstance(item, dict):
            yield (*key, str(number)), item


def _check_unique(document: Document, name: str, items: Iterable[tuple[Key, dict[str, Any]]]) -> None:
    """No two of them have one name: the second would replace the first."""
    seen: dict[str, Key] = {}
    for key, item in items:
        given = item.get(name)
        if isinstance(given, str) and given in seen:
            document.fault((*key, name), f"the {name} {given!r} is taken by {'.'.join(seen[given])}")
        elif isinstance(given, str):
            seen[given] = key


def _check_flow(document: Document, project: Path, key: Key, deployment: dict[str, Any]) -> None:
    """The entrypoint is a flow, and the parameters are its own."""
    entrypoint = deployment.get("entrypoint")
    match = _ENTRYPOINT.match(entrypoint) if isinstance(entrypoint, str) else None
    if match is None:
        return  # the model has said so
    flow = _read_flow(document, project, (*key, "entrypoint"), match[1], match[2])
    if flow is None:
        return
    given = deployment.get("parameters")
    own = _check_parameters(document, (*key, "parameters"), flow, given)
    _check_unique(document, "slug", _mappings(deployment.get("schedules"), (*key, "schedules")))
    for place, schedule in _mappings(deployment.get("schedules"), (*key, "schedules")):
        named = own | _check_parameters(document, (*place, "parameters"), flow, schedule.get("parameters"))
        if missing := [name for name in flow.required if name not in named]:
            document.fault((*place, "parameters"), f"each scheduled run would fail: no value for {', '.join(missing)}")


def _check_parameters(document: Document, key: Key, flow: _Flow, given: object) -> set[str]:
    names = set(given) if isinstance(given, dict) else set()
    for name in sorted(names - set(flow.names)) if not flow.takes_all else ():
        close = difflib.get_close_matches(name, flow.names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else ""
        document.fault((*key, name), f"unknown parameter {name!r}; the flow's own: {', '.join(flow.names)}", hint)
    return names


def _read_flow(document: Document, project: Path, key: Key, file: str, function: str) -> _Flow | None:
    """The flow's parameters, read without running its file; None after a fault was noted."""
    path = project / file
    if not path.is_file():
        there = sorted(other.relative_to(project).as_posix() for other in path.parent.glob("*.py")) if path.is_relative_to(project) else []
        close = difflib.get_close_matches(file, there, n=1)
        document.fault(key, f"there is no file {file!r} in the project", f"did you mean {close[0]!r}?" if close else "")
        return None
    reading = Document(file)
    text = read_text(path, project, reading)
    if text is None:
        document.fault(key, f"{file}: {reading.faults[0].what}")
        return None
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError) as exc:
        document.fault(key, f"{file} is no Python: {exc}")
        return None
    functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    flows = sorted(name for name, node in functions.items() if _is_flow(node))
    if function not in flows:
        close = difflib.get_close_matches(function, flows, n=1)
        what = f"{function!r} in {file} is no flow" if function in functions else f"{file} has no function {function!r}"
        document.fault(key, what, f"did you mean {file}:{close[0]}?" if close else f"its flows: {', '.join(flows) or 'none'}")
        return None
    given = functions[function].args
    positional = [*given.posonlyargs, *given.args]
    required = positional[: len(positional) - len(given.defaults)]
    required += [name for name, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if default is None]
    names = (*positional, *given.kwonlyargs)
    return _Flow(tuple(name.arg for name in names), tuple(name.arg for name in required), given.kwarg is not None)


def _is_flow(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    marks = [mark.func if isinstance(mark, ast.Call) else mark for mark in node.decorator_list]
    return any(
        (mark.id if isinstance(mark, ast.Name) else mark.attr if isinstance(mark, ast.Attribute) else "") == "flow" for mark in marks
    )


def _check_texts(document: Document) -> None:
    """No secret, no path of one machine, and no placeholder that Prefect would leave empty."""
    for key, text in _texts(document.data, ()):
        if _URL_PASSWORD.search(text):
            document.fault(key, "a URL with a password; Prefect's database would hold it", "set it in the worker's environment")
        elif _SECRET.search(key[-1]) and not (key[0] != "deployments" and _BLOCK.match(text)):
            document.fault(key, f"a secret would be stored as {key[-1]!r} in Prefect's database", "set it in the worker's environment")
        elif key[-1] != "description" and _MACHINE_PATH.search(text):
            document.fault(key, f"a path of one machine; given {text[:80]!r}", "name a variable: {{ $LAKEHOUSE_PROJECT }}")
        for name in _PLACEHOLDER.findall(text):
            if not _KNOWN.match(name):
                allowed = "{{ $VARIABLE }}, {{ prefect.variables.x }}, {{ prefect.blocks.x.y }}"
                document.fault(key, f"Prefect does not know {{{{{name}}}}}, and would leave it out; allowed: {allowed}")


def _texts(given: object, key: Key) -> Iterator[tuple[Key, str]]:
    if isinstance(given, dict):
        for name, value in given.items():
            yield from _texts(value, (*key, str(name)))
    elif isinstance(given, list):
        for number, value in enumerate(given):
            yield from _texts(value, (*key, str(number)))
    elif isinstance(given, str) and key:
        yield key, given
