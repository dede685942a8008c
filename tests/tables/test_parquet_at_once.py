"""A large file becomes Parquet in one reading; one that goes on otherwise than it begins in two."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.tables import (
    Column,
    Encoding,
    Engine,
    Table,
    TableSchema,
    Type,
    checked_file,
    parquet,
)
from tap_autodesk_exports.tables import reading as reading_module
from tap_autodesk_exports.tables.parquet import InexactNumber

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = TableSchema(
    (
        Column("id"),
        Column("n", Type.NUMBER),
        Column("b", Type.BOOLEAN),
        Column("d", Type.DATE),
        Column("t", Type.TIME),
        Column("at", Type.TIMESTAMP),
    ),
    key=("id",),
)
BEGIN = '''id,n,b,d,t,at
one,1.50,t,2024-02-29,07:30:00,2024-01-02 03:04:05.123456
"two, ""2""",-1,f,,23:59:59.5,1960-01-01 00:00:00
'''
ORDINARY = {
    "more of the same": "three,999999.25,,0001-01-01,,9999-12-31 23:59:59.999999\n",
    "lines in a cell": '"a\r\nb,c",,,,,\n"",,,,,\n',
    "no line end": "three,,,,,",
    "more digits after the point": "three,1.505,,,,\n",
    "as many digits as there is room for": f"three,-{'9' * 28}.{'9' * 10},,,,\n",
    "blank lines": "\n\nthree,,,,,\n\n",
}
SURPRISES = {
    "text that is no number": "three,many,,,,\n",
    "an exponent": "three,1e3,,,,\n",
    "zeros that have no room": f"three,1.5{'0' * 20},,,,\n",
    "a zero in front": "three,007,,,,\n",
    "another truth": "three,,true,,,\n",
    "a time without seconds": "three,,,,07:30,\n",
    "a date with a time": "three,,,2024-02-29 00:00:00,,\n",
    "no such date": "three,,,2023-02-29,,\n",
    "a T in the timestamp": "three,,,,,2024-01-02T03:04:05\n",
    "an offset": "three,,,,,2024-01-02 03:04:05+01:00\n",
    "zeros behind the seconds": "three,,,,,2024-01-02 03:04:05.120000\n",
    "a year of five digits": "three,,,,,10000-01-01 00:00:00\n",
    "a year before Christ": "three,,,,,0044-03-15 (BC) 00:00:00\n",
    "an empty text where a number should be": 'three,"",,,,\n',
    "a row again": "one,1.50,t,2024-02-29,07:30:00,2024-01-02 03:04:05.123456\n",
    "a key again": "one,2,,,,\n",
    "a quote within a cell": 'th"ree,,,,,\n',
    "the header again": "id,n,b,d,t,at\nthree,,,,,\n",
    "another line end": "three,,,,,\r\n",
    "an old line end": "three,,,,,\rfour,,,,,\n",
}
DAMAGE = {
    "a comma too many": b"three,,,,,,\n",
    "a cell too many": b"three,,,,,,7\n",
    "a cell too few": b"three,,,,\n",
    "a blank behind a quote": b'"three" ,,,,,\n',
    "an open quote": b'three,,,,,"\n',
    "bad UTF-8": b"\xff,,,,,\n",
}


class Written(NamedTuple):
    rows: list[dict]
    schema: pa.Schema
    count: int
    readings: int
    """How often the file was read before its rows were written."""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`write(content)`: the content as Parquet, taken for a large file that begins with 2 rows."""
    readings = []
    monkeypatch.setattr(
        checked_file, "read", lambda *args: readings.append(args) or reading_module.read(*args)
    )

    def as_parquet(
        content: str | bytes, *, large: bool = True, as_shipped: bool = False, **more: object
    ) -> Written:
        if not as_shipped:
            monkeypatch.setattr(reading_module, "_FIRST_ROWS", 2)
            monkeypatch.setattr(parquet, "LARGE", 0 if large else 1 << 60)
        readings.clear()
        path = tmp_path / "rows.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        engine = Engine(tmp_path)
        with Table(path, SCHEMA, export_id="e", exported_at="2026-01-01", engine=engine) as table:
            numbers = table.batches(
                lambda number: (tmp_path / f"batch-{number}").open("wb"),
                more.pop("selected", {column.name for column in table.columns}),
                **{"encoding": Encoding.PARQUET, "rows_per_file": 100_000, **more},
            )
            tables = [pq.read_table(tmp_path / f"batch-{number}") for number in numbers]
            readings_before = len(readings)
            whole = pa.concat_tables(tables)
            rows = sorted(whole.to_pylist(), key=repr)
            count = table.count()
        engine.close()
        left = {path.name.rpartition("-")[0] or path.name for path in tmp_path.iterdir()}
        assert left <= {"rows.csv", "batch", "duckdb"}
        return Written(rows, whole.schema, count, readings_before)

    return as_parquet


@pytest.mark.parametrize(
    ("more", "readings"),
    [*((more, 0) for more in ORDINARY.values()), *((more, 1) for more in SURPRISES.values())],
    ids=[*ORDINARY, *SURPRISES],
)
def test_a_file_is_read_first_only_where_it_goes_on_otherwise(
    write, more: str, readings: int
) -> None:
    found, read_first = write(BEGIN + more), write(BEGIN + more, large=False)
    assert (found.readings, read_first.readings) == (readings, 1)
    assert found[:3] == read_first[:3]
    assert found.count == len(found.rows) > 2


@pytest.mark.parametrize("more", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_found_and_nothing_handed_on(write, tmp_path: Path, more: bytes) -> None:
    with pytest.raises(FileError, match=r"^Line 4 of the file 'rows\.csv'"):
        write(BEGIN.encode() + more)
    assert {path.name for path in tmp_path.iterdir()} <= {"rows.csv", "duckdb"}


@pytest.mark.parametrize("number", ["9" * 29, "1.12345678901", "1e28", "1e-11", "1e999999999"])
@pytest.mark.parametrize("large", [True, False])
def test_a_number_without_room_is_a_sentence_and_nothing_is_handed_on(
    write, tmp_path: Path, number: str, *, large: bool
) -> None:
    with pytest.raises(InexactNumber, match=r"Column 'n' holds a number that decimal\(38,10\)"):
        write(BEGIN + f"three,{number},,,,\n", large=large)
    assert {path.name for path in tmp_path.iterdir()} <= {"rows.csv", "duckdb"}


def test_an_unselected_column_may_hold_anything(write) -> None:
    found = write(BEGIN + "three,many,,,,\n", selected={"id"})
    assert found.readings == 0
    assert [row["id"] for row in found.rows] == ["one", "three", 'two, "2"']


def test_columns_that_are_new_are_kept(write) -> None:
    found = write("id,new,n\na,,1\nb,,2\nc,kept,3\n")
    assert found.readings == 0
    assert [row["_rescued_data"] for row in found.rows] == [None, None, '{"new":"kept"}']


def test_a_column_may_be_filled_late(write) -> None:
    found = write("id,b,at\na,,\nb,,\nc,t,2024-01-01 00:00:00\n")
    assert found.readings == 0
    assert [row["b"] for row in found.rows] == [None, None, True]
    assert str(found.rows[2]["at"]) == "2024-01-01 00:00:00+00:00"


@pytest.mark.parametrize("text", [BEGIN.replace("\n", "\r\n"), "id\na\nb\n\n\nc\n"])
def test_a_file_of_another_form_is_read_first(write, text: str) -> None:
    found, twice = (write(text, large=large, selected={"id"}) for large in (True, False))
    assert found == twice
    assert found.readings == 1


def test_rows_from_a_bookmark_on_are_read_first(write) -> None:
    found = write(BEGIN, after=("at", "2000-01-01T00:00:00.000000Z"))
    assert found.readings == 1
    assert [row["id"] for row in found.rows] == ["one"]


def test_long_rows_that_come_late_are_no_trouble(write) -> None:
    texts = [str(at) + "x" * (1 << 20) for at in range(120)]  # more than an engine's memory
    found = write("id,n\na,1\nb,2\n" + "".join(f"{text},3\n" for text in texts))
    assert sorted(row["id"] for row in found.rows) == sorted(["a", "b", *texts])


def test_four_megabytes_are_a_large_file(write) -> None:
    row = f"{{}}{'x' * 350},1.50,t,2024-01-01,07:30:00,2024-01-01 00:00:00\n"
    text = BEGIN.splitlines(keepends=True)[0] + "".join(map(row.format, range(12_000)))
    assert len(text) > 4 << 20
    ordinary = write(text, as_shipped=True)
    surprising = write(text + "odd,1e3,,,,\n", as_shipped=True)
    assert (ordinary.readings, surprising.readings) == (0, 1)
    assert (ordinary.count, surprising.count) == (12_000, 12_001)
    assert {row["n"] for row in surprising.rows} == {Decimal("1.5"), Decimal(1000)}
    assert {row["n"] for row in ordinary.rows} == {Decimal("1.5")}
