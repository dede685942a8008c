"""New columns, other types, strange names: nothing is altered in place, and nothing is lost."""

from __future__ import annotations

import json
import sqlite3
from decimal import Decimal
from typing import TYPE_CHECKING

import duckdb
import pytest

from destinations.conftest import STREAM, place
from support.exported import export, in_postgres
from tap_autodesk_exports.destinations.destination import DestinationError
from tap_autodesk_exports.destinations.layout import STYLES, column_names
from tap_autodesk_exports.sandbox import Sandbox

if TYPE_CHECKING:
    from destinations.conftest import Source

ID = "00000000-0000-4000-8000-000000000001"
OTHER = "00000000-0000-4000-8000-000000000002"


def execute(kind: str, where, postgres, statement: str) -> None:
    """Do what somebody does to a table between two exports."""
    if kind == "postgres":
        with postgres.connect() as connection:
            connection.execute(statement.format(f'"{where.wishes["schema"]}".{STREAM}').encode())
    elif kind == "duckdb":
        with duckdb.connect(where.to) as connection:
            connection.execute(statement.format(STREAM))
    else:
        with sqlite3.connect(where.to.removeprefix("sqlite:///")) as connection:
            connection.execute(statement.format(STREAM))


@pytest.mark.parametrize("kind", ["postgres", "duckdb", "sqlite"])
def test_a_column_that_the_table_lacks_is_added(kind, tmp_path, postgres, source: Source):
    where = place(kind, tmp_path, postgres)
    source.write([{"id": ID, "unit": "m"}])
    assert where.load(source).code == 0
    execute(kind, where, postgres, "ALTER TABLE {} DROP COLUMN unit")
    execute(kind, where, postgres, "ALTER TABLE {} ADD COLUMN mine INTEGER")
    source.write([{"id": ID, "unit": "m"}, {"id": OTHER, "unit": "kg"}])
    run = where.load(source)
    assert run.code == 0, run.log
    assert {r["id"]: (r["unit"], r["mine"]) for r in where.rows()} == {
        ID: ("m", None),
        OTHER: ("kg", None),
    }


@pytest.mark.parametrize("kind", ["postgres", "duckdb"])
def test_a_cell_that_does_not_fit_the_table_is_rescued(kind, tmp_path, postgres, source: Source):
    where = place(kind, tmp_path, postgres)
    source.write([{"id": ID, "unit": "1"}])
    assert where.load(source).code == 0
    text = {"postgres": "unit::bigint", "duckdb": "unit::bigint"}[kind]
    execute(kind, where, postgres, f"ALTER TABLE {{}} ALTER COLUMN unit TYPE bigint USING {text}")
    source.write([{"id": ID, "unit": "12"}, {"id": OTHER, "unit": "kg"}])
    run = where.load(source)
    assert run.code == 0, run.log
    assert "column 'unit' is string in the catalog" in run.log
    rows = {r["id"]: (r["unit"], r["_rescued_data"]) for r in where.rows()}
    assert rows[ID] == (12, None)
    assert rows[OTHER][0] is None
    assert json.loads(rows[OTHER][1]) == {"unit": "kg"}


@pytest.mark.parametrize("kind", ["postgres", "duckdb"])
def test_a_type_that_no_export_writes_is_a_sentence(kind, tmp_path, postgres, source: Source):
    where = place(kind, tmp_path, postgres)
    source.write([{"id": ID, "unit": "1"}])
    assert where.load(source).code == 0
    before = where.rows()
    execute(kind, where, postgres, "ALTER TABLE {} ALTER COLUMN qty TYPE double precision")
    source.write([{"id": ID, "unit": "2"}])
    run = where.load(source)
    assert run.code == 1
    assert "Column 'qty' of table 'cost_main_contract_items' is of type" in run.log
    assert [r["unit"] for r in where.rows()] == [r["unit"] for r in before]


@pytest.mark.parametrize("column", ["qty", "updated_at"])
@pytest.mark.parametrize("kind", ["postgres", "duckdb", "sqlite", "parquet"])
def test_a_column_without_room_for_hashes_is_a_sentence(
    kind, column, tmp_path, postgres, source: Source
):
    where = place(kind, tmp_path, postgres)
    value = {"qty": "12.5", "updated_at": "2026-01-31 10:00:00"}[column]
    source.write([{"id": ID, column: value}])
    assert where.load(source).code == 0
    before = where.rows()
    hashing = {"hash_columns": [f"*.{column}"], "hash_key": "k" * 32}
    run = where.load(source, **hashing)
    if kind in {"sqlite", "parquet"}:  # numbers and times are text, or the file is written whole
        assert run.code == 0, run.log
    else:
        assert run.code == 1
        assert f"Column '{column}' of its table in" in run.log
        assert "rename the table" in run.log
        assert "_rescued_data" not in run.log
        assert where.rows() == before
        execute(kind, where, postgres, "ALTER TABLE {} RENAME TO old_ones")
        run = where.load(source, **hashing)
        assert run.code == 0, run.log
    assert [len(row[column]) for row in where.rows()] == [64]


def test_numbers_keep_all_their_digits(tmp_path, postgres, source: Source):
    numbers = ["123456789012345678901234567890.123456789012", "0.10", "-1e-30", "1E5", "-0"]
    rows = [{"id": f"{ID[:-1]}{at}", "amount": number} for at, number in enumerate(numbers)]
    source.write(rows)
    for kind in ("postgres", "csv", "jsonl", "sqlite"):
        where = place(kind, tmp_path, postgres)
        run = where.load(source)
        assert run.code == 0, run.log
        found = {row["id"]: Decimal(row["amount"]) for row in where.rows()}
        assert found == {row["id"]: Decimal(row["amount"]) for row in rows}, kind


@pytest.mark.parametrize("kind", ["duckdb", "parquet"])
def test_a_number_without_room_is_a_sentence_and_text_has_room(
    kind, tmp_path, postgres, source: Source
):
    source.write([{"id": ID, "amount": "0.12345678901"}])
    where = place(kind, tmp_path, postgres)
    run = where.load(source)
    assert run.code == 1
    assert "cannot store without a change" in run.log
    assert where.load(source, parquet_numbers="text").code == 0
    assert [row["amount"] for row in where.rows()] == ["0.12345678901"]


@pytest.mark.parametrize("kind", ["postgres", "csv", "jsonl", "parquet", "duckdb", "sqlite"])
def test_names_in_snake_case_stay_what_they_are(kind, tmp_path, postgres, source: Source):
    listing = "data_connector_requests"
    where = place(kind, tmp_path, postgres, listing)
    source.write([{"id": ID}])
    assert where.load(source, listing, style="snake_case").code == 0
    other = place("duckdb", tmp_path / "beside", postgres)
    (tmp_path / "beside").mkdir()
    assert other.load(source).code == 0  # so that there is a request
    assert where.load(source, listing).code == 0  # the catalog's names have no effect any more
    (found,) = where.rows()
    assert {"service_groups", "created_by", "_rescued_data"} <= found.keys()
    assert not [name for name in found if name != name.lower()]


@pytest.mark.parametrize(
    ("columns", "before", "expected"),
    [
        (["userId", "user_id"], {}, {"userId": "user_id_2", "user_id": "user_id"}),
        (["userId", "UserID"], {}, {"userId": "user_id", "UserID": "user_id_2"}),
        (["UserID", "userId"], {"userId": "user_id"}, {"userId": "user_id", "UserID": "user_id_2"}),
        (["_row_id", "rowId"], {}, {"_row_id": "_row_id", "rowId": "row_id"}),
        (["x" * 70, "x" * 80], {}, {"x" * 70: "x" * 63, "x" * 80: "x" * 61 + "_2"}),
        (["ü" * 40], {}, {"ü" * 40: "ü" * 31}),
        (["…"], {}, {"…": "…"}),
    ],
)
def test_two_columns_never_get_one_name(columns, before, expected):
    found = column_names(columns, STYLES["snake_case"], longest=63, before=before)
    assert found == expected


def test_names_that_differ_in_their_case_are_two_and_the_one_that_is_there_keeps_its_own():
    found = column_names(["Name", "name"], str, longest=63, before={}, existing={"name"})
    assert found == {"Name": "Name_2", "name": "name"}


def test_null_is_apart_from_an_empty_text(tmp_path, postgres, source: Source):
    (source.folder / f"{STREAM}.csv").write_text(f'id,name,unit\n{ID},"",\n')
    for kind in ("postgres", "duckdb", "sqlite", "parquet", "jsonl"):
        where = place(kind, tmp_path, postgres)
        assert where.load(source).code == 0
        assert [(row["name"], row["unit"]) for row in where.rows()] == [("", None)], kind
    where = place("csv", tmp_path, postgres)
    assert where.load(source).code == 0
    assert where.load(source).code == 0  # which reads the file again
    header, line = (tmp_path / "x.csv").read_text().splitlines()
    cells = dict(zip(header.split(","), line.split(","), strict=True))
    assert (cells["name"], cells["unit"]) == ('""', "")


def test_instants_are_in_utc(tmp_path, postgres, source: Source):
    source.write([{"id": ID, "created_at": "2026-01-31 23:30:00.25-02:00"}])
    where = place("postgres", tmp_path, postgres)
    assert where.load(source).code == 0
    with postgres.connect() as connection:
        (found,) = in_postgres(connection, STREAM, where.wishes["schema"])
    assert found["created_at"].isoformat() == "2026-02-01T01:30:00.250000+00:00"


# Tables that are somebody else's


@pytest.mark.parametrize("kind", ["postgres", "duckdb", "sqlite"])
def test_rows_that_no_export_has_written_are_not_deleted(kind, tmp_path, postgres, source: Source):
    where = place(kind, tmp_path, postgres)
    source.write([{"id": ID, "name": "a"}], "admin_roles")
    assert where.load(source, "admin_roles").code == 0  # the schema, or the file, is there
    execute(kind, where, postgres, "CREATE TABLE {} (id text, mine text)")
    execute(kind, where, postgres, "INSERT INTO {} VALUES ('1', 'precious')")
    source.write([{"id": ID}])
    for more in ({}, {"full_refresh": True}):
        run = where.load(source, **more)
        assert run.code == 1
        assert f"Table '{STREAM}' has rows that no export has written" in run.log
        assert where.rows() == [{"id": "1", "mine": "precious"}]
    execute(kind, where, postgres, "DELETE FROM {}")
    assert where.load(source).code == 0
    assert [(row["id"], row["mine"]) for row in where.rows()] == [(ID, None)]


@pytest.mark.parametrize("kind", ["postgres", "duckdb", "sqlite"])
def test_a_table_in_place_of_the_state_is_a_sentence(kind, tmp_path, postgres, source: Source):
    where = place(kind, tmp_path, postgres)
    assert where.load(source).code == 0
    schema = f'"{where.wishes["schema"]}".' if kind == "postgres" else ""
    state = f"{schema}_autodesk_exports_state"
    execute(kind, where, postgres, f"DROP TABLE {state}")
    execute(kind, where, postgres, f"CREATE TABLE {state} (mine text)")
    with pytest.raises(DestinationError, match="cannot be read"):
        where.load(source)


@pytest.mark.parametrize("kind", ["postgres", "csv", "jsonl", "parquet", "duckdb", "sqlite"])
@pytest.mark.parametrize("styles", [("catalog", "snake_case"), ("snake_case", "catalog")])
def test_a_column_that_is_there_keeps_its_name(kind, styles, tmp_path, postgres):
    """Else old rows would have their values in one column and new rows in another."""
    stream = "tokenflex_usage"
    where = place(kind, tmp_path, postgres, stream)
    config = {"apis": ["tokenflex"], "start_date": "2026-08-01", "lookback_days": 0}
    with Sandbox(seed=3, scale=0.1, job_seconds=0) as sandbox:
        names = []
        for style in styles:
            run = export(
                sandbox, where.to, stream, config=config, **{**where.wishes, "style": style}
            )
            assert run.code == 0, run.log
            names.append({name for row in where.rows() for name in row})
            sandbox.clock.advance(30 * 24 * 3600)
    assert names[0] == names[1]
