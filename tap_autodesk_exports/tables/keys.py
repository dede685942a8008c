"""The key of a table, checked in every file: one row for each.

A file whose keys are all different costs nothing more: reading it has counted them. In another one
only the rows that share a key are looked at. Equal ones are one row; of versions of a row the
newest counts; different rows with one key are an error, because a target would keep any of them.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.tables.cells import typed
from tap_autodesk_exports.tables.engine import one_row

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import duckdb

    from tap_autodesk_exports.tables.engine import Engine
    from tap_autodesk_exports.tables.layout import HeaderMatch, TableSchema
    from tap_autodesk_exports.tables.reading import Scan


def unique(  # noqa: PLR0913, PLR0917
    engine: Engine,
    database: duckdb.DuckDBPyConnection,
    path: Path,
    schema: TableSchema,
    match: HeaderMatch,
    scan: Scan,
) -> Scan:
    """Return how to read the rows of a file with one row for each key.

    Args:
        engine: Gives the memory that many repeated rows need.
        database: Where the file is read.
        path: The file, for the error's sentence.
        schema: Says whether the key must be unique, and which column tells versions apart.
        match: Which cell belongs to which column.
        scan: How to read all rows.

    Raises:
        FileError: A column of the key is missing, or has no value in some row, or different rows
            share a key.
    """
    if not schema.unique or not scan.rows:
        return scan
    names = [name for name in schema.key_columns if name not in schema.constants]
    if missing := [name for name in names if name not in match.known]:
        raise FileError(path, f"has no column {_names(missing)}, which is part of the key. {_HELP}")
    cells = {name: match.known[name] for name in names}
    values = {
        name: cell if cell in scan.regular else typed(cell, schema.types[name])
        for name, cell in cells.items()
    }
    _check_complete(database, path, scan, cells, values)
    hashed = any(map(schema.is_hashed, names))
    if scan.distinct == scan.rows and scan.regular.issuperset(cells.values()) and not hashed:
        return scan
    # Of what a target sees: one hash stands for an address in any case.
    key = ", ".join(
        f"keyed_hash({value})" if schema.is_hashed(name) else value
        for name, value in values.items()
    )
    engine.execute(
        database,
        f"CREATE TEMP TABLE shared_keys AS SELECT hash({key}) AS hash FROM {scan.source}"  # noqa: S608
        " GROUP BY hash HAVING count(*) > 1",
    )
    engine.execute(
        database,
        f"CREATE TEMP TABLE repeated AS SELECT * FROM {scan.source}"  # noqa: S608
        f" WHERE hash({key}) IN (FROM shared_keys)",
    )
    engine.execute(
        database,
        f"CREATE TEMP TABLE kept AS SELECT DISTINCT * FROM ({_newest(schema, match, key)})",  # noqa: S608
    )
    _check(database, path, schema, key)
    repeated, kept = one_row(
        database, "SELECT (SELECT count(*) FROM repeated), (SELECT count(*) FROM kept)"
    )
    rows = scan.rows - repeated + kept
    source = (
        f"(SELECT * FROM {scan.source} WHERE hash({key}) NOT IN (FROM shared_keys)"  # noqa: S608
        " UNION ALL FROM kept)"
    )
    return dataclasses.replace(scan, source=source, rows=rows, distinct=rows)


def _newest(schema: TableSchema, match: HeaderMatch, key: str) -> str:
    """Return SQL of the newest version of each repeated row; of all where none is the newest.

    Columns tell versions apart only where all times in them can be read: one that cannot could be
    the newest. An empty one is of what has not happened, and older than any other.
    """
    columns, order = [], []
    for at, names in enumerate(schema.newest):
        if time := _time(schema, match, names):
            sql, is_known = time
            columns += [f"{sql} AS time_{at}", f"bool_and({is_known}) OVER versions AS known_{at}"]
            order.append(f"CASE WHEN known_{at} THEN time_{at} END DESC NULLS LAST")
    if not order:
        return "FROM repeated"
    added = ", ".join(column.rpartition(" ")[2] for column in columns)
    return (
        f"SELECT * EXCLUDE ({added}) FROM (SELECT *, {', '.join(columns)} FROM repeated"  # noqa: S608
        f" WINDOW versions AS (PARTITION BY {key}))"
        f" QUALIFY rank() OVER (PARTITION BY {key} ORDER BY {', '.join(order)}) = 1"
    )


def _time(
    schema: TableSchema, match: HeaderMatch, names: tuple[str, ...]
) -> tuple[str, str] | None:
    """Return SQL of the latest of some times, and of whether it is known; None without a column."""
    cells = {match.known[name]: schema.types[name] for name in names if name in match.known}
    if not cells:
        return None
    times = [typed(cell, type_) for cell, type_ in cells.items()]
    known = (
        f"(coalesce({cell}, '') = '' OR {time} IS NOT NULL)"
        for cell, time in zip(cells, times, strict=True)
    )
    return f"greatest({', '.join(times)})", " AND ".join(known)


def _check_complete(
    database: duckdb.DuckDBPyConnection,
    path: Path,
    scan: Scan,
    cells: Mapping[str, str],
    values: Mapping[str, str],
) -> None:
    """Refuse rows without a value in the key, which targets refuse with all that comes after."""
    empty = [name for name, cell in cells.items() if cell not in scan.complete]
    for name, cell in cells.items():
        if name not in empty and cell not in scan.regular:
            query = f"SELECT count(*) FROM {scan.source} WHERE {values[name]} IS NULL"  # noqa: S608
            empty += [name] if one_row(database, query) != (0,) else []
    if empty:
        raise FileError(
            path,
            f"holds rows without a value of {_names(empty)}, which is part of the key. {_HELP}",
        )


def _check(database: duckdb.DuckDBPyConnection, path: Path, schema: TableSchema, key: str) -> None:
    keys, most = one_row(
        database,
        f"SELECT count(*), max(rows) FROM (SELECT count(*) AS rows FROM kept GROUP BY {key}"  # noqa: S608
        " HAVING count(*) > 1)",
    )
    if keys:
        times = "1 key stands" if keys == 1 else f"{keys} keys stand"
        problem = (
            f"holds different rows with one key ({_names(schema.key_columns)}): {times} for several"
        )
        raise FileError(path, f"{problem}, one for {most} rows. {_HELP}")


_HELP = (
    "Nothing of it is loaded, since a target would keep only some of the rows. Set the stream's "
    "'table-key-properties' to '_row_id' in the catalog to load them all, and please report it."
)


def _names(columns: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"'{name}'" for name in columns)
