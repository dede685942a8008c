"""Reading warehouses for comparison with what was served."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from psycopg import sql

from end_to_end import independent_reading

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    import duckdb
    import psycopg
    from served import Served

SCHEMA = "autodesk"
RESCUED = independent_reading.RESCUED

CONSTANTS = {
    "insights": ("team_id", "window_start", "window_end"),
    "tokenflex": ("contract_number",),
}
"""Columns that the tap adds to those of the file, by API."""

Table = list[dict[str, Any]]


def postgres_tables(connection: psycopg.Connection[Any], schema: str = SCHEMA) -> dict[str, Table]:
    """Read every table of a schema: its rows as column -> value."""
    names = connection.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", [schema]
    ).fetchall()
    tables = {}
    for (name,) in names:
        query = sql.SQL("SELECT * FROM {}.{}").format(sql.Identifier(schema), sql.Identifier(name))
        cursor = connection.execute(query)
        columns = [column.name.lower() for column in cursor.description or ()]
        tables[name] = [opened(dict(zip(columns, row, strict=True))) for row in cursor.fetchall()]
    return tables


def opened(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as `independent_reading` has it.

    The object is in place of the text that `_rescued_data` holds; instants are in UTC, without it.
    """
    values = {
        name: value.astimezone(dt.UTC).replace(tzinfo=None)
        if isinstance(value, dt.datetime) and value.tzinfo
        else value
        for name, value in row.items()
    }
    return {**values, RESCUED: row.get(RESCUED) and json.loads(row[RESCUED])}


def duckdb_tables(connection: duckdb.DuckDBPyConnection) -> dict[str, Table]:
    """Read every table that target-duckdb wrote: its rows as column -> value."""
    names = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = ?", [SCHEMA]
    ).fetchall()
    tables = {}
    for (name,) in names:
        table = connection.table(f"{SCHEMA}.{name}")
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.fetchall()]
        tables[name] = [opened(row) for row in rows]
    return tables


def differences(
    served: Mapping[str, Served],
    tables: Mapping[str, Table],
    catalog: Mapping[str, Mapping[str, str]],
    as_stored: Callable[[Any], Any] = lambda value: value,
) -> list[str]:
    """Compare every cell of every file that was served with the tables; tell what differs.

    Args:
        served: What the sandbox served, by stream.
        tables: The warehouse.
        catalog: Stream -> column -> type.
        as_stored: What the warehouse makes of a value.
    """
    found = []
    for stream, table in tables.items():
        constants = CONSTANTS.get(stream.partition("_")[0], ())
        types = {
            name: type_
            for name, type_ in catalog[stream].items()
            if not name.startswith("_") and name not in constants
        }
        if not served[stream].agrees(len(table)):
            found.append(f"{stream}: {served[stream].rows} rows served, {len(table)} loaded")
        elif served[stream].files:
            expected = [
                {name: as_stored(value) for name, value in row.items()}
                for file in served[stream].files
                for row in independent_reading.rows(file, types)
            ]
            found += _cells(stream, expected, table, [*types, RESCUED])
    return found


def _cells(
    stream: str, expected: Iterable[dict[str, Any]], table: Table, columns: Collection[str]
) -> list[str]:
    # Some loaders write the names of columns in lower case.
    left, right = (
        Counter(tuple(_comparable(row[name]) for name in names) for row in rows)
        for rows, names in ((expected, columns), (table, [name.lower() for name in columns]))
    )
    if left == right:
        return []
    only_left, only_right = (next(iter(some), None) for some in (left - right, right - left))
    cells = [
        f"{column}: served {a!r}, loaded {b!r}"
        for column, a, b in zip(columns, only_left or (), only_right or (), strict=False)
        if a != b
    ]
    return [f"{stream}: {len(list((left - right).elements()))} rows, such as {'; '.join(cells)}"]


def _comparable(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value
