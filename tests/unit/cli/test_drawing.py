from __future__ import annotations

from xml.etree import ElementTree as ET

from lakehouse.cli.drawing import dot, svg

EDGES = [("source.x.A<b>", "bronze.a", "extract"), ("bronze.a", "silver.a", "silver"), ("source.x.A<b>", "silver.a", 'says "so"')]
NODES = sorted({node for one, other, _ in EDGES for node in (one, other)})
SVG = "{http://www.w3.org/2000/svg}"


def drawn(nodes: list[str], edges: list[tuple[str, str, str]]) -> ET.Element:
    return ET.fromstring(svg(nodes, edges))  # noqa: S314  our own


def test_each_node_stands_to_the_right_of_what_it_comes_from() -> None:
    root = drawn(NODES, EDGES)
    left = {str(text.text): float(text.attrib["x"]) for text in root.iter(f"{SVG}text")}
    assert left["source.x.A<b>"] < left["bronze.a"] < left["silver.a"]
    assert len([path for path in root.iter(f"{SVG}path") if "marker-end" in path.attrib]) == len(EDGES)


def test_no_node_is_drawn_over_another() -> None:
    many = [("source.s.t", f"bronze.t{n}", "extract") for n in range(9)]
    root = drawn(sorted({node for edge in many for node in edge[:2]}), many)
    places = [(box.attrib["x"], box.attrib["y"]) for box in root.iter(f"{SVG}rect") if "rx" in box.attrib]
    assert len(places) == len(set(places)) == 10


def test_graphviz_gets_its_names_quoted() -> None:
    assert '"source.x.A<b>" -> "silver.a" [label="says \\"so\\""];' in dot(NODES, EDGES)


def test_nothing_to_draw_is_an_empty_picture() -> None:
    assert drawn([], []).tag == f"{SVG}svg"
