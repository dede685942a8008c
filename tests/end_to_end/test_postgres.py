from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from served import by_stream

from end_to_end.warehouses import differences, postgres_tables
from support.processes import ROOT
from tap_autodesk_exports.sandbox import Sandbox

if TYPE_CHECKING:
    from end_to_end.meltano_project import MeltanoProject
    from support.processes import Postgres

REAL_EXTRACT = ROOT.parent / "shared" / "data" / "extract"
DATED = ["insights_usage", "insights_usage_report", "tokenflex_usage"]
PROVENANCE = {"_export_id", "_exported_at"}


def test_meltano_run_loads_every_cell_into_postgres_as_it_was_served(
    project: MeltanoProject, postgres: Postgres, catalog: dict[str, dict[str, str]]
):
    load_into(project, postgres, "sandbox")
    with Sandbox(seed=4, scale=0.2, job_seconds=0.2) as sandbox:
        # Some windows are enough here; the test of DuckDB loads the twelve months of the default.
        start = f"{dt.datetime.now(dt.UTC) - dt.timedelta(days=70):%Y-%m-%d}"
        project.settings = {**sandbox.settings(), "start_date": start}
        project.load(
            "target-postgres",
            select=["insights_*", "tokenflex_*", "admin_*", "issues_*", "rfis_*", "cost_*"],
        )
        served = by_stream(sandbox.url, sandbox.token)
        with postgres.connect() as warehouse:
            tables = postgres_tables(warehouse, "sandbox")
        assert {stream for stream, of_stream in served.items() if of_stream.files} <= set(tables)
        assert differences(served, tables, catalog) == []


@pytest.mark.skipif(
    not REAL_EXTRACT.is_dir(), reason="There is no real extract beside the checkout."
)
def test_meltano_run_loads_every_cell_of_a_real_extract_into_postgres(
    project: MeltanoProject, postgres: Postgres, catalog: dict[str, dict[str, str]]
):
    load_into(project, postgres, "real")
    with Sandbox(extract=REAL_EXTRACT, job_seconds=0.2) as sandbox:
        project.settings = {**sandbox.settings(), "apis": ["data_connector"]}
        files = [path.stem for path in REAL_EXTRACT.glob("*.csv") if path.stem != "metadata"]
        project.load("target-postgres", select=files)
        served = by_stream(sandbox.url, sandbox.token)
        with postgres.connect() as warehouse:
            tables = postgres_tables(warehouse, "real")
        assert set(tables) == set(files)
        assert differences(served, tables, catalog) == []


def test_a_second_run_asks_only_for_what_is_new_and_ends_where_a_full_load_ends(
    project: MeltanoProject, postgres: Postgres
):
    today = dt.datetime.now(dt.UTC)
    start, earlier, end = (f"{today - dt.timedelta(days=days):%Y-%m-%d}" for days in (200, 40, 0))
    select = [*DATED, "issues_issues"]
    with Sandbox(seed=5, scale=0.2, job_seconds=0.2) as sandbox:
        common = {
            **sandbox.settings(),
            "start_date": start,
            "insights_export_scope": "all_teams",  # a third of the exports
        }
        load_into(project, postgres, "step_by_step")
        project.settings = {**common, "end_date": earlier}
        project.load("target-postgres", select=select)
        asked_first = sandbox.exports

        project.settings = {**common, "end_date": end}
        log = project.load("target-postgres", select=select)
        asked_then = sandbox.exports[len(asked_first) :]

        load_into(project, postgres, "at_once")
        project.load("target-postgres", "--full-refresh", "--state-id-suffix=full", select=select)

    assert {export.api for export in asked_then} == {"insights", "tokenflex"}
    assert " 0 unchanged" not in log
    look_back = f"{today - dt.timedelta(days=40 + 35 + 31):%Y-%m-%d}"
    begins = [export.body["startDate"] for export in asked_then if export.api == "insights"]
    assert begins
    assert min(begins) >= look_back
    with postgres.connect() as warehouse:
        step_by_step = postgres_tables(warehouse, "step_by_step")
        at_once = postgres_tables(warehouse, "at_once")
    for stream in select:
        assert content(step_by_step[stream]) == content(at_once[stream]), stream


def load_into(project: MeltanoProject, postgres: Postgres, schema: str) -> None:
    project.environment["TARGET_POSTGRES_SQLALCHEMY_URL"] = postgres.sqlalchemy_url
    project.environment["TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA"] = schema


def content(table: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the rows by their key, without what tells one load from another."""
    return {
        row["_row_id"]: {
            name: value
            for name, value in row.items()
            if name not in PROVENANCE and not name.startswith("_sdc")
        }
        for row in table
    }
