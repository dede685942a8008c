"""A bookmark never passes what was not requested: no day to come, no category, no contract year."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from support import in_process
from support.sandbox_client import Client
from tap_autodesk_exports.sandbox import Sandbox, SandboxClock
from tap_autodesk_exports.sandbox.data.rows import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.processes import TapRun

NOW = dt.datetime(2026, 6, 15, 4, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
ACTIVITIES = "activities_issues_activities"
USAGE = "tokenflex_usage"
STREAMS = ("insights_usage", USAGE, ACTIVITIES)
ALL = {
    "apis": ["insights", "tokenflex", "data_connector"],
    "insights_export_scope": "all_teams",
    "data_connector_service_groups": ["activities"],
}
TOKENS = {"apis": ["tokenflex"], "start_date": "2026-05-20", "lookback_days": 9}

LONG_AGO = {"lastUsageDate": "2026-01-01", "lastProcessDate": "2026-01-01"}


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1, job_seconds=0, clock=SandboxClock(NOW)) as sandbox:
        yield sandbox


def run(server: Sandbox, *streams: str, **arguments: Any) -> TapRun:
    state, ahead = arguments.pop("state", None), arguments.pop("ahead", dt.timedelta(0))
    done = in_process.run(server, arguments, *streams, state=state, ahead=ahead)
    assert done.code == 0, done.stderr
    return done


def bookmarks(state: dict[str, Any], stream: str) -> list[dt.datetime]:
    found = state["bookmarks"][stream]
    values = [p["replication_key_value"] for p in found.get("partitions") or [found]]
    return [dt.datetime.fromisoformat(value) for value in values]


def requested_ends(server: Sandbox, since: int = 0) -> list[dt.datetime]:
    bodies = [export.body for export in server.exports[since:]]
    return [dt.datetime.fromisoformat(body["endDate"]) for body in bodies if "endDate" in body]


def activities(server: Sandbox, start: dt.datetime) -> set[str]:
    tables = server.data_connector.tables[server.account_id]
    snapshot = Snapshot(server.clock.now(), activities=(start, server.clock.now()))
    at = list(tables.registry[ACTIVITIES].columns).index("activity_id")
    return {str(row[at]) for row in tables.rows(ACTIVITIES, snapshot)}


# --- days to come ------------------------------------------------------------------------------


def test_with_an_end_date_a_month_ahead_every_day_is_loaded_and_none_to_come(server):
    start = NOW.replace(hour=0) - 3 * DAY
    config = {**ALL, "start_date": f"{start:%Y-%m-%d}", "lookback_days": 5}
    state: dict[str, Any] = {}
    loaded: dict[str, dict[Any, Any]] = {stream: {} for stream in STREAMS}
    for _ in range(4):
        before, start_of_run = len(server.exports), server.clock.now()
        done = run(server, *STREAMS, state=state, end_date="2026-07-15", **config)
        state, now = done.state, server.clock.now()
        for stream in STREAMS:
            loaded[stream] |= done.table(stream)
            assert max(bookmarks(state, stream)) <= now, stream
        assert max(requested_ends(server, before)) <= now
        server.clock.set(start_of_run + DAY)
    server.clock.set(now)
    assert {row["activity_id"] for row in loaded[ACTIVITIES].values()} == activities(server, start)
    whole = run(server, *STREAMS, **config)
    for stream in ("insights_usage", USAGE):
        assert loaded[stream].keys() == whole.table(stream).keys(), stream


@pytest.mark.parametrize(("hours", "words"), [(50, "ahead of"), (-50, "behind")])
def test_dates_end_at_the_earlier_of_both_clocks_and_the_difference_is_warned_of(
    server, hours, words
):
    ahead = dt.timedelta(hours=hours)
    done = run(server, *STREAMS, start_date="2026-06-10", ahead=ahead, **ALL)
    earlier = min(NOW, NOW + ahead)
    for stream in STREAMS:
        assert max(bookmarks(done.state, stream)) <= earlier + dt.timedelta(minutes=1), stream
    assert max(requested_ends(server)) <= earlier + dt.timedelta(minutes=1)
    (line,) = [line for line in done.stderr.splitlines() if "This machine's clock" in line]
    assert line.startswith("WARNING")
    assert f"is {words} the server's by 3000 minutes" in line or "2999 minutes" in line


def test_clocks_that_agree_to_some_minutes_are_not_spoken_of(server):
    done = run(server, USAGE, ahead=dt.timedelta(minutes=3), **TOKENS)
    assert "This machine's clock" not in done.stderr


@pytest.mark.parametrize("ahead", [-3, 3], ids=lambda days: f"{days} days ahead")
def test_an_extract_is_young_by_the_servers_clock(server, ahead):
    config = {
        "apis": ["data_connector"],
        "data_connector_service_groups": ["activities", "issues"],
        "data_connector_max_age_hours": 12,
    }
    for hours, expected in ((1, 1), (13, 1), (0, 2)):
        done = run(server, "issues_issues", ahead=dt.timedelta(days=ahead), **config)
        assert len(server.exports) == expected
        assert done.stderr.count("This machine's clock is") == 1
        server.clock.advance(hours * 3600)


@pytest.mark.parametrize("ahead", [-3, 3, 40], ids=lambda days: f"{days} days ahead")
@pytest.mark.parametrize("stream", ["insights_users", USAGE, "issues_issues"])
def test_an_export_whose_answer_or_state_was_lost_is_found_however_far_the_clocks_differ(
    server, stream, ahead
):
    server.faults.add("lost", endpoint="submit")
    groups = ["activities", "issues"]
    config = {**ALL, "start_date": "2026-06-01", "data_connector_extract": "new"}
    config["data_connector_service_groups"] = groups
    for _ in range(2):  # the second run has lost the state of the first
        done = run(server, stream, ahead=dt.timedelta(days=ahead), **config)
        assert done.records(stream)
        assert len(server.exports) == 1


@pytest.mark.parametrize("ahead", [-40, 40], ids=lambda days: f"{days} days ahead")
@pytest.mark.parametrize("stream", ["insights_users", USAGE, "issues_issues"])
def test_what_was_requested_by_a_wrong_clock_is_not_waited_for_longer(server, stream, ahead):
    server.faults.add("never_starts", endpoint="submit")
    groups = {"data_connector_service_groups": ["activities", "issues"]}
    config = {**ALL, **groups, "start_date": "2026-04-01", "data_connector_extract": "new"}
    wrong = dt.timedelta(days=ahead)
    first = in_process.run(server, {**config, "export_timeout_minutes": 30}, stream, ahead=wrong)
    assert first.code == 1
    server.clock.advance(86400)
    done = run(server, stream, state=first.state, **config)
    assert done.records(stream)
    assert len(server.exports) == 2


def test_a_bookmark_of_a_clock_that_was_wrong_stops_no_later_run(server):
    state = run(server, *STREAMS, start_date="2026-06-10", **ALL).state
    for stream in STREAMS:
        for bookmark in [
            state["bookmarks"][stream],
            *state["bookmarks"][stream].get("partitions", []),
        ]:
            if "replication_key_value" in bookmark:
                bookmark["replication_key_value"] = "2026-12-24T00:00:00.000000Z"
            bookmark.pop("processed", None)
    server.clock.advance(86400)
    before = len(server.exports)
    done = run(server, *STREAMS, state=state, start_date="2026-06-10", **ALL)
    assert {export.api for export in server.exports[before:]} == {*ALL["apis"]}
    for stream in ("insights_usage", USAGE):
        assert done.records(stream), stream


# --- usage categories --------------------------------------------------------------------------


def categories(server: Sandbox, since: int) -> set[str]:
    bodies = [export.body for export in server.exports[since:]]
    return {category for body in bodies for category in body["usageCategory"]}


@pytest.mark.parametrize("answer", ["empty", "legacy", "words", "lower"])
def test_a_category_that_last_does_not_list_or_spells_otherwise_is_requested(server, answer):
    state = run(server, USAGE, **TOKENS).state
    server.tokenflex.last_usage = answer
    for _ in range(3):
        server.clock.advance(86400)
        before = len(server.exports)
        done = run(server, USAGE, state=state, **TOKENS)
        state = done.state
        assert categories(server, before) == {"DESKTOP_PRODUCT", "CLOUD_PRODUCT", "CLOUD_SERVICE"}
        assert "does not know" not in done.stderr


@pytest.mark.parametrize(
    "edit",
    [
        {"removed": ["*.lastProcessDate"]},
        {"edits": {"*.lastProcessDate": "05/01/2026"}},
        {"edits": {"*.lastUsageDate": None}},
        {"edits": {"0": "no object"}},
        {"edits": {"99": {"usageCategory": "Manual adjustment", **LONG_AGO}}},
        {"edits": {"99": {"usageCategory": "CLOUD_CONSUMPTION", **LONG_AGO}}},
    ],
)
def test_what_last_says_in_another_form_leaves_nothing_out(server, edit):
    state = run(server, "tokenflex_manual_usage", **TOKENS).state
    server.clock.advance(40 * 86400)
    state = run(server, "tokenflex_manual_usage", state=state, **TOKENS).state
    server.faults.add_all([{"effect": "edit", "endpoint": "last", "times": None, **edit}])
    for _ in range(2):
        before = len(server.exports)
        server.clock.advance(86400)
        state = run(server, "tokenflex_manual_usage", state=state, **TOKENS).state
        assert categories(server, before) == {"MANUAL_ADJUSTMENT", "MANUAL_CONSUMPTION"}


def test_last_that_fails_fails_no_usage(server):
    server.faults.add("status", endpoint="last", status=403, times=None)
    done = run(server, USAGE, "tokenflex_manual_usage", **TOKENS)
    assert done.records(USAGE)
    assert done.stderr.count("Every documented usage category") == 1


def days_of(run: TapRun, category: str = "VIRTUAL_DESKTOP") -> set[str]:
    return {row["usageDate"] for row in run.records(USAGE) if row["usageCategory"] == category}


def test_a_category_that_nobody_documented_is_loaded_and_named_once(server):
    server.tokenflex.new_category = "VIRTUAL_DESKTOP"
    first = run(server, USAGE, **TOKENS)
    found = {row["usageCategory"] for row in first.records(USAGE)}
    assert "VIRTUAL_DESKTOP" in found
    assert len(found) > 1
    assert first.stderr.count("lists the usage category 'VIRTUAL_DESKTOP'") == 1
    server.clock.advance(86400)
    second = run(server, USAGE, state=first.state, **TOKENS)
    # What was loaded is not loaded again.
    assert all(day > "2026-06-01" for day in days_of(second))


def test_a_category_that_appears_later_is_loaded_from_the_start_of_the_stream(server):
    state = run(server, USAGE, **TOKENS).state
    server.clock.advance(20 * 86400)
    state = run(server, USAGE, state=state, **TOKENS).state
    server.tokenflex.new_category = "VIRTUAL_DESKTOP"
    server.clock.advance(86400)
    # Its first export fails, so that the stream goes on without it, and it is not forgotten.
    server.faults.add("status", endpoint="submit", status=400, occasions=(2, 3), times=None)
    failed = in_process.run(server, TOKENS, USAGE, state=state)
    assert failed.code == 1
    assert {row["usageCategory"] for row in failed.records(USAGE)} >= {"DESKTOP_PRODUCT"}
    server.faults.clear()
    server.clock.advance(5 * 86400)
    later = run(server, USAGE, state=failed.state, **TOKENS)
    assert min(days_of(later)) < "2026-05-25"
    assert days_of(later) == days_of(run(server, USAGE, **TOKENS))


# --- contract years ----------------------------------------------------------------------------


@pytest.mark.parametrize("start", [None, "2026-06-10"])
def test_the_first_run_of_manual_usage_reads_the_contract_years_of_the_second(server, start):
    config = {"apis": ["tokenflex"], **({"start_date": start} if start else {})}
    server.tokenflex.last_usage = "empty"  # nothing is left out
    first = run(server, "tokenflex_manual_usage", **config)
    asked = {export.body["where"] for export in server.exports}
    before = len(server.exports)
    server.clock.advance(86400)
    second = run(server, "tokenflex_manual_usage", state=first.state, **config)
    assert {export.body["where"] for export in server.exports[before:]} <= asked
    rows = second.table("tokenflex_manual_usage")
    new = rows.keys() - first.table("tokenflex_manual_usage").keys()
    assert all(rows[key]["transactionDate"][:10] >= "2026-06-14" for key in new)


@pytest.mark.parametrize(
    "edit",
    [
        {"edits": {"contractYears": []}},
        {"removed": ["contractYears"]},
        {"removed": ["contractYears.0.startDate"]},
        {"edits": {"contractYears.0.endDate": "some day"}},
    ],
)
def test_contract_years_that_cannot_be_read_are_an_error_and_not_left_out(server, edit):
    number = Client(server).contract()
    server.faults.add_all(
        [{"effect": "edit", "path": f"*/contract/{number}", "times": None, **edit}]
    )
    done = in_process.run(server, {"apis": ["tokenflex"]}, "tokenflex_manual_usage")
    assert done.code == 1
    assert "contract year" in done.stderr
    assert server.exports == []


@pytest.mark.parametrize("order", [(1, 2, 3, 4), (4, 3, 2, 1), (3, 1, 4, 2)])
def test_no_contract_year_is_passed_over_whatever_the_order_in_which_they_are_answered(
    server, order
):
    years = [
        {"year": year, "startDate": f"{2021 + year}-07-01", "endDate": f"{2022 + year}-06-30"}
        for year in order
    ]
    path = f"*/contract/{Client(server).contract()}"
    server.faults.add("edit", path=path, edits={"contractYears": years}, times=None)
    server.faults.add("status", endpoint="submit", status=400, occasions=[2, 3, 4])
    config = {"apis": ["tokenflex"], "start_date": "2022-08-01"}
    first = in_process.run(server, config, "tokenflex_manual_usage")
    assert first.code == 1
    run(server, "tokenflex_manual_usage", state=first.state, **config)
    asked = {export.body["where"] for export in server.exports}
    assert asked == {f"contractYear={year}" for year in order}
