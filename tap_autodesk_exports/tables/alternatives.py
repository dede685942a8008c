"""A part of a key that may be one of several columns: in each row, the first with a value counts.

A person is known by a hashed ID, or else by an Autodesk ID, or else by an address. What Autodesk
masks (`*****`) is no value, and the case of an address does not count.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from tap_autodesk_exports.tables.cells import quoted
from tap_autodesk_exports.tables.hashing import MASK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_autodesk_exports.tables.layout import HeaderMatch, TableSchema


NOTHING = "nothing"
"""Stands for the columns where none has a value."""


class Alternatives:
    """SQL of such a part, over the cells of a row.

    Args:
        names: Names of the columns, in the order in which they are tried.
        schema: Says which of them are hashed.
        match: Which cell belongs to which column.
    """

    def __init__(self, names: Sequence[str], schema: TableSchema, match: HeaderMatch) -> None:
        found = [(name, match.known[name]) for name in names if name in match.known]
        self.names = [name for name, _ in found]
        self._values = [_value(cell) for _, cell in found]
        self._hashed = [schema.is_hashed(name) for name, _ in found]

    @property
    def is_hashed(self) -> bool:
        """Whether any of the columns is hashed."""
        return any(self._hashed)

    def text(self) -> str:
        """Return SQL of the value that counts; NULL where there is none."""
        return f"coalesce({', '.join(self._values)})" if self._values else "NULL::VARCHAR"

    def json(self) -> str:
        """Return SQL of that value as JSON."""
        return f"coalesce(to_json({self.text()})::VARCHAR, 'null')"

    def is_of_hashed(self) -> str:
        """Return SQL that tells whether the value that counts is one that must not be shown."""
        cases = [
            f"WHEN {value} IS NOT NULL THEN {str(hashed).lower()}"
            for value, hashed in zip(self._values, self._hashed, strict=True)
        ]
        return f"CASE {' '.join(cases)} ELSE false END" if cases else "false"

    def uses(self) -> dict[str, str]:
        """Return name -> SQL that tells whether its value counts; NOTHING where there is none."""
        earlier: list[str] = []
        found = {}
        for name, value in zip(self.names, self._values, strict=True):
            found[name] = " AND ".join([*earlier, f"{value} IS NOT NULL"])
            earlier.append(f"{value} IS NULL")
        return {**found, NOTHING: " AND ".join(earlier) or "true"}


def _value(cell: str) -> str:
    """SQL of a cell's text; NULL where it has none that tells one row from another."""
    text = f"trim({cell})"
    small = f"translate({text}, '{string.ascii_uppercase}', '{string.ascii_lowercase}')"
    return (
        f"CASE WHEN {text} IN ('', {quoted(MASK)}) THEN NULL"
        f" WHEN contains({cell}, '@') THEN {small} ELSE {text} END"
    )
