"""The SQL of one column of a file, in each form that a query needs.

A query has three levels, and each names its columns by a letter and the cell:

| level     | name | holds                                                                       |
|-----------|------|-----------------------------------------------------------------------------|
| source    | c0   | the raw text of the first cell, then c1, c2, …; NULL for a null cell        |
| source    | p_c0 | a date or timestamp as DuckDB has parsed it, where that is known to suffice |
| innermost | v_c0 | the canonical text of an irregular cell, NULL where it does not fit         |
| middle    | j_c0 | the value as JSON, or the text between the quotes of one                    |
| middle    | k_c0 | what counts in `_row_id` as JSON, where that is not the value               |
| middle    | h_c0 | the hash in place of the value: JSON in a record, text in a Parquet column  |
| middle    | t_c0 | what `stored` makes the value in its own SQL type of, for Parquet           |

The outer level joins them to a record or a row. What it uses more than once is computed once, in
the middle.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tap_autodesk_exports.tables import long_cells
from tap_autodesk_exports.tables.cells import (
    expanded,
    in_json,
    is_exact,
    quoted,
    typed,
    typed_regular,
)
from tap_autodesk_exports.tables.cells import value as typed_value
from tap_autodesk_exports.tables.long_cells import MARK, NAME_LENGTH
from tap_autodesk_exports.tables.pieces import Constant
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tap_autodesk_exports.tables.layout import HeaderMatch, TableSchema
    from tap_autodesk_exports.tables.pieces import Piece
    from tap_autodesk_exports.tables.reading import Scan


def inexact(name: str) -> str:
    """Return the text of the error at a number that cannot be stored without a change."""
    return f"not exact: {name}"


class ColumnSql:
    """SQL of the columns of one file, by name."""

    def __init__(
        self,
        schema: TableSchema,
        match: HeaderMatch,
        scan: Scan,
        constants: Mapping[str, str | None],
    ) -> None:
        """Remember what is known of the file.

        Args:
            schema: What the catalog knows.
            match: Which cell belongs to which column.
            scan: How the file is read.
            constants: Canonical texts of the columns that are the same in every row.
        """
        self._schema = schema
        self._match = match
        self._scan = scan
        self._constants = constants

    def type(self, name: str) -> Type:
        """Return the type of a column."""
        return self._schema.types[name]

    def cells(self, names: Collection[str]) -> list[tuple[str, str]]:
        """Return the columns that have values in the file, each once, with their cells."""
        known = self._match.known
        return [
            (name, known[name])
            for name in dict.fromkeys(names)
            if name in known and known[name] in self._scan.filled
        ]

    def irregular(self, names: Collection[str]) -> list[tuple[str, str]]:
        """Return those of `cells` in which not every cell has the usual spelling of its type."""
        return [(name, cell) for name, cell in self.cells(names) if cell not in self._scan.regular]

    def innermost(self, names: Collection[str]) -> str:
        """Return SQL of the `v_` columns; a column and its copy share one cell."""
        cells = {cell: self.type(name) for name, cell in self.irregular(names)}
        return "".join(f", {typed(cell, type_)} AS v_{cell}" for cell, type_ in cells.items())

    # --- over the innermost level ------------------------------------------------------------

    def text(self, name: str) -> str:
        """Return SQL of the canonical text of a value."""
        cell = self._match.known.get(name)
        if cell is None or cell not in self._scan.filled:
            constant = self._constants.get(name)
            return "NULL::VARCHAR" if constant is None else quoted(constant)
        return typed_regular(cell, self.type(name)) if cell in self._scan.regular else f"v_{cell}"

    def json(self, name: str) -> str:
        """Return SQL of a value as JSON."""
        sql = in_json(self.text(name), self.type(name))
        return sql if self._is_always_regular(name) else f"coalesce({sql}, 'null')"

    def joinable(self, name: str) -> str:
        """Return SQL of `j_`: the JSON of a value, or the text in it where `member` quotes it."""
        return self.text(name) if self._is_quoted(name) else self.json(name)

    def shown_json(self, name: str) -> str:
        """Return SQL of `j_`, or of `h_` where the value must not be shown."""
        if not self._schema.is_hashed(name):
            return self.joinable(name)
        return f"coalesce(to_json(keyed_hash({self.text(name)}))::VARCHAR, 'null')"

    def own_keys(self, names: Collection[str]) -> list[tuple[str, str]]:
        """Return those of `cells` of which something else than the value counts in `_row_id`."""
        own = {*self._scan.long, *(cell for _, cell in self.irregular(names))}
        return [(name, cell) for name, cell in self.cells(names) if cell in own]

    def counted(self, cell: str) -> str:
        """Return SQL of what counts of a cell's text: the SHA-256 of a long one."""
        if cell not in self._scan.long:
            return cell
        mark = quoted(MARK)
        # Of a column that is no text, a long cell stands in the file itself.
        is_long = f"WHEN strlen({cell}) > {long_cells.LONG} THEN {mark} || sha256({cell})"
        if self._scan.marked:
            is_mark = f"starts_with({cell}, {mark})"
            is_long = f"WHEN {is_mark} THEN left({cell}, {NAME_LENGTH}) {is_long}"
        return f"CASE {is_long} ELSE {cell} END"

    def key_text(self, name: str) -> str:
        """Return SQL of what counts of a value in `_row_id`.

        Of a cell that does not fit its type the raw text counts, and of a long one the SHA-256.
        """
        text = self.text(name)
        for _, cell in self.own_keys([name]):
            raw = self.counted(cell)
            return raw if self.type(name) is Type.STRING else f"coalesce({text}, {raw})"
        return text

    def key_json(self, name: str) -> str:
        """Return SQL of `k_`: what counts of a value in `_row_id`, as JSON."""
        cell = self._match.known[name]
        raw = f"to_json({self.counted(cell)})::VARCHAR"
        if self.type(name) is Type.STRING:
            return f"coalesce({raw}, 'null')"
        return f"coalesce({in_json(self.text(name), self.type(name))}, {raw}, 'null')"

    def value(self, name: str) -> str:
        """Return SQL of `t_`, or of a constant, from which `stored` makes the value itself."""
        type_, text = self.type(name), self.text(name)
        for _, cell in self.cells([name]):
            # DuckDB casts a regular cell as it stands; what it has parsed already stays parsed.
            regular = f"p_{cell}" if cell in self._scan.parsed else cell
            text = regular if cell in self._scan.regular else f"v_{cell}"
            if self._must_fit(name) and cell not in self._scan.regular:
                text = expanded(text)
        return text if self._must_fit(name) else typed_value(text, type_, self._schema.numbers)

    # --- over the middle level ---------------------------------------------------------------

    def member(self, name: str) -> list[Piece]:
        """Return the pieces of a value as JSON."""
        cell = self._match.known.get(name)
        if cell not in self._scan.filled:
            return [self.constant(name)]
        quote = [Constant('"')] if self._is_quoted(name) else []
        return [*quote, f"j_{cell}", *quote]

    def shown(self, name: str) -> list[Piece]:
        """As `member`, with the hash in place of a value that must not be shown."""
        cell = self._match.known.get(name)
        if not (hashing := self._schema.hashing) or not self._schema.is_hashed(name):
            return self.member(name)
        if cell in self._scan.filled:
            return [f"h_{cell}"]
        constant = self._constants.get(name)
        return [Constant("null" if constant is None else json.dumps(hashing.of(constant)))]

    def stored(self, name: str, value: str) -> str:
        """Return SQL of a value in its own SQL type.

        The query fails with `inexact` at a number that cannot be stored without a change.

        Args:
            name: The column.
            value: What `value` has returned, or the name that it has in the middle level.
        """
        if not self._must_fit(name):
            return value
        numbers = self._schema.numbers
        number = typed_value(value, Type.NUMBER, numbers)
        return (
            f"CASE WHEN {is_exact(value, numbers)} THEN {number}"
            f" WHEN {value} IS NOT NULL THEN error({quoted(inexact(name))}) END"
        )

    def constant(self, name: str) -> Constant:
        """Return the JSON of a value that is the same in every row."""
        text = self._constants.get(name)
        if text is None:
            return Constant("null")
        bare = self.type(name).is_number or self.type(name) is Type.BOOLEAN
        return Constant(text if bare else json.dumps(text, ensure_ascii=False))

    def _must_fit(self, name: str) -> bool:
        """Whether it is not known that every number of a column can be stored."""
        is_decimal = self.type(name) is Type.NUMBER and self._schema.numbers.digits > 0
        return is_decimal and not self._scan.exact

    def _is_always_regular(self, name: str) -> bool:
        """Whether a column has a value in its usual spelling in every row."""
        cell = self._match.known.get(name)
        return cell in self._scan.complete and cell in self._scan.regular

    def _is_quoted(self, name: str) -> bool:
        """Whether the JSON of every value is a text without escapes between quotes."""
        types = (Type.DATE, Type.TIME, Type.TIME_TEXT, Type.TIMESTAMP)
        return self.type(name) in types and self._is_always_regular(name)
