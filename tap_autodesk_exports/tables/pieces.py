"""SQL of a text that is put together in every row from SQL and from constants."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from tap_autodesk_exports.tables.cells import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Constant(str):
    """A piece of a text that is the same in every row."""

    __slots__ = ()


Piece = str | Constant
"""A piece of a text: SQL, or the text itself."""


def array(values: Iterable[Sequence[Piece]]) -> list[Piece]:
    """Return the pieces of a JSON array."""
    return [Constant("["), *joined(values), Constant("]")]


def joined(values: Iterable[Sequence[Piece]]) -> list[Piece]:
    """Return the pieces of all values, with commas between the values."""
    pieces: list[Piece] = []
    for value in values:
        pieces += [Constant(","), *value] if pieces else value
    return pieces


def concat(pieces: Iterable[Piece]) -> str:
    """Return SQL of the whole text. Adjacent constants are merged, as each costs in every row."""
    sql: list[str] = []
    for are_constant, group in itertools.groupby(pieces, lambda piece: isinstance(piece, Constant)):
        neighbours = list(group)
        sql += [quoted("".join(neighbours))] if are_constant else neighbours
    return f"concat({', '.join(sql)})"
