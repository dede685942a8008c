"""`autodesk-exports plan`: an extract for many workers, requested once, each table in one shard."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import in_process, processes
from support.processes import BIN, clean_environment
from tap_autodesk_exports.plan.catalogs import apply
from tap_autodesk_exports.plan.extracts import wait_for_extracts
from tap_autodesk_exports.plan.shards import share_out
from tap_autodesk_exports.sandbox import Sandbox, SandboxClock
from tap_autodesk_exports.settings.config import from_environment
from tap_autodesk_exports.streams.selection import Patterns
from tap_autodesk_exports.tap import TapAutodeskExports

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = dt.datetime(2026, 6, 15, 5, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
GROUPS = {
    "apis": ["insights", "data_connector"],
    "data_connector_service_groups": ["admin", "issues", "activities"],
}
TABLES = [
    "admin_projects",
    "admin_project_users",
    "issues_issues",
    "issues_comments",
    "issues_attachments",
]
REST = ["activities_admin_activities", "insights_users"]


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.2, accounts=2, projects=3, job_seconds=0) as sandbox:
        yield sandbox


def config_of(server: Sandbox, **config: Any) -> dict[str, Any]:
    return {**server.settings(), **GROUPS, **config}


def begin(
    folder: Path, config: dict[str, Any], *options: str, env: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start `autodesk-exports plan` with a catalog of the tables and the rest."""
    (folder / "config.json").write_text(json.dumps(config))
    command = [str(BIN / "autodesk-exports"), "plan", "--config", str(folder / "config.json")]
    if env is None:
        catalog = in_process.catalog(config, *TABLES, *REST)
        (folder / "catalog.json").write_text(json.dumps(catalog))
        command += ["--catalog", str(folder / "catalog.json")]
    return subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**clean_environment(), **(env or {})},
    )


def plan(folder: Path, config: dict[str, Any], *options: str, code: int = 0, **more: Any) -> Any:
    process = begin(folder, config, *options, **more)
    output, log = process.communicate()
    processes.assert_no_secret(config["api_url"], output, log)
    assert process.returncode == code, log
    (line,) = output.splitlines()
    return json.loads(line)


def shards(made: Any) -> list[Any]:
    return [shard for extract in made["extracts"] for shard in extract["shards"]]


def test_the_workers_load_what_one_run_loads_from_one_extract(server, tmp_path, monkeypatch):
    config = config_of(server)
    made = plan(tmp_path, config, "--workers", "2", "--catalogs", str(tmp_path / "catalogs"))
    assert [extract["account_id"] for extract in made["extracts"]] == server.account_ids
    assert len(server.exports) == 2
    rows: dict[str, list[str]] = {name: [] for name in [*TABLES, *REST]}
    for part in [*shards(made), made["rest"]]:
        catalog = json.loads(Path(part["catalog"]).read_text())
        monkeypatch.setattr("os.environ", {**os.environ, **part["env"]})
        done = in_process.run(server, {**GROUPS, **from_environment()}, found=catalog)
        monkeypatch.undo()
        assert done.code == 0, done.stderr
        assert "is ignored" not in done.stderr
        assert set(done.streams) == {entry["tap_stream_id"] for entry in catalog["streams"]}
        for name in done.streams:
            rows[name] += [json.dumps(row, default=str) for row in done.records(name)]
    extracts = [e for e in server.exports if "admin" in e.body.get("serviceGroups", ())]
    assert len(extracts) == 2
    whole = in_process.run(server, {**GROUPS, "data_connector_extract": "latest"}, *TABLES)
    assert whole.code == 0, whole.stderr
    for name in TABLES:
        expected = sorted(json.dumps(row, default=str) for row in whole.records(name))
        assert sorted(rows[name]) == expected, name
    assert all(rows[name] for name in REST)


def test_each_table_is_in_one_shard_of_its_account_and_the_rest_is_named(server, tmp_path):
    made = plan(tmp_path, config_of(server), "--workers", "3")
    for extract in made["extracts"]:
        names = [table["name"] for shard in extract["shards"] for table in shard["tables"]]
        assert sorted(names) == sorted(TABLES)
        listed = {table["name"]: table["bytes"] for s in extract["shards"] for table in s["tables"]}
        largest = max(listed, key=lambda name: listed[name])
        assert extract["shards"][0]["tables"][0]["name"] == largest
        for shard in extract["shards"]:
            assert shard["id"].startswith(extract["job_id"])
            assert shard["bytes"] == sum(table["bytes"] for table in shard["tables"])
            assert shard["env"]["TAP_AUTODESK_EXPORTS_REQUESTS_PER_MINUTE"] == "15"
    selected = json.loads(made["rest"]["env"]["TAP_AUTODESK_EXPORTS__SELECT"])
    assert sorted(selected) == sorted(f"{name}.*" for name in REST)
    assert made["failed"] == []


def test_a_second_plan_is_the_first_one(server, tmp_path):
    first = plan(tmp_path, config_of(server), "--workers", "2")
    assert plan(tmp_path, config_of(server), "--workers", "2") == first
    assert len(server.exports) == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143)])
def test_a_plan_that_was_stopped_is_resumed_by_the_next_one(tmp_path, number, code):
    """No state is kept: the extract is found on the server."""
    with Sandbox(scale=0.1, projects=2, job_seconds=3600) as server:
        stopped = begin(tmp_path, config_of(server), "--workers", "2")
        deadline = time.monotonic() + 60
        while not server.exports:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        stopped.send_signal(number)
        stopped.communicate()
        assert stopped.returncode == code
        server.clock.advance(3600)
        made = plan(tmp_path, config_of(server), "--workers", "2")
        assert len(made["extracts"]) == len(server.exports) == 1


def test_an_account_that_fails_is_named_and_the_others_are_planned(server, tmp_path):
    closed, other = server.account_ids
    server.data_connector.closed = {closed}
    made = plan(tmp_path, config_of(server), "--workers", "2", code=1)
    assert [extract["account_id"] for extract in made["extracts"]] == [other]
    ((failed,),) = ([each["account_id"] for each in made["failed"]],)
    assert failed == closed
    assert "403" in made["failed"][0]["error"]


def test_what_meltano_selects_is_planned_with_its_columns(server, tmp_path):
    patterns = ["admin_*.*", "!admin_users.*", "!*.name", "issues_issues.title", "insights_u*.*"]
    env = {"MELTANO_EXTRACT__SELECT": json.dumps(patterns)}
    made = plan(tmp_path, config_of(server), "--workers", "2", env=env)
    names = {table["name"] for shard in shards(made) for table in shard["tables"]}
    assert {"admin_projects", "issues_issues"} <= names
    assert "admin_users" not in names
    assert "issues_comments" not in names
    chosen = [
        pattern
        for shard in made["extracts"][0]["shards"]
        for pattern in json.loads(shard["env"]["TAP_AUTODESK_EXPORTS__SELECT"])
    ]
    assert {"admin_projects.*", "issues_issues.title", "!*.name"} <= set(chosen)


def test_a_sandbox_of_each_process_is_refused(tmp_path):
    process = begin(tmp_path, {"sandbox": True}, "--workers", "2", env={})
    _, log = process.communicate()
    assert process.returncode == 1
    assert "start one with `autodesk-exports sandbox`" in log


def test_projects_that_need_two_requests_are_two_extracts(tmp_path):
    with Sandbox(scale=0.05, projects=60, job_seconds=0) as server:
        ids = [project.id for project in server._services.world.projects]
        config = config_of(server, data_connector_project_ids=ids)
        made = plan(tmp_path, config, "--workers", "2")
        assert len(made["extracts"]) == 2
        named = [
            project
            for extract in made["extracts"]
            for project in json.loads(
                extract["shards"][0]["env"]["TAP_AUTODESK_EXPORTS_DATA_CONNECTOR_PROJECT_IDS"]
            )
        ]
        assert named == ids


@given(st.dictionaries(st.text(min_size=1), st.integers(0, 1000)), st.integers(1, 9))
def test_shards_hold_each_table_once_and_none_is_much_larger(sizes, workers):
    made = share_out("job", sizes, workers)
    names = [name for shard in made for name in shard.tables]
    assert sorted(names) == sorted(sizes)
    assert len(made) == min(workers, len(sizes))
    assert len({shard.shard_id for shard in made}) == len(made)
    if made:
        # Known of this way of sharing: at most the mean and one more table.
        largest = max(sizes.values())
        assert max(shard.size for shard in made) <= sum(sizes.values()) / workers + largest


def test_patterns_select_as_meltano_does():
    patterns = Patterns(["a_*.*", "!a_secret.*", "b.id", "b.na*", "!*.phone"])
    assert [s for s in ("a_one", "a_secret", "b", "c") if patterns.has_stream(s)] == ["a_one", "b"]
    assert patterns.has_column("a_one", "id")
    assert not patterns.has_column("a_one", "phone")
    assert [c for c in ("id", "name", "title") if patterns.has_column("b", c)] == ["id", "name"]
    assert patterns.of(["b"]) == ["b.id", "b.na*", "!*.phone"]
    catalog = {
        "streams": [
            {
                "tap_stream_id": "b",
                "metadata": [
                    {"breadcrumb": [], "metadata": {}},
                    {"breadcrumb": ["properties", "title"], "metadata": {"selected": True}},
                ],
            }
        ]
    }
    (entry,) = apply(patterns, catalog)["streams"]
    assert [node["metadata"]["selected"] for node in entry["metadata"]] == [True, False]


def test_over_ten_days_none_of_thirty_accounts_of_one_user_is_older_than_two_days():
    """24 jobs a day for 30 accounts; the extracts are asked for each day at the same time."""
    with Sandbox(scale=0.01, accounts=30, projects=1, job_seconds=0, clock=SandboxClock(NOW)) as s:
        clock, codes, ages = in_process.SandboxTime(s), [], []
        config = {**s.settings(), "apis": ["data_connector"], "data_connector_max_age_hours": 12}
        config |= {"data_connector_service_groups": ["locations"], "heartbeat_seconds": 0}
        tap = TapAutodeskExports(config=config)
        selected = [tap.streams["locations_trees"].as_selected()]  # type: ignore[attr-defined]
        for day in range(10):
            s.clock.set(NOW + day * DAY)
            s.settings()
            with in_process.signals_kept():
                found = wait_for_extracts(config, selected, tap.streams, clock)
            codes.append(found.code)
            taken = [dt.datetime.fromisoformat(each.exported_at) for each in found.extracts]
            ages.append([s.clock.now() - at for at in taken])
            assert len(s.exports) == 24 * (day + 1)
        assert codes == [1] + [0] * 9  # six accounts have no extract on the first day
        assert [len(each) for each in ages] == [24] + [30] * 9
        assert max(age for each in ages for age in each) < 2 * DAY
