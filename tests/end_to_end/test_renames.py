"""Names, scope and hashing change between runs of Meltano: the warehouse equals the source."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from end_to_end.warehouses import postgres_tables
from tap_autodesk_exports.sandbox import Sandbox
from tap_autodesk_exports.sandbox.data.world import PRODUCTS

if TYPE_CHECKING:
    from end_to_end.meltano_project import MeltanoProject
    from support.processes import Postgres

SELECT = [
    "insights_subscriptions",
    "insights_users",
    "insights_usage",
    "insights_usage_report",
    "tokenflex_usage",
    "tokenflex_desktop_sessions",
    "issues_issues",
]
OF_THE_RUN = {"_export_id", "_exported_at", "window_end", "monthly_average", "days_inactive"}
HASHING = {
    "hash_columns": ["*.hashed_autodesk_id", "*.email", "*.userName", "insights_users.autodesk_id"],
    "hash_key": "made-up-hash-key-of-some-length",
}


def test_a_team_and_a_product_renamed_the_scope_switched_and_hashing_turned_on_double_no_row(
    project: MeltanoProject, postgres: Postgres
):
    today = dt.datetime.now(dt.UTC)
    with Sandbox(seed=7, scale=0.1, job_seconds=0.1) as sandbox:
        team = sandbox.data_connector.tables[sandbox.account_id].world.teams[0]
        product = PRODUCTS[0]
        settings: dict[str, Any] = {
            **sandbox.settings(),
            "start_date": f"{today - dt.timedelta(days=40):%Y-%m-%d}",
            "lookback_days": 60,  # all rows are read again, so that all have the new names
            "emit_activate_version_messages": True,
        }
        project.environment["TARGET_POSTGRES_HARD_DELETE"] = "true"
        load(project, postgres, "renames", settings)
        before = usage(postgres, "renames")

        names = {
            "teams": {team.id: "A renamed team"},
            "products": {product.name: "A renamed product"},
            "offerings": {product.offering: "A renamed offering"},
        }
        sandbox.switch({"names": names, "tokenflex": {"last_usage": "empty"}})
        load(project, postgres, "renames", settings)
        after = usage(postgres, "renames")
        assert len(after) == len(before)
        assert "A renamed team" in {row["team_alias"] for row in after}

        settings |= {**HASHING, "insights_export_scope": "all_teams"}
        log = load(project, postgres, "renames", settings)
        for stream in ("insights_usage", "tokenflex_usage"):
            assert f"{stream}: its rows get other keys than before" in log

        load(
            project,
            postgres,
            "renames_at_once",
            settings,
            "--full-refresh",
            "--state-id-suffix=full",
        )
    with postgres.connect() as warehouse:
        step_by_step = postgres_tables(warehouse, "renames")
        at_once = postgres_tables(warehouse, "renames_at_once")
    for stream in SELECT:
        assert content(step_by_step[stream]) == content(at_once[stream]), stream
        assert at_once[stream]
    assert all(len(row["hashed_autodesk_id"]) == 64 for row in step_by_step["insights_usage"])


def load(
    project: MeltanoProject,
    postgres: Postgres,
    schema: str,
    settings: dict[str, Any],
    *options: str,
) -> str:
    project.settings = settings
    project.environment["TARGET_POSTGRES_SQLALCHEMY_URL"] = postgres.sqlalchemy_url
    project.environment["TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA"] = schema
    return project.load("target-postgres", *options, select=SELECT)


def usage(postgres: Postgres, schema: str) -> list[dict[str, Any]]:
    with postgres.connect() as warehouse:
        return postgres_tables(warehouse, schema)["insights_usage"]


def content(table: list[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """Return the rows by their key, without what tells one load from another."""
    found = {}
    for row in table:
        key = row.get("_row_id") if "issue_id" not in row else row["issue_id"]
        assert key not in found
        found[key] = {
            name: value
            for name, value in row.items()
            if name not in OF_THE_RUN and not name.startswith("_sdc")
        }
    return found
