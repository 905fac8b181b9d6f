"""A graph as a picture: in Graphviz' words, or as an SVG that any browser shows."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Edges = Sequence[tuple[str, str, str]]
    """(from, to, what stands at it)."""

_HIGH, _GAP_DOWN, _GAP_RIGHT, _MARGIN, _SIGN = 30, 18, 90, 20, 7.6
_FILL = {"source": "#e8e8e8", "bronze": "#f0d9c0", "silver": "#e3e8ee", "gold": "#f7e7a6"}
_SWEEPS = 4


def dot(nodes: Iterable[str], edges: Edges) -> str:
    """The graph in Graphviz' words, from left to right."""
    lines = ["digraph lineage {", "  rankdir=LR;", '  node [shape=box, style="filled,rounded", fontname="sans-serif"];']
    lines += [f'  {_quoted(node)} [fillcolor="{_fill(node)}"];' for node in nodes]
    lines += [f"  {_quoted(one)} -> {_quoted(other)} [label={_quoted(told)}];" for one, other, told in edges]
    return "\n".join([*lines, "}"]) + "\n"


def svg(nodes: Iterable[str], edges: Edges) -> str:
    """The graph as a picture, from left to right: each node to the right of all that it comes from."""
    columns = _columns(list(nodes), edges)
    wide = [max((_SIGN * len(node) + 20 for node in column), default=0.0) for column in columns]
    left = [_MARGIN + sum(wide[:at]) + _GAP_RIGHT * at for at in range(len(columns))]
    place = {node: (left[at], _MARGIN + row * (_HIGH + _GAP_DOWN)) for at, column in enumerate(columns) for row, node in enumerate(column)}
    size = {node: wide[at] for at, column in enumerate(columns) for node in column}
    width = int(left[-1] + wide[-1] + _MARGIN) if columns else 2 * _MARGIN
    height = 2 * _MARGIN + max((len(column) for column in columns), default=0) * (_HIGH + _GAP_DOWN)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="13">',
        '<defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">',
        '<path d="M0,0 L8,4 L0,8 z" fill="#777"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for one, other, told in edges:
        x, y = place[one][0] + size[one], place[one][1] + _HIGH / 2
        end, down = place[other][0], place[other][1] + _HIGH / 2
        bend = (end - x) / 2
        lines.append(
            f'<path d="M{x:.0f},{y:.0f} C{x + bend:.0f},{y:.0f} {end - bend:.0f},{down:.0f} {end:.0f},{down:.0f}" fill="none" '
            f'stroke="#777" marker-end="url(#end)"><title>{escape(f"{one} to {other}: {told}")}</title></path>'
        )
    for node, (x, y) in place.items():
        lines.append(f'<rect x="{x:.0f}" y="{y:.0f}" width="{size[node]:.0f}" height="{_HIGH}" rx="5" fill="{_fill(node)}" stroke="#999"/>')
        lines.append(f'<text x="{x + size[node] / 2:.0f}" y="{y + _HIGH / 2 + 4:.0f}" text-anchor="middle">{escape(node)}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def _columns(nodes: list[str], edges: Edges) -> list[list[str]]:
    """The nodes by how long the longest way to each is; in a column near those that they come from."""
    above: dict[str, list[str]] = {node: [] for node in nodes}
    for one, other, _ in edges:
        above[other].append(one)
    depth: dict[str, int] = {}

    def deep(node: str) -> int:
        if node not in depth:
            depth[node] = 1 + max((deep(one) for one in above[node]), default=-1)
        return depth[node]

    columns: list[list[str]] = [[] for _ in range(1 + max((deep(node) for node in nodes), default=-1))]
    for node in sorted(nodes):
        columns[depth[node]].append(node)
    below: dict[str, list[str]] = {node: [] for node in nodes}
    for one, other, _ in edges:
        below[one].append(other)
    for sweep in range(_SWEEPS):
        rows = {node: row / max(len(column), 1) for column in columns for row, node in enumerate(column)}
        for column in columns:
            column.sort(key=lambda node: _mean(rows, (below if sweep % 2 else above)[node], rows[node]))
    return columns


def _mean(rows: Mapping[str, float], near: Sequence[str], own: float) -> float:
    return sum(rows[node] for node in near) / len(near) if near else own


def _fill(node: str) -> str:
    return _FILL.get(node.partition(".")[0], "#fff")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
