"""`autodesk-exports export` of a real extract, and beside `meltano run` with target-postgres."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from served import by_stream

from end_to_end.warehouses import differences, opened, postgres_tables
from support import exported, in_process
from support.exported import export
from support.processes import ROOT
from tap_autodesk_exports.sandbox import Sandbox
from year.simulation import Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.processes import Postgres

REAL_EXTRACT = ROOT.parent / "shared" / "data" / "extract"
needs_extract = pytest.mark.skipif(
    not REAL_EXTRACT.is_dir(), reason="There is no real extract beside the checkout."
)
CONFIG = {"apis": ["data_connector"]}


@pytest.fixture(scope="module")
def real() -> Iterator[Sandbox]:
    with Sandbox(extract=REAL_EXTRACT, job_seconds=0) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def tables() -> list[str]:
    return sorted(path.stem for path in REAL_EXTRACT.glob("*.csv") if path.stem != "metadata")


def compare(
    real: Sandbox, found: dict[str, list[dict[str, Any]]], tables: list[str], catalog: Any
) -> None:
    assert sorted(found) == tables
    lower = {
        stream: [{name.lower(): value for name, value in opened(row).items()} for row in rows]
        for stream, rows in found.items()
    }
    assert differences(by_stream(real.url, real.token), lower, catalog) == []


@needs_extract
def test_every_cell_of_a_real_extract_is_in_postgres(real, tables, catalog, postgres: Postgres):
    run = export(real, exported.address(postgres), *tables, config=CONFIG, schema="real export")
    assert run.code == 0, run.log
    with postgres.connect() as connection:
        found = {n: exported.in_postgres(connection, n, "real export") for n in tables}
    compare(real, found, tables, catalog)


@needs_extract
def test_every_cell_of_a_real_extract_is_in_duckdb(real, tables, catalog, tmp_path):
    path = tmp_path / "x.duckdb"
    run = export(real, path, *tables, config=CONFIG)
    assert run.code == 0, run.log
    compare(real, {name: exported.in_duckdb(path, name) for name in tables}, tables, catalog)


@needs_extract
def test_every_cell_of_a_real_extract_is_in_parquet_files(real, tables, catalog, tmp_path):
    run = export(real, f"{tmp_path}/all/", *tables, config=CONFIG)
    assert run.code == 0, run.log
    files = {name: tmp_path / "all" / name / f"{name}.parquet" for name in tables}
    compare(real, {n: exported.in_parquet(f) for n, f in files.items()}, tables, catalog)


@needs_extract
@pytest.mark.timeout(900)
def test_every_cell_of_a_real_extract_is_in_csv_files(real, tables, catalog, tmp_path):
    """Every fifth table, as each is a run of its own."""
    some = tables[::5]
    found = {}
    for name in some:
        path = tmp_path / f"{name}.csv"
        assert export(real, path, name, config=CONFIG).code == 0
        found[name] = typed(path, catalog[name])
    compare(real, found, some, catalog)


def typed(path: Path, types: dict[str, str]) -> list[dict[str, Any]]:
    """Read a CSV file with the catalog's types, null apart from ""."""
    sql = {"timestamp": "TIMESTAMPTZ", "number": "DECIMAL(38,10)", "integer": "BIGINT"}
    with duckdb.connect() as database:
        database.execute("SET TIME ZONE 'UTC'")
        relation = database.read_csv(
            str(path), all_varchar=True, header=True, allow_quoted_nulls=False
        )
        columns = ", ".join(
            f'CAST("{name}" AS {sql.get(types[name], types[name])}) AS "{name}"'
            if types[name] in {*sql, "date", "boolean", "time"}
            else f'"{name}"'
            for name in relation.columns
        )
        typed_rows = relation.project(columns)
        return [dict(zip(typed_rows.columns, r, strict=True)) for r in typed_rows.fetchall()]


def test_the_rows_are_those_that_the_tap_and_target_postgres_load(tmp_path, postgres: Postgres):
    streams = ("insights_users", "insights_usage", "tokenflex_usage", "issues_issues")
    config = {
        "start_date": "2026-10-01",
        "end_date": "2026-11-20",
        "data_connector_service_groups": ["issues"],
    }
    with Sandbox(seed=8, scale=0.3, job_seconds=0) as sandbox:
        with Target(tmp_path, postgres, "by target") as target:
            run = in_process.run(sandbox, config, *streams, sink=target.input)
        assert run.code == 0
        to = exported.address(postgres)
        assert export(sandbox, to, *streams, config=config, schema="by export").code == 0
    with postgres.connect() as connection:
        by_target = postgres_tables(connection, "by target")
        by_export = postgres_tables(connection, "by export")
    for stream in streams:
        assert rows(by_target[stream]) == rows(by_export[stream]), stream


def rows(table: list[dict[str, Any]]) -> list[str]:
    assert table
    return sorted(
        json.dumps(
            {
                name: value
                for name, value in row.items()
                if name not in exported.OF_A_LOAD and not name.startswith("_sdc")
            },
            sort_keys=True,
            default=lambda value: f"{value}".removesuffix(".0"),
        )
        for row in table
    )
