"""Settings that change between two runs: nothing is left out, and nothing removed that is there."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from support import in_process
from tap_autodesk_exports.autodesk.data_connector.chunks import chunks_of, left_out
from tap_autodesk_exports.loading.bookmarks import Bookmarks, DictStates, Replication
from tap_autodesk_exports.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from support.processes import TapRun

NOW = dt.datetime(2026, 6, 15, 4, tzinfo=dt.UTC)
DAY = 24 * 3600
PROJECT = "bim360_project_id"


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.3, job_seconds=0) as sandbox:
        sandbox.clock.set(NOW)
        yield sandbox


def projects(server: Sandbox, *statuses: str) -> list[str]:
    world = server.data_connector.tables[server.account_id].world
    return [each.id for each in world.projects if not statuses or each.status in statuses]


def without_export(run: TapRun, stream: str, *names: str) -> set[tuple[Any, ...]]:
    own = {"_export_id", "_exported_at", *names}
    return {
        tuple(sorted((name, str(value)) for name, value in row.items() if name not in own))
        for row in run.records(stream)
    }


# Bookmarks


@pytest.mark.parametrize("stream", ["cdcissues_issues", "activities_issues_activities"])
@pytest.mark.parametrize("first", ["active", "archived"])
def test_projects_of_another_status_are_read_from_the_start(server, stream, first):
    config = {"apis": ["data_connector"], "start_date": "2026-03-20"}
    narrow = {**config, "data_connector_project_status": first}
    before = in_process.run(server, narrow, stream)
    assert before.code == 0, before.stderr
    server.clock.advance(DAY)
    run = in_process.run(server, config, stream, state=before.state)
    assert run.code == 0, run.stderr
    whole = in_process.run(server, config, stream)
    assert without_export(run, stream) == without_export(whole, stream)
    assert {row[PROJECT] for row in run.records(stream)} - {
        row[PROJECT] for row in before.records(stream)
    }


@pytest.mark.parametrize("scope", ["all_teams", "per_team"])
def test_a_usage_report_with_other_filters_is_read_from_the_start(server, scope):
    stream = "insights_usage_report"
    config = {
        "apis": ["insights"],
        "insights_export_scope": scope,
        "start_date": "2026-01-01",
        "lookback_days": 0,
    }
    flex = {"insights_usage_report_filters": {"source": ["flex"]}}
    before = in_process.run(server, {**config, **flex}, stream)
    assert before.code == 0, before.stderr
    server.clock.advance(DAY)
    run = in_process.run(server, config, stream, state=before.state)
    assert run.code == 0, run.stderr
    assert {row["window_start"][:7] for row in run.records(stream)} == {
        f"2026-0{month}" for month in range(1, 7)
    }
    # The same filters again go on where they were.
    server.clock.advance(DAY)
    again = in_process.run(server, {**config, **flex}, stream, state=run.state)
    assert {row["window_start"][:7] for row in again.records(stream)} == {"2026-06"}


# Rows that are gone


def narrowings(server: Sandbox) -> Mapping[str, tuple[dict[str, Any], dict[str, Any]]]:
    ids = projects(server)
    active = {"data_connector_project_status": "active"}
    return {
        "fewer": (
            {"data_connector_project_ids": ids[:4]},
            {"data_connector_project_ids": ids[:2]},
        ),
        "some of all": ({}, {"data_connector_project_ids": ids[:2]}),
        "others": (
            {"data_connector_project_ids": ids[:2]},
            {"data_connector_project_ids": ids[2:4]},
        ),
        "active ones": ({}, active),
    }


@pytest.mark.parametrize("how", ["fewer", "some of all", "others", "active ones"])
def test_rows_of_projects_that_are_no_part_of_a_run_are_not_removed(server, how):
    config = {"apis": ["data_connector"], "emit_activate_version_messages": True}
    one, other = narrowings(server)[how]
    first = in_process.run(server, {**config, **one}, "issues_issues")
    assert first.of_type("ACTIVATE_VERSION")
    server.clock.advance(2 * DAY)
    run = in_process.run(server, {**config, **other}, "issues_issues", state=first.state)
    assert run.code == 0, run.stderr
    assert run.records("issues_issues")
    assert run.of_type("ACTIVATE_VERSION") == []
    (line,) = [line for line in run.stderr.splitlines() if "not removed" in line]
    assert "no part of this run" in line
    # With the projects of the first run, they are.
    server.clock.advance(2 * DAY)
    both = {**config, "data_connector_project_ids": projects(server)} if how == "others" else one
    last = in_process.run(server, {**config, **both}, "issues_issues", state=run.state)
    assert bool(last.of_type("ACTIVATE_VERSION")) == (how != "others")


def test_a_project_that_is_added_at_the_end_holds_no_delete_back(server):
    ids = projects(server)
    config: dict[str, Any] = {"apis": ["data_connector"], "emit_activate_version_messages": True}
    state = None
    for count in (1, 2, 4, 0):
        config["data_connector_project_ids"] = ids[:count]
        run = in_process.run(server, config, "issues_issues", state=state)
        assert run.code == 0, run.stderr
        assert run.of_type("ACTIVATE_VERSION"), run.stderr
        state = run.state
        server.clock.advance(2 * DAY)


def test_which_projects_are_left_out():
    ids = [f"{number}" for number in range(120)]

    def is_whole(now: tuple[list[str], str], *before: tuple[list[str], str]) -> bool:
        contexts = [
            {"account_id": "a"} | ({"part": chunk.name} if chunk.name else {})
            for each in before
            for chunk in chunks_of(*each)
        ]
        states = [{"context": context, "export_id": "x"} for context in contexts]
        bookmarks = Bookmarks(
            DictStates({"partitions": states}), Replication("FULL_TABLE", is_dated=False), []
        )
        return left_out(chunks_of(*now), now[1], {"a"}, bookmarks) is None

    for status in ("all", "active"):
        assert is_whole((ids, status), (ids[:3], status), (ids[:50], status), (ids[:110], status))
        assert is_whole(([], status), (ids, status), ([], status))
        assert not is_whole((ids[:110], status), (ids, status))
        assert not is_whole((ids, status), ([], status))
    assert is_whole(([], "all"), (ids, "active"), ([], "archived"))
    assert is_whole((ids, "all"), (ids[:70], "active"))
    assert not is_whole(([], "active"), ([], "all"))
    assert not is_whole(([], "active"), ([], "archived"))
    assert not is_whole(([], "active"), (ids, "all"))


# Keys


def test_a_key_of_ones_own_is_one_of_all_contracts():
    with Sandbox(scale=0.1, job_seconds=0) as server:
        server.clock.set(NOW)
        own = {
            "name": "by_product",
            "fields": ["productLineCode"],
            "metrics": ["tokensConsumed"],
            "primary_keys": ["productLineCode"],
        }
        stream = "tokenflex_by_product"
        config: dict[str, Any] = {"apis": ["tokenflex"]}
        listed = in_process.run(server, config, "tokenflex_contracts")
        numbers = [row["contractNumber"] for row in listed.records("tokenflex_contracts")]
        config |= {"tokenflex_exports": [own], "tokenflex_contract_numbers": numbers}
        run = in_process.run(server, config, stream)
        assert run.code == 0, run.stderr
        assert len(numbers) > 1
        assert {row["contract_number"] for row in run.records(stream)} == set(numbers)
        assert len(run.table(stream)) == len(run.records(stream))


# Teams that one export has the rows of


def lose_reporting(server: Sandbox, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Have the user see no reports of a team until the patch is undone."""
    world = server.data_connector.tables[server.account_id].world
    teams = [*world.teams]
    teams[at] = dataclasses.replace(teams[at], benefits=())
    monkeypatch.setattr(world, "teams", tuple(teams))


ALL_TEAMS = {
    "apis": ["insights"],
    "insights_export_scope": "all_teams",
    "start_date": "2026-02-01",
    "emit_activate_version_messages": True,
}


@pytest.mark.parametrize("stream", ["insights_usage", "insights_usage_report"])
@pytest.mark.parametrize("filters", [{}, {"insights_usage_report_filters": {"source": ["flex"]}}])
def test_a_team_that_joins_all_others_is_read_from_the_start(server, monkeypatch, stream, filters):
    config = {**ALL_TEAMS, **filters, "lookback_days": 5}
    lose_reporting(server, monkeypatch, 1)
    before = in_process.run(server, config, stream)
    assert before.code == 0, before.stderr
    server.clock.advance(2 * DAY)
    monkeypatch.undo()
    # Interrupted on the way, it begins again.
    server.faults.add("lost", endpoint="file", occasions=(4,), times=None)
    partly = in_process.run(server, config, stream, state=before.state)
    server.faults.clear()
    run = in_process.run(server, config, stream, state=partly.state)
    assert run.code == 0, run.stderr
    whole = in_process.run(server, config, stream)
    joined = [partly, run]
    assert {row["_row_id"] for each in joined for row in each.records(stream)} >= {
        row["_row_id"] for row in whole.records(stream)
    }
    server.clock.advance(DAY)
    asked = len(server.exports)
    again = in_process.run(server, config, stream, state=run.state)
    assert again.code == 0, again.stderr
    assert len(server.exports) - asked == 1


def test_pending_exports_that_lack_a_team_are_not_all_that_is_read(monkeypatch):
    seconds = [4000.0]
    stream = "insights_usage"
    config = {**ALL_TEAMS, "export_timeout_minutes": 5, "lookback_days": 0}
    with Sandbox(scale=0.3, job_seconds=lambda: seconds[0]) as server:
        server.clock.set(NOW)
        lose_reporting(server, monkeypatch, 1)
        first = in_process.run(server, config, stream)
        assert first.code == 1
        monkeypatch.undo()
        server.clock.advance(2 * 3600)
        seconds[0] = 0
        resumed = in_process.run(server, config, stream, state=first.state)
        assert resumed.code == 0, resumed.stderr
        server.clock.advance(3600)
        run = in_process.run(server, config, stream, state=resumed.state)
        assert run.code == 0, run.stderr
        whole = in_process.run(server, config, stream)
    assert {row["_row_id"] for row in run.records(stream)} == {
        row["_row_id"] for row in whole.records(stream)
    }


@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize("stream", ["insights_users", "insights_subscriptions"])
def test_rows_of_teams_that_are_no_part_of_a_run_are_not_removed(server, stream, hashed):
    first = in_process.run(server, ALL_TEAMS, stream)
    assert first.of_type("ACTIVATE_VERSION")
    teams = {row["team_id"] for row in first.records(stream)}
    some = {**ALL_TEAMS, "insights_team_ids": sorted(teams)[:1]}
    hashing = {"hash_personal_data": True, "hash_key": "made-up key of some length"}
    server.clock.advance(2 * DAY)
    config = {**some, **(hashing if hashed else {})}
    run = in_process.run(server, config, stream, state=first.state)
    assert run.of_type("ACTIVATE_VERSION") == []
    assert "no part of this run" in run.stderr
    # One by one, all of them are.
    server.clock.advance(2 * DAY)
    config = {**config, "insights_team_ids": sorted(teams)}
    last = in_process.run(server, config, stream, state=run.state)
    assert last.code == 0, last.stderr
    assert last.of_type("ACTIVATE_VERSION")


def test_rows_of_a_team_that_the_user_sees_no_more_are_not_removed(server, monkeypatch):
    first = in_process.run(server, ALL_TEAMS, "insights_users")
    server.clock.advance(2 * DAY)
    lose_reporting(server, monkeypatch, 1)
    for scope in ("all_teams", "per_team"):
        config = {**ALL_TEAMS, "insights_export_scope": scope}
        run = in_process.run(server, config, "insights_users", state=first.state)
        assert run.code == 0, run.stderr
        assert run.of_type("ACTIVATE_VERSION") == []
        assert "no part of this run" in run.stderr


# A start date that is moved


@pytest.mark.parametrize(
    ("api", "stream"),
    [
        ("insights", "insights_usage"),
        ("tokenflex", "tokenflex_usage"),
        ("data_connector", "activities_issues_activities"),
    ],
)
def test_a_start_date_that_left_a_gap_and_is_moved_back_is_named(server, api, stream):
    said = "earlier than where this stream started, 2026-05-01"
    config = {"apis": [api], "start_date": "2025-12-01", "emit_activate_version_messages": True}
    server.clock.set(dt.datetime(2026, 1, 15, 4, tzinfo=dt.UTC))
    first = in_process.run(server, config, stream)
    server.clock.set(NOW)
    later = in_process.run(
        server, {**config, "start_date": "2026-05-01"}, stream, state=first.state
    )
    assert (later.code, said in later.stderr) == (0, False)
    server.clock.advance(DAY)
    back = in_process.run(server, config, stream, state=later.state)
    assert (back.code, said in back.stderr) == (0, True)
    again = in_process.run(server, {**config, "start_date": "2026-05-01"}, stream, state=back.state)
    assert (again.code, "earlier than" in again.stderr) == (0, False)


def test_a_start_date_before_that_of_one_contract_is_named():
    stream = "tokenflex_usage"
    config: dict[str, Any] = {"apis": ["tokenflex"]}
    with Sandbox(scale=0.1, job_seconds=0) as server:
        server.clock.set(dt.datetime(2026, 1, 15, 4, tzinfo=dt.UTC))
        listed = in_process.run(server, config, "tokenflex_contracts")
        numbers = [row["contractNumber"] for row in listed.records("tokenflex_contracts")]
        run = None
        for count, start in ((1, "2024-12-01"), (2, "2025-12-01"), (2, "2025-06-01")):
            config |= {"tokenflex_contract_numbers": numbers[:count], "start_date": start}
            run = in_process.run(server, config, stream, state=run.state if run else None)
            assert run.code == 0, run.stderr
            server.clock.advance(DAY)
    assert run
    assert f"started, 2025-12-01 (contract_number {numbers[1]})" in run.stderr


def test_a_contract_that_begins_after_the_start_date_is_no_reason_for_a_warning():
    stream = "tokenflex_manual_usage"
    config = {"apis": ["tokenflex"], "start_date": "2024-06-01"}
    with Sandbox(scale=0.1, job_seconds=0) as server:
        server.clock.set(NOW)
        first = in_process.run(server, config, stream)
        server.clock.advance(DAY)
        run = in_process.run(server, config, stream, state=first.state)
    assert run.code == 0, run.stderr
    assert "earlier than where" not in run.stderr


# What rows are made of


@pytest.mark.parametrize(
    "wider",
    [
        {"usage_category": ["CLOUD_PRODUCT", "DESKTOP_PRODUCT"]},
        {"where": None},
        {"metrics": ["tokensConsumed", "usageHours"]},
    ],
)
def test_an_export_of_ones_own_with_another_definition_has_another_bookmark(wider):
    own = {
        "name": "mine",
        "fields": ["usageDate", "productLineCode", "userName"],
        "metrics": ["tokensConsumed"],
        "usage_category": ["CLOUD_PRODUCT"],
        "where": "usageDate >= '2026-05-01'",
    }
    metadata = {"replication-method": "INCREMENTAL", "replication-key": "usageDate"}

    def run(definition: Mapping[str, Any], state: Any = None) -> TapRun:
        config = {
            "apis": ["tokenflex"],
            "start_date": "2026-01-01",
            "tokenflex_exports": [definition],
        }
        found = in_process.run(server, config, "tokenflex_mine", state=state, metadata=metadata)
        assert found.code == 0, found.stderr
        return found

    stream = "tokenflex_mine"
    with Sandbox(scale=0.1, job_seconds=0) as server:
        server.clock.set(NOW)
        narrow = run(own)
        server.clock.advance(DAY)
        wide = run({**own, **wider}, narrow.state)
        whole = run({**own, **wider})
        assert without_export(wide, stream) == without_export(whole, stream)
        assert without_export(wide, stream) != without_export(narrow, stream)
        server.clock.advance(DAY)
        again = run({**own, **wider}, wide.state)
        assert len(again.records(stream)) < len(wide.records(stream))


HASHED = {
    "hash_columns": ["*.created_by", "*.machineName"],
    "hash_key": "made-up key of some length",
}


@pytest.mark.parametrize("changed", ["columns", "hashing", "maps"])
@pytest.mark.parametrize("method", ["INCREMENTAL", "FULL_TABLE"])
def test_a_snapshot_is_sent_whole_where_its_rows_are_sent_otherwise(server, changed, method):
    stream = "issues_issues"
    config: dict[str, Any] = {"apis": ["data_connector"]}
    metadata = {"replication-method": method, "replication-key": "updated_at"}
    settings = {**server.settings(), "data_connector_service_groups": ["issues"], **config}
    found = in_process.catalog(settings, stream, metadata=metadata)
    before = found if changed != "columns" else without_column(found, "title")
    first = in_process.run(server, config, stream, found=before)
    if changed != "columns":
        config |= (
            HASHED if changed == "hashing" else {"stream_maps": {stream: {"new": "str(title)"}}}
        )
    run = in_process.run(server, config, stream, found=found, state=first.state)
    assert run.code == 0, run.stderr
    assert len(run.records(stream)) == len(first.records(stream)) > 1
    again = in_process.run(server, config, stream, found=found, state=run.state)
    assert again.records(stream) == []


def without_column(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = copy.deepcopy(dict(found))
    for node in found["streams"][0]["metadata"]:
        if node["breadcrumb"] == ["properties", name]:
            node["metadata"]["selected"] = False
    return found


@pytest.mark.parametrize("changed", ["columns", "hashing", "maps"])
def test_what_is_read_by_date_says_that_earlier_rows_stay_as_they_are(changed):
    stream = "tokenflex_desktop_sessions"
    config: dict[str, Any] = {"apis": ["tokenflex"], "start_date": "2026-01-01"}
    with Sandbox(scale=0.1, job_seconds=0) as server:
        server.clock.set(NOW)
        found = in_process.catalog({**server.settings(), **config}, stream)
        before = found if changed != "columns" else without_column(found, "machineName")
        first = in_process.run(server, config, stream, found=before)
        if changed != "columns":
            maps = {"stream_maps": {stream: {"new": "str(machineName)"}}}
            config |= HASHED if changed == "hashing" else maps
        server.clock.advance(2 * DAY)
        run = in_process.run(server, config, stream, found=found, state=first.state)
        server.clock.advance(2 * DAY)
        again = in_process.run(server, config, stream, found=found, state=run.state)
    said = "other columns are selected, hashed or mapped than before"
    assert [said in each.stderr for each in (first, run, again)] == [False, True, False]


@pytest.mark.parametrize("lookback", [0, 3])
def test_a_contract_that_ended_since_is_read_to_its_end(lookback):
    stream = "tokenflex_usage"
    config = {"apis": ["tokenflex"], "start_date": "2024-12-01", "lookback_days": lookback}
    with Sandbox(scale=0.3, job_seconds=0) as server:
        server.clock.set(dt.datetime(2025, 1, 29, 4, tzinfo=dt.UTC))
        first = in_process.run(server, config, stream)
        ended = {row["contract_number"] for row in first.records(stream)}
        server.clock.advance(8 * DAY)
        run = in_process.run(server, config, stream, state=first.state)
        assert run.code == 0, run.stderr
        days = {
            row["usageDate"][:10] for row in run.records(stream) if row["contract_number"] in ended
        }
        assert {"2025-01-30", "2025-01-31"} <= days
        server.clock.advance(DAY)
        asked = len(server.exports)
        last = in_process.run(server, config, stream, state=run.state)
        assert {e.owner for e in server.exports[asked:]}.isdisjoint(ended), last.stderr


@pytest.mark.parametrize("what", ["contract", "team", "project"])
def test_a_table_that_must_be_replaced_is_not_loaded_in_part(server, what):
    hashing = {"hash_personal_data": True, "hash_key": "made-up key of some length"}
    config: dict[str, Any] = {"start_date": "2025-01-01", "emit_activate_version_messages": True}
    if what == "contract":
        stream, config["apis"] = "tokenflex_usage", ["tokenflex"]
        listed = in_process.run(server, config, "tokenflex_contracts")
        numbers = [row["contractNumber"] for row in listed.records("tokenflex_contracts")]
        whole, part = ({"tokenflex_contract_numbers": some} for some in (numbers, numbers[1:]))
    elif what == "team":
        stream, config["apis"] = "insights_usage", ["insights"]
        config["start_date"] = "2026-05-01"
        whole, part = {"insights_export_scope": "all_teams"}, {"insights_team_ids": ["4000010"]}
    else:
        stream, config["apis"] = "activities_issues_activities", ["data_connector"]
        config["start_date"] = "2026-05-20"
        ids = projects(server)
        whole, part = ({"data_connector_project_ids": some} for some in (ids, ids[:2]))
        hashing = {**hashing, "hash_columns": ["*.activity_id"]}
    first = in_process.run(server, {**config, **whole}, stream)
    assert first.code == 0, first.stderr
    assert first.records(stream)
    server.clock.advance(DAY)
    config |= hashing
    run = in_process.run(server, {**config, **part}, stream, state=first.state)
    (line,) = [line for line in run.stderr.splitlines() if "must be replaced" in line][:1]
    assert "no part of this run" in line
    assert (run.code, run.records(stream)) == (1, [])
    server.clock.advance(DAY)
    last = in_process.run(server, {**config, **whole}, stream, state=run.state)
    assert last.code == 0, last.stderr
    assert last.of_type("ACTIVATE_VERSION")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"lookback_days": 120}),
        ({}, {"insights_export_scope": "all_teams"}),
        ({"insights_export_scope": "all_teams"}, {}),
        ({}, {"insights_usage_report_filters": {"userStatus": ["active"]}}),
    ],
    ids=["looked back", "all at once", "one by one", "filtered"],
)
def test_the_part_of_a_month_up_to_an_earlier_end_date_does_not_replace_all_of_it(
    server, before, after
):
    stream = "insights_usage_report"
    config = {"apis": ["insights"], "start_date": "2026-01-01"}
    first = in_process.run(server, {**config, **before}, stream)
    server.clock.advance(DAY)
    earlier = {**config, **after, "end_date": "2026-03-10"}
    run = in_process.run(server, earlier, stream, state=first.state)
    assert run.code == 0, run.stderr
    assert max(row["window_end"][:10] for row in run.records(stream)) == "2026-03-01"


def test_nor_does_it_where_a_team_joins_all_others(server, monkeypatch):
    stream = "insights_usage_report"
    lose_reporting(server, monkeypatch, 1)
    first = in_process.run(server, ALL_TEAMS, stream)
    assert first.code == 0, first.stderr
    monkeypatch.undo()
    server.clock.advance(DAY)
    run = in_process.run(server, {**ALL_TEAMS, "end_date": "2026-03-10"}, stream, state=first.state)
    assert run.code == 0, run.stderr
    assert {row["window_end"][:10] for row in run.records(stream)} == {"2026-03-01"}


@pytest.mark.parametrize("joins", ["all others", "one by one"])
def test_but_the_whole_of_other_teams_holds_back_no_part_of_a_month(server, monkeypatch, joins):
    """What replaces no row is loaded up to the end date."""
    stream = "insights_usage_report"
    world = server.data_connector.tables[server.account_id].world
    one = {
        **ALL_TEAMS,
        "insights_export_scope": "per_team",
        "insights_team_ids": [world.teams[1].id],
    }
    before, after = (ALL_TEAMS, one) if joins == "one by one" else (one, ALL_TEAMS)
    if before is ALL_TEAMS:
        lose_reporting(server, monkeypatch, 1)
    first = in_process.run(server, before, stream)
    assert first.code == 0, first.stderr
    monkeypatch.undo()
    if after is ALL_TEAMS:
        lose_reporting(server, monkeypatch, 1)
    server.clock.advance(DAY)
    ending = {**after, "end_date": "2026-03-10"}
    run = in_process.run(server, ending, stream, state=first.state)
    assert run.code == 0, run.stderr
    ends = {row["window_end"][:10] for row in run.records(stream)}
    assert ends == {"2026-03-01", "2026-03-10"}


@pytest.mark.parametrize("stream", ["insights_usage", "insights_usage_report"])
def test_a_team_that_joins_during_an_earlier_end_date_is_read_whole_after_it(
    server, monkeypatch, stream
):
    config = {**ALL_TEAMS, "lookback_days": 5}
    lose_reporting(server, monkeypatch, 1)
    first = in_process.run(server, config, stream)
    monkeypatch.undo()
    server.clock.advance(DAY)
    earlier = {**config, "end_date": "2026-03-10"}
    partly = in_process.run(server, earlier, stream, state=first.state)
    assert (first.code, partly.code) == (0, 0), partly.stderr
    server.clock.advance(DAY)
    run = in_process.run(server, config, stream, state=partly.state)
    assert run.code == 0, run.stderr
    whole = in_process.run(server, config, stream)
    assert run.table(stream).keys() == whole.table(stream).keys()


@pytest.mark.parametrize("stream", ["insights_usage", "insights_usage_report"])
def test_a_run_in_the_first_instant_of_a_month(server, stream):
    config = {"apis": ["insights"], "start_date": "2026-04-15"}
    server.clock.set(dt.datetime(2026, 6, 1, microsecond=200, tzinfo=dt.UTC))
    run = in_process.run(server, config, stream)
    assert run.code == 0, run.stderr
    assert {row["_exported_at"][:7] for row in run.records(stream)} == {"2026-06"}


def test_a_pinned_extract_of_more_projects_than_a_request_has_is_replaced_as_a_whole():
    with Sandbox(scale=0.1, job_seconds=0) as server:
        server.clock.set(NOW)
        _, job = server.data_connector.add_extract({"serviceGroups": ["all"]})
        ids = [f"{number:08}-0000-4000-8000-000000000000" for number in range(60)]
        config: dict[str, Any] = {
            "apis": ["data_connector"],
            "emit_activate_version_messages": True,
            "data_connector_job_id": job,
            "data_connector_project_ids": ids,
        }
        first = in_process.run(server, config, "admin_users")
        assert first.code == 0, first.stderr
        (bookmark,) = first.state["bookmarks"]["admin_users"]["partitions"]
        bookmark["columns"] = "others"  # so that the same extract is sent again
        second = in_process.run(server, config, "admin_users", state=first.state)
        assert second.code == 0, second.stderr
        assert second.of_type("ACTIVATE_VERSION", "admin_users")
        assert "no part of this run" not in second.stderr
