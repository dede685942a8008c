"""The ways of turning a file into rows that the benchmark sets side by side.

Each runs as its own process, `python ways.py WAY SHAPE ROWS FOLDER`, and writes messages to
standard output or batch files to the folder.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_autodesk_exports.tables import TableSchema

EXPORT = {"export_id": "export-1", "exported_at": "2026-02-12 04:42:48"}
EXTRACTED = "2026-02-12T05:00:00.000000Z"
STREAM = "issues_issues"
ROWS_PER_FILE = 50_000


def sdk_default(path: Path, layout: TableSchema, _folder: Path) -> None:
    """The SDK's record loop as it comes: `csv.DictReader`, a cast for each cell."""
    _run_sdk(path, layout, best=False)


def sdk_best(path: Path, layout: TableSchema, _folder: Path) -> None:
    """The same with the SDK's fastest public settings."""
    _run_sdk(path, layout, best=True)


def duckdb_lines(path: Path, layout: TableSchema, _folder: Path) -> None:
    """DuckDB alone writing the same lines: one query, no check of the file, no unique ids."""
    _write(_duckdb().execute(_lines_query(path, layout)))


def duckdb_parquet(path: Path, layout: TableSchema, folder: Path) -> None:
    """DuckDB alone writing the same Parquet columns: one COPY, no check, no unique ids."""
    columns = ", ".join(
        f'{_value(f"c{at}", column.type)} AS "{column.name}"'
        for at, column in enumerate(layout.columns)
    )
    own = (
        "'export-1' AS _export_id, '2026-02-12T04:42:48Z'::TIMESTAMPTZ AS _exported_at,"
        f" NULL::VARCHAR AS _rescued_data, md5({_key(layout)}) AS _row_id"
    )
    _duckdb().execute(
        f"COPY (SELECT {columns}, {own} FROM {_source(path, layout)})"  # noqa: S608
        f" TO '{folder}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROWS_PER_FILE},"
        " ROW_GROUPS_PER_FILE 1, OVERWRITE true)"
    )


def tap_lines(path: Path, layout: TableSchema, folder: Path) -> None:
    """This tap's tables: RECORD messages."""
    from tap_autodesk_exports.tables import Engine, Table  # noqa: PLC0415

    with Table(path, layout, **EXPORT, engine=Engine(folder)) as table:
        selected = {column.name for column in table.columns}
        for chunk in table.lines(STREAM, selected, time_extracted=EXTRACTED):
            sys.stdout.buffer.write(chunk)


def tap_records(path: Path, layout: TableSchema, folder: Path) -> None:
    """This tap's tables: the plain road, one dictionary a row, nothing written."""
    from tap_autodesk_exports.tables import Engine, Table  # noqa: PLC0415

    with Table(path, layout, **EXPORT, engine=Engine(folder)) as table:
        for _ in table.records({column.name for column in table.columns}):
            pass


def tap_jsonl(path: Path, layout: TableSchema, folder: Path) -> None:
    """This tap's tables: BATCH files of JSON lines."""
    _batches(path, layout, folder, "jsonl")


def tap_gzip(path: Path, layout: TableSchema, folder: Path) -> None:
    """This tap's tables: BATCH files of JSON lines, packed."""
    _batches(path, layout, folder, "jsonl+gzip")


def tap_parquet(path: Path, layout: TableSchema, folder: Path) -> None:
    """This tap's tables: BATCH files in Parquet."""
    _batches(path, layout, folder, "parquet")


WAYS = {
    "sdk-default": sdk_default,
    "sdk-best": sdk_best,
    "duckdb-lines": duckdb_lines,
    "tap-lines": tap_lines,
    "tap-records": tap_records,
    "tap-jsonl": tap_jsonl,
    "tap-gzip": tap_gzip,
    "duckdb-parquet": duckdb_parquet,
    "tap-parquet": tap_parquet,
}


def _batches(path: Path, layout: TableSchema, folder: Path, encoding: str) -> None:
    from tap_autodesk_exports.tables import Encoding, Engine, Table  # noqa: PLC0415

    with Table(path, layout, **EXPORT, engine=Engine(folder)) as table:
        for _ in table.batches(
            lambda number: (folder / f"batch-{number}").open("wb"),
            {column.name for column in table.columns},
            encoding=Encoding(encoding),
            rows_per_file=ROWS_PER_FILE,
        ):
            pass


def _run_sdk(path: Path, layout: TableSchema, *, best: bool) -> None:
    from singer_sdk import Stream, Tap  # noqa: PLC0415
    from singer_sdk.helpers.conform import TypeConformanceLevel  # noqa: PLC0415
    from singer_sdk.singerlib.encoding.simple import SimpleSingerWriter  # noqa: PLC0415

    from tap_autodesk_exports.tables import Type, json_schema  # noqa: PLC0415

    casts = {
        Type.NUMBER: float,
        Type.BOOLEAN: "t".__eq__,
        Type.TIMESTAMP: lambda text: f"{text[:10]}T{text[11:]}Z",
    }
    columns = [(column.name, casts.get(column.type, str)) for column in layout.columns]

    class Issues(Stream):
        name = STREAM
        schema = {  # noqa: RUF012
            "properties": {column.name: json_schema(column.type) for column in layout.columns}
        }

        def get_records(self, context: Any) -> Iterable[dict[str, Any]]:  # noqa: ANN401, ARG002
            with path.open(encoding="utf-8-sig", newline="") as file:
                for row in csv.DictReader(file):
                    yield {name: cast(row[name]) if row[name] else None for name, cast in columns}

    if best:
        Issues.TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    class Bench(Tap):
        name = "tap-bench"
        config_jsonschema = {"properties": {}}  # noqa: RUF012

        def discover_streams(self) -> list[Stream]:
            return [Issues(self)]

    if best:
        from singer_sdk.contrib.msgspec import MsgSpecWriter  # noqa: PLC0415

        Bench.message_writer_class = MsgSpecWriter
    else:
        Bench.message_writer_class = SimpleSingerWriter
    Bench(config={}).sync_all()


def _duckdb() -> Any:  # noqa: ANN401
    import duckdb  # noqa: PLC0415

    return duckdb.connect(config={"threads": 2, "memory_limit": "512MB"})


def _source(path: Path, layout: TableSchema) -> str:
    columns = ", ".join(f"'c{at}': 'VARCHAR'" for at in range(len(layout.columns)))
    return (
        f"read_csv('{path}', columns = {{{columns}}}, auto_detect = false, header = true,"
        " delim = ',', quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false)"
    )


def _lines_query(path: Path, layout: TableSchema) -> str:
    fields = ", ',', ".join(
        f"'{json.dumps(column.name)}:', j{at}" for at, column in enumerate(layout.columns)
    )
    before = f'{{"type":"RECORD","stream":"{STREAM}","record":{{'
    own = ',"_export_id":"export-1","_exported_at":"2026-02-12T04:42:48.000000Z"'
    own += ',"_rescued_data":null,"_row_id":"'
    behind = f'"}},"time_extracted":"{EXTRACTED}"}}\n'
    values = ", ".join(
        f"{_json(f'c{at}', column.type)} AS j{at}" for at, column in enumerate(layout.columns)
    )
    return (
        f"SELECT concat('{before}', {fields}, '{own}', md5({_key(layout)}), '{behind}')"  # noqa: S608
        f" FROM (SELECT *, {values} FROM {_source(path, layout)})"
    )


def _key(layout: TableSchema) -> str:
    types = {column.name: (at, column.type) for at, column in enumerate(layout.columns)}
    parts = [_json(f"c{at}", type_) for at, type_ in map(types.__getitem__, layout.natural_key)]
    joined = ", ',', ".join(parts)
    return f"concat('[', {joined}, ']')"


def _json(cell: str, type_: str) -> str:
    match type_:
        case "string":
            sql = f"to_json({cell})::VARCHAR"
        case "number":
            pattern = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
            sql = f"CASE WHEN regexp_full_match({cell}, '{pattern}') THEN {cell} END"
        case "boolean":
            sql = f"CASE {cell} WHEN 't' THEN 'true' WHEN 'f' THEN 'false' END"
        case "date":
            sql = f"'\"' || try_cast({cell} AS DATE)::VARCHAR || '\"'"
        case _:
            sql = f"strftime(try_cast({cell} AS TIMESTAMP), '\"%Y-%m-%dT%H:%M:%S.%fZ\"')"
    return f"coalesce({sql}, 'null')"


def _value(cell: str, type_: str) -> str:
    sql = {"number": "DECIMAL(38, 2)", "timestamp": "TIMESTAMPTZ", "string": "VARCHAR"}
    return f"try_cast({cell} AS {sql.get(type_, type_)})"


def _write(result: Any) -> None:  # noqa: ANN401
    while rows := result.fetchmany(8192):
        sys.stdout.buffer.write("".join([row[0] for row in rows]).encode())


def main() -> None:
    """Run one way."""
    import data  # noqa: PLC0415

    way, shape, rows, folder = sys.argv[1:]
    path, layout = data.file_of(shape, int(rows))
    WAYS[way](path, layout, Path(folder))
    sys.stdout.flush()
    os._exit(0)  # all ways alike: what an interpreter's end costs is not the question


if __name__ == "__main__":
    main()
