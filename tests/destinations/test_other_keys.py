"""Rows whose keys are made of something else take the place of the whole table, in one step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from destinations.conftest import place
from support.exported import export
from tap_autodesk_exports.autodesk.insights.datasets import DATASETS
from tap_autodesk_exports.destinations.sink import TableSink
from tap_autodesk_exports.destinations.state import KeptState
from tap_autodesk_exports.loading.bookmarks import DictStates
from tap_autodesk_exports.loading.dataset import Selected
from tap_autodesk_exports.loading.identity import CHANGED
from tap_autodesk_exports.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = {"apis": ["insights"], "start_date": "2026-08-01", "end_date": "2026-11-01"}
HASHED = {**CONFIG, "hash_personal_data": True, "hash_key": "k" * 32}
STREAMS = ("insights_users", "insights_usage")
FAULT = {"effect": "status", "status": 404, "endpoint": "file", "occasions": list(range(2, 60))}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=3, scale=0.1, job_seconds=0) as server:
        yield server


def keys(rows: list[dict[str, Any]]) -> set[str]:
    found = {row["_row_id"] for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.mark.parametrize("kind", ["postgres", "duckdb", "folder"])
@pytest.mark.parametrize("stream", STREAMS)
def test_no_row_is_there_under_two_keys(kind, stream, tmp_path, postgres, sandbox):
    where = place(kind, tmp_path, postgres, stream)
    assert export(sandbox, where.to, stream, config=CONFIG, **where.wishes).code == 0
    clear = where.rows()
    assert export(sandbox, where.to, stream, config=HASHED, **where.wishes).code == 0
    hashed = where.rows()
    assert len(hashed) == len(clear) > 0
    assert not any("@" in str(value) for row in hashed for value in row.values())
    keys(hashed)
    # And what comes then is merged as before.
    assert export(sandbox, where.to, stream, config=HASHED, **where.wishes).code == 0
    assert keys(where.rows()) == keys(hashed)


@pytest.mark.parametrize("kind", ["postgres", "folder"])
@pytest.mark.parametrize("stream", STREAMS)
def test_a_part_of_them_takes_the_place_of_nothing(kind, stream, tmp_path, postgres, sandbox):
    where = place(kind, tmp_path, postgres, stream)
    assert export(sandbox, where.to, stream, config=CONFIG, **where.wishes).code == 0
    before = where.rows()
    # The first file comes, and no other.
    sandbox.faults.add_all([FAULT])
    run = export(sandbox, where.to, stream, config=HASHED, **where.wishes)
    assert run.code == 1
    assert where.rows() == before
    sandbox.faults.clear()
    requested = len(sandbox.exports)
    run = export(sandbox, where.to, stream, config=HASHED, **where.wishes)
    assert run.code == 0, run.log
    assert len(sandbox.exports) == requested, "What was requested was requested again."
    assert len(where.rows()) == len(before)
    assert keys(where.rows())


@pytest.mark.parametrize("kind", ["postgres", "sqlite", "duckdb"])
def test_a_table_takes_the_rows_of_another_key(kind, tmp_path, postgres, sandbox):
    """The primary key of the table is that of the rows, whatever it was before."""
    stream = "tokenflex_mine"
    where = place(kind, tmp_path, postgres, stream)
    fields = ["productLineCode", "usageDate", "userName"]
    for names, key in (
        (fields, fields),
        (fields, None),
        (fields, fields),
        (fields[:2], fields[:2]),
        (fields[:1], None),
        (fields[1:], fields[1:]),
    ):
        own = {"name": "mine", "fields": names, "metrics": ["tokensConsumed"]}
        own |= {"where": "usageCategory='DESKTOP_PRODUCT'", "primary_keys": key}
        config = {"apis": ["tokenflex"], "start_date": "2026-08-01", "tokenflex_exports": [own]}
        run = export(sandbox, where.to, stream, config=config, **where.wishes)
        assert run.code == 0, run.log
        rows = where.rows()
        assert len(keys(rows)) == sandbox.served[-1].rows
        run = export(sandbox, where.to, stream, config=config, **where.wishes)
        assert run.code == 0, run.log
        assert keys(where.rows()) == keys(rows)


def test_what_a_load_noted_before_it_failed_is_kept():
    """Else the next run would fail in the same way, again and again."""
    written: list[str] = []
    state = KeptState(written.append)
    dataset = DATASETS[0]
    selected = Selected.whole(dataset, DictStates(state.of(dataset.name)))
    nothing: Any = None
    sink = TableSink(selected, nothing, nothing, state, nothing, nothing, at_end=False)
    sink.finish()
    assert written == []
    selected.bookmarks.note_identity({}, CHANGED)
    sink.finish()
    assert f'"identity": "{CHANGED}"' in written[-1]


@pytest.mark.parametrize("kind", ["postgres", "duckdb", "folder"])
@pytest.mark.parametrize("why", ["hashed", "refreshed"])
def test_an_export_that_an_earlier_run_left_pending_replaces_the_table(
    kind, why, tmp_path, postgres
):
    """It ends before the window that is planned now, and not before the rows that were there."""
    stream, seconds = "tokenflex_usage", [0.0]
    where = place(kind, tmp_path, postgres, stream)
    wishes = {**where.wishes, "full_refresh": why == "refreshed"}
    config = {"apis": ["tokenflex"], "start_date": "2026-08-01"}
    with Sandbox(seed=3, scale=0.1, job_seconds=lambda: seconds[0]) as server:
        assert export(server, where.to, stream, config=config, **where.wishes).code == 0
        before = where.rows()
        if why == "hashed":
            config |= {"hash_personal_data": True, "hash_key": "k" * 32}
        seconds[0] = 3000.0
        impatient = {**config, "export_timeout_minutes": 0.01}
        assert export(server, where.to, stream, config=impatient, **wishes).code == 1
        assert where.rows() == before
        server.clock.advance(3600)
        run = export(server, where.to, stream, config=config, **wishes)
    assert run.code == 0, run.log
    assert "the next run continues from there" in run.log
    exports = [{row["_export_id"] for row in rows} for rows in (before, where.rows())]
    assert exports[0].isdisjoint(exports[1])
    assert len(keys(where.rows())) == len(before)


def test_a_table_that_cannot_be_replaced_keeps_no_other_from_newer_exports(
    tmp_path, postgres, sandbox
):
    where = place("duckdb", tmp_path, postgres)
    config = {"apis": ["insights"], "start_date": "2026-10-01", "lookback_days": 60}
    hashed = [f"insights_users.{name}" for name in ("autodesk_id", "email")]
    hashing = {"hash_columns": hashed, "hash_key": "k" * 32}
    assert export(sandbox, where.to, *STREAMS, config=config).code == 0
    requested = []
    sandbox.faults.add("status", status=404, endpoint="file", path="*/users.csv", times=None)
    for _ in range(3):
        sandbox.clock.advance(86400)
        before = len(sandbox.exports)
        assert export(sandbox, where.to, *STREAMS, config={**config, **hashing}).code == 1
        requested.append([made.body["reports"] for made in sandbox.exports[before:]])
    dated = [reports.count(["USAGE"]) for reports in requested]
    assert dated == [dated[0]] * 3
    assert dated[0] >= 3


@pytest.mark.parametrize("kind", ["duckdb", "folder"])
@pytest.mark.parametrize("stream", ["insights_usage", "tokenflex_usage"])
def test_rows_after_an_end_date_are_not_removed_with_the_others(
    kind, stream, tmp_path, postgres, sandbox
):
    where = place(kind, tmp_path, postgres, stream)
    config = {**HASHED, "apis": [stream.partition("_")[0]], "end_date": None}
    clear = {**config, "hash_personal_data": False}
    assert export(sandbox, where.to, stream, config=clear, **where.wishes).code == 0
    before = where.rows()
    earlier = {**config, "end_date": "2026-10-01"}
    run = export(sandbox, where.to, stream, config=earlier, **where.wishes)
    assert run.code == 1
    assert "what is loaded to 2026-10-01" in run.log
    assert where.rows() == before
    assert export(sandbox, where.to, stream, config=config, **where.wishes).code == 0
    assert len(where.rows()) == len(before)
    assert keys(where.rows()).isdisjoint(keys(before))
    # A full refresh is what its dates say.
    wishes = {**where.wishes, "full_refresh": True}
    assert export(sandbox, where.to, stream, config=earlier, **wishes).code == 0
    assert len(keys(where.rows())) < len(before)


@pytest.mark.parametrize("scopes", [("per_team", "all_teams"), ("all_teams", "per_team")], ids=str)
def test_nor_are_they_where_those_of_all_teams_were_loaded_through_a_filter(
    scopes, tmp_path, postgres, sandbox
):
    stream, (before, after) = "insights_usage_report", scopes
    where = place("duckdb", tmp_path, postgres, stream)
    filters = {"insights_usage_report_filters": {"userStatus": "active"}}
    config = {**HASHED, "start_date": "2026-09-15", **filters}
    clear = {**config, "hash_personal_data": False, "insights_export_scope": before}
    assert export(sandbox, where.to, stream, config=clear, **where.wishes).code == 0
    rows = where.rows()
    earlier = {**config, "end_date": "2026-10-01", "insights_export_scope": after}
    run = export(sandbox, where.to, stream, config=earlier, **where.wishes)
    assert run.code == 1
    assert "what is loaded to 2026-10-01" in run.log
    assert where.rows() == rows
