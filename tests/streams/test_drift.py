"""The schema changes overnight: no failure, nothing lost, and everything said."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from support import in_process
from tap_autodesk_exports.autodesk.data_connector import catalog
from tap_autodesk_exports.autodesk.data_connector.schema import registry
from tap_autodesk_exports.cli import main
from tap_autodesk_exports.sandbox import Sandbox
from tap_autodesk_exports.tap import TapAutodeskExports

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ONLY = {"apis": ["data_connector"], "data_connector_extract": "new"}
RENAMED = ("estimates_estimation_instances", "takeoff_quantities", "takeoff_quantity_definitions")
PLANS = tuple(name for name in registry.bundled() if name.startswith("schedule_plan_"))
NEW_ATTACHMENT_COLUMNS = (
    "storage_urn", "file_size", "file_type", "lineage_urn", "version", "version_urn",
    "tip_version_urn", "bubble_urn", "created_by", "deleted_at", "deleted_by", "updated_at",
    "updated_by",
)  # fmt: skip
STREAMS = (
    "admin_business_units",
    "admin_projects",
    "clashes_issue_clash_group",
    "clashes_assigned_clash_group",
    "forms_weather_hours",
    "issues_attachments",
    "issues_changesets",
    "issues_issues",
    "issues_placements",
    "issues_viewables",
    "schedule_activities",
    *RENAMED,
)


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.3, job_seconds=0) as sandbox:
        sandbox.data_connector.published_schema = "observed"
        yield sandbox


def previous() -> registry.Registry:
    """Return the bundled registry as it was before its last documented changes.

    Documented, by month: issues.changesets deleted (12/2023), clashes.issue_clash_group deleted
    (11/2024), 13 columns of issues.attachments added (07/2025), forms.weather_hours.hour from
    string to time, issues.viewables.file_version and issues.placements.created_at_version from
    string to number (02/2026), six plan tables of schedule and admin.business_units.path added
    (03/2026). Announced: classifications renamed in estimates and takeoff.
    """
    tables: registry.Registry = json.loads(json.dumps(registry.bundled()))
    gone = tables["issues_comments"]
    tables["issues_changesets"] = {**gone, "table": "changesets"}
    tables["clashes_issue_clash_group"] = {
        **tables["clashes_assigned_clash_group"],
        "table": "issue_clash_group",
    }
    for column in NEW_ATTACHMENT_COLUMNS:
        del tables["issues_attachments"]["columns"][column]
    tables["forms_weather_hours"]["columns"]["hour"] = "string"
    tables["issues_viewables"]["columns"]["file_version"] = "string"
    tables["issues_placements"]["columns"]["created_at_version"] = "string"
    for name in PLANS:
        del tables[name]
    del tables["admin_business_units"]["columns"]["path"]
    return dict(sorted(tables.items()))


def served_after(server: Sandbox) -> None:
    """Have the sandbox serve today's schema, with the announced renaming."""
    tables = dict(server.data_connector.registry)
    for name in RENAMED:
        columns = {
            column.replace("_id", "_node_id") if column.startswith("classification") else column: t
            for column, t in tables[name].columns.items()
        }
        tables[name] = dataclasses.replace(tables[name], columns=columns)
    server.data_connector.change_schema(tables)


def served_rows(server: Sandbox, name: str) -> list[dict[str, str]]:
    # In the ZIP too, where a table is looked for that the listing lacks.
    file, *_ = (s for s in server.served if s.kind == name and s.path)
    assert file.path
    return list(csv.DictReader(io.StringIO(file.path.read_text(encoding="utf-8-sig"), newline="")))


def text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "t" if value else "f"
    return str(value)


def test_twelve_schema_changes_replayed_against_the_previous_registry(server, monkeypatch):
    monkeypatch.setattr(catalog, "bundled", previous)
    served_after(server)
    run = in_process.run(server, ONLY, *STREAMS)
    assert run.code == 0, run.stderr
    compared = 0
    for name in STREAMS:
        if name in {"issues_changesets", "clashes_issue_clash_group"}:
            assert run.records(name) == []
            assert [line for line in run.stderr.splitlines() if "no file of this table" in line]
            continue
        records = run.records(name)
        served = served_rows(server, name)
        assert len(records) == len(served), name
        types = server.data_connector.registry[name].columns
        stamps = {column for column, type_ in types.items() if type_ == "timestamp: SQL"}
        left = sorted(json.dumps({k: v for k, v in r.items() if k not in stamps}) for r in served)
        right = sorted(
            json.dumps({k: v for k, v in r.items() if k not in stamps})
            for r in (as_served(record, types) for record in records)
        )
        assert left == right, name
        compared += len(records)
    assert compared > 100
    warnings = [line for line in run.stderr.splitlines() if "does not know" in line]
    told = {line.partition("'")[2].partition("'")[0].removesuffix(".csv") for line in warnings}
    assert told == {"admin_business_units", "issues_attachments", *RENAMED}
    assert len(warnings) == len(told)  # each once
    for line in warnings:
        assert "data_connector_schema: live" in line
        assert "--refresh-catalog" in line
        assert "autodesk-exports schema" in line
    (attachments,) = [line for line in warnings if "issues_attachments" in line]
    assert all(column in attachments for column in NEW_ATTACHMENT_COLUMNS)
    missing = [line for line in run.stderr.splitlines() if "so null: classification" in line]
    assert len(missing) == len(RENAMED)


def as_served(record: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, str]:
    rescued = json.loads(record["_rescued_data"] or "{}")
    return {name: text(record.get(name, rescued.get(name))) for name in types}


def test_the_new_schema_knows_what_the_previous_one_rescues(server, monkeypatch):
    monkeypatch.setattr(catalog, "bundled", previous)
    served_after(server)
    config = {**ONLY, "data_connector_schema": "live"}
    kept = [name for name in STREAMS if name in registry.bundled()]
    run = in_process.run(server, config, *kept, "schedule_plan_tasks")
    assert run.code == 0, run.stderr
    assert "does not know" not in run.stderr
    for name in kept:
        assert all(row["_rescued_data"] is None for row in run.records(name))
    (schema,) = run.of_type("SCHEMA", "takeoff_quantities")
    assert "classification1_node_id" in schema["schema"]["properties"]


def test_discovery_from_the_live_schema_without_any_difference_is_the_bundled_one(server):
    def discover(schema: str) -> Any:
        config = {**server.settings(), "apis": ["data_connector"], "data_connector_schema": schema}
        return TapAutodeskExports(config=config).catalog_dict

    assert discover("live") == discover("bundled")


def test_the_schema_command_without_a_difference(server):
    done = CliRunner().invoke(main, ["schema", "--api-url", server.url])
    assert done.exit_code == 0, done.output
    assert "0 differences from the bundled schema" in done.output


def test_the_schema_command_prints_and_writes_what_changed(server, tmp_path: Path):
    served_after(server)
    tables = dict(server.data_connector.registry)
    del tables["issues_comments"]
    tables["admin_rooms"] = dataclasses.replace(tables["admin_roles"], name="admin_rooms")
    server.data_connector.change_schema(tables)
    server.data_connector.schema_changes.append(
        {
            "service_group": "takeoff",
            "table": "quantities",
            "column": "classification1_id",
            "change_type": "MODIFIED",
            "notes": "Renamed",
            "watermark": f"{dt.datetime(2026, 10, 15, tzinfo=dt.UTC).timestamp():.0f}",
            "year": 2026,
            "month": 10,
        }
    )
    file = tmp_path / "new.json"
    arguments = ["schema", "--api-url", server.url, "--write", str(file)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert any(line.startswith("- issues_comments (") for line in lines)
    assert any(line.startswith("+ admin_rooms (") for line in lines)
    assert any(line.startswith("+ takeoff_quantities.classification1_node_id") for line in lines)
    assert any(line.startswith("- takeoff_quantities.classification1_id") for line in lines)
    assert "! 2026-10-15 MODIFIED takeoff.quantities.classification1_id: Renamed" in lines
    written = json.loads(file.read_text())
    assert len(written) == 443
    assert written["admin_rooms"]["primary_key"] == ["id"]
    unchanged = set(written) - {"admin_rooms", *RENAMED}
    bundled = registry.bundled()
    assert all(written[name] == bundled[name] for name in unchanged)
    assert len(file.read_text().splitlines()) == 445


def test_the_schema_command_says_where_it_cannot_write(server, tmp_path: Path):
    file = tmp_path / "missing" / "new.json"
    done = CliRunner().invoke(main, ["schema", "--api-url", server.url, "--write", str(file)])
    assert done.exit_code == 1
    assert "cannot be written (No such file or directory)" in done.output


def test_the_schema_command_says_what_is_wrong():
    done = CliRunner().invoke(main, ["schema", "--api-url", "http://127.0.0.1:9"])
    assert done.exit_code == 1
    assert "could not be fetched" in done.output


def test_a_table_that_no_stream_knows_is_named_once():
    with Sandbox(scale=0.1, accounts=3, job_seconds=0) as server:
        tables = dict(server.data_connector.registry)
        tables["issues_novelties"] = dataclasses.replace(
            tables["issues_comments"], name="issues_novelties"
        )
        tables["rfis_novelties"] = dataclasses.replace(tables["rfis_rfis"], name="rfis_novelties")
        server.data_connector.change_schema(tables)
        run = in_process.run(server, ONLY, "issues_issues")
        assert run.code == 0, run.stderr
        (line,) = [line for line in run.stderr.splitlines() if "novelties" in line]
        assert "not loaded: issues_novelties." in line
        assert "--refresh-catalog" in line


def test_a_column_is_named_once_also_where_not_every_file_has_it():
    with Sandbox(scale=0.1, accounts=3, job_seconds=0) as server:
        auto = {"apis": ["data_connector"]}
        second = {"data_connector_account_ids": [server.account_ids[1]]}
        in_process.run(server, {**auto, **second}, "issues_issues")
        tables = dict(server.data_connector.registry)
        columns = {**tables["issues_issues"].columns, "novel": "string"}
        tables["issues_issues"] = dataclasses.replace(tables["issues_issues"], columns=columns)
        server.data_connector.change_schema(tables)
        run = in_process.run(server, auto, "issues_issues")
        assert len({row["_export_id"] for row in run.records("issues_issues")}) == 3
        assert len([line for line in run.stderr.splitlines() if "does not know" in line]) == 1


def test_discovery_without_the_live_schema_says_so(run_tap):
    config = {
        "apis": ["data_connector"],
        "data_connector_schema": "live",
        "api_url": "http://127.0.0.1:9",
        "access_token": "a",
    }
    run = run_tap(config, "--discover")
    assert run.code == 1
    assert run.messages == []
    assert "could not be fetched" in run.stderr
    assert "'data_connector_schema: bundled'" in run.stderr
    assert "Traceback" not in run.stderr


def test_types_that_changed_are_told():
    lines = list(registry.differences(previous(), registry.bundled()))
    assert "~ forms_weather_hours.hour: string -> time" in lines
    assert "~ issues_viewables.file_version: string -> number" in lines
    assert "+ admin_business_units.path: string" in lines
    assert len([line for line in lines if line.startswith("+ issues_attachments.")]) == 13
