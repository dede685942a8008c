"""`autodesk-exports export` in this process, and its destinations read by other programs' ways."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
import sqlite3
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow.parquet as pq

from support import processes
from support.in_process import SandboxTime, signals_kept, the_log
from tap_autodesk_exports.clock import canonical
from tap_autodesk_exports.destinations import process

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import psycopg

    from tap_autodesk_exports.sandbox import Sandbox

Row = dict[str, Any]
OF_A_LOAD = {"_export_id", "_exported_at"}
"""Columns that differ from one load to the next."""
STATE = "_autodesk_exports_state"


class Exported:
    """What an export said."""

    def __init__(self, code: int, log: str) -> None:
        self.code = code
        self.log = log


def export(
    sandbox: Sandbox,
    to: str | Path,
    *patterns: str,
    config: Mapping[str, Any] | None = None,
    **wishes: Any,
) -> Exported:
    """Export from a sandbox, on its time; nothing that is said may hold a secret of it."""
    settings = {**sandbox.settings(), **(config or {})}
    order = process.Order(settings, str(to), patterns, **wishes)
    with the_log() as log, signals_kept():
        code = process.export(order, SandboxTime(sandbox), is_program=False)
    said = "\n".join(log)
    assert processes.secrets_in(said, set(sandbox.secrets())) == []
    return Exported(code, said)


def plain(value: Any) -> Any:
    """Return a value of any store as RECORD messages have it; numbers compare as numbers."""
    match value:
        case dt.datetime():
            return canonical(value if value.tzinfo else value.replace(tzinfo=dt.UTC))
        case dt.date():
            return value.isoformat()
        case bool():
            return value
        case int() | Decimal():
            return Decimal(value)
        case list():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return value


def by_key(rows: Iterable[Row], key: Iterable[str] = ("_row_id",)) -> dict[Any, Row]:
    """Return rows by their key, without what tells one load from another; none is there twice."""
    found: dict[Any, Row] = {}
    for row in rows:
        own = tuple(row[name] for name in key)
        assert own not in found, own
        found[own] = {name: plain(v) for name, v in row.items() if name not in OF_A_LOAD}
    return found


# One function for each kind of destination: stream -> its rows.


def in_csv(path: Path) -> list[Row]:
    """Python's csv module, which cannot tell null from ""; `null_apart` can."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def in_json_lines(path: Path) -> list[Row]:
    content = path.read_bytes()
    text = gzip.decompress(content).decode() if path.suffix == ".gz" else content.decode()
    return [json.loads(line, parse_float=Decimal) for line in io.StringIO(text, newline="\n")]


def in_parquet(path: Path) -> list[Row]:
    found: list[Row] = pq.ParquetFile(path).read().to_pylist()
    return found


def in_duckdb(path: Path, stream: str) -> list[Row]:
    with duckdb.connect(str(path), read_only=True) as database:
        return _dicts(database.execute(f'FROM "{stream}"'))


def in_sqlite(path: Path, stream: str) -> list[Row]:
    with sqlite3.connect(path) as database:
        return _dicts(database.execute(f'SELECT * FROM "{stream}"'))  # noqa: S608


def in_postgres(
    connection: psycopg.Connection[Any], stream: str, schema: str = "public"
) -> list[Row]:
    connection.execute("SET TIME ZONE 'UTC'")
    return _dicts(connection.execute(f'SELECT * FROM "{schema}"."{stream}"'.encode()))  # noqa: S608


def _dicts(cursor: Any) -> list[Row]:
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def address(postgres: processes.Postgres, **more: str) -> str:
    options = "".join(f"&{name}={value}" for name, value in more.items())
    return f"postgresql://postgres@/postgres?host={postgres.folder}{options}"
