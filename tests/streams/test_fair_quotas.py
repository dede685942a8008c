"""The day's jobs of a user are shared fairly among the accounts of a run, and none is waited for.

Documented: 24 jobs in rolling 24 hours for an account, and 24 for a user in all accounts together.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import in_process
from tap_autodesk_exports.autodesk.data_connector.chunks import ProjectChunk
from tap_autodesk_exports.autodesk.data_connector.needed import NeededJob, share_out
from tap_autodesk_exports.loading.windows import Window
from tap_autodesk_exports.sandbox import Sandbox, SandboxClock

if TYPE_CHECKING:
    from support.processes import TapRun

NOW = dt.datetime(2026, 6, 15, 5, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
MINUTE = 60.0
A_WAIT = 2 * MINUTE
"""More than a daily run waits for yesterday's jobs to be a day old."""
ONLY = {"apis": ["data_connector"], "data_connector_max_age_hours": 12}
TABLE = "locations_trees"


def run_at(
    server: Sandbox, at: dt.datetime, state: Any = None, *streams: str, **config: Any
) -> TapRun:
    server.clock.set(at)
    return in_process.run(server, {**ONLY, **config}, *(streams or (TABLE,)), state=state)


def waits(run: TapRun) -> list[int]:
    """Return the seconds for which a run has waited for jobs to be free."""
    return [int(found) for found in re.findall(r"Waiting (\d+) s for a job", run.stderr)]


def requested(server: Sandbox, since: int = 0) -> Counter[str]:
    return Counter(export.owner for export in server.exports[since:])


def taken(server: Sandbox, state: Any) -> dict[str, dt.datetime]:
    """Return account -> when the extract was taken that is loaded."""
    partitions = state["bookmarks"][TABLE]["partitions"]
    ids = {p["context"]["account_id"]: p["export_id"] for p in partitions if "export_id" in p}
    jobs = server.data_connector._requests.values()
    started = {job.id: job.timeline.created for request in jobs for job in request.jobs}
    return {account: started[job] for account, job in ids.items()}


def test_what_got_no_job_in_one_run_comes_first_in_the_next():
    """Thirty accounts, 24 jobs: 24 accounts, then the other six and the oldest of the rest."""
    with Sandbox(scale=0.05, accounts=30, projects=2, job_seconds=0, clock=SandboxClock(NOW)) as s:
        first = run_at(s, NOW)
        assert first.code == 1  # six accounts have nothing at all yet
        assert first.stderr.count("accounts whose extract is older come first") >= 6
        loaded = requested(s)
        assert (len(loaded), set(loaded.values())) == (24, {1})
        assert set(taken(s, first.state)) == set(loaded)
        oldest = sorted(taken(s, first.state), key=taken(s, first.state).__getitem__)[:18]

        second = run_at(s, NOW + DAY, first.state)
        assert second.code == 0, second.stderr
        again = requested(s, 24)
        assert set(again) == (set(s.account_ids) - set(loaded)) | set(oldest)
        assert set(again.values()) == {1}
        assert set(taken(s, second.state)) == set(s.account_ids)
        assert sum(waits(second)) < A_WAIT


def test_no_run_waits_for_the_quota_of_a_user_that_is_used_up():
    """Whoever cannot have a job loads the newest extract there is, or says when to run again."""
    with Sandbox(scale=0.05, accounts=8, job_seconds=0, clock=SandboxClock(NOW)) as server:
        server.data_connector.jobs_per_user = 24
        for account in server.account_ids:
            server.data_connector.add_extract(
                {"serviceGroups": ["locations"]}, account=account, created=NOW - 3 * DAY
            )
        for _ in range(24):  # in one account, so that no other is used up by itself
            server.data_connector.add_extract(
                {"serviceGroups": ["admin"]},
                account=server.account_ids[0],
                created=NOW - dt.timedelta(hours=6),
            )
        run = run_at(server, NOW)
        assert run.code == 0, run.stderr
        assert requested(server) == {}
        assert "The newest extract is loaded instead" in run.stderr
        assert "The next jobs are free at 2026-06-15 23:00 UTC" in run.stderr
        assert (server.clock.now() - NOW).total_seconds() < 2 * MINUTE
        refused = [r for r in server.requests if r.status == 429]
        assert refused == []


def test_jobs_that_a_run_cannot_see_are_waited_for_once_and_briefly():
    """The user's jobs in accounts that are none of this run's: a 429 that no list explains."""
    with Sandbox(scale=0.05, accounts=6, job_seconds=0, clock=SandboxClock(NOW)) as server:
        mine, other = server.account_ids[:5], server.account_ids[5]
        for _ in range(24):
            server.data_connector.add_extract({}, account=other, created=NOW - DAY / 2)
        run = run_at(server, NOW, data_connector_account_ids=mine)
        assert run.code == 1
        assert "by jobs that this run cannot see" in run.stderr
        assert (server.clock.now() - NOW).total_seconds() < 3 * MINUTE


def test_a_job_that_is_free_within_minutes_is_waited_for():
    """A daily run that starts a little early finds yesterday's jobs not quite a day old."""
    with Sandbox(scale=0.05, accounts=24, projects=2, job_seconds=0, clock=SandboxClock(NOW)) as s:
        state = run_at(s, NOW).state
        early = NOW + DAY - dt.timedelta(seconds=30)
        run = run_at(s, early, state)
        assert run.code == 0, run.stderr
        assert set(requested(s).values()) == {2}
        assert "The newest extract is loaded instead" not in run.stderr
        assert 0 < sum(waits(run)) < A_WAIT


def test_a_backfill_of_one_account_leaves_the_others_their_snapshots():
    with Sandbox(scale=0.05, accounts=10, projects=2, job_seconds=0, clock=SandboxClock(NOW)) as s:
        streams = (TABLE, "activities_admin_activities")
        run = run_at(s, NOW, None, *streams, start_date=f"{NOW - 300 * DAY:%Y-%m-%d}")
        assert run.code == 0, run.stderr
        assert sum(requested(s).values()) == 24
        assert set(requested(s).values()) == {2, 3}
        with_table = {e.owner for e in s.exports if "locations" in e.body["serviceGroups"]}
        assert with_table == set(s.account_ids)
        assert "of a user who has 24 of its 24 jobs in 24 hours left" in run.stderr


def job(account: int, start: int | None, *, snapshots: bool) -> NeededJob:
    at = NOW + DAY * (start or 0)
    window = None if start is None else Window(f"{start}", at, at + DAY)
    return NeededJob(
        {"account_id": f"{account}"},
        ProjectChunk("", ()),
        window,
        () if start is None else ("dated",),  # type: ignore[arg-type]
        ("snapshot",) if snapshots else (),  # type: ignore[arg-type]
    )


@pytest.mark.timeout(60)
@settings(deadline=None)
@given(st.data())
def test_shares_pass_no_quota_and_leave_none_unused(data):
    accounts = range(data.draw(st.integers(1, 6)))
    jobs, ages = [], {}
    for account in accounts:
        jobs += [job(account, n, snapshots=False) for n in range(data.draw(st.integers(0, 5)))]
        if data.draw(st.booleans()):
            jobs.append(job(account, None, snapshots=True))
        ages[f"{account}"] = NOW - DAY * data.draw(st.integers(0, 5))
    free = {f"{account}": data.draw(st.integers(-2, 6)) for account in accounts}
    of_user = data.draw(st.integers(-2, 20))
    shares = share_out(jobs, free, of_user, lambda each: ages[each.account])
    refused = {each.account for each in shares.refused}
    snapshots = [each for each in jobs if each.snapshots]
    spent = {
        account: shares.dated.get(account, 0)
        + sum(each.account == account and account not in refused for each in snapshots)
        for account in free
    }
    wanted = {account: sum(each.account == account for each in jobs) for account in free}
    assert sum(spent.values()) <= max(of_user, 0)
    assert all(spent[account] <= max(free[account], 0) for account in free)
    could = sum(min(wanted[account], max(free[account], 0)) for account in free)
    assert sum(spent.values()) == min(max(of_user, 0), could)
    for each in snapshots:  # no account goes before one whose extract is older
        for other in snapshots:
            if each.account in refused and other.account not in refused and free[each.account] > 0:
                assert ages[other.account] <= ages[each.account]
