"""Exports that do not come to an end in time, and what helps where a run is refused."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import TYPE_CHECKING

import pytest

from support.cases import CASES
from support.oauth_server import SECRETS
from tap_autodesk_exports.sandbox import credentials

if TYPE_CHECKING:
    from support.cases import Bench

AN_HOUR = 3600
SOON = {"export_timeout_minutes": 0.005}
REFRESHED = {
    "auth_flow": "refresh_token",
    "client_id": credentials.CLIENT_ID,
    "client_secret": SECRETS.client_secret,
    "refresh_token": SECRETS.refresh_token,
    "access_token": None,
}
"""Settings with which the tap renews its token."""


def test_a_job_that_takes_too_long_stays_pending_and_is_loaded_by_a_later_run(bench, clean):
    bench.job_seconds = AN_HOUR
    bench.config = SOON
    for _ in range(2):
        met = bench.run()
        assert met.code == 1, met.stderr
        assert "It stays pending: the next run resumes it" in met.stderr
        assert "0 loaded, 0 unchanged, 2 pending, 0 failed" in met.stderr
        assert len(bench.sandbox.exports) == clean.asked
    bench.sandbox.clock.advance(AN_HOUR)
    assert bench.run().code == 0
    bench.assert_whole(clean)


@pytest.mark.parametrize("effect", ["never_starts", "no_job"])
def test_a_job_that_never_starts_or_appears_stays_pending(bench, clean, effect):
    bench.fault(effect, endpoint="submit", times=None)
    bench.config = SOON
    for _ in range(2):
        met = bench.run()
        assert met.code == 1, met.stderr
        assert "PENDING" in met.stderr
        assert len(bench.sandbox.exports) == clean.asked
        assert len(bench.state["exports"]) == clean.asked


def test_an_unknown_status_is_an_error_and_the_export_stays_pending(bench, clean):
    bench.fault("unknown_status", endpoint="submit", times=None)
    for _ in range(2):
        met = bench.run()
        assert met.code == 1, met.stderr
        assert "has the unknown status" in met.stderr
        assert len(bench.sandbox.exports) == clean.asked
        assert len(bench.state["exports"]) == clean.asked


ANSWERED_WITH_A_PAGE = {
    "insights": {"where it stands": {}, "for a link": {"occasions": range(2, 20, 2)}},
    "tokenflex": {
        "where it stands": {"endpoint": "export"},
        "for a link": {"endpoint": "refresh_url"},
    },
    "data_connector": {
        "where it stands": {"endpoint": "listing"},
        "for a link": {"endpoint": "link"},
    },
}
"""API -> what is asked -> the requests of one export that ask it. Insights has one endpoint for
both: a look, and then a link."""


@pytest.mark.parametrize("asks", ["where it stands", "for a link"])
def test_an_export_that_is_answered_with_a_page_is_waited_for_a_day(bench, clean, asks):
    """A proxy may be what answers; where it is not, nothing stays stuck."""
    bench.job_seconds = AN_HOUR
    bench.config = SOON
    assert bench.run().code == 1
    bench.job_seconds, bench.config = 0, {}
    bench.sandbox.clock.advance(AN_HOUR)
    jobs = [job.id for one in bench.sandbox.data_connector._requests.values() for job in one.jobs]
    for export_id in jobs or [entry["id"] for entry in bench.state["exports"]]:
        where = {"path": f"*/{export_id}*", "times": None}
        bench.fault("html", **where, **ANSWERED_WITH_A_PAGE[bench.case.api][asks])
    for _ in range(2):
        met = bench.run()
        assert met.code == 1
        assert "something that is not JSON" in met.stderr
        assert "run again" in met.stderr
        assert len(bench.sandbox.exports) == clean.asked
    for entry in bench.state["exports"]:
        at = dt.datetime.fromisoformat(entry["asked_at"]) - dt.timedelta(hours=25)
        entry["asked_at"] = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    done = bench.run()
    assert done.code == 0, done.stderr
    bench.assert_whole(clean, extra=clean.asked)


def test_an_export_that_fails_to_the_end_is_not_waited_for_again(bench, clean):
    bench.fault("ends_failed", endpoint="submit", times=None)
    met = bench.run()
    assert met.code == 1
    assert "on the server, also when tried again" in met.stderr
    asked = len(bench.sandbox.exports)
    bench.sandbox.faults.clear()
    assert bench.run().code == 0
    bench.assert_whole(clean, extra=asked)


def test_a_token_that_is_revoked_in_mid_run_is_renewed(bench, clean):
    bench.config = {**REFRESHED, "token_store": str(bench.folder / "tokens.json")}
    struck = bench.fault("stall", endpoint=bench.case.look, method="GET", seconds=0.3)
    tap = bench.begin(level="DEBUG")
    tap.wait_until(lambda: struck.struck)
    bench.sandbox.authentication.forget_access_tokens()
    done = bench.take(tap.end())
    assert done.code == 0, done.stderr
    assert [request.status for request in bench.sandbox.requests].count(401)
    bench.assert_whole(clean)


def test_after_a_401_to_the_end_a_new_token_is_all_that_is_needed(bench, clean):
    struck = bench.fault("stall", endpoint=bench.case.look, method="GET", seconds=0.3)
    tap = bench.begin()
    tap.wait_until(lambda: struck.struck)
    bench.sandbox.authentication.forget_access_tokens()
    met = bench.take(tap.end())
    assert met.code == 1
    assert "access_token" in met.stderr
    assert bench.run().code == 0
    bench.assert_whole(clean)


def test_a_run_at_log_level_debug_tells_no_secret_either(bench, clean):
    bench.fault("truncate", endpoint="file")
    bench.fault("expired_link", endpoint="file")
    bench.fault("reset", endpoint="file")
    done = bench.run(level="DEBUG")  # every run's output is searched
    assert done.code == 0, done.stderr
    assert "DEBUG" in done.stderr
    bench.assert_whole(clean)


class TestExtracts:
    """Data Connector's extracts, of which there are 24 a day."""

    @pytest.fixture
    def case(self):
        return dataclasses.replace(
            CASES[-1], config={**CASES[-1].config, "data_connector_extract": "auto"}
        )

    def test_a_used_up_quota_falls_back_to_the_newest_extract(self, bench, clean):
        older = bench.run()
        assert older.code == 0
        bench.tables = {name: {} for name in bench.tables}
        bench.state = None
        self.use_up(bench)
        bench.config = {"data_connector_max_age_hours": 0}
        met = bench.run()
        assert met.code == 0, met.stderr
        assert "has used its 24 jobs" in met.stderr
        assert "The newest extract is loaded instead" in met.stderr
        assert bench.tables == clean.tables
        assert bench.state["exports"] == []

    def test_new_extracts_only_means_no_older_one(self, bench):
        assert bench.run().code == 0
        self.use_up(bench)
        bench.config = {"data_connector_extract": "new"}
        met = bench.run()
        assert met.code == 1
        assert "the next one can be requested at" in met.stderr

    def test_the_next_day_asks_for_a_new_one(self, bench, clean):
        self.use_up(bench)
        assert bench.run().code == 1
        bench.sandbox.clock.advance(24 * AN_HOUR)
        assert bench.run().code == 0
        # A day later people have signed in again, so cells differ; the rows are the same.
        keys, expected = ({n: set(t) for n, t in x.tables.items()} for x in (bench, clean))
        assert keys == expected
        assert bench.state["exports"] == []

    def test_dated_tables_wait_for_the_quota_and_are_told_with_the_time(self, bench):
        """No older extract serves: it holds other days."""
        assert bench.run().code == 0
        loaded = bench.state
        bench.case = dataclasses.replace(
            bench.case,
            streams=("activities_admin_activities", "activities_issues_activities"),
            config={**bench.case.config, "data_connector_service_groups": ["activities"]},
        )
        bench.tables = {name: {} for name in bench.case.streams}
        self.use_up(bench)
        met = bench.run()
        assert met.code == 1
        (told,) = [line for line in met.stderr.splitlines() if "| FAILED " in line]
        assert "the next one can be requested at" in told
        assert bench.state["exports"] == []
        for name in CASES[-1].streams:
            assert bench.state["bookmarks"][name] == loaded["bookmarks"][name]
        assert "replication_key_value" not in json.dumps(bench.state)
        bench.sandbox.clock.advance(24 * AN_HOUR)
        done = bench.run()
        assert done.code == 0, done.stderr
        assert all(bench.tables.values())

    @staticmethod
    def use_up(bench: Bench) -> None:
        settings = bench.sandbox.settings()
        bench.sandbox.data_connector.jobs_per_day = 24
        for _ in range(24):
            bench.sandbox.app.test_client().post(
                f"/data-connector/v1/accounts/{bench.sandbox.account_id}/requests",
                json={"serviceGroups": ["locations"], "effectiveFrom": "2026-01-01T00:00:00Z"},
                headers={"Authorization": f"Bearer {settings['access_token']}"},
            )
