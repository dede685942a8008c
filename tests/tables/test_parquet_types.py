"""All Parquet files of a stream have the same types, whatever their numbers look like."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from tap_autodesk_exports.tables import Column, Encoding, Engine, Table, TableSchema, Type
from tap_autodesk_exports.tables import parquet as parquet_module
from tap_autodesk_exports.tables.numbers import DECIMAL, ParquetNumbers
from tap_autodesk_exports.tables.parquet import InexactNumber

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = (
    Column("id", Type.UUID),
    Column("n", Type.NUMBER),
    Column("whole", Type.INTEGER),
    Column("day", Type.DATE),
    Column("hour", Type.TIME_TEXT),
    Column("clock", Type.TIME),
    Column("at", Type.TIMESTAMP),
    Column("open", Type.BOOLEAN),
)
CONSTANTS = {"year": (Type.NUMBER, "1"), "team": (Type.STRING, None)}
TYPES = {
    "id": pa.string(),
    "n": pa.decimal128(38, 10),
    "whole": pa.int64(),
    "day": pa.date32(),
    "hour": pa.string(),
    "clock": pa.time64("us"),
    "at": pa.timestamp("us", tz="UTC"),
    "open": pa.bool_(),
    "year": pa.decimal128(38, 10),
    "team": pa.string(),
    "_export_id": pa.string(),
    "_exported_at": pa.timestamp("us", tz="UTC"),
    "_rescued_data": pa.string(),
    "_row_id": pa.string(),
}


def write(
    folder: Path, text: str, *, name: str = "batch", rows: int = 10_000, **more: object
) -> list[Path]:
    path = folder / "rows.csv"
    path.write_text(text)
    options = {"columns": COLUMNS, "key": ("id",), "constants": CONSTANTS, **more}
    table = Table(
        path,
        TableSchema(**options),  # type: ignore[arg-type]
        export_id="e",
        exported_at="2026-01-01",
        engine=Engine(folder),
    )
    with table:
        numbers = table.batches(
            lambda number: (folder / f"{name}-{number}.parquet").open("wb"),
            {column.name for column in table.columns},
            encoding=Encoding.PARQUET,
            rows_per_file=rows,
        )
        return [folder / f"{name}-{number}.parquet" for number in numbers]


FIRST, SECOND, THIRD = (
    "id,n\n",  # few columns, and whole numbers
    "id,n,whole,day,hour,clock,at,open\n",
    "n,id,new,whole\n",  # another order, a column that nobody knows, and exponents
)


def row(run: int, at: int) -> str:
    number = (f"{at}", f"{at}.{at:010}"[:28], f"{at}e{at % 9 - 4}")[run]
    if run == 0:
        return f"{run}-{at},{number}\n"
    if run == 1:
        times = f"2026-01-{at % 28 + 1:02},0{at % 9}:00,0{at % 9}:00:00,2026-01-01 00:00:00"
        return f"{run}-{at},{number},{at},{times},t\n"
    return f"{number},{run}-{at},x,{'' if at % 2 else 'many'}\n"


@pytest.fixture(scope="module")
def thirty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Decimal]]:
    """A folder with thirty files of three runs, and the number of each row."""
    folder = tmp_path_factory.mktemp("thirty")
    expected = {}
    for run, header in enumerate((FIRST, SECOND, THIRD)):
        for part in range(10):
            numbers = range(part * 100, part * 100 + 50)
            rows = [row(run, at) for at in numbers]
            write(folder, header + "".join(rows), name=f"{run}-{part}")
            for at, text in zip(numbers, rows, strict=True):
                expected[f"{run}-{at}"] = Decimal(text.split(",")[0 if run == 2 else 1].strip())
    files = folder / "files"
    files.mkdir()
    for path in folder.glob("*.parquet"):
        path.rename(files / path.name)
    assert len(list(files.iterdir())) == 30
    return files, expected


def test_thirty_files_of_three_runs_are_one_table_for_pyarrow(thirty) -> None:
    folder, expected = thirty
    table = pyarrow.dataset.dataset(folder).to_table()
    assert {field.name: field.type for field in table.schema} == TYPES
    schemas = [pq.read_schema(path) for path in folder.iterdir()]
    assert all(schema.equals(schemas[0]) for schema in schemas)
    found = dict(zip(table["id"].to_pylist(), table["n"].to_pylist(), strict=True))
    assert found == expected


def test_thirty_files_of_three_runs_are_one_table_for_duckdb(thirty) -> None:
    folder, expected = thirty
    found = duckdb.read_parquet(f"{folder}/*.parquet").project("id, n").fetchall()
    assert dict(found) == expected


def test_thirty_files_of_three_runs_are_one_table_for_polars(thirty) -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed")
    folder, expected = thirty
    table = polars.read_parquet(f"{folder}/*.parquet")
    assert dict(zip(table["id"].to_list(), table["n"].to_list(), strict=True)) == expected


TEXTS = ["1", "-0", "1.50", "1e3", "12345678901234567890.10", "0.1234567890", "-1.2e-5", "5E+2"]


@pytest.mark.parametrize("large", [True, False])
@pytest.mark.parametrize("numbers", ["decimal(38,10)", "decimal(34,12)", "text"])
def test_every_number_is_stored_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, numbers: str, *, large: bool
) -> None:
    monkeypatch.setattr(parquet_module, "LARGE", 0 if large else 1 << 60)
    text = "id,n\n" + "".join(f"{at},{each}\n" for at, each in enumerate(TEXTS))
    (path,) = write(tmp_path, text, numbers=ParquetNumbers.parse(numbers))
    table = pq.read_table(path)
    assert (
        str(table.schema.field("n").type)
        == {
            "text": "string",
            "decimal(38,10)": "decimal128(38, 10)",
            "decimal(34,12)": "decimal128(34, 12)",
        }[numbers]
    )
    found = dict(zip(map(int, table["id"].to_pylist()), table["n"].to_pylist(), strict=True))
    if numbers == "text":
        assert [found[at] for at in range(len(TEXTS))] == TEXTS
    else:
        assert [found[at] for at in range(len(TEXTS))] == list(map(Decimal, TEXTS))


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ("decimal(38,10)", "9" * 29),
        ("decimal(38,10)", "0.00000000001"),
        ("decimal(4,2)", "100"),
        ("decimal(4,0)", "1.5"),
        ("decimal(4,4)", "1"),
        ("decimal(38,10)", "1e29"),
    ],
)
def test_a_number_without_room_is_a_sentence_that_names_the_column(
    tmp_path: Path, numbers: str, text: str
) -> None:
    with pytest.raises(InexactNumber, match=r"Column 'n' .*'parquet_numbers' to text") as failure:
        write(
            tmp_path,
            f"id,n\n1,0\n2,{text}\n",
            numbers=ParquetNumbers.parse(numbers),
            constants={},
        )
    assert text not in str(failure.value)
    assert not list(tmp_path.glob("*.parquet"))


@pytest.mark.parametrize(
    "text", ["decimal(39,2)", "decimal(5,6)", "decimal(0,0)", "decimal", "double", "Text", ""]
)
def test_another_type_for_numbers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a type for numbers in Parquet files"):
        ParquetNumbers.parse(text)


def test_a_type_for_numbers_is_written_as_it_is_read() -> None:
    assert str(DECIMAL) == "decimal(38,10)"
    for text in ("text", "decimal(38,10)", "decimal(9,0)"):
        assert str(ParquetNumbers.parse(text)) == text


def test_long_cells_are_in_parquet_files_of_their_own(tmp_path: Path) -> None:
    cells = {"a": "x" * 100, "b": 'é"\n' * 10_000, "c": "y" * 20_000, "d": "z"}
    text = "id,n,name,new\n" + "".join(
        f'{name},1,"{cell.replace(chr(34), chr(34) * 2)}",{"w" * 30_000 if name == "a" else ""}\n'
        for name, cell in cells.items()
    )
    columns = (Column("id"), Column("n", Type.NUMBER), Column("name"))
    files = write(tmp_path, text, columns=columns)
    tables = [pq.read_table(path) for path in files]
    assert {table.schema.field("n").type for table in tables} == {pa.decimal128(38, 10)}
    found = {each["id"]: each for table in tables for each in table.to_pylist()}
    assert {name: each["name"] for name, each in found.items()} == cells
    assert found["a"]["_rescued_data"] == '{"new":"' + "w" * 30_000 + '"}'
    assert sum(table.num_rows for table in tables) == 4
