"""What a picture is: its question, its charts, and the table that says the same in words."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import altair as alt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tap_autodesk_exports.report_page.warehouse import Marts, Row, Value

    Chart = Any

# Each of them has a contrast of at least 3 to white and to the page's dark background.
BLUE, ORANGE, RED, GREEN, PURPLE, GREY = (
    "#3d7fd6", "#cf7424", "#d6504a", "#2b9a72", "#8f6ed5", "#8592a3",
)  # fmt: skip
CATEGORIES = (
    BLUE, ORANGE, GREEN, PURPLE, RED, "#2e98ab", "#b8860b", "#c65b9b", GREY,
)  # fmt: skip
MOST_CATEGORIES = len(CATEGORIES) - 1
MOST_ROWS = 100
"""Rows of a table that the page shows; it says how many there are."""
LABEL_WIDTH = 28


@dataclasses.dataclass(frozen=True)
class Panel:
    """One chart, with a title where a picture has several."""

    spec: dict[str, Any]
    title: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows in words, under their headings.

    Attributes:
        left_out: How many rows more there are.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]
    left_out: int = 0


@dataclasses.dataclass(frozen=True)
class Picture:
    """What one mart answers."""

    text: str
    panels: Sequence[Panel]
    table: Table


@dataclasses.dataclass(frozen=True)
class Question:
    """A question, the mart that answers it, and the streams that the mart needs.

    Attributes:
        draw: Makes the picture; None where the mart has no rows to show.
        wide: Whether the picture takes the page's whole width.
    """

    mart: str
    title: str
    streams: Sequence[str]
    draw: Callable[[Marts], Picture | None]
    wide: bool = False


def chart(rows: Sequence[Row]) -> Chart:
    """Begin a chart of some rows."""
    return alt.Chart(alt.InlineData(values=list(rows)))


def panel(made: Chart, height: int | None = 240, title: str = "") -> Panel:
    """Finish a chart: as wide as the page lets it be."""
    made = made.properties(width="container")
    if height is not None:
        made = made.properties(height=height)
    return Panel(made.to_dict(), title)


def bar_height(names: Sequence[Value]) -> int:
    """Return the height in pixels of a chart with a horizontal bar for each of these names."""
    most = max(str(name).count("\n") + 1 for name in names)
    return max(34, 13 * most + 6) * max(len(names), 2)


def table(headings: dict[str, str], rows: Sequence[Row], most: int = MOST_ROWS) -> Table:
    """Return the table of some rows; `headings` maps a column to its heading."""
    shown = [[row[name] for name in headings] for row in rows[:most]]
    return Table(list(headings.values()), shown, max(0, len(rows) - most))


def lines(text: Value, width: int = LABEL_WIDTH) -> str:
    """Break a name into lines, so that an axis shows all of it."""
    done: list[str] = []
    line = ""
    for word in str(text).split():
        if line and len(line) + len(word) + 1 > width:
            done.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return "\n".join([*done, line])


def largest(rows: Sequence[Row], name: str, amount: str, most: int) -> list[Value]:
    """Return the values of column `name` with the largest sums of `amount`, largest first."""
    sums: dict[Value, float] = {}
    for row in rows:
        sums[row[name]] = sums.get(row[name], 0) + number(row[amount])
    return sorted(sums, key=lambda value: (-sums[value], str(value)))[:most]


def number(value: Value) -> float:
    """Return a number; 0 for null."""
    return float(value or 0)


def colours(names: Sequence[str], palette: Sequence[str] = CATEGORIES) -> alt.Scale:
    """Return the scale that gives each name its colour."""
    return alt.Scale(domain=list(names), range=list(palette)[: len(names)])


def legend() -> alt.Legend:
    """Return a legend above the chart, which has room on a telephone."""
    return alt.Legend(orient="top", title=None, columns=4, labelLimit=0, symbolType="square")


def day_axis(title: str | None = None) -> alt.Axis:
    """Return an axis of days."""
    return alt.Axis(
        title=title,
        format="%b %Y",
        labelOverlap="greedy",
        labelSeparation=8,
        labelFlush=True,
        tickCount=6,
    )


def count_axis() -> alt.Axis:
    """Return an axis of whole numbers."""
    return alt.Axis(format=",d", tickMinStep=1, tickCount=8)


DAYS = alt.Scale(type="utc")
"""Days are days everywhere: in the reader's own time zone they would slip."""
