"""Every failure is told in a sentence: what failed, where, what to do; the rest is loaded.

The tap runs against a sandbox whose faults are switched on: as a process of its own in one test of
each kind of failure, else in this process, where it waits on the sandbox's time.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from support import in_process, processes
from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.sandbox import Sandbox
from tap_autodesk_exports.streams.catalog import read_catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.processes import TapRun

ALL = {"apis": ["insights", "tokenflex", "data_connector"]}
ADMIN = {"data_connector_service_groups": ["admin"]}


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1, job_seconds=0) as sandbox:
        yield sandbox


@pytest.fixture
def process(server, run_tap) -> Callable[..., TapRun]:
    """Run the tap with `config` over the sandbox, and only the streams that are named."""

    def begin(*streams: str, **config: Any) -> TapRun:
        settings = {**server.settings(), "start_date": month_ago(server), **config}
        return run_tap(settings, catalog=catalog(*streams) if streams else None)

    return begin


@pytest.fixture
def run(server) -> Callable[..., TapRun]:
    """Do the same without a process of its own; pauses take no time."""

    def begin(*streams: str, **config: Any) -> TapRun:
        return in_process.run(server, {"start_date": month_ago(server), **config}, *streams)

    return begin


def month_ago(server: Sandbox) -> str:
    now = server.clock.now()
    return f"{now.replace(day=1):%Y-%m-%d}" if now.day > 1 else f"{now:%Y}-01-01"


_found: dict[str, Any] = {}


def catalog(*streams: str) -> dict[str, Any]:
    """Return the discovered catalog with just these streams selected."""
    if not _found:
        command = [str(processes.BIN / "tap-autodesk-exports"), "--discover"]
        _found.update(json.loads(subprocess.check_output(command, stderr=subprocess.PIPE)))
    chosen = [stream for stream in _found["streams"] if stream["tap_stream_id"] in streams]
    assert len(chosen) == len(streams)
    for stream in chosen:
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = True
    return {"streams": chosen}


def errors(run: TapRun) -> list[str]:
    """Return the last lines of the log that tell what failed or is pending."""
    return [
        line.partition("| tap-autodesk-exports           | ")[2]
        for line in run.stderr.splitlines()
        if "| FAILED " in line or "| PENDING " in line
    ]


def only_error(run: TapRun) -> str:
    assert run.code == 1, run.stderr
    (error,) = errors(run)
    return error


# Settings


def test_accounts_that_are_missing(run):
    error = only_error(run("admin_users", data_connector_account_ids=[]))
    assert error.startswith("FAILED admin_users: Setting 'data_connector_account_ids' is missing")
    assert "leave 'data_connector' out of 'apis'" in error


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("start_date", "yesterday-ish", "'start_date'"),
        ("auth_flow", "magic", "'auth_flow'"),
        ("apis", ["insight"], "'apis'"),
        ("lookback_days", -1, "lookback_days"),
    ],
)
def test_a_value_that_cannot_be_read(process, setting, value, sentence):
    done = process("insights_users", **{setting: value})
    assert done.code == 1
    assert sentence.strip("'") in done.stderr
    assert "Traceback" not in done.stderr


def test_a_start_after_the_end(process):
    done = process("insights_usage", start_date="2026-02-01", end_date="2026-01-01")
    assert done.code == 1
    assert "'start_date' (2026-02-01) is not before 'end_date' (2026-01-01)" in done.stderr
    assert done.of_type("SCHEMA") == []


def test_fractions_of_a_settings_file_are_used_to_the_end_of_the_run(process):
    fractions = {
        "data_connector_max_age_hours": 0.5,
        "poll_interval_seconds": 0.2,
        "export_timeout_minutes": 5.5,
    }
    done = process("admin_users", "insights_users", **fractions)
    assert done.code == 0, done.stderr
    assert {*done.streams} == {"admin_users", "insights_users"}


def test_credentials_that_are_missing(run_tap):
    done = run_tap({"api_url": "http://127.0.0.1:9"})
    assert done.code == 1
    assert "client_id" in done.stderr
    assert done.of_type("SCHEMA") == []
    assert "Traceback" not in done.stderr


def test_a_flow_that_an_api_excludes(run):
    two_legged = {"auth_flow": "client_credentials", "access_token": None}
    credentials = {"client_id": "an-app", "client_secret": "a-secret"}
    error = only_error(run("admin_users", **two_legged, **credentials))
    assert "Data Connector" in error
    assert "client_credentials" in error


# Answers


def test_401(process):
    done = process("admin_users", "insights_users", "tokenflex_usage", access_token="expired-one")
    assert done.code == 1
    assert "access_token" in done.stderr
    assert "expired-one" not in done.stderr
    assert done.of_type("RECORD") == []


@pytest.mark.parametrize(
    ("api", "stream", "causes"),
    [
        ("insights", "insights_users", ["admin of a team", "ReportingAPIAccess", "scopes"]),
        ("tokenflex", "tokenflex_usage", ["contract manager", "contract number", "two-legged"]),
        ("data_connector", "admin_users", ["custom integration", "executive overview", "scopes"]),
    ],
)
def test_403_names_its_three_usual_causes(server, run, api, stream, causes):
    refusal = "Token does not have the privilege for this request."
    server.faults.add("status", api=api, status=403, body=refusal, times=None)
    error = only_error(run(stream))
    assert "answered 403 (Token does not have the privilege for this request)" in error
    assert all(cause in error for cause in causes)


def test_a_wrong_host(run):
    error = only_error(run("insights_contexts", api_url="http://127.0.0.1:9", sandbox=False))
    assert "127.0.0.1:9 cannot be reached" in error
    assert "`api_url`" in error


# Exports


@pytest.mark.parametrize(
    ("stream", "api", "word"),
    [
        ("insights_users", "insights", "ERROR"),
        ("tokenflex_manual_usage", "tokenflex", "Error"),
        ("admin_users", "data_connector", "failed"),
    ],
)
def test_an_export_that_failed_on_the_server(server, process, stream, api, word):
    server.faults.add("ends_failed", api=api, times=None)
    error = only_error(process(stream, insights_export_scope="all_teams"))
    assert f"ended as '{word}' on the server, also when tried again" in error
    ids = [export.id for export in server.exports]
    assert any(export_id in error for export_id in ids) or api == "data_connector"


def test_a_job_that_was_cancelled(server, run):
    server.faults.add("ends_cancelled", api="data_connector")
    error = only_error(run("admin_users"))
    assert "was cancelled on the server" in error
    assert len(server.exports) == 1


@pytest.mark.parametrize(
    ("stream", "api"),
    [
        ("insights_users", "insights"),
        ("tokenflex_manual_usage", "tokenflex"),
        ("admin_users", "data_connector"),
    ],
)
def test_a_status_that_nobody_documented(server, run, stream, api):
    server.faults.add("unknown_status", api=api, times=None)
    error = only_error(run(stream, insights_export_scope="all_teams"))
    assert "has the unknown status" in error


# Files


@pytest.mark.parametrize(
    ("effect", "fields", "sentence"),
    [
        ("html", {}, "is an HTML or XML page, not a table"),
        ("xml", {}, "is an HTML or XML page, not a table"),
        ("status", {"status": 200, "body": ""}, "is empty (0 bytes)"),
    ],
)
def test_a_file_that_is_not_what_it_says_it_is(server, process, effect, fields, sentence):
    server.faults.add(effect, endpoint="file", times=None, **fields)
    done = process("insights_users", "tokenflex_manual_usage", insights_export_scope="all_teams")
    assert done.code == 1
    assert len(errors(done)) == 2
    assert all(sentence in error for error in errors(done))


def test_an_error_page_instead_of_a_table_of_listed_size(server, run):
    server.faults.add("html", endpoint="file", times=None)
    error = only_error(run("admin_users"))
    assert "the listing says" in error


def test_a_zip_that_holds_the_csv_file_is_unpacked(server, run):
    expected = run("tokenflex_manual_usage").table("tokenflex_manual_usage")
    server.faults.add("zip", api="tokenflex", endpoint="file", times=None)
    assert run("tokenflex_manual_usage").table("tokenflex_manual_usage").keys() == expected.keys()


# Data Connector's extracts


def test_no_extract_where_no_new_one_may_be_asked_for(server, run):
    error = only_error(run("admin_users", data_connector_extract="latest"))
    assert "has no successful extract that covers all selected tables" in error
    assert server.exports == []


NO_JOB = "00000000-0000-0000-0000-000000000000"


def test_a_job_that_does_not_exist(server, run):
    error = only_error(run("admin_users", data_connector_job_id=NO_JOB))
    assert f"has no job {NO_JOB}" in error
    assert server.exports == []


def test_a_quota_that_is_used_up(server, process):
    for _ in range(24):
        run_settings = {"serviceGroups": ["admin"], "effectiveFrom": "2026-01-01T00:00:00Z"}
        server.app.test_client().post(
            f"/data-connector/v1/accounts/{server.account_id}/requests",
            json=run_settings,
            headers={"Authorization": f"Bearer {server.settings()['access_token']}"},
        )
    error = only_error(process("locations_trees"))
    assert "has used its 24 jobs of the last 24 hours" in error
    assert "the next one can be requested at" in error


# Alone


def test_a_stream_that_fails_stops_nothing_else(server, process):
    server.faults.add("ends_failed", api="insights", times=None)
    done = process("insights_users", "tokenflex_manual_usage", "admin_users", "insights_contexts")
    assert done.code == 1
    assert len(errors(done)) == 3  # one sentence for each team's export
    assert all(error.startswith("FAILED insights_users: ") for error in errors(done))
    for stream in ("tokenflex_manual_usage", "admin_users", "insights_contexts"):
        assert done.records(stream)
    moved = {name for name, bookmark in done.state["bookmarks"].items() if bookmark}
    assert moved == {"tokenflex_manual_usage", "admin_users"}


def test_streams_with_one_and_the_same_failure_share_a_sentence(server, process):
    server.faults.add("ends_failed", api="data_connector", times=None)
    error = only_error(process(apis=["data_connector"], **ADMIN))
    assert error.startswith("FAILED admin_account_services, admin_accounts,")
    assert "and 11 more: The data_connector export 'extract'" in error


ODD = {
    "key_properties": {"key_properties": 5},
    "replication_key": {"replication_key": ["email"]},
    "stream": {"stream": "other"},
    "schema": {"schema": {"properties": {"email": {"type": 5}}}},
    "table-key-properties": {
        "metadata": [{"breadcrumb": [], "metadata": {"table-key-properties": "email"}}]
    },
}


@pytest.mark.parametrize("part", ODD)
def test_a_part_of_a_catalog_that_is_odd_is_named_with_its_stream(part):
    sound = {
        "tap_stream_id": "insights_users",
        "schema": {"properties": {"email": {"type": ["string", "null"]}}},
        "metadata": [{"breadcrumb": [], "metadata": {"table-key-properties": ["email"]}}],
    }
    assert read_catalog(json.dumps({"streams": [sound]}), "catalog x")
    with pytest.raises(ConfigurationError, match=f"`{part}` of 'insights_users' has another form"):
        read_catalog(json.dumps({"streams": [{**sound, **ODD[part]}]}), "catalog x")
