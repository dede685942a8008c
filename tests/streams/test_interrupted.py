"""Runs that were interrupted without a state, and exports that turned out to be of no use.

Meltano saves no state of a run that was interrupted. What that run had requested is recognised on
the server, also once it is finished, and used where it is young and was not loaded.
"""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import uuid
from collections import Counter

import pytest

from support import in_process
from tap_autodesk_exports.sandbox import Sandbox

NOW = dt.datetime(2026, 6, 15, 4, tzinfo=dt.UTC)
HOUR = 3600
DAY = 24 * HOUR
SOON = HOUR // 2
"""When an orchestrator tries again."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A stream of an API whose exports can be recognised."""

    api: str
    stream: str
    config: dict

    def __str__(self):
        return self.stream


CASES = [
    Case("insights", "insights_users", {"insights_export_scope": "all_teams"}),
    Case("insights", "insights_subscriptions", {"insights_export_scope": "per_team"}),
    Case("tokenflex", "tokenflex_usage", {"start_date": "2026-05-01"}),
    Case("tokenflex", "tokenflex_manual_usage", {"start_date": "2025-01-01"}),
    Case("data_connector", "admin_users", {"data_connector_extract": "new"}),
    Case("data_connector", "activities_admin_activities", {"start_date": "2026-06-01"}),
]


@pytest.fixture
def sandbox():
    with Sandbox(scale=0.1, job_seconds=0) as sandbox:
        sandbox.clock.set(NOW)
        # It does not say whether anything is new, so that every run requests its windows.
        sandbox.switch({"tokenflex": {"last_usage": "empty"}})
        yield sandbox


class Runs:
    """Runs of one stream, one after another."""

    def __init__(self, sandbox, case):
        self.sandbox, self.case = sandbox, case
        self.config = {
            "apis": [case.api],
            "lookback_days": 0,
            "export_timeout_minutes": 10,  # a token is good for an hour
            **case.config,
        }
        self.found = None

    def run(self, state=None, **config):
        settings = {**self.sandbox.settings(), **self.config, **config}
        if self.found is None:
            groups = [
                self.case.stream.partition("_")[0] for _ in range(self.case.api == "data_connector")
            ]
            self.found = in_process.catalog(
                {**settings, "data_connector_service_groups": groups}, self.case.stream
            )
        return in_process.run(
            self.sandbox,
            {**self.config, **config},
            self.case.stream,
            state=state,
            found=copy.deepcopy(self.found),
        )

    @property
    def requested(self):
        return len(self.sandbox.exports)


@pytest.fixture(params=CASES, ids=str)
def runs(request, sandbox):
    return Runs(sandbox, request.param)


def rows(run, stream):
    own = {"_export_id", "_exported_at", "window_end"}
    return Counter(
        tuple(sorted((k, str(v)) for k, v in row.items() if k not in own))
        for row in run.records(stream)
    )


def test_what_finished_while_no_state_was_saved_is_used(runs):
    first = runs.run()
    assert first.code == 0, first.stderr
    requested = runs.requested
    runs.sandbox.clock.advance(18 * HOUR)
    again = runs.run()
    assert again.code == 0, again.stderr
    assert runs.requested == requested, again.stderr
    assert "Was the last run interrupted" in again.stderr
    assert rows(again, runs.case.stream) == rows(first, runs.case.stream)


@pytest.mark.parametrize("loaded_before", [False, True])
def test_an_extract_of_snapshots_and_dates_is_used_for_both(sandbox, loaded_before):
    """Its snapshots are found as those of any extract are, its dates only by what it is for."""
    streams = ("activities_admin_activities", "admin_users")
    config = {"apis": ["data_connector"], "start_date": "2026-06-01"}
    state = in_process.run(sandbox, config, *streams).state if loaded_before else None
    sandbox.clock.advance(DAY + HOUR)
    before = len(sandbox.exports)
    first = in_process.run(sandbox, config, *streams, state=state)
    assert first.code == 0, first.stderr
    sandbox.clock.advance(SOON)
    again = in_process.run(sandbox, config, *streams, state=state)
    assert again.code == 0, again.stderr
    assert len(sandbox.exports) == before + 1, again.stderr
    for stream in streams:
        assert rows(again, stream) == rows(first, stream)
        assert rows(again, stream)


def test_what_was_loaded_is_not_used_again(runs):
    """The state says that it was; a run on the same day loads what is new."""
    first = runs.run()
    requested = runs.requested
    runs.sandbox.clock.advance(HOUR)
    second = runs.run(first.state)
    assert second.code == 0, second.stderr
    assert runs.requested > requested, second.stderr
    assert "Was the last run interrupted" not in second.stderr


@pytest.mark.parametrize("case", CASES[2:5], ids=str)
def test_what_a_saved_state_speaks_of_is_not_used_by_a_full_refresh(sandbox, case):
    """A later export is of a state that says that the first one was loaded."""
    runs = Runs(sandbox, case)
    first = runs.run()
    sandbox.clock.advance(SOON // 2)
    runs.run(first.state)
    requested = runs.requested
    sandbox.clock.advance(SOON // 2)
    again = runs.run()
    assert again.code == 0, again.stderr
    assert runs.requested > requested, again.stderr
    assert "Was the last run interrupted" not in again.stderr


@pytest.mark.parametrize(
    ("case", "column"),
    [(CASES[0], "autodesk_id"), (CASES[2], "userName"), (CASES[4], "id")],
    ids=str,
)
def test_what_was_loaded_is_not_used_to_replace_the_table(sandbox, case, column):
    runs = Runs(sandbox, case)
    config = {"emit_activate_version_messages": True}
    first = runs.run(**config)
    requested = runs.requested
    sandbox.clock.advance(SOON)
    hashing = {
        "hash_columns": [f"{case.stream}.{column}"],
        "hash_key": "made-up key of some length",
    }
    again = runs.run(first.state, **config, **hashing)
    assert again.code == 0, again.stderr
    assert "its rows get other keys than before" in again.stderr
    assert runs.requested > requested, again.stderr
    assert "Was the last run interrupted" not in again.stderr


def test_what_is_a_day_old_is_not_used(runs):
    runs.run()
    requested = runs.requested
    runs.sandbox.clock.advance(DAY - SOON)
    again = runs.run()
    assert again.code == 0, again.stderr
    assert runs.requested > requested


def test_the_second_run_after_an_interrupted_one_uses_what_that_requested(runs):
    """The state is that of the run before, which knows nothing of the interrupted one."""
    first = runs.run()
    runs.sandbox.clock.advance(SOON)
    interrupted = runs.run(first.state)
    requested = runs.requested
    runs.sandbox.clock.advance(SOON)
    again = runs.run(first.state)
    assert again.code == 0, again.stderr
    assert runs.requested == requested, again.stderr
    assert rows(again, runs.case.stream) == rows(interrupted, runs.case.stream)
    # And when its state was saved, the next one requests again.
    runs.sandbox.clock.advance(SOON)
    runs.run(again.state)
    assert runs.requested > requested


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.api != "insights" and "start_date" in case.config],
    ids=str,
)
def test_a_window_that_was_requested_yesterday_is_used_and_the_next_run_goes_on(sandbox, case):
    runs = Runs(sandbox, case)
    sandbox.clock.advance(20 * HOUR - SOON // 2)
    runs.run()
    requested = runs.requested
    sandbox.clock.advance(SOON)  # past midnight: the window is another one by now
    again = runs.run()
    assert again.code == 0, again.stderr
    assert runs.requested == requested, again.stderr
    bookmark = str(again.state["bookmarks"][case.stream])
    assert "2026-06-15T2" in bookmark or "2026-06-15T00" in bookmark, bookmark
    sandbox.clock.advance(DAY)
    last = runs.run(again.state)
    assert last.code == 0, last.stderr
    assert runs.requested > requested
    assert "2026-06-1" in str(last.state["bookmarks"][case.stream])


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.api != "insights" and "start_date" in case.config],
    ids=str,
)
def test_an_export_that_was_requested_with_an_earlier_end_date_is_not_used(sandbox, case):
    runs = Runs(sandbox, case)
    runs.run(end_date="2026-06-10")
    requested = runs.requested
    again = runs.run()
    assert again.code == 0, again.stderr
    assert runs.requested > requested
    assert "2026-06-15" in str(again.state["bookmarks"][case.stream])


def test_dated_reports_of_insights_are_requested_again(sandbox):
    """Their dates are not echoed, so that they cannot be recognised for sure."""
    runs = Runs(sandbox, Case("insights", "insights_usage", CASES[0].config))
    runs.config["start_date"] = "2026-06-01"
    runs.run()
    runs.run()
    assert runs.requested == 2


@pytest.mark.parametrize("case", [CASES[0], CASES[2], CASES[4]], ids=str)
def test_an_export_that_was_given_up_is_not_used_again(sandbox, case):
    """Its file holds words in place of a table."""
    runs = Runs(sandbox, case)
    sandbox.faults.add("words", api=case.api)
    failed = runs.run()
    assert failed.code == 1
    requested = runs.requested
    sandbox.clock.advance(HOUR)
    done = runs.run(failed.state)
    assert done.code == 0, done.stderr
    assert runs.requested == requested + 1
    assert done.state["exports"] == []
    assert done.records(case.stream)


# Exports of no use

OF_NO_USE = {
    **{f"{one} for its ID": ("unreadable", {"status": one}) for one in (400, 403, 404, 451, 500)},
    "dead links": ("dead_links", {"status": 404}),
    "forbidden links": ("dead_links", {"status": 403}),
    "files that are gone": ("files_gone", {}),
    "no files": ("no_files", {}),
    "null in place of files": ("null_files", {}),
    "a queue without an end": ("never_starts", {}),
    "an unknown status": ("unknown_status", {}),
    "no job": ("no_job", {}),
}  # fmt: skip


@pytest.mark.parametrize("case", [CASES[0], CASES[2], CASES[4]], ids=str)
@pytest.mark.parametrize("what", OF_NO_USE)
def test_an_export_of_no_use_is_resumed_once_and_then_requested_again(sandbox, case, what):
    runs = Runs(sandbox, case)
    effect, how = OF_NO_USE[what]
    sandbox.faults.add(effect, api=case.api, **how)
    met = runs.run()
    if met.code == 0:  # what is polled by a list is not refused; a 404 is requested again at once
        assert effect == "unreadable" or what == "files that are gone"
        assert runs.requested <= 2
        return
    assert "run again" in met.stderr or "the next run resumes it" in met.stderr, met.stderr
    assert runs.requested == 1
    assert [entry["id"] for entry in met.state["exports"]] == [sandbox.exports[0].id]
    sandbox.clock.advance(DAY)
    done = runs.run(met.state)
    assert done.code == 0, done.stderr
    assert runs.requested == 2, done.stderr
    assert done.records(case.stream)
    assert done.state["exports"] == []


@pytest.mark.parametrize("case", [CASES[0], CASES[2], CASES[4]], ids=str)
def test_an_export_of_no_use_every_day_is_requested_once_a_run(sandbox, case):
    runs = Runs(sandbox, case)
    sandbox.faults.add("dead_links", api=case.api, times=None, status=404)
    state = None
    for run in range(1, 4):
        met = runs.run(state)
        assert met.code == 1
        assert runs.requested == run
        state = met.state
        sandbox.clock.advance(DAY)


def test_one_table_of_no_use_has_one_extract_requested_again(sandbox):
    """All tables that still need it share the new one; what was loaded is not sent again."""
    tables = ["admin_companies", "admin_projects", "admin_users"]
    config = {"apis": ["data_connector"], "data_connector_extract": "new"}
    dead = sandbox.faults.add(
        "status", endpoint="file", path="*admin_[pu]*", status=404, times=None
    )
    met = in_process.run(sandbox, config, *tables)
    assert met.code == 1
    assert met.records("admin_companies")
    sandbox.clock.advance(HOUR)
    dead.times = dead.struck + 6  # the file of one table is tried to the end
    done = in_process.run(sandbox, config, *tables, state=met.state)
    assert done.code == 0, done.stderr
    assert len(sandbox.exports) == 2
    assert done.records("admin_companies") == []
    assert done.records("admin_projects")
    assert done.records("admin_users")
    assert done.state["exports"] == []


# Late lists


@pytest.mark.parametrize("case", [CASES[0], CASES[2], CASES[4]], ids=str)
@pytest.mark.parametrize("late", [0, 20, 45])
def test_an_answer_that_is_lost_while_the_list_is_late_requests_nothing_twice(sandbox, case, late):
    runs = Runs(sandbox, case)
    sandbox.switch({case.api: {"listed_after": float(late)}})
    sandbox.faults.add("lost", api=case.api, endpoint="submit")
    done = runs.run()
    assert done.code == 0, done.stderr
    assert runs.requested == 1
    assert done.records(case.stream)


@pytest.mark.parametrize("names", ["twice", "upper", "underscores"])
def test_an_answer_that_is_lost_is_found_however_its_file_name_is_spelled(sandbox, names):
    sandbox.switch({"tokenflex": {"file_names": names}})
    sandbox.faults.add("lost", api="tokenflex", endpoint="submit")
    runs = Runs(sandbox, CASES[2])
    assert runs.case.api == "tokenflex"
    done = runs.run()
    assert done.code == 0, done.stderr
    assert runs.requested == 1


@pytest.mark.parametrize("names", ["twice", "upper", "underscores"])
def test_what_a_lost_state_had_requested_is_found_however_its_file_name_is_spelled(sandbox, names):
    sandbox.switch({"tokenflex": {"file_names": names}})
    runs = Runs(sandbox, CASES[2])
    first = runs.run()
    again = runs.run()
    assert again.code == 0, again.stderr
    assert runs.requested == 1, again.stderr
    assert rows(again, runs.case.stream) == rows(first, runs.case.stream)


def test_an_insights_export_with_dates_is_found_though_others_look_alike(sandbox):
    """Its siblings of this run, and those of others that were requested at other times."""
    runs = Runs(sandbox, Case("insights", "insights_usage", CASES[0].config))
    runs.config["start_date"] = "2026-01-01"
    runs.run()  # another user's run, say
    before = runs.requested
    sandbox.clock.advance(HOUR)
    sandbox.faults.add("lost", api="insights", endpoint="submit", occasions=[2, 4])
    done = runs.run()
    assert done.code == 0, done.stderr
    months = [export.body["startDate"][:7] for export in sandbox.exports[before:]]
    assert sorted(months) == [f"2026-0{month}" for month in range(1, 7)]
    days = {row["day_used"][:7] for row in done.records("insights_usage")}
    for row in done.records("insights_usage"):
        export = next(e for e in sandbox.exports if e.id == row["_export_id"])
        assert row["day_used"][:7] == export.body["startDate"][:7]
    assert days == set(months)


# Lists are read once


def test_a_first_load_reads_long_lists_once(sandbox):
    """Once, it took 1 284 requests for 27 exports over 4 368 that the list had already."""
    client = sandbox.app.test_client()
    headers = {"Authorization": f"Bearer {sandbox.settings()['access_token']}"}
    body = {"outputFormat": "CSV", "reports": ["USERS"]}
    client.post("/insights/v1/exports", json=body, headers=headers)
    listed = sandbox.insights._exports
    (one,) = list(listed.values())
    for number in range(1467):
        created = NOW - dt.timedelta(days=3, minutes=number)
        timeline = dataclasses.replace(one.timeline, created=created)
        export = dataclasses.replace(one, id=str(uuid.UUID(int=number)), timeline=timeline)
        listed[export.id] = export
    sandbox.insights._exports = dict(reversed(listed.items()))
    sent = len(sandbox.requests)
    config = {"apis": ["insights"], "insights_export_scope": "all_teams"}
    done = in_process.run(sandbox, {**config, "start_date": "2024-04-20"}, "insights_usage")
    assert done.code == 0, done.stderr
    assert len(sandbox.exports) - 1 == 27
    paths = Counter(
        (request.method, request.path.partition("?")[0]) for request in sandbox.requests[sent:]
    )
    lists = paths["GET", "/insights/v1/exports"]
    assert lists <= 15 + 27, lists  # all pages once, and the newest where many are polled
    apart = [r for r in sandbox.requests[sent:] if "/storage/" not in r.path]
    assert len(apart) <= 15 + 4 * 27, len(apart)


def test_the_lists_of_an_account_are_read_once(sandbox):
    """Requests and jobs: for planning, for recognising, for the quota, for every chunk."""
    client = sandbox.app.test_client()
    headers = {"Authorization": f"Bearer {sandbox.settings()['access_token']}"}
    sandbox.data_connector.jobs_per_day = sandbox.data_connector.jobs_per_user = 10_000
    base = f"/data-connector/v1/accounts/{sandbox.account_id}"
    given = {"serviceGroups": ["locations"], "effectiveFrom": "2026-01-01T00:00:00Z"}
    for _ in range(450):
        client.post(f"{base}/requests", json=given, headers=headers)
    sandbox.clock.advance(2 * DAY)
    before = len(sandbox.requests)
    config = {
        "apis": ["data_connector"],
        "start_date": "2026-01-01",
        "data_connector_project_ids": [],
    }
    streams = ("activities_admin_activities", "admin_users", "issues_issues")
    done = in_process.run(sandbox, config, *streams)
    assert done.code == 0, done.stderr
    lists = Counter(
        request.path.partition("?")[0].rpartition("/")[2]
        for request in sandbox.requests[before:]
        if request.method == "GET" and "offset=" in request.path
    )
    assert lists["requests"] <= 6, lists
    assert lists["jobs"] <= 6 + 12, lists  # all pages once, and the newest one for each poll
