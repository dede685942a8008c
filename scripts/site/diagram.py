"""An entity diagram as inline SVG: tables in columns, those that are pointed at on the left."""

from __future__ import annotations

import dataclasses
import itertools
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

LETTER, PADDING, HEIGHT = 7.3, 12, 26
GAP_X, GAP_Y = 80, 10


@dataclasses.dataclass
class _Box:
    name: str
    x: float = 0
    y: float = 0
    width: float = 0


def diagram(references: Mapping[str, Mapping[str, str]], address: Callable[[str], str]) -> str:
    """Return the diagram of tables and what they point at; empty where none does.

    Args:
        references: Table -> column -> `table.column` that it points at.
        address: Takes the name of a table; returns where it is described.
    """
    edges: dict[tuple[str, str], list[str]] = {}
    for table, columns in references.items():
        for column, target in columns.items():
            edges.setdefault((table, target.rpartition(".")[0]), []).append(column)
    if not edges:
        return ""
    boxes, ways, width, height = _placed(edges)
    parts = [_line(boxes, ways[edge], columns) for edge, columns in sorted(edges.items())]
    loops = {source for source, target in edges if source == target}
    tables = {name for edge in edges for name in edge}
    parts += [_box(boxes[name], address(name), name in loops) for name in sorted(tables)]
    return (
        f'<div class="diagram"><svg viewBox="0 0 {width:.0f} {height:.0f}" '
        f'style="min-width:{min(width, 1400) * 0.62:.0f}px;max-width:{width:.0f}px" role="img" '
        f'aria-label="Entity diagram">{"".join(parts)}</svg></div>'
    )


def _placed(
    edges: Collection[tuple[str, str]],
) -> tuple[dict[str, _Box], dict[tuple[str, str], list[str]], float, float]:
    """Return where each table is, the way of each line, and the size of it all.

    A line that passes a column of tables has a place of its own there, which is a box without a
    table, so that it runs behind none.
    """
    targets: dict[str, set[str]] = {}
    for source, target in edges:
        targets.setdefault(source, set()).add(target)
        targets.setdefault(target, set())
    depths = {name: _depth(name, targets, ()) for name in sorted(targets)}
    layers: dict[int, list[str]] = {}
    for name, depth in depths.items():
        layers.setdefault(depth, []).append(name)
    ways: dict[tuple[str, str], list[str]] = {}
    ahead: dict[str, set[str]] = {}
    for source, target in sorted(edges):
        passed = range(depths[source] - 1, depths[target], -1)
        places = {depth: f"{source}>{target}>{depth}" for depth in passed}
        for depth, place in places.items():
            layers[depth].append(place)
        ways[source, target] = [source, *places.values(), target]
        for name, following in itertools.pairwise(ways[source, target]):
            ahead.setdefault(name, set()).add(following)
    boxes: dict[str, _Box] = {}
    x, tallest = 1.0, max(map(len, layers.values())) * (HEIGHT + GAP_Y)
    for _, names in sorted(layers.items()):
        ordered = sorted(names, key=lambda name: (_middle(boxes, ahead.get(name, set())), name))
        width = max(len(name) + 2 for name in names if name in targets) * LETTER + PADDING
        step = tallest / len(ordered)
        for place, name in enumerate(ordered):
            boxes[name] = _Box(name, x, place * step + (step - HEIGHT) / 2, width)
        x += width + GAP_X
    return boxes, ways, x - GAP_X + 1, tallest


def _depth(name: str, targets: Mapping[str, set[str]], above: tuple[str, ...]) -> int:
    """Return how many steps a table is from one that points at nothing; circles are cut."""
    steps = targets[name] - {name, *above}
    return max((1 + _depth(target, targets, (*above, name)) for target in steps), default=0)


def _middle(boxes: Mapping[str, _Box], names: Collection[str]) -> float:
    known = [boxes[name].y for name in names if name in boxes]
    return sum(known) / len(known) if known else 0


def _line(boxes: Mapping[str, _Box], way: list[str], columns: list[str]) -> str:
    source, target = way[0], way[-1]
    if source == target:
        return ""
    x, y = boxes[source].x, boxes[source].y + HEIGHT / 2
    path = f"M{x:.0f} {y:.0f}"
    for name in way[1:]:
        box = boxes[name]
        right, middle = box.x + box.width, box.y + HEIGHT / 2
        half = max((x - right) / 2, GAP_X / 2)
        path += f"C{x - half:.0f} {y:.0f} {right + half:.0f} {middle:.0f} {right:.0f} {middle:.0f}"
        if name != target:
            path += f"H{box.x:.0f}"
        x, y = box.x, middle
    return (
        f'<path d="{path}"><title>{escape(source)} ({escape(", ".join(columns))}) → '
        f"{escape(target)}</title></path>"
    )


def _box(box: _Box, address: str, loops: bool) -> str:  # noqa: FBT001
    shown = f"{box.name} ↺" if loops else box.name
    return (
        f'<a href="{escape(address)}"><rect x="{box.x:.0f}" y="{box.y:.0f}" '
        f'width="{box.width:.0f}" height="{HEIGHT}" rx="4"/>'
        f'<text x="{box.x + PADDING / 2 + 2:.0f}" y="{box.y + 17.5:.0f}">{escape(shown)}</text></a>'
    )
