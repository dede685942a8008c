"""A state that the first release wrote is read and continued, and nothing is requested twice."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import pytest

from support import in_process
from support.sandbox_client import JOB_SECONDS, Client
from tap_autodesk_exports.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = dt.datetime(2026, 6, 15, 4, tzinfo=dt.UTC)
STREAMS = (
    "insights_users",
    "tokenflex_manual_usage",
    "admin_projects",
    "activities_admin_activities",
)

# As it was written, with the IDs of this sandbox in place of those of another one.
STATE = """
{"bookmarks":
  {"activities_admin_activities": {"partitions": [{"context": {"account_id": "ACCOUNT"},
    "start": "2026-05-01T00:00:00.000000Z", "replication_key": "created_at",
    "replication_key_value": "2026-06-15T00:30:00.099868Z",
    "identity": "_row_id 1; activity_id"}]},
   "admin_projects": {"partitions": [{"context": {"account_id": "ACCOUNT"},
    "export_id": "an-earlier-job", "columns": "52e30d53", "version_is_open": false}]},
   "insights_users": {"partitions": [{"context": {"team_id": "TEAM"},
    "export_id": "an-earlier-export", "columns": "bddaa18e",
    "identity": "_row_id 1; team_id; autodesk_id|nothing"}]}},
 "exports":
  [{"spec": {"api": "insights", "owner": "TEAM", "name": "insights_users", "slot": "",
     "body": {"outputFormat": "CSV", "reports": ["USERS"]},
     "start": null, "end": null, "existing": null},
    "asked_at": "2026-06-15T03:58:00.000000Z", "mark": ["an-earlier-export"], "id": "USERS_ID"},
   {"spec": {"api": "tokenflex", "owner": "CONTRACT", "name": "tokenflex_manual_usage",
     "slot": "year 1", "body": {"fields": FIELDS, "metrics": ["tokensConsumed", "quantity"],
       "usageCategory": ["MANUAL_ADJUSTMENT", "MANUAL_CONSUMPTION"], "where": "contractYear=1"},
     "start": "START", "end": "END", "existing": null},
    "asked_at": "2026-06-15T03:58:00.000000Z", "mark": null, "id": "MANUAL"},
   {"spec": {"api": "data_connector", "owner": "ACCOUNT", "name": "extract",
     "slot": "2026-06-15", "body": {"serviceGroups": ["activities", "admin"],
       "projectStatus": "all"},
     "start": "2026-06-14T00:30:00.099868Z", "end": "2026-06-15T03:58:00.000000Z",
     "existing": null},
    "asked_at": "2026-06-15T03:58:00.000000Z", "mark": null, "id": "REQUEST"}]}
"""
FIELDS = (
    "contractYear",
    "chargedItemID",
    "reasonType",
    "reasonComment",
    "usageCategory",
    "usageDate",
    "transactionDate",
    "productLineCode",
    "productName",
)


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1, job_seconds=JOB_SECONDS) as sandbox:
        sandbox.clock.set(NOW)
        yield sandbox


def test_a_state_of_the_first_release_is_continued_without_a_second_request(server):
    client = Client(server)
    team = client.get("/insights/v1/contexts")[0]["contextId"]
    number = client.contract()
    (year,) = (
        year
        for year in client.get(f"/tokenflex/v1/contract/{number}")["contractYears"]
        if year["year"] == 1
    )
    users = client.insights(teamId=team, outputFormat="CSV", reports=["USERS"])
    manual = client.tokenflex(
        number,
        fields=list(FIELDS),
        metrics=["tokensConsumed", "quantity"],
        usageCategory=["MANUAL_ADJUSTMENT", "MANUAL_CONSUMPTION"],
        where="contractYear=1",
    )
    dates = {
        "dateRange": "CUSTOM",
        "startDate": "2026-06-14T00:30:00.099868Z",
        "endDate": "2026-06-15T03:58:00.000000Z",
    }
    request = client.request("activities", "admin", **dates).json()
    end = dt.date.fromisoformat(year["endDate"]) + dt.timedelta(days=1)
    state = STATE
    for name, value in {
        "ACCOUNT": server.account_id,
        "TEAM": team,
        "CONTRACT": number,
        "FIELDS": json.dumps(FIELDS),
        "START": f"{year['startDate']}T00:00:00.000000Z",
        "END": f"{end}T00:00:00.000000Z",
        "USERS_ID": users["id"],
        "MANUAL": client.get(manual)["requestKey"],
        "REQUEST": request["id"],
    }.items():
        quoted = f'"{name}"' if name != "FIELDS" else name
        state = state.replace(quoted, json.dumps(value) if name != "FIELDS" else value)
    requested = len(server.exports)
    config = {
        "insights_team_ids": [team],
        "start_date": year["startDate"],
        "end_date": f"{min(dt.datetime.combine(end, dt.time(), dt.UTC), NOW):%Y-%m-%d}",
    }
    manual_run = in_process.run(
        server, config, "insights_users", "tokenflex_manual_usage", state=json.loads(state)
    )
    assert manual_run.code == 0, manual_run.stderr
    assert manual_run.records("insights_users")
    assert manual_run.records("tokenflex_manual_usage")
    tables = in_process.run(
        server,
        {"start_date": "2026-05-01"},
        "admin_projects",
        "activities_admin_activities",
        state=json.loads(state),
    )
    assert tables.code == 0, tables.stderr
    assert tables.records("admin_projects")
    assert len(server.exports) == requested
    (bookmark,) = tables.state["bookmarks"]["activities_admin_activities"]["partitions"]
    assert bookmark["start"] == "2026-05-01T00:00:00.000000Z"
    assert bookmark["replication_key_value"] == "2026-06-15T03:58:00.000000Z"
    again = in_process.run(
        server, {"start_date": "2026-05-01"}, "admin_projects", state=tables.state
    )
    assert again.records("admin_projects") == []
    assert len(server.exports) == requested
