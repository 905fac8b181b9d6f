"""Who feeds whom: the order of tables and models, and what a selection means."""

from __future__ import annotations

import difflib
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from lakehouse.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Graph:
    """Names of tables and models with what each one reads."""

    def __init__(self, parents: Mapping[str, Iterable[str]], tags: Mapping[str, Iterable[str]]) -> None:
        """Keep each node's parents and tags."""
        self.parents = {node: set(above) for node, above in parents.items()}
        self.tags = {node: set(words) for node, words in tags.items()}

    def order(self) -> list[str]:
        """Every node after all that it reads; equal ones in the order of their names.

        Raises:
            CycleError: The nodes form a circle (the catalogue reports it as a fault).
        """
        sorter = TopologicalSorter({node: sorted(above & self.parents.keys()) for node, above in sorted(self.parents.items())})
        return list(sorter.static_order())

    def circle(self) -> list[str]:
        """One circle of nodes, the first one again at its end; empty where there is none."""
        try:
            self.order()
        except CycleError as exc:
            return [str(node) for node in exc.args[1]]
        return []

    def above(self, node: str) -> set[str]:
        """All that `node` needs, directly or not."""
        return self._reach(node, self.parents)

    def below(self, node: str) -> set[str]:
        """All that needs `node`, directly or not."""
        children: dict[str, set[str]] = {}
        for child, above in self.parents.items():
            for parent in above:
                children.setdefault(parent, set()).add(child)
        return self._reach(node, children)

    def _reach(self, node: str, edges: Mapping[str, set[str]]) -> set[str]:
        found: set[str] = set()
        todo = [node]
        while todo:
            new = edges.get(todo.pop(), set()) - found
            found |= new
            todo.extend(new)
        return found

    def select(self, words: Iterable[str]) -> list[str]:
        """The nodes that `users`, `users+`, `+fact_stream` or `tag:x` name, in order; no word selects all.

        Raises:
            UsageError: A word names nothing.
        """
        wanted: set[str] = set()
        given = [part for word in words for part in word.replace(",", " ").split()]
        for word in given:
            name = word.strip("+")
            roots = (
                {node for node, tags in self.tags.items() if name.removeprefix("tag:") in tags}
                if name.startswith("tag:")
                else {name} & self.parents.keys()
            )
            if not roots:
                close = difflib.get_close_matches(name, sorted(self.parents), n=1)
                hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(sorted(self.parents))}."
                raise UsageError(f"--select {word!r} names no table, model or tag", next_step=hint)
            for root in roots:
                wanted |= (
                    {root} | (self.above(root) if word.startswith("+") else set()) | (self.below(root) if word.endswith("+") else set())
                )
        return [node for node in self.order() if node in wanted or not given]
