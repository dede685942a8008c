"""Windows and the day's quota: the oldest first, nothing twice, and the rest another day."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import re
from typing import TYPE_CHECKING, Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from support import in_process
from tap_autodesk_exports.autodesk.data_connector.chunks import ProjectChunk
from tap_autodesk_exports.autodesk.data_connector.needed import NeededJob, afford
from tap_autodesk_exports.loading.windows import Window, months, spans
from tap_autodesk_exports.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.processes import TapRun

DAY = dt.timedelta(days=1)
NOW = dt.datetime(2026, 6, 15, 4, tzinfo=dt.UTC)
ACTIVITIES = "activities_issues_activities"
ONLY = {"apis": ["data_connector"]}


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1, job_seconds=0) as sandbox:
        sandbox.clock.set(NOW)
        yield sandbox


def asked(server: Sandbox, since: int = 0) -> list[tuple[str, str, list[str]]]:
    """Return begin, end and groups of the requests from the n-th on, by date, snapshots last.

    They are made side by side, so that the server sees them in any order.
    """
    return sorted(
        (
            str(export.body.get("startDate"))[:10],
            str(export.body.get("endDate"))[:10],
            export.body["serviceGroups"],
        )
        for export in server.exports[since:]
    )


def bookmark(run: TapRun, stream: str = ACTIVITIES) -> str:
    (partition,) = run.state["bookmarks"][stream]["partitions"]
    value: str = partition["replication_key_value"]
    return value


def truth(server: Sandbox, start: dt.datetime, stream: str = ACTIVITIES) -> set[str]:
    """Return the IDs of all activities from an instant on that an extract would show now."""
    tables = server.data_connector.tables[server.account_id]
    now = server.clock.now()
    from tap_autodesk_exports.sandbox.data.rows import Snapshot

    snapshot = Snapshot(now, activities=(start, now))
    at = list(tables.registry[stream].columns).index("activity_id")
    return {str(row[at]) for row in tables.rows(stream, snapshot)}


# --- ranges ------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [0.5, 29.9, 30, 30.1, 61, 400])
def test_spans_cover_the_time_without_a_gap_in_at_most_thirty_days(days):
    for shift in range(0, 64, 7):
        start = NOW + shift * DAY
        end = start + days * DAY
        found = list(spans(start, end, 30, DAY))
        assert found[0].start == start
        assert found[-1].end == end
        assert all(a.end == b.start for a, b in itertools.pairwise(found))
        assert max(window.end - window.start for window in found) <= 30 * DAY
        assert len({window.slot for window in found}) == len(found)


def test_an_interrupted_backfill_names_its_ranges_as_before():
    before = list(spans(NOW - 200 * DAY, NOW, 30, DAY))
    for loaded in range(1, len(before)):
        after = list(spans(before[loaded - 1].end - DAY, NOW + DAY, 30, DAY))
        assert [w.slot for w in after][: len(before) - loaded] == [w.slot for w in before[loaded:]]


def test_months_are_calendar_months():
    found = list(months(NOW, NOW + 60 * DAY))
    assert [f"{w.start:%m-%d}" for w in found] == ["06-15", "07-01", "08-01"]


@st.composite
def needed(draw: st.DrawFn) -> list[NeededJob]:
    """Return what some parts of an account need: ranges, the last of which brings snapshots."""
    jobs = []
    for name in range(draw(st.integers(1, 4))):
        part, first = ProjectChunk(f"part {name}", (str(name),)), draw(st.integers(0, 5))
        days = [NOW + at * DAY for at in range(first, first + draw(st.integers(0, 6)))]
        mine: list[Any] = [
            NeededJob({}, part, Window(f"{at:%d}", at, at + DAY), (f"dated {at:%d}",))  # type: ignore[arg-type]
            for at in days
        ]
        match draw(st.sampled_from(["none", "alone", "with the last"])):
            case "alone":
                mine.append(NeededJob({}, part, None, snapshots=("snapshot",)))  # type: ignore[arg-type]
            case "with the last" if mine:
                mine[-1] = dataclasses.replace(mine[-1], snapshots=("snapshot",))
        jobs += mine
    return jobs


@settings(deadline=None)
@given(needed(), st.integers(-3, 12), st.sets(st.integers(0, 40)))
def test_the_quota_is_spent_and_not_passed(jobs, free, pending):
    def name(job: NeededJob) -> tuple[str, str]:
        return job.chunk.name, job.window.slot if job.window else ""

    asked_before = {name(job) for at, job in enumerate(jobs) if at in pending}
    chosen = afford(jobs, free, lambda job: name(job) in asked_before)
    new = [job for job in chosen if name(job) not in asked_before]
    snapshots = [job for job in jobs if job.snapshots]
    assert len(new) <= max(free, len(snapshots))
    assert len([job for job in chosen if job.snapshots]) == len(snapshots)
    for chunk in {job.chunk for job in jobs}:
        wanted, found = (
            [job.dated for job in some if job.chunk == chunk and job.dated]
            for some in (jobs, chosen)
        )
        assert wanted[: len(found)] == found  # the oldest first, and none left out between
    if len([job for job in chosen if job.dated]) < len([job for job in jobs if job.dated]):
        assert len(new) >= free


# --- activities and the quota --------------------------------------------------------------------


def run_tap(server: Sandbox, *streams: str, state: Any = None, **config: Any) -> TapRun:
    run = in_process.run(server, {**ONLY, **config}, *streams, state=state)
    assert run.code == 0, run.stderr
    return run


def test_a_backfill_spends_the_quota_on_the_oldest_ranges_and_goes_on(server):
    server.data_connector.jobs_per_day = 24
    start = NOW - 365 * DAY * 2
    config = {"start_date": f"{start:%Y-%m-%d}"}
    run = run_tap(server, ACTIVITIES, "issues_issues", **config)
    jobs = asked(server)
    assert len(jobs) == 24
    assert jobs[-1][2] == ["issues"]  # the snapshot keeps a job of its own
    assert run.records("issues_issues")
    (line,) = [line for line in run.stderr.splitlines() if "date ranges are loaded first" in line]
    assert line.startswith("WARNING")
    assert "24 of its 24 jobs in 24 hours left" in line
    # 731 days are 26 or 27 ranges of 29 days, as the grid has it; 23 of them were asked for.
    assert re.search("[34] are left for later runs; days needed at one run a day: 1", line)
    assert bookmark(run)[:10] == jobs[-2][1]
    loaded = {row["activity_id"] for row in run.records(ACTIVITIES)}

    server.clock.advance(86400)
    second = run_tap(server, ACTIVITIES, "issues_issues", state=run.state, **config)
    assert len(asked(server)) - 24 <= 4
    assert "date ranges are loaded first" not in second.stderr
    again = dt.datetime.fromisoformat(bookmark(run)) - DAY
    assert min(job[0] for job in asked(server, 24)) == f"{again:%Y-%m-%d}"
    loaded |= {row["activity_id"] for row in second.records(ACTIVITIES)}
    assert loaded == truth(
        server, dt.datetime.fromisoformat(config["start_date"]).replace(tzinfo=dt.UTC)
    )


def test_jobs_of_others_count(server):
    config = {"start_date": f"{NOW - 100 * DAY:%Y-%m-%d}"}
    for _ in range(22):
        by_hand(server)
    run = run_tap(server, ACTIVITIES, "issues_issues", **config)
    jobs = asked(server, 22)
    assert [job[2] for job in jobs] == [["activities"], ["issues"]]
    assert jobs[0][0] == f"{NOW - 100 * DAY:%Y-%m-%d}"
    assert "2 of its 24 jobs in 24 hours left" in run.stderr
    assert bookmark(run)[:10] == jobs[0][1]


def by_hand(server: Sandbox) -> None:
    from support.sandbox_client import Client

    assert Client(server).request("admin").status_code == 201


def test_without_any_job_left_the_past_waits_and_the_run_succeeds(server):
    for _ in range(24):
        by_hand(server)
    run = run_tap(server, ACTIVITIES, start_date=f"{NOW - 100 * DAY:%Y-%m-%d}")
    assert run.records(ACTIVITIES) == []
    assert "0 of its 24 jobs in 24 hours left" in run.stderr
    assert len(server.exports) == 24


def test_a_regular_run_takes_one_job(server):
    streams = (ACTIVITIES, "cdcissues_issues", "issues_issues")
    state = run_tap(server, *streams, start_date="2026-06-01").state
    for _ in range(7):  # over a cut of the grid
        before = len(server.exports)
        server.clock.advance(5 * 86400)
        run = run_tap(server, *streams, state=state, start_date="2026-06-01")
        state = run.state
        ((begin, end, groups),) = asked(server, before)
        assert groups == ["activities", "cdcissues", "issues"]
        assert dt.date.fromisoformat(end) - dt.date.fromisoformat(begin) <= 6 * DAY


def test_a_killed_backfill_is_taken_up_range_by_range(server):
    """The state of a run that asked for everything and loaded two ranges."""
    config = {"start_date": f"{NOW - 150 * DAY:%Y-%m-%d}"}
    run = run_tap(server, ACTIVITIES, **config)
    jobs = len(server.exports)
    states = [message["value"] for message in run.of_type("STATE")]
    after_two = next(s for s in states if len(s["exports"]) == jobs - 2 and s["bookmarks"])
    server.clock.advance(86400)
    run_tap(server, ACTIVITIES, state=after_two, **config)
    # Only the days that have come since are asked for: in the last range, or in one of their own.
    assert len(server.exports) - jobs <= 1


# --- Token Flex: only categories in which something was processed ---


def usage_categories(server: Sandbox, since: int) -> list[list[str]]:
    return [export.body["usageCategory"] for export in server.exports[since:]]


def test_categories_in_which_nothing_was_processed_are_left_out(server):
    streams = ("tokenflex_usage", "tokenflex_manual_usage")
    config = {"apis": ["tokenflex"], "start_date": "2026-05-01"}
    first = run_tap(server, *streams, **config)
    state, loaded = first.state, first.table("tokenflex_manual_usage")
    processed = {
        partition["context"]["contract_number"]: partition["processed"]
        for partition in state["bookmarks"]["tokenflex_manual_usage"]["partitions"]
    }
    (found,) = processed.values()
    settled = [c for c in ("MANUAL_ADJUSTMENT", "MANUAL_CONSUMPTION") if c in found]
    saved = 0
    for _ in range(12):
        before, seen = len(server.exports), last_processed(server)
        server.clock.advance(86400)
        run = run_tap(server, *streams, state=state, **config)
        state = run.state
        loaded |= run.table("tokenflex_manual_usage")
        asked_for = {c for some in usage_categories(server, before) for c in some}
        # Desktop usage comes in every day.
        assert "DESKTOP_PRODUCT" in asked_for
        changed = {c for c, day in last_processed(server).items() if day != seen.get(c)}
        assert changed <= asked_for
        saved += len({"MANUAL_ADJUSTMENT", "MANUAL_CONSUMPTION"} - asked_for)
    assert saved > 4, settled
    whole = run_tap(server, "tokenflex_manual_usage", **config)
    expected = whole.table("tokenflex_manual_usage")
    assert expected.keys() <= loaded.keys()
    for key, row in expected.items():
        assert row["tokensConsumed"] == loaded[key]["tokensConsumed"]


def last_processed(server: Sandbox) -> dict[str, str]:
    settings = server.settings()
    headers = {"Authorization": f"Bearer {settings['access_token']}"}
    url = f"{server.url}/tokenflex/v1"
    contracts = requests.get(f"{url}/contract", headers=headers, timeout=9).json()
    (number,) = [c["contractNumber"] for c in contracts if c["isActive"]]
    found: dict[str, str] = {}
    for entry in requests.get(f"{url}/usage/{number}/last", headers=headers, timeout=9).json():
        category = entry["usageCategory"]
        found[category] = max(found.get(category, ""), entry["lastProcessDate"])
    return found


# --- dates that the user changes -----------------------------------------------------------------


def test_a_category_is_not_left_out_because_an_end_date_came_before_its_usage(server):
    streams = ("tokenflex_usage", "tokenflex_manual_usage")
    config = {"apis": ["tokenflex"], "start_date": "2025-06-01"}
    early = run_tap(server, *streams, end_date="2025-12-01", **config)
    rest = run_tap(server, *streams, state=early.state, **config)
    whole = run_tap(server, *streams, **config)
    for stream in streams:
        assert (early.table(stream) | rest.table(stream)).keys() == whole.table(stream).keys()


def test_a_longer_look_back_reads_every_category(server):
    config = {"apis": ["tokenflex"], "start_date": "2025-06-01"}
    state = run_tap(server, "tokenflex_usage", **config).state
    (partition,) = state["bookmarks"]["tokenflex_usage"]["partitions"]
    assert partition["read_from"] == "2025-06-01T00:00:00.000000Z"
    # As a run with a look-back of ten days leaves it, whose next one has nothing to ask for.
    partition["read_from"] = "2026-06-05T04:00:00.000000Z"
    for days, categories in ((10, 0), (90, 3), (20, 0)):
        before = len(server.exports)
        run = run_tap(server, "tokenflex_usage", state=state, lookback_days=days, **config)
        state = run.state
        assert len({c for some in usage_categories(server, before) for c in some}) == categories


@pytest.mark.parametrize(
    ("stream", "api"),
    [
        ("insights_usage", "insights"),
        ("tokenflex_usage", "tokenflex"),
        (ACTIVITIES, "data_connector"),
    ],
)
def test_a_start_date_that_is_moved_back_is_told(server, stream, api):
    config = {"apis": [api], "lookback_days": 10}
    first = run_tap(server, stream, start_date="2026-05-01", **config)
    same = run_tap(server, stream, state=first.state, start_date="2026-05-01", **config)
    later = run_tap(server, stream, state=same.state, start_date="2026-05-20", **config)
    back = run_tap(server, stream, state=later.state, start_date="2026-04-30", **config)
    said = "earlier than where this stream started, 2026-05-01"
    assert [said in run.stderr for run in (first, same, later, back)] == [False, False, False, True]
    assert "--full-refresh" in back.stderr


def test_changes_come_whole_the_first_time_whatever_the_start_date(server):
    """Of a table, and not of events: it would lack all rows that have not changed since."""
    stream = "cdcissues_issues"
    whole = run_tap(server, stream)
    late = run_tap(server, stream, start_date="2026-06-14")
    assert late.table(stream).keys() == whole.table(stream).keys()
    server.clock.advance(10 * 86400)
    run_tap(server, stream, state=late.state, start_date="2026-06-24")
    assert server.exports[-1].body["startDate"][:10] == "2026-06-14"  # no change is passed over


def test_a_start_date_that_is_not_over_fails_only_what_goes_by_date(server):
    dates = {"start_date": "2027-01-01"}
    run = run_tap(server, "issues_issues", **dates)
    assert run.records("issues_issues")
    run = in_process.run(server, {**ONLY, **dates}, ACTIVITIES)
    assert run.code == 1
    assert "is not before the present" in run.stderr


def test_an_end_date_behind_the_bookmark_asks_for_nothing(server):
    streams = {"insights_usage": "insights", "tokenflex_usage": "tokenflex"}
    config = {"apis": [*streams.values()], "start_date": "2026-01-01", "lookback_days": 5}
    first = run_tap(server, *streams, **config)
    before = len(server.exports)
    again = run_tap(server, *streams, state=first.state, end_date="2026-03-01", **config)
    assert len(server.exports) == before
    assert all(again.records(stream) == [] for stream in streams)
    for stream in streams:
        (old, new) = (bookmarks_of(run, stream) for run in (first, again))
        assert old == new


def bookmarks_of(run: TapRun, stream: str) -> list[str]:
    return [p["replication_key_value"] for p in run.state["bookmarks"][stream]["partitions"]]


def test_a_look_back_longer_than_a_month_reads_whole_months_and_a_leap_day(server):
    server.clock.set(dt.datetime(2028, 3, 2, 4, tzinfo=dt.UTC))
    config = {"apis": ["insights"], "insights_export_scope": "all_teams"}
    first = run_tap(server, "insights_usage", start_date="2028-01-15", lookback_days=0, **config)
    days = {row["day_used"] for row in first.records("insights_usage")}
    assert "2028-02-29" in days
    before = len(server.exports)
    again = run_tap(
        server,
        "insights_usage",
        state=first.state,
        start_date="2027-01-01",
        lookback_days=70,
        **config,
    )
    asked_for = sorted(export.body["startDate"][:10] for export in server.exports[before:])
    assert asked_for == ["2027-12-23", "2028-01-01", "2028-02-01", "2028-03-01"]
    ids = [row["_row_id"] for row in again.records("insights_usage")]
    assert len(ids) == len(set(ids))
    assert first.table("insights_usage").keys() <= again.table("insights_usage").keys()


@pytest.mark.parametrize(
    ("stream", "api"),
    [
        ("insights_usage", "insights"),
        ("tokenflex_usage", "tokenflex"),
        (ACTIVITIES, "data_connector"),
        ("cdcissues_issues", "data_connector"),
    ],
)
def test_full_table_chosen_for_a_dated_stream_reads_it_all_and_removes_nothing(server, stream, api):
    """A bookmark from before must not make a few days the whole table."""
    config = {"apis": [api], "start_date": "2026-01-01", "emit_activate_version_messages": True}
    first = run_tap(server, stream, **config)
    chosen = {"replication-method": "FULL_TABLE"}
    for state in (first.state, {}):
        full = in_process.run(server, {**ONLY, **config}, stream, state=state, metadata=chosen)
        assert full.code == 0, full.stderr
        assert full.table(stream).keys() == first.table(stream).keys()
        assert full.of_type("ACTIVATE_VERSION") == []
    back = run_tap(server, stream, state=full.state, **config)
    assert back.table(stream).keys() <= first.table(stream).keys()


def test_stream_maps_send_no_row_more_often(server):
    """They take the SDK's road, which would sync a stream anew for each partition in the state."""
    maps = {"insights_usage": {"doubled": "tokens_used * 2 if tokens_used else None"}}
    config = {"apis": ["insights"], "start_date": "2026-05-01"}
    state: dict[str, Any] = {}
    for _ in range(2):
        plain = run_tap(server, "insights_usage", state=state, **config)
        mapped = run_tap(server, "insights_usage", state=state, stream_maps=maps, **config)
        ids = [[row["_row_id"] for row in run.records("insights_usage")] for run in (plain, mapped)]
        assert sorted(ids[0]) == sorted(ids[1])
        row = mapped.records("insights_usage")[0]
        assert row.keys() == {*plain.records("insights_usage")[0], "doubled"}
        state = plain.state
        server.clock.advance(86400)


def test_windows_without_a_row_move_the_bookmark(server):
    start = "1999-11-01"
    run = run_tap(
        server,
        "insights_usage",
        apis=["insights"],
        insights_export_scope="all_teams",
        start_date=start,
        end_date="2000-03-15",
    )
    assert run.records("insights_usage") == []
    assert len(server.exports) == 5
    value = run.state["bookmarks"]["insights_usage"]["replication_key_value"]
    assert value == "2000-03-15T00:00:00.000000Z"
