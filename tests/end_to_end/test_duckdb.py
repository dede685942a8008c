from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import run
from served import by_stream

from end_to_end.warehouses import differences, duckdb_tables
from tap_autodesk_exports.sandbox import Sandbox

if TYPE_CHECKING:
    from end_to_end.meltano_project import MeltanoProject


def test_meltano_run_loads_every_stream_of_the_default_selection_into_duckdb(
    project: MeltanoProject, catalog: dict[str, dict[str, str]]
):
    database = project.folder / "warehouse.duckdb"
    project.environment["TARGET_DUCKDB_PATH"] = str(database)
    with Sandbox(seed=3, scale=0.2, job_seconds=0.2) as sandbox:
        project.settings = sandbox.settings()
        log = project.load("target-duckdb")
        served = by_stream(sandbox.url, sandbox.token)
        with duckdb.connect(str(database), read_only=True) as warehouse:
            tables = duckdb_tables(warehouse)
        assert {"insights_usage", "tokenflex_usage", "issues_issues"} <= set(tables)
        # The demo reads how long each stream took out of the same log.
        assert set(tables) <= set(run.BEGINNING.findall(log))
        assert len(run.END.findall(log)) == 1
        assert set(tables) == set(served)
        assert differences(served, tables, catalog, as_target_duckdb_stores) == []


def as_target_duckdb_stores(value: Any) -> Any:
    """This loader makes null of an empty string, a double of a number and text of a date."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value.isoformat()
    return None if value == "" else value
