"""What a second export makes of the rows of the first, in every kind of destination."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from destinations.conftest import STREAM, place
from support.exported import export
from tap_autodesk_exports.sandbox import Sandbox

if TYPE_CHECKING:
    from destinations.conftest import Place, Source
    from support.processes import Postgres


def row(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"00000000-0000-4000-8000-{number:012}", "name": f"Item {number}", **more}


def names(where: Place) -> dict[str, str]:
    found = [each["name"] for each in where.rows()]
    assert len(found) == len(set(found)), found
    return {each["id"][-1]: each["name"] for each in where.rows()}


def test_a_snapshot_takes_the_place_of_the_one_before(any_place: Place, source: Source):
    source.write([row(1), row(2), row(3)])
    assert any_place.load(source).code == 0
    assert names(any_place) == {"1": "Item 1", "2": "Item 2", "3": "Item 3"}
    source.write([row(2, name="renamed"), row(3), row(4)])
    run = any_place.load(source)
    assert run.code == 0, run.log
    assert names(any_place) == {"2": "renamed", "3": "Item 3", "4": "Item 4"}


def test_an_empty_snapshot_leaves_an_empty_table(any_place: Place, source: Source):
    source.write([row(1)])
    assert any_place.load(source).code == 0
    (source.folder / f"{STREAM}.csv").write_text("id,name\n")
    assert any_place.load(source).code == 0
    assert any_place.rows() == []


def test_a_table_that_was_always_empty_is_there(any_place: Place, source: Source):
    (source.folder / f"{STREAM}.csv").write_text("id,name\n")
    assert any_place.load(source).code == 0
    assert any_place.rows() == []


def test_the_same_export_is_not_loaded_twice(any_place: Place, source: Source):
    source.write([row(1)])
    assert any_place.load(source, data_connector_max_age_hours=20).code == 0
    before = any_place.rows()
    run = any_place.load(source, data_connector_max_age_hours=20)
    assert "1 unchanged" in run.log
    assert any_place.rows() == before
    assert len(source.sandbox.exports) == 1


def test_a_full_refresh_loads_all_of_it_again(any_place: Place, source: Source):
    source.write([row(1), row(2)])
    assert any_place.load(source).code == 0
    source.write([row(2, name="again")])
    run = any_place.load(source, full_refresh=True)
    assert run.code == 0, run.log
    assert names(any_place) == {"2": "again"}


def test_what_a_failed_run_could_not_load_stays_as_it_was(any_place: Place, source: Source):
    source.write([row(1), row(2)])
    assert any_place.load(source).code == 0
    before = any_place.rows()
    (source.folder / f"{STREAM}.csv").write_text("nothing,of,it\n1,2,3\n")
    run = any_place.load(source)
    assert run.code == 1
    assert "FAILED" in run.log
    assert any_place.rows() == before


@pytest.mark.parametrize("kind", ["duckdb", "postgres", "folder", "sqlite"])
def test_tables_fail_alone(kind, tmp_path, postgres, source: Source):
    good = place(kind, tmp_path, postgres, "cost_budgets")
    source.write([row(1)], "cost_budgets")
    (source.folder / f"{STREAM}.csv").write_text("nothing,of,it\n1,2,3\n")
    run = good.load(source, "cost_*")
    assert run.code == 1
    assert f"FAILED {STREAM}" in run.log
    assert names(good) == {"1": "Item 1"}


def remove_table(where: Place, postgres: Postgres, stream: str) -> None:
    """Remove what holds the rows of a stream, as somebody else does it."""
    path = Path(where.to.removeprefix("sqlite:///"))
    statement = f"DROP TABLE {stream}"
    match where.kind:
        case "postgres":
            with postgres.connect() as connection:
                connection.execute(f'DROP TABLE "{where.wishes["schema"]}".{stream}'.encode())
        case "sqlite":
            connection = sqlite3.connect(path)
            connection.execute(statement)
            connection.commit()
            connection.close()
        case "duckdb":
            with duckdb.connect(path) as database:
                database.execute(statement)
        case "folder":
            shutil.rmtree(path / stream)
        case _:
            path.unlink()


def test_a_snapshot_whose_table_is_gone_is_loaded_again(
    any_place: Place, source: Source, postgres: Postgres
):
    source.write([row(1), row(2)])
    assert any_place.load(source, data_connector_max_age_hours=20).code == 0
    before = any_place.rows()
    remove_table(any_place, postgres, STREAM)
    run = any_place.load(source, data_connector_max_age_hours=20)
    assert run.code == 0, run.log
    assert "is gone, so all of it is loaded again" in run.log
    assert any_place.rows() == before


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_table_in_another_case_is_the_same_where_the_database_says_so(
    kind, tmp_path, postgres, source: Source
):
    where = place(kind, tmp_path, postgres)
    path = Path(where.to.removeprefix("sqlite:///"))
    source.write([row(1), row(2)])
    assert where.load(source).code == 0
    connect: Any = sqlite3.connect if kind == "sqlite" else duckdb.connect
    database = connect(path)
    for old, new in ((STREAM, "other"), ("other", STREAM.title())):
        database.execute(f"ALTER TABLE {old} RENAME TO {new}")
    database.close()
    source.write([row(2), row(3)])
    run = where.load(source)
    assert run.code == 0, run.log
    assert "is gone" not in run.log
    assert names(where).keys() == {"2", "3"}


@pytest.mark.parametrize("kind", ["postgres", "sqlite", "duckdb", "folder", "csv"])
def test_a_dated_stream_whose_table_is_gone_is_loaded_from_its_start(kind, tmp_path, postgres):
    """Its columns too are named anew: in a new table, none is there that would keep its name."""
    stream = "tokenflex_usage"
    where = place(kind, tmp_path, postgres, stream)
    config = {"apis": ["tokenflex"], "start_date": "2026-06-01", "lookback_days": 1}
    with Sandbox(seed=3, scale=0.1, job_seconds=0) as sandbox:
        found = []
        for style, date in (("snake_case", "usage_date"), ("catalog", "usageDate")):
            wishes = {**where.wishes, "style": style}
            run = export(sandbox, where.to, stream, config=config, **wishes)
            assert run.code == 0, run.log
            found.append({(each["_row_id"], str(each[date])) for each in where.rows()})
            remove_table(where, postgres, stream)
    assert found[0] == found[1] != set()
