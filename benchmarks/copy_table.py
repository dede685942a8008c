"""PostgreSQL's COPY of a CSV file into a table with its types and key: the limit of any load.

Arguments: folder of the server's socket, schema, stream, file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg
from psycopg import sql

from tap_autodesk_exports.autodesk.data_connector.schema.registry import bundled

TYPES = {"number": "numeric", "boolean": "boolean", "timestamp: SQL": "timestamptz"}
BLOCK = 1 << 20


def main(server: str, schema: str, stream: str, file: str) -> None:
    """Make the table and fill it."""
    table = bundled()[stream]
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(TYPES.get(type_, "text")))
        for name, type_ in table["columns"].items()
    )
    key = sql.SQL(", ").join(map(sql.Identifier, table["primary_key"]))
    name = sql.Identifier(schema, stream)
    with psycopg.connect(host=server, user="postgres", dbname="postgres") as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        connection.execute(
            sql.SQL("CREATE TABLE {} ({}, PRIMARY KEY ({}))").format(name, columns, key)
        )
        statement = sql.SQL("COPY {} FROM STDIN (FORMAT csv, HEADER)").format(name)
        with connection.cursor().copy(statement) as copy, Path(file).open("rb") as source:
            while block := source.read(BLOCK):
                copy.write(block)


main(*sys.argv[1:])
