"""Batch files hold the same rows as the RECORD lines."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from typing import IO, TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tap_autodesk_exports.tables import Column, Encoding, Engine, Table, TableSchema, Type

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCHEMA = TableSchema(
    (
        Column("id"),
        Column("n", Type.NUMBER),
        Column("b", Type.BOOLEAN),
        Column("d", Type.DATE),
        Column("t", Type.TIME),
        Column("at", Type.TIMESTAMP),
        Column("none", Type.NUMBER),
    ),
    constants={"year": (Type.NUMBER, "1"), "team": (Type.STRING, "A")},
)
ROWS = """id,n,b,d,t,at,new
x,12345678901234567890.10,t,2024-02-29,07:30:00,2024-01-02 03:04:05.123456,
"a
b",-1,f,,23:59:59.5,1960-01-01 00:00:00,new
"",,,2024-01-01,,,
bad,7,x,junk,,2024-01-02 00:00:00+01:00,
"""


def table_of(folder: Path, text: str, schema: TableSchema = SCHEMA) -> Table:
    path = folder / "rows.csv"
    path.write_text(text)
    return Table(path, schema, export_id="e", exported_at="2026-01-01", engine=Engine(folder))


def creator(folder: Path) -> Callable[[int], IO[bytes]]:
    return lambda number: (folder / f"batch-{number}").open("wb")


def everything(table: Table) -> set[str]:
    return {column.name for column in table.columns}


@pytest.mark.parametrize("encoding", [Encoding.JSONL, Encoding.JSONL_GZIP])
def test_json_lines_hold_the_records_of_the_lines(tmp_path: Path, encoding: Encoding) -> None:
    with table_of(tmp_path, ROWS) as table:
        selected = everything(table)
        lines = b"".join(table.lines("s", selected, time_extracted="x")).split(b"\n")[:-1]
        expected = [json.loads(line)["record"] for line in lines]
        found = []
        how = {"encoding": encoding, "rows_per_file": 3}
        for number in table.batches(creator(tmp_path), selected, **how):
            content = (tmp_path / f"batch-{number}").read_bytes()
            if encoding is Encoding.JSONL_GZIP:
                content = gzip.decompress(content)
            found.append([json.loads(line) for line in content.split(b"\n")[:-1]])
        assert found == [expected[:3], expected[3:]]


@pytest.mark.parametrize("rows_per_file", [1000, 999, 2048, 5000, 20_000])
def test_files_have_the_number_of_rows_that_was_asked_for(
    tmp_path: Path, rows_per_file: int
) -> None:
    with table_of(tmp_path, "id\n" + "".join(f"{at}\n" for at in range(10_000))) as table:
        how = {"encoding": Encoding.JSONL, "rows_per_file": rows_per_file}
        batches = list(table.batches(creator(tmp_path), {"id"}, **how))
    lines = [(tmp_path / f"batch-{n}").read_bytes().count(b"\n") for n in batches]
    left = 10_000 % rows_per_file
    assert lines == [rows_per_file] * (10_000 // rows_per_file) + [left] * bool(left)


def test_a_file_is_complete_when_it_is_announced(tmp_path: Path) -> None:
    with table_of(tmp_path, "id\na\nb\nc\n") as table:
        batches = table.batches(creator(tmp_path), {"id"}, encoding=Encoding.JSONL, rows_per_file=2)
        assert next(batches) == 1
        assert (tmp_path / "batch-1").read_text() == '{"id":"a"}\n{"id":"b"}\n'
        assert not (tmp_path / "batch-2").exists()


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("text", ["id\n", "id,n\n\n\n"])
def test_a_table_without_rows_has_no_files(tmp_path: Path, encoding: Encoding, text: str) -> None:
    with table_of(tmp_path, text) as table:
        how = {"encoding": encoding, "rows_per_file": 10}
        assert list(table.batches(creator(tmp_path), {"id"}, **how)) == []


def parquet(folder: Path, table: Table, **how: object) -> list[pa.Table]:
    options = {"encoding": Encoding.PARQUET, "rows_per_file": 10_000, **how}
    numbers = table.batches(creator(folder), everything(table), **options)
    return [pq.read_table(folder / f"batch-{number}") for number in numbers]


def test_a_parquet_file_may_have_more_rows_than_the_memory_holds(tmp_path: Path) -> None:
    columns = [f"column_{at}" for at in range(100)]
    line = ",".join(f"some words in {name}" for name in columns)
    text = ",".join(columns) + "\n" + "".join(f"{at} {line}\n" for at in range(60_000))
    schema = TableSchema(tuple(map(Column, columns)))
    with table_of(tmp_path, text, schema) as table:
        (found,) = parquet(tmp_path, table, rows_per_file=60_000)
    assert (tmp_path / "rows.csv").stat().st_size > 100 << 20  # more than an engine takes
    assert found.num_rows == 60_000
    assert len(found["_row_id"].unique()) == 60_000


def test_parquet_has_real_types_and_the_values_of_the_records(tmp_path: Path) -> None:
    with table_of(tmp_path, ROWS) as table:
        expected = list(table.records(everything(table)))
        (found,) = parquet(tmp_path, table)
        assert [path.name for path in tmp_path.rglob("*") if path.suffix == ".parquet"] == []
    types = {field.name: field.type for field in found.schema}
    assert types == {
        "id": pa.string(),
        "n": pa.decimal128(38, 10),
        "b": pa.bool_(),
        "d": pa.date32(),
        "t": pa.time64("us"),
        "at": pa.timestamp("us", tz="UTC"),
        "none": pa.decimal128(38, 10),
        "year": pa.decimal128(38, 10),
        "team": pa.string(),
        "_export_id": pa.string(),
        "_exported_at": pa.timestamp("us", tz="UTC"),
        "_rescued_data": pa.string(),
        "_row_id": pa.string(),
    }
    assert [as_record(row) for row in found.to_pylist()] == expected


def as_record(row: dict) -> dict:
    def text(value: object) -> object:
        match value:
            case dt.datetime():
                return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            case dt.time():
                return value.isoformat().rstrip("0") if value.microsecond else value.isoformat()
            case dt.date():
                return value.isoformat()
        return value

    return {name: text(value) for name, value in row.items()}


def test_parquet_files_hold_all_rows_in_order_with_their_ids(tmp_path: Path) -> None:
    text = "id,n\n" + "".join(f"{at % 9000},{at}\n" for at in range(10_000))
    schema = TableSchema((Column("id"), Column("n", Type.NUMBER)), key=("id",))
    with table_of(tmp_path, text, schema) as table:
        expected = list(table.records({"id", "n", "_row_id"}))
        tables = parquet(tmp_path, table, rows_per_file=2048)
        found = [row for one in tables for row in one.select(["id", "n", "_row_id"]).to_pylist()]
    assert len(tables) > 1
    assert max(one.num_rows for one in tables) <= 4096
    by_id = {row["_row_id"]: row for row in found}
    assert len(by_id) == len(found) == 10_000
    assert by_id == {row["_row_id"]: row for row in expected}


def test_batches_begin_at_the_bookmark(tmp_path: Path) -> None:
    with table_of(tmp_path, "id,at\na,2024-01-01\nb,2024-01-02\n") as table:
        how = {"rows_per_file": 10, "after": ("at", "2024-01-02T00:00:00.000000Z")}
        batches = table.batches(creator(tmp_path), {"id"}, encoding=Encoding.JSONL, **how)
        assert list(batches) == [1]
        assert (tmp_path / "batch-1").read_text() == '{"id":"b"}\n'
        (found,) = parquet(tmp_path, table, after=how["after"])
        assert found.column("id").to_pylist() == ["b"]
