"""What is ready is loaded; no table waits behind an export that is still being made."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from support import in_process
from tap_autodesk_exports.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOW = 5.0
"""Seconds until Insights says that an export is ready; the extract is ready at once."""
STREAMS = ("admin_projects", "insights_users", "issues_issues", "rfis_rfis", "tokenflex_usage")


GROUPS = {"data_connector_service_groups": ["admin", "issues", "rfis"]}


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1, job_seconds=0) as sandbox:
        yield sandbox


def test_tables_that_are_ready_do_not_wait_behind_exports_that_are_not(server, run_tap):
    server.faults.add("stall", api="insights", endpoint="export", seconds=SLOW)
    settings = {**server.settings(), **GROUPS}
    streams = (*STREAMS, "insights_contexts")
    done = run_tap(settings, catalog=in_process.catalog(settings, *streams))
    assert done.code == 0, done.stderr
    assert done.streams[-2:] == ["insights_users", "insights_contexts"]  # lists come last
    assert all(done.records(name) for name in streams)
    assert all(done.state["bookmarks"][name] for name in STREAMS)
    # Each stream is synced once, and its messages stay together.
    named = [message["stream"] for message in done.messages if "stream" in message]
    in_one_piece = [name for name, _ in itertools.groupby(named)]
    assert sorted(in_one_piece) == sorted(streams)
    assert len(done.of_type("SCHEMA")) == len(streams)
    # The file that comes next is fetched once, whatever comes next.
    links = [r.path for r in server.requests if "/data/" in r.path]
    assert len(links) == len(set(links)) == 3


def test_where_all_is_ready_the_order_is_that_of_the_catalog(server):
    streams = ("admin_projects", "issues_issues", "rfis_rfis")
    assert in_process.run(server, GROUPS, *streams).streams == [*streams]


def test_an_export_that_fails_ends_no_other_stream(server):
    server.faults.add("ends_failed", api="insights", times=None)
    done = in_process.run(server, GROUPS, *STREAMS)
    assert done.code == 1
    loaded = [name for name in STREAMS if done.records(name)]
    assert loaded == [name for name in STREAMS if name != "insights_users"]
