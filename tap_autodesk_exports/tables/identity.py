"""What tells a row apart from all others: `_row_id`, and the rows that share their key."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from tap_autodesk_exports.tables.alternatives import Alternatives
from tap_autodesk_exports.tables.cells import typed
from tap_autodesk_exports.tables.engine import one_row
from tap_autodesk_exports.tables.pieces import array, concat

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb

    from tap_autodesk_exports.tables.columns import ColumnSql
    from tap_autodesk_exports.tables.engine import Engine
    from tap_autodesk_exports.tables.layout import HeaderMatch, KeyPart, TableSchema
    from tap_autodesk_exports.tables.pieces import Piece
    from tap_autodesk_exports.tables.reading import Scan


class Identity:
    """SQL of `_row_id` and of what it is made of."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        engine: Engine,
        database: duckdb.DuckDBPyConnection,
        schema: TableSchema,
        match: HeaderMatch,
        scan: Scan,
        columns: ColumnSql,
    ) -> None:
        """Remember what is known of the file.

        Args:
            engine: Gives the memory that many rows with one key need.
            database: Where the file is read.
            schema: Names the natural key.
            match: Which cell belongs to which column.
            scan: How the file is read.
            columns: SQL of the file's columns.
        """
        self._engine = engine
        self._database = database
        self._schema = schema
        self._match = match
        self._scan = scan
        self._columns = columns
        self._plain = tuple(part for part in schema.natural_key if isinstance(part, str))

    def row_id(self) -> str:
        """Return SQL of the id, over the middle level: the MD5 of the key as a JSON array.

        Where rows share a key, `#` and a number follow the array for all but the first. Where part
        of the key is hashed, nobody can find it by trying: the MD5 is hashed too.
        """
        own = dict(self._columns.own_keys(self._plain))
        pieces = array(self._piece(at, part, own) for at, part in enumerate(self._key))
        if self._has_duplicates:
            pieces.append("CASE WHEN place > 0 THEN '#' || place ELSE '' END")
        sql = f"md5({concat(pieces)})"
        if any(map(self._schema.is_hashed, self._plain)):
            return f"left(mac({sql}), 32)"
        hidden = [f"x_{at}" for at, part in self._alternatives.items() if part.is_hashed]
        if not hidden:
            return sql
        return f"CASE WHEN {' OR '.join(hidden)} THEN left(mac({sql}), 32) ELSE {sql} END"

    @property
    def _key(self) -> tuple[KeyPart, ...]:
        return self._schema.natural_key

    @functools.cached_property
    def _alternatives(self) -> dict[int, Alternatives]:
        """The parts of the key that have alternatives, by their place."""
        return {
            at: Alternatives(part, self._schema, self._match)
            for at, part in enumerate(self._key)
            if not isinstance(part, str)
        }

    def _piece(self, at: int, part: KeyPart, own: Mapping[str, str]) -> list[Piece]:
        if not isinstance(part, str):
            return [f"a_{at}"]
        return [f"k_{own[part]}"] if part in own else self._columns.member(part)

    def middle(self) -> dict[str, str]:
        """Return SQL of what `row_id` is made of, by its names in the middle level."""
        key, columns = self._plain, self._columns
        return {
            **{f"a_{at}": part.json() for at, part in self._alternatives.items()},
            **{f"x_{at}": part.is_of_hashed() for at, part in self._alternatives.items()},
            **{f"j_{cell}": columns.joinable(name) for name, cell in columns.cells(key)},
            **{f"k_{cell}": columns.key_json(name) for name, cell in columns.own_keys(key)},
            "place": "place" if self._has_duplicates else "0",
        }

    def source(self) -> str:
        """Return SQL of the rows, with their `place` among those of the same key if any share one.

        Only rows that share their key are sorted; the others stay in the file.
        """
        if not self._has_duplicates:
            return self._scan.source
        others = f"SELECT *, 0 AS place FROM {self._scan.source}"  # noqa: S608
        cells = ", ".join(f"c{at}" for at in range(self._match.width))
        return (
            f"({others} WHERE {self._hash()} NOT IN (FROM shared)"  # noqa: S608
            f" UNION ALL SELECT {cells}, place FROM duplicates)"
        )

    @functools.cached_property
    def _has_duplicates(self) -> bool:
        """Find the rows that share their key and number them, whatever their order in the file."""
        columns = self._columns
        if not columns.irregular(self._plain) and self._scan.distinct == self._scan.rows:
            return False
        source, hashed = self._scan.source, self._hash()
        self._engine.execute(
            self._database,
            f"CREATE TEMP TABLE shared AS SELECT {hashed} AS hash FROM {source}"  # noqa: S608
            " GROUP BY hash HAVING count(*) > 1",
        )
        (shared,) = one_row(self._database, "SELECT count(*) FROM shared")
        if not shared:
            return False
        self._engine.execute(
            self._database,
            "CREATE TEMP TABLE duplicates AS"  # noqa: S608
            f" SELECT *, row_number() OVER (PARTITION BY {', '.join(self._parts()) or '1'}"
            f" ORDER BY {', '.join(self._order()) or '1'}) - 1 AS place"
            f" FROM (SELECT *{columns.innermost([*self._schema.types])} FROM {source}"
            f" WHERE {hashed} IN (FROM shared))",
        )
        return True

    def _hash(self) -> str:
        """SQL of a quick hash of the key: the same key has the same hash, not always vice versa."""
        cells = [
            cell
            if cell in self._scan.regular
            else f"coalesce({typed(cell, self._columns.type(name))}, {cell})"
            for name, cell in self._columns.cells(self._plain)
        ]
        cells += [part.text() for part in self._alternatives.values()]
        return f"hash({', '.join(cells)})" if cells else "0"

    def _parts(self) -> list[str]:
        """SQL of what counts of each part of the key, over the innermost level."""
        alternatives = [part.text() for part in self._alternatives.values()]
        return [*map(self._columns.key_text, self._plain), *alternatives]

    def _order(self) -> list[str]:
        """SQL of the order of rows that share their key, over the innermost level.

        It depends on nothing but what they hold: first on texts, which say what a row is about,
        then on numbers and times, which change, in the catalog's order; last on unknown columns.
        """
        names = [column.name for column in self._schema.columns if column.name not in self._plain]
        names.sort(key=lambda name: not self._columns.type(name).is_text)
        known = [self._columns.key_text(name) for name, _ in self._columns.cells(names)]
        unknown = [self._columns.counted(cell) for cell in self._match.others]
        return [f"{sql} NULLS FIRST" for sql in (*known, *unknown)]
