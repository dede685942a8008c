"""Many accounts, projects, contracts and workers: each on its own, and no job too many."""

from __future__ import annotations

import concurrent.futures
import datetime as dt
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from support import in_process, processes
from tap_autodesk_exports.sandbox import Sandbox
from tap_autodesk_exports.sandbox.data.rows import Snapshot

if TYPE_CHECKING:
    from pathlib import Path

ONLY = {"apis": ["data_connector"]}
TABLES = ("admin_projects", "issues_issues")
NOW = dt.datetime(2026, 5, 20, 6, tzinfo=dt.UTC)
NIL = "00000000-0000-0000-0000-000000000000"


def failures(run: processes.TapRun) -> list[str]:
    return [line.split(" | ", 2)[2] for line in run.stderr.splitlines() if "| FAILED " in line]


def test_twenty_accounts_of_which_two_fail():
    with Sandbox(scale=0.1, accounts=20, job_seconds=0) as server:
        server.data_connector.closed = set(server.account_ids[4:6])
        first = in_process.run(server, ONLY, *TABLES)
        assert first.code == 1
        sentences = failures(first)
        assert len(sentences) == 2
        for account, sentence in zip(server.account_ids[4:6], sentences, strict=True):
            assert account in sentence
            assert "admin_projects, issues_issues" in sentence
        loaded = {row["bim360_account_id"] for row in first.records("issues_issues")}
        assert loaded == set(server.account_ids) - server.data_connector.closed
        assert Counter(export.owner for export in server.exports) == dict.fromkeys(loaded, 1)

        server.data_connector.closed = set()
        second = in_process.run(server, ONLY, *TABLES, state=first.state)
        assert second.code == 0, second.stderr
        new = {row["bim360_account_id"] for row in second.records("issues_issues")}
        assert new == set(server.account_ids[4:6])
        assert len(server.exports) == 20
        assert len(second.state["bookmarks"]["issues_issues"]["partitions"]) == 20


def test_an_account_that_is_named_twice_is_loaded_once():
    with Sandbox(scale=0.1, job_seconds=0) as server:
        account = server.account_id
        config = {**ONLY, "data_connector_account_ids": [account, f"b.{account}"]}
        run = in_process.run(server, config, *TABLES)
        rows = run.records("issues_issues")
        assert len(rows) == len(run.table("issues_issues"))
        assert len(run.state["bookmarks"]["issues_issues"]["partitions"]) == 1


def test_accounts_that_fail_at_the_job_and_at_the_download_are_taken_up_alone():
    with Sandbox(scale=0.1, accounts=20, job_seconds=0) as server:
        closed, without_links = server.account_ids[3], server.account_ids[11]
        server.data_connector.closed = {closed}
        # One at a time, so that the fifth job and its repetition are those of one account.
        server.faults.add("ends_failed", api="data_connector", occasions=(5, 6), times=None)
        server.faults.add("status", endpoint="link", path=f"*{without_links}*", times=None)
        first = in_process.run(server, {**ONLY, "max_concurrent_exports": 1}, *TABLES)
        assert first.code == 1
        asked = Counter(export.owner for export in server.exports)
        (failed,) = (account for account, times in asked.items() if times > 1)
        bad = {closed, failed, without_links}
        assert len(bad) == 3
        sentences = failures(first)
        assert len(sentences) == 3
        for account in bad:
            (sentence,) = (each for each in sentences if account in each)
            assert "admin_projects, issues_issues" in sentence
        for table in TABLES:
            column = "bim360_account_id"
            loaded = {row[column] for row in first.records(table)}
            assert loaded == set(server.account_ids) - bad
            done = first.state["bookmarks"][table]["partitions"]
            assert {p["context"]["account_id"] for p in done if "export_id" in p} == loaded

        jobs = len(server.exports)
        server.data_connector.closed = set()
        server.faults.clear()
        second = in_process.run(server, ONLY, *TABLES, state=first.state)
        assert second.code == 0, second.stderr
        assert {row["bim360_account_id"] for row in second.records("issues_issues")} == bad
        # The extract that could not be downloaded is there: it costs no further job.
        assert sorted(export.owner for export in server.exports[jobs:]) == sorted(
            bad - {without_links}
        )
        assert second.state["exports"] == []


def test_120_projects_in_requests_of_at_most_50_each_with_a_bookmark():
    streams = ("issues_issues", "activities_issues_activities")
    with Sandbox(scale=0.3, projects=120, job_seconds=0) as server:
        server.clock.set(NOW)
        tables = server.data_connector.tables[server.account_id]
        projects = [project.id for project in tables.world.projects]
        config = {**ONLY, "data_connector_project_ids": projects, "start_date": "2026-05-01"}
        run = in_process.run(server, config, *streams)
        assert run.code == 0, run.stderr
        sizes = [len(export.body["projectIdList"]) for export in server.exports]
        assert sizes == [50, 50, 20]
        column = list(tables.registry["issues_issues"].columns).index("issue_id")
        expected = {row[column] for row in tables.rows("issues_issues", Snapshot(NOW))}
        assert {row["issue_id"] for row in run.records("issues_issues")} == expected
        for stream in streams:
            assert len(run.state["bookmarks"][stream]["partitions"]) == 3

        # A project more: only the part that it is in has no bookmark yet.
        server.clock.advance(86400)
        config = {**config, "data_connector_project_ids": projects[:119]}
        again = in_process.run(server, config, *streams, state=run.state)
        assert again.code == 0, again.stderr
        begins = [export.body["startDate"][:10] for export in server.exports[3:]]
        assert begins == ["2026-05-19", "2026-05-19", "2026-05-01"]
        (line,) = [line for line in again.stderr.splitlines() if "have changed since" in line]
        assert "1 of 3 requests start at the start date" in line
        assert "have changed since" not in run.stderr


def test_a_part_that_fails_leaves_the_others_alone():
    with Sandbox(scale=0.1, projects=60, job_seconds=0) as server:
        world = server.data_connector.tables[server.account_id].world
        projects = [project.id for project in world.projects]
        unknown = "00000000-0000-4000-8000-000000000000"
        config = {**ONLY, "data_connector_project_ids": [*projects[:50], unknown]}
        run = in_process.run(server, config, "issues_issues")
        assert run.code == 1
        (sentence,) = failures(run)
        assert "project admin" in sentence
        assert {row["bim360_project_id"] for row in run.records("issues_issues")} <= set(
            projects[:50]
        )
        assert run.records("issues_issues")


def test_a_chunk_that_fails_is_asked_for_alone_and_no_delete_is_lost():
    with Sandbox(scale=0.3, projects=120, job_seconds=0) as server:
        server.clock.set(NOW)
        world = server.data_connector.tables[server.account_id].world
        config = {
            **ONLY,
            "data_connector_project_ids": [project.id for project in world.projects],
            "emit_activate_version_messages": True,
            "max_concurrent_exports": 1,
        }
        server.faults.add("ends_failed", api="data_connector", occasions=(2, 3), times=None)
        first = in_process.run(server, config, "issues_issues")
        assert first.code == 1
        assert len(failures(first)) == 1
        assert not first.of_type("ACTIVATE_VERSION")
        assert len(server.exports) == 4
        server.faults.clear()
        second = in_process.run(server, config, "issues_issues", state=first.state)
        assert second.code == 0, second.stderr
        (asked,) = server.exports[4:]
        assert asked.body["projectIdList"] == server.exports[1].body["projectIdList"]
        # A version replaces the table, so the rows of the other chunks come with it.
        whole = in_process.run(server, config, "issues_issues")
        assert second.table("issues_issues").keys() == whole.table("issues_issues").keys()
        assert len(second.of_type("ACTIVATE_VERSION")) == 1


def test_a_contract_that_has_just_ended_is_still_read():
    """Usage of its last days comes in, and is restated, when it is no longer active."""
    with Sandbox(scale=0.1, job_seconds=0) as server:
        ended, active = "110000900001", "110000900002"
        for day, expected in (("2025-02-20", {ended, active}), ("2025-04-01", {active})):
            server.clock.set(dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC))
            config = {"apis": ["tokenflex"], "start_date": "2025-01-01"}
            run = in_process.run(server, config, "tokenflex_usage", "tokenflex_contract_years")
            assert run.code == 0, run.stderr
            rows = run.records("tokenflex_usage")
            assert {row["contract_number"] for row in rows} == expected
            years = run.records("tokenflex_contract_years")
            assert {row["contractNumber"] for row in years} == expected


def test_a_team_that_fails_goes_on_where_it_stopped():
    with Sandbox(scale=0.3, job_seconds=0) as server:
        server.clock.set(NOW)
        config = {"apis": ["insights"], "start_date": "2026-02-01", "max_concurrent_exports": 1}
        # The second export that begins, asked for three times; which one it is, threads decide.
        server.faults.add("ends_failed", api="insights", occasions=(2, 3, 4), times=None)
        first = in_process.run(server, config, "insights_usage")
        assert first.code == 1
        (sentence,) = failures(first)
        failed = re.search(r"'insights_usage' of (\d+) \((\d{4}-\d\d)\)", sentence)
        assert failed, sentence
        ends = {
            p["context"]["team_id"]: p.get("replication_key_value", "2026-02-01")[:10]
            for p in first.state["bookmarks"]["insights_usage"]["partitions"]
        }
        assert ends.pop(failed[1]) == f"{failed[2]}-01"
        assert list(ends.values()) == ["2026-05-20", "2026-05-20"]
        server.faults.clear()
        second = in_process.run(server, config, "insights_usage", state=first.state)
        assert second.code == 0, second.stderr
        whole = in_process.run(server, config, "insights_usage").table("insights_usage")
        both = first.table("insights_usage") | second.table("insights_usage")
        assert both.keys() == whole.keys()


def test_contracts_each_with_a_bookmark_of_its_own():
    with Sandbox(scale=0.1, job_seconds=0) as server:
        server.clock.set(dt.datetime(2025, 3, 1, tzinfo=dt.UTC))
        numbers = ["110000900001", "110000900002", "999999999999"]
        config = {
            "apis": ["tokenflex"],
            "tokenflex_contract_numbers": numbers,
            "start_date": "2025-01-01",
        }
        run = in_process.run(server, config, "tokenflex_desktop_sessions")
        assert run.code == 1
        (sentence,) = failures(run)
        assert "999999999999" in sentence
        rows = run.records("tokenflex_desktop_sessions")
        assert {row["contract_number"] for row in rows} == set(numbers[:2])
        partitions = run.state["bookmarks"]["tokenflex_desktop_sessions"]["partitions"]
        done = [p for p in partitions if p.get("replication_key_value")]
        assert [p["context"]["contract_number"] for p in done] == numbers[:2]


PROCESSES = 5


@pytest.mark.timeout(120)
def test_many_processes_share_one_pinned_extract(tmp_path: Path):
    with Sandbox(scale=0.2, job_seconds=0) as server:
        tables = [name for name in server.data_connector.registry if name.startswith("admin_")]
        tables += [name for name in server.data_connector.registry if name.startswith("issues_")]
        first = in_process.run(server, ONLY, *tables)
        assert first.code == 0, first.stderr
        job = first.records("issues_issues")[0]["_export_id"]
        jobs = len(server.exports)
        config = {
            **server.settings(),
            **ONLY,
            "data_connector_job_id": job,
            "data_connector_service_groups": ["admin", "issues"],
        }

        def work(number: int) -> processes.TapRun:
            folder = tmp_path / str(number)
            folder.mkdir()
            catalog = in_process.catalog(config, *tables[number::PROCESSES])
            return processes.run_tap(folder, config, catalog=catalog)

        catalogs: list[Any] = list(range(PROCESSES))
        with concurrent.futures.ThreadPoolExecutor(PROCESSES) as pool:
            runs = list(pool.map(work, catalogs))
        assert [run.code for run in runs] == [0] * PROCESSES, [run.stderr[-500:] for run in runs]
        assert len(server.exports) == jobs
    for number, run in enumerate(runs):
        assert set(run.state["bookmarks"]) == set(tables[number::PROCESSES])
        for name in tables[number::PROCESSES]:
            expected = sorted(row["_row_id"] for row in first.records(name))
            assert sorted(row["_row_id"] for row in run.records(name)) == expected, name
            assert {row["_export_id"] for row in run.records(name)} <= {job}


# --- one extract that is named ---------------------------------------------------------------


def test_a_named_extract_that_cannot_serve_is_told_and_costs_no_job():
    with Sandbox(scale=0.1, accounts=2, job_seconds=0) as server:
        server.clock.set(NOW)
        mine, other = server.account_ids
        config = {**ONLY, "data_connector_account_ids": [mine]}
        made = in_process.run(server, config, "issues_issues").records("issues_issues")
        jobs = len(server.exports)
        named = {**config, "data_connector_job_id": made[0]["_export_id"]}

        def told(*streams: str, **more: Any) -> str:
            run = in_process.run(server, {**named, **more}, *streams)
            assert run.code == 1
            (sentence,) = failures(run)
            return sentence

        # That a table's file is not there does not mean that it is empty.
        assert "not requested for the service group 'rfis'" in told("rfis_rfis", "issues_issues")
        assert f"has no job {NIL}" in told("issues_issues", data_connector_job_id=NIL)
        assert f"account {other} has no job" in told(
            "issues_issues", data_connector_account_ids=[other]
        )
        server.clock.advance(31 * 86400)
        assert "files are kept for 30 days" in told("issues_issues")
        assert len(server.exports) == jobs


def test_a_named_extract_that_failed_is_told():
    with Sandbox(scale=0.1, job_seconds=0) as server:
        server.faults.add("ends_failed", api="data_connector", times=None)
        in_process.run(server, ONLY, "issues_issues")
        listed = in_process.run(server, ONLY, "data_connector_jobs").records("data_connector_jobs")
        jobs = len(server.exports)
        config = {**ONLY, "data_connector_job_id": listed[0]["id"]}
        run = in_process.run(server, config, "issues_issues")
        (sentence,) = failures(run)
        assert "ended as 'failed' and has no files. Name another one" in sentence
        assert len(server.exports) == jobs


def test_a_named_extract_is_loaded_once_whatever_the_projects():
    with Sandbox(scale=0.1, projects=60, job_seconds=0) as server:
        first = in_process.run(server, ONLY, "issues_issues")
        rows = first.records("issues_issues")
        world = server.data_connector.tables[server.account_id].world
        config = {
            **ONLY,
            "data_connector_job_id": rows[0]["_export_id"],
            "data_connector_project_ids": [project.id for project in world.projects],
        }
        run = in_process.run(server, config, "issues_issues")
        assert run.code == 0, run.stderr
        assert len(run.records("issues_issues")) == len(rows)
