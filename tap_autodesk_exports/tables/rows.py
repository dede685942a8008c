"""The SQL of a typed row: its values, what is rescued, its id, and its text as JSON.

A query has three levels. The innermost types the cells that need more than their text; the middle
one writes every value as JSON, once; the outer one joins them to the record and to the key.
"""

from __future__ import annotations

import functools
import itertools
import json
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.tables.cells import (
    identifier,
    in_json,
    number_type,
    number_widths,
    quoted,
    typed,
    typed_plain,
    value,
)
from tap_autodesk_exports.tables.engine import one_row
from tap_autodesk_exports.tables.layout import RESCUED_DATA, ROW_ID
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import duckdb

    from tap_autodesk_exports.tables.engine import Engine
    from tap_autodesk_exports.tables.layout import Layout, Match
    from tap_autodesk_exports.tables.reading import Reading


class Constant(str):
    """A piece of a text that is the same in every row."""

    __slots__ = ()


Piece = str | Constant
"""A piece of a text: SQL, or itself."""


class Rows:
    """Queries over the rows of one file."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        engine: Engine,
        database: duckdb.DuckDBPyConnection,
        layout: Layout,
        match: Match,
        reading: Reading,
        constants: Mapping[str, str | None],
    ) -> None:
        """Prepare the queries.

        Args:
            engine: Gives the memory that many rows with one key need.
            database: Where the file is read.
            layout: What the catalog knows.
            match: Which cell belongs to which column.
            reading: How the file is read.
            constants: Canonical texts of the columns that are the same in every row.
        """
        self._engine = engine
        self._database = database
        self._layout = layout
        self._match = match
        self._reading = reading
        self._constants = constants

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
        members = _joined([Constant(json.dumps(name) + ":"), *self._shown(name)] for name in names)
        record = _concat([Constant(before + "{"), *members, Constant("}" + behind)])
        values = {
            f"h_{cell}" if self._layout.is_hashed(name) else f"j_{cell}": self._shown_json(name)
            for name, cell in self._cells(names)
        }
        return f"SELECT {record} FROM {self._middle(values, selected, after)}"  # noqa: S608

    def columnar(
        self, numbers: Mapping[str, str], selected: Collection[str], after: tuple[str, str] | None
    ) -> str:
        """Return a query for the rows as columns of their own types.

        Args:
            numbers: The SQL type of every number column.
            selected: Names of the columns.
            after: As in `records`.
        """
        values = {}
        outputs = []
        for name in self._names(selected):
            number = numbers.get(name, "VARCHAR")
            if name == ROW_ID:
                sql = self._row_id()
            elif name == RESCUED_DATA:
                sql = "rescued"
            elif self._layout.is_hashed(name):
                sql = f"h_{self._match.known.get(name, name)}"
                values[sql] = f"keyed_hash({self._text(name)})"
            elif cell := dict(self._cells([name])).get(name):
                values[f"t_{cell}"] = value(self._value_text(cell), self._type(name), number)
                sql = f"t_{cell}"
            else:
                sql = value(self._text(name), self._type(name), number)
            outputs.append(f"{sql} AS {identifier(name)}")
        return f"SELECT {', '.join(outputs)} FROM {self._middle(values, selected, after)}"  # noqa: S608

    def number_types(self, selected: Collection[str]) -> dict[str, str]:
        """Choose for each number column the SQL type that holds every one of its values exactly."""
        names = [
            name
            for name in self._names(selected)
            if self._type(name) is Type.NUMBER and not self._layout.is_hashed(name)
        ]
        cells, widths = dict(self._cells(names)), self._reading.widths
        unknown = [name for name, cell in cells.items() if cell not in widths]
        found: Sequence[Any] = ()
        if unknown:
            outputs = [
                sql
                for name in unknown
                for sql in (
                    *number_widths(self._text(name)),
                    f"coalesce(bool_or(contains(lower({self._text(name)}), 'e')), false)",
                )
            ]
            source = self._typed(unknown, None, with_id=False)
            query = f"SELECT {', '.join(outputs)} FROM {source}"  # noqa: S608
            found = one_row(self._database, query)
        types = {name: number_type(*widths.get(cells.get(name, ""), (1, 0))) for name in names}
        for at, name in enumerate(unknown):
            whole, fraction, exponent = found[3 * at : 3 * at + 3]
            types[name] = "VARCHAR" if exponent else number_type(whole, fraction)
        return types

    def maximum(self, name: str) -> str:
        """Return a query for the greatest canonical text of a column."""
        text = self._text(name)
        order = f"try_cast({text} AS DOUBLE)" if self._type(name) is Type.NUMBER else text
        source = self._typed({name}, None, with_id=False)
        return f"SELECT arg_max({text}, {order}) FROM {source}"  # noqa: S608

    def _names(self, selected: Collection[str]) -> list[str]:
        return [name for name in self._layout.types if name in selected]

    def _middle(
        self, values: dict[str, str], selected: Collection[str], after: tuple[str, str] | None
    ) -> str:
        """The middle level: `values` by name, what is rescued, and what the id is made of."""
        needed = {*self._names(selected), *((after[0],) if after else ())}
        if ROW_ID in selected:
            key = self._layout.natural_key
            needed.update(key)
            values |= {f"j_{cell}": self._joinable(name) for name, cell in self._cells(key)}
            values |= {f"k_{cell}": self._key_json(name) for name, cell in self._uneven(key)}
            values["place"] = "place" if self._has_twins else "0"
        if RESCUED_DATA in selected:
            values["rescued"] = self._rescued(selected)
        middle = ", ".join(f"{sql} AS {name}" for name, sql in values.items()) or "1"
        source = self._typed(needed, after, with_id=ROW_ID in selected)
        return f"(SELECT {middle} FROM {source})"  # noqa: S608

    # --- the innermost level -----------------------------------------------------------------

    def _typed(
        self, names: Collection[str], after: tuple[str, str] | None, *, with_id: bool
    ) -> str:
        source = self._identified if with_id and self._has_twins else self._reading.source
        uneven = self._typed_cells(names)
        where = f" WHERE {self._is_after(*after)}" if after else ""
        return f"(SELECT * FROM (SELECT *{uneven} FROM {source}){where})"  # noqa: S608

    def _typed_cells(self, names: Collection[str]) -> str:
        """SQL of the typed texts of uneven columns; a column and its copy share one cell."""
        cells = {cell: self._type(name) for name, cell in self._uneven(names)}
        return "".join(f", {typed(cell, type_)} AS v_{cell}" for cell, type_ in cells.items())

    def _is_after(self, name: str, bound: str) -> str:
        """SQL of the bookmark's condition; a row without a value may be new, and passes."""
        type_ = self._type(name)
        text = self._text(name)
        limit = typed(quoted(bound), Type.TIMESTAMP if type_ is Type.DATE else type_)
        if type_ is Type.DATE:
            limit = f"left({limit}, 10)"
        elif type_ is Type.NUMBER:
            text, limit = f"try_cast({text} AS DOUBLE)", f"try_cast({limit} AS DOUBLE)"
        return f"coalesce({text} >= {limit}, true)"

    def _cells(self, names: Collection[str]) -> list[tuple[str, str]]:
        """The columns that have values in the file, each once, with their cells."""
        known = self._match.known
        return [
            (name, known[name])
            for name in dict.fromkeys(names)
            if name in known and known[name] in self._reading.filled
        ]

    def _uneven(self, names: Collection[str]) -> list[tuple[str, str]]:
        """Those of `_cells` in which not every cell stands in the usual spelling."""
        return [
            (name, cell) for name, cell in self._cells(names) if cell not in self._reading.plain
        ]

    # --- values ------------------------------------------------------------------------------

    def _type(self, name: str) -> Type:
        return self._layout.types[name]

    def _text(self, name: str) -> str:
        """SQL of the canonical text of a value, over the innermost level."""
        cell = self._match.known.get(name)
        if cell is None or cell not in self._reading.filled:
            constant = self._constants.get(name)
            return "NULL::VARCHAR" if constant is None else quoted(constant)
        if cell in self._reading.plain:
            return typed_plain(cell, self._type(name))
        return f"v_{cell}"

    def _value_text(self, cell: str) -> str:
        """SQL of what `value` takes for a cell; a value that was worked out already stays one."""
        if cell in self._reading.parsed:
            return f"p_{cell}"
        return cell if cell in self._reading.plain else f"v_{cell}"

    def _json(self, name: str) -> str:
        sql = in_json(self._text(name), self._type(name))
        return sql if self._is_plain_throughout(name) else f"coalesce({sql}, 'null')"

    def _joinable(self, name: str) -> str:
        """SQL of what stands between the constants of `_member`: the JSON, or the text in it."""
        return self._text(name) if self._is_quoted(name) else self._json(name)

    def _is_plain_throughout(self, name: str) -> bool:
        """Whether a column has a plain value in every row."""
        cell = self._match.known.get(name)
        return cell in self._reading.complete and cell in self._reading.plain

    def _is_quoted(self, name: str) -> bool:
        """Whether the JSON of every value is a text without escapes between quotes."""
        return self._type(name) in (
            Type.DATE,
            Type.TIME,
            Type.TIMESTAMP,
        ) and self._is_plain_throughout(name)

    def _shown_json(self, name: str) -> str:
        """As `_joinable`, with the hash in place of a value that is not to be shown."""
        if not self._layout.is_hashed(name):
            return self._joinable(name)
        return f"coalesce(to_json(keyed_hash({self._text(name)}))::VARCHAR, 'null')"

    def _key_json(self, name: str) -> str:
        """As `_json`, but a cell that does not fit counts as it stands."""
        raw = f"to_json({self._match.known[name]})::VARCHAR"
        return f"coalesce({in_json(self._text(name), self._type(name))}, {raw}, 'null')"

    def _shown(self, name: str) -> list[Piece]:
        """As `_member`, with the hash in place of a value that is not to be shown."""
        cell = self._match.known.get(name)
        if not (hashing := self._layout.hashing) or not hashing.applies(name):
            return self._member(name)
        if cell in self._reading.filled:
            return [f"h_{cell}"]
        constant = self._constants.get(name)
        return [Constant("null" if constant is None else json.dumps(hashing.of(constant)))]

    def _member(self, name: str) -> list[Piece]:
        """Return the pieces of a value as JSON, over the middle level."""
        if name == ROW_ID:
            return [Constant('"'), self._row_id(), Constant('"')]
        if name == RESCUED_DATA:
            return ["coalesce(rescued, 'null')"]
        cell = self._match.known.get(name)
        if cell not in self._reading.filled:
            return [self._constant(name)]
        quote = [Constant('"')] if self._is_quoted(name) else []
        return [*quote, f"j_{cell}", *quote]

    def _constant(self, name: str) -> Constant:
        text = self._constants.get(name)
        if text is None:
            return Constant("null")
        bare = self._type(name) in (Type.NUMBER, Type.BOOLEAN)
        return Constant(text if bare else json.dumps(text, ensure_ascii=False))

    def _rescued(self, selected: Collection[str]) -> str:
        """SQL of the object with what did not fit, NULL where everything did."""
        misfits = [
            (name, cell, f"{cell} IS NOT NULL AND v_{cell} IS NULL")
            for name, cell in self._uneven([column.name for column in self._layout.columns])
            if name in selected and name not in self._layout.copies
        ]
        misfits += [
            (name, cell, f"{cell} IS NOT NULL")
            for name, cell in self._match.unknown.items()
            if cell in self._reading.filled
        ]
        if not misfits:
            return "NULL::VARCHAR"
        members = ", ".join(
            f"CASE WHEN {misfit} THEN"
            f" {quoted(json.dumps(name, ensure_ascii=False) + ':')} ||"
            f" to_json({f'keyed_hash({cell})' if self._layout.is_hashed(name) else cell})::VARCHAR"
            " END"
            for name, cell, misfit in misfits
        )
        misfit = " OR ".join(f"({misfit})" for _, _, misfit in misfits)
        return f"CASE WHEN {misfit} THEN '{{' || concat_ws(',', {members}) || '}}' END"

    # --- ids ---------------------------------------------------------------------------------

    def _row_id(self) -> str:
        """SQL of the id, over the middle level: the MD5 of the key as a JSON array.

        Where rows share a key, `#` and a number follow the array for all but the first. Where part
        of the key is hashed, nobody can find it by trying: the MD5 is hashed too.
        """
        uneven = dict(self._uneven(self._layout.natural_key))
        array = _array(
            [f"k_{uneven[name]}"] if name in uneven else self._member(name)
            for name in self._layout.natural_key
        )
        place = ["CASE WHEN place > 0 THEN '#' || place ELSE '' END"] if self._has_twins else []
        sql = f"md5({_concat([*array, *place])})"
        hashed = any(map(self._layout.is_hashed, self._layout.natural_key))
        return f"left(mac({sql}), 32)" if hashed else sql

    @functools.cached_property
    def _has_twins(self) -> bool:
        """Find the rows that share their key and number them, whatever their order in the file.

        Only they are sorted: they go to a table of their own, and the others stay in the file.
        """
        key = self._layout.natural_key
        if not self._uneven(key) and self._reading.distinct == self._reading.rows:
            return False
        source, hashed = self._reading.source, self._hash()
        self._engine.execute(
            self._database,
            f"CREATE TEMP TABLE shared AS SELECT {hashed} AS hash FROM {source}"  # noqa: S608
            " GROUP BY hash HAVING count(*) > 1",
        )
        (shared,) = one_row(self._database, "SELECT count(*) FROM shared")
        if not shared:
            return False
        names = [*self._layout.types]
        uneven = self._typed_cells(names)
        known = self._content([column.name for column in self._layout.columns])
        unknown = ", ".join(self._match.unknown.values()) or "NULL"
        self._engine.execute(
            self._database,
            "CREATE TEMP TABLE twins AS"  # noqa: S608
            f" SELECT *, row_number() OVER (PARTITION BY {self._content(key)}"
            f" ORDER BY md5({known}), md5(to_json([{unknown}])::VARCHAR)) - 1 AS place"
            f" FROM (SELECT *{uneven} FROM {source} WHERE {hashed} IN (FROM shared))",
        )
        return True

    @property
    def _identified(self) -> str:
        """The rows with their place among those of the same key."""
        others = f"SELECT *, 0 AS place FROM {self._reading.source}"  # noqa: S608
        cells = ", ".join(f"c{at}" for at in range(self._width))
        return (
            f"({others} WHERE {self._hash()} NOT IN (FROM shared)"  # noqa: S608
            f" UNION ALL SELECT {cells}, place FROM twins)"
        )

    @property
    def _width(self) -> int:
        return len({*self._match.known.values(), *self._match.unknown.values()})

    def _hash(self) -> str:
        """SQL of a quick hash of the key: the same key has the same hash, not always vice versa."""
        cells = [
            cell
            if cell in self._reading.plain
            else f"coalesce({typed(cell, self._type(name))}, {cell})"
            for name, cell in self._cells(self._layout.natural_key)
        ]
        return f"hash({', '.join(cells)})" if cells else "0"

    def _content(self, names: Collection[str]) -> str:
        """SQL of the JSON array of values, over the innermost level."""
        uneven, filled = dict(self._uneven(names)), dict(self._cells(names))
        return _concat(
            _array(
                [self._key_json(name)]
                if name in uneven
                else [self._json(name) if name in filled else self._constant(name)]
                for name in names
            )
        )


def _array(values: Iterable[Sequence[Piece]]) -> list[Piece]:
    """Return the pieces of a JSON array."""
    return [Constant("["), *_joined(values), Constant("]")]


def _joined(values: Iterable[Sequence[Piece]]) -> list[Piece]:
    """Return the pieces of all values, with commas between the values."""
    pieces: list[Piece] = []
    for value_ in values:
        pieces += [Constant(","), *value_] if pieces else value_
    return pieces


def _concat(pieces: Iterable[Piece]) -> str:
    """SQL of a text made of pieces. Neighbouring constants are one, as each costs in every row."""
    sql: list[str] = []
    for are_constant, group in itertools.groupby(pieces, lambda piece: isinstance(piece, Constant)):
        neighbours = list(group)
        sql += [quoted("".join(neighbours))] if are_constant else neighbours
    return f"concat({', '.join(sql)})"
