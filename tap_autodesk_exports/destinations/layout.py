"""How a stream looks in a destination: the names, types and key of its columns."""

from __future__ import annotations

import dataclasses
import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from tap_autodesk_exports.tables.numbers import DECIMAL, ParquetNumbers
from tap_autodesk_exports.tables.spelling import snake_case

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from tap_autodesk_exports.tables.types import Type


@dataclasses.dataclass(frozen=True)
class Layout:
    """A stream's table.

    Attributes:
        stream: Name of the stream, and of its table.
        columns: Name of a column in the catalog -> its type, in order.
        names: Name of a column in the catalog -> its name in the destination.
        key: The key, by the names in the destination.
        lists: Columns, by their names in the catalog, whose text is a JSON array.
        numbers: How numbers are stored where the destination's own numbers have limits.
    """

    stream: str
    columns: Mapping[str, Type]
    names: Mapping[str, str]
    key: tuple[str, ...]
    lists: frozenset[str] = frozenset()
    numbers: ParquetNumbers = DECIMAL

    @property
    def types(self) -> dict[str, Type]:
        """Name of a column in the destination -> its type."""
        return {self.names[name]: type_ for name, type_ in self.columns.items()}


def in_snake_case(name: str) -> str:
    """Return a name in lower snake_case; underscores in front stay, as in `_row_id`."""
    return f"{'_' * (len(name) - len(name.lstrip('_')))}{snake_case(name)}" if name else name


STYLES: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {"catalog": str, "snake_case": in_snake_case}
)
"""How columns are named: as in the catalog, or in lower snake_case."""


def column_names(
    columns: Iterable[str],
    style: Callable[[str], str],
    *,
    longest: int,
    before: Mapping[str, str],
    existing: Collection[str] = (),
) -> dict[str, str]:
    """Return the name in the destination of each column: no two differ only in their case.

    A column keeps its name for ever, whatever columns come later.

    Args:
        columns: Names in the catalog.
        style: What is made of a name.
        longest: Bytes that a name may have.
        before: Names that earlier runs gave, where they are not the columns' own in every style.
        existing: Names that the destination's table has.
    """
    found = {name: before[name] for name in columns if name in before}
    taken = {name.casefold() for name in before.values()}

    def order(name: str) -> tuple[bool, bool]:
        wanted = style(name)
        return wanted not in existing, wanted != name

    for name in sorted((name for name in columns if name not in before), key=order):
        found[name] = _free(style(name) or name, longest, taken)
        taken.add(found[name].casefold())
    return {name: found[name] for name in columns}


def _free(wanted: str, longest: int, taken: Collection[str]) -> str:
    """Return a name that is not taken: the wanted one, cut to its room, or with a number."""
    number = 1
    while True:
        suffix = "" if number == 1 else f"_{number}"
        room = longest - len(suffix)
        name = wanted.encode()[:room].decode(errors="ignore") + suffix
        if name.casefold() not in taken:
            return name
        number += 1


def literal(text: str) -> str:
    """Write a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Write a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


_UNSAFE = re.compile(r"[^A-Za-z0-9_.#-]+")


def file_name(stream: str) -> str:
    """Return a stream's name as the name of a folder."""
    return _UNSAFE.sub("_", stream)
