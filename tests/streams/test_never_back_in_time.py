"""Rows never go back in time: an export older than what was loaded since is not loaded over it.

It was requested by a run that was interrupted, and other settings have loaded newer rows since.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from support import in_process
from tap_autodesk_exports.exports.export import ExportSpec, Loaded, PendingExport
from tap_autodesk_exports.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.processes import TapRun

NOW = dt.datetime(2026, 2, 15, tzinfo=dt.UTC)
DAY = 24 * 3600
LONG = 40_000
"""Seconds that an export takes, more than a run waits."""
ACTIVITIES = "activities_issues_activities"


@pytest.fixture
def seconds() -> list[float]:
    return [LONG]


@pytest.fixture
def server(seconds: list[float]) -> Iterator[Sandbox]:
    with Sandbox(scale=0.1, job_seconds=lambda: seconds[0]) as sandbox:
        sandbox.clock.set(NOW)
        yield sandbox


def taken(run: TapRun, stream: str) -> set[str]:
    """Return the days on which the loaded rows of a snapshot were taken."""
    return {row["_exported_at"][:10] for row in run.records(stream)}


def in_turn(
    server: Sandbox, seconds: list[float], stream: str, one: dict[str, Any], other: dict[str, Any]
) -> list[set[str]]:
    """Return the days of what is loaded with other settings, and with the first ones again.

    The first run waits in vain, so that its export is pending; the next two follow days apart.
    """
    run = in_process.run(server, {**one, "export_timeout_minutes": 5}, stream)
    assert run.code == 1
    seconds[0] = 0
    days = []
    for config in (other, one):
        server.clock.advance(3 * DAY)
        run = in_process.run(server, config, stream, state=run.state)
        assert run.code == 0, run.stderr
        days.append(taken(run, stream))
    return days


SCOPES = [{"insights_export_scope": scope} for scope in ("all_teams", "per_team")]


@pytest.mark.parametrize(("one", "other"), [SCOPES, SCOPES[::-1]])
@pytest.mark.parametrize(
    "stream",
    ["insights_users", "insights_subscriptions", "insights_usage", "insights_usage_report"],
)
def test_a_scope_that_is_switched_and_switched_back(server, seconds, stream, one, other):
    config = {"apis": ["insights"], "start_date": "2026-01-01"}
    config |= {"emit_activate_version_messages": True}
    days = in_turn(server, seconds, stream, {**config, **one}, {**config, **other})
    assert days == [{"2026-02-18"}, {"2026-02-21"}]


def test_the_latest_extract_in_between(server, seconds):
    config: dict[str, Any] = {
        "apis": ["data_connector"],
        "emit_activate_version_messages": True,
        "export_timeout_minutes": 5,
    }
    first = in_process.run(server, config, "admin_users")
    assert first.code == 1
    seconds[0] = 0
    server.clock.advance(3 * DAY)
    server.data_connector.add_extract({"serviceGroups": ["all"]})
    latest = {**config, "data_connector_extract": "latest"}
    second = in_process.run(server, latest, "admin_users", state=first.state)
    assert second.code == 0, second.stderr
    assert taken(second, "admin_users") == {"2026-02-18"}
    server.clock.advance(3 * DAY)
    third = in_process.run(server, config, "admin_users", state=second.state)
    assert third.code == 0, third.stderr
    assert taken(third, "admin_users") == {"2026-02-21"}
    assert len(server.exports) == 2


def test_an_extract_of_one_table_that_no_newer_one_was_loaded_of_is_resumed(server, seconds):
    """What an extract was loaded of already does not make it old for its other tables."""
    seconds[0] = 0
    config = {"apis": ["data_connector"], "data_connector_extract": "new"}
    gone = server.faults.add(
        "status", endpoint="file", path="*admin_users*", status=404, times=None
    )
    server.faults.add("status", endpoint="file", path="*.zip", status=404, times=None)
    tables = ("admin_projects", "admin_users")
    first = in_process.run(server, config, *tables)
    assert first.code == 1
    assert first.records("admin_projects")
    gone.times = 0
    server.clock.advance(3600)
    second = in_process.run(server, config, *tables, state=first.state)
    assert second.code == 0, second.stderr
    assert second.records("admin_users")
    assert len(server.exports) == 1


def test_a_left_over_range_of_which_all_is_loaded(server, seconds):
    """It was requested beside a range that turned out to end early, and never loaded."""
    seconds[0] = 0
    config = {
        "apis": ["data_connector"],
        "emit_activate_version_messages": True,
        "start_date": "2025-12-02",
    }
    server.faults.add("lost", endpoint="file", times=None)
    run = in_process.run(server, config, ACTIVITIES, "admin_users")
    assert run.code == 1
    server.faults.clear()
    days = []
    for day in range(19, 23):
        server.clock.set(dt.datetime(2026, 2, day, day - 17, tzinfo=dt.UTC))
        run = in_process.run(server, config, ACTIVITIES, "admin_users", state=run.state)
        assert run.code == 0, run.stderr
        (bookmark,) = run.state["bookmarks"][ACTIVITIES]["partitions"]
        days.append((bookmark["replication_key_value"][:10], *taken(run, "admin_users")))
    assert days[0] == ("2026-02-15", "2026-02-19")  # the resumed range; the next run goes on
    assert days[1:] == [(f"2026-02-{day}", f"2026-02-{day}") for day in range(20, 23)]
    assert run.state["exports"] == []


def test_projects_that_are_chosen_in_between(server, seconds):
    config: dict[str, Any] = {"apis": ["data_connector"]}
    world = server.data_connector.tables[server.account_id].world
    chosen = {**config, "data_connector_project_ids": [each.id for each in world.projects]}
    days = in_turn(server, seconds, "issues_issues", config, chosen)
    assert days[-1] == {"2026-02-21"}


def test_what_is_older_than_what_was_loaded():
    early, middle, late = (f"2026-01-{day}T00:00:00.000000Z" for day in (10, 15, 20))
    asked = PendingExport(ExportSpec("a", "o", "n", end=middle), asked_at=middle, id="1")
    wanted = ExportSpec("a", "o", "n", end=late)
    # Snapshots: when they were taken.
    assert Loaded(taken_at=late).overtakes(asked, wanted)
    assert not Loaded(taken_at=middle).overtakes(asked, wanted)
    assert not Loaded(taken_at=early).overtakes(asked, wanted)
    # Dates: up to where all tables are loaded; a window that is read again is not too old.
    assert Loaded(end=middle).overtakes(asked, wanted)
    assert not Loaded(end=early).overtakes(asked, wanted)
    assert not Loaded.of([Loaded(end=late), Loaded(end=early)]).overtakes(asked, wanted)
    assert not Loaded.of([Loaded(end=late), Loaded(end="")]).overtakes(asked, wanted)
    assert not Loaded(end=late).overtakes(asked, ExportSpec("a", "o", "n", end=middle))
    assert not Loaded().overtakes(asked, wanted)
