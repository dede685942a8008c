"""Queries over the rows of a file: as JSON records, as typed columns, and what they need.

How a query is built, and what its columns are called, is in `columns`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tap_autodesk_exports.tables.cells import identifier, quoted, typed
from tap_autodesk_exports.tables.columns import ColumnSql
from tap_autodesk_exports.tables.engine import one_row
from tap_autodesk_exports.tables.identity import Identity
from tap_autodesk_exports.tables.layout import RESCUED_DATA, ROW_ID
from tap_autodesk_exports.tables.long_cells import MARK, RESCUED_MARK
from tap_autodesk_exports.tables.pieces import Constant, concat, joined
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import duckdb

    from tap_autodesk_exports.tables.engine import Engine
    from tap_autodesk_exports.tables.layout import HeaderMatch, TableSchema
    from tap_autodesk_exports.tables.pieces import Piece
    from tap_autodesk_exports.tables.reading import Scan


_FIRST_ROWS = 10_240
"""Rows in which a cell of a column mostly fits its type, if any does."""


class Rows:
    """Queries over the rows of one file."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        engine: Engine,
        database: duckdb.DuckDBPyConnection,
        schema: TableSchema,
        match: HeaderMatch,
        scan: Scan,
        constants: Mapping[str, str | None],
    ) -> None:
        """Prepare the queries.

        Args:
            engine: Gives the memory that many rows with one key need.
            database: Where the file is read.
            schema: What the catalog knows.
            match: Which cell belongs to which column.
            scan: How the file is read.
            constants: Canonical texts of the columns that are the same in every row.
        """
        self._database = database
        self._schema = schema
        self._match = match
        self._scan = scan
        self._columns = ColumnSql(schema, match, scan, constants)
        self._identity = Identity(engine, database, schema, match, scan, self._columns)

    def records(
        self, before: str, selected: Collection[str], behind: str, after: tuple[str, str] | None
    ) -> str:
        """Return a query for one text a row: `before`, the record as JSON, `behind`.

        Args:
            before: Text in front of each record.
            selected: Names of the columns in the record.
            behind: Text behind each record.
            after: A column and the bound from which rows are taken.
        """
        names = self._names(selected)
        members = joined([Constant(json.dumps(name) + ":"), *self._shown(name)] for name in names)
        record = concat([Constant(before + "{"), *members, Constant("}" + behind)])
        values = {
            f"h_{cell}" if self._schema.is_hashed(name) else f"j_{cell}": (
                self._columns.shown_json(name)
            )
            for name, cell in self._columns.cells(names)
        }
        return f"SELECT {record} FROM {self._middle(values, selected, after)}"  # noqa: S608

    def columnar(self, selected: Collection[str], after: tuple[str, str] | None) -> str:
        """Return a query for the rows as columns of their own types.

        Args:
            selected: Names of the columns.
            after: As in `records`.
        """
        columns = self._columns
        values = {}
        outputs = []
        for name in self._names(selected):
            if name == ROW_ID:
                sql = self._identity.row_id()
            elif name == RESCUED_DATA:
                sql = "rescued"
            elif self._schema.is_hashed(name):
                sql = f"h_{self._match.known.get(name, name)}"
                values[sql] = f"keyed_hash({columns.text(name)})"
            else:
                sql = columns.value(name)
                for _, cell in columns.cells([name]):
                    values[f"t_{cell}"], sql = sql, f"t_{cell}"
                sql = columns.stored(name, sql)
            outputs.append(f"{sql} AS {identifier(name)}")
        return f"SELECT {', '.join(outputs)} FROM {self._middle(values, selected, after)}"  # noqa: S608

    def texts(self, selected: Collection[str]) -> list[str]:
        """Return those of the columns that `columnar` gives as text."""
        return [
            name
            for name in self._names(selected)
            if self._columns.type(name).is_text or self._schema.is_hashed(name)
        ]

    def unfitting(self) -> dict[str, str]:
        """Return the columns none of whose cells fits its type, with one of its cells.

        Not those in which all others are empty texts: JSON has them where a CSV file has nothing.
        """
        names = [column.name for column in self._schema.columns]
        irregular = {
            name: cell
            for name, cell in self._columns.irregular(names)
            if name not in self._schema.copies
        }
        first_rows = f"(FROM {self._scan.source} LIMIT {_FIRST_ROWS})"
        for source in (first_rows, self._scan.source):
            if not irregular:
                break
            outputs = ", ".join(
                f"count({typed(cell, self._columns.type(name))}), any_value(nullif({cell}, ''))"
                for name, cell in irregular.items()
            )
            found = one_row(self._database, f"SELECT {outputs} FROM {source}")  # noqa: S608
            counts = dict(zip(irregular, found[::2], strict=True))
            examples = dict(zip(irregular, found[1::2], strict=True))
            irregular = {name: cell for name, cell in irregular.items() if not counts[name]}
        return {name: examples[name] for name in irregular if examples[name] is not None}

    def maximum(self, name: str) -> str:
        """Return a query for the greatest canonical text of a column."""
        text = self._columns.text(name)
        is_number = self._columns.type(name).is_number
        order = f"try_cast({text} AS DOUBLE)" if is_number else text
        source = self._innermost({name}, None, with_id=False)
        return f"SELECT arg_max({text}, {order}) FROM {source}"  # noqa: S608

    def _names(self, selected: Collection[str]) -> list[str]:
        return [name for name in self._schema.types if name in selected]

    # --- levels ------------------------------------------------------------------------------

    def _middle(
        self, values: dict[str, str], selected: Collection[str], after: tuple[str, str] | None
    ) -> str:
        """The middle level: `values` by name, what is rescued, and what the id is made of."""
        needed = {*self._names(selected), *((after[0],) if after else ())}
        if ROW_ID in selected:
            needed.update(self._schema.key_columns)
            values |= self._identity.middle()
        if RESCUED_DATA in selected:
            values["rescued"] = self._rescued(selected)
        middle = ", ".join(f"{sql} AS {name}" for name, sql in values.items()) or "1"
        source = self._innermost(needed, after, with_id=ROW_ID in selected)
        return f"(SELECT {middle} FROM {source})"  # noqa: S608

    def _innermost(
        self, names: Collection[str], after: tuple[str, str] | None, *, with_id: bool
    ) -> str:
        source = self._identity.source() if with_id else self._scan.source
        irregular = self._columns.innermost(names)
        where = f" WHERE {self._is_after(*after)}" if after else ""
        return f"(SELECT * FROM (SELECT *{irregular} FROM {source}){where})"  # noqa: S608

    def _is_after(self, name: str, bound: str) -> str:
        """SQL of the bookmark's condition; a row without a value may be new, and passes."""
        type_ = self._columns.type(name)
        text = self._columns.text(name)
        limit = typed(quoted(bound), Type.TIMESTAMP if type_ is Type.DATE else type_)
        if type_ is Type.DATE:
            limit = f"left({limit}, 10)"
        elif type_.is_number:
            text, limit = f"try_cast({text} AS DOUBLE)", f"try_cast({limit} AS DOUBLE)"
        return f"coalesce({text} >= {limit}, true)"

    # --- over the middle level ---------------------------------------------------------------

    def _shown(self, name: str) -> list[Piece]:
        """Return the pieces of a column's JSON, provenance included."""
        if name == ROW_ID:
            return [Constant('"'), self._identity.row_id(), Constant('"')]
        if name == RESCUED_DATA:
            return ["coalesce(to_json(rescued)::VARCHAR, 'null')"]
        return self._columns.shown(name)

    def _rescued(self, selected: Collection[str]) -> str:
        """SQL of the object with what did not fit, NULL where everything did."""
        names = [column.name for column in self._schema.columns]
        misfits = [
            (name, cell, f"{cell} IS NOT NULL AND v_{cell} IS NULL")
            for name, cell in self._columns.irregular(names)
            if name in selected and name not in self._schema.copies
        ]
        misfits += [
            (name, cell, f"{cell} IS NOT NULL")
            for name, cell in self._match.unknown.items()
            if cell in self._scan.filled
        ]
        members = [
            f"CASE WHEN {misfit} THEN {quoted(json.dumps(name, ensure_ascii=False) + ':')}"
            f" || to_json({self._raw(name, cell)})::VARCHAR END"
            for name, cell, misfit in misfits
        ]
        conditions = [f"({misfit})" for _, _, misfit in misfits]
        if self._match.rest in self._scan.filled:
            members.append(str(self._match.rest))
            conditions.append(f"{self._match.rest} IS NOT NULL")
        if not members:
            return "NULL::VARCHAR"
        text = f"'{{' || concat_ws(',', {', '.join(members)}) || '}}'"
        return f"CASE WHEN {' OR '.join(conditions)} THEN {text} END"

    def _raw(self, name: str, cell: str) -> str:
        """SQL of what is rescued of a cell: its text, the hash of it, or a mark of a long one."""
        raw = f"keyed_hash({cell})" if self._schema.is_hashed(name) else cell
        if self._scan.marked:
            return f"replace({raw}, {quoted(MARK)}, {quoted(RESCUED_MARK)})"
        return raw
