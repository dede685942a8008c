"""Bookmarks on plain dictionaries: how they move, what they bound, what counts as sent before."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.exports.export import (
    ExportSpec,
    ExportStatus,
    FinishedExport,
    PendingExport,
    Status,
)
from tap_autodesk_exports.loading.bookmarks import (
    FULL_TABLE,
    INCREMENTAL,
    Bookmarks,
    DictStates,
    Replication,
)
from tap_autodesk_exports.loading.restart import replaces_until
from tap_autodesk_exports.tables.hashing import Hashing
from tap_autodesk_exports.tables.types import Type

TEAM = {"team_id": "1"}
DATED = Replication(INCREMENTAL, is_dated=True, key="day", key_type=Type.DATE)
FILTERED = Replication(INCREMENTAL, is_dated=False, key="number", key_type=Type.NUMBER)
SNAPSHOT = Replication(FULL_TABLE, is_dated=False)


def finished(export_id: str = "e1", start: str | None = None, end: str | None = None):
    spec = ExportSpec("api", "1", "stream", start=start, end=end)
    pending = PendingExport(spec, "2026-01-01T00:00:00.000000Z", id=export_id)
    return FinishedExport(pending, ExportStatus(Status.READY, "ready", export_id))


def marks(
    replication: Replication, state: dict[str, Any], *columns: str, hashing: Hashing | None = None
) -> Bookmarks:
    return Bookmarks(DictStates(state), replication, columns or ("a", "b"), hashing)


def test_a_dated_bookmark_is_the_end_of_the_window_and_never_goes_back():
    state: dict[str, Any] = {}
    bookmarks = marks(DATED, state)
    bookmarks.move(TEAM, finished(start="2026-01-01", end="2026-02-01"))
    bookmarks.move(TEAM, finished(start="2026-01-10", end="2026-01-20"))
    (partition,) = state["partitions"]
    assert partition["replication_key_value"] == "2026-02-01"
    assert partition["start"] == "2026-01-01"
    assert bookmarks.position(TEAM) == dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
    assert bookmarks.position({"team_id": "2"}) is None


def test_an_earlier_start_moves_the_start_of_a_dated_bookmark():
    state: dict[str, Any] = {}
    bookmarks = marks(DATED, state)
    bookmarks.move({}, finished(start="2026-02-01", end="2026-03-01"))
    bookmarks.move({}, finished(start="2026-01-01", end="2026-02-01"))
    assert (state["start"], state["replication_key_value"]) == ("2026-01-01", "2026-03-01")
    bookmarks.start({}, dt.datetime(2026, 3, 1, tzinfo=dt.UTC))  # it is part of the run
    assert (
        bookmarks.starts.after(dt.datetime(2025, 12, 1, tzinfo=dt.UTC), bookmarks.states.of)
        == "2026-01-01"
    )
    assert (
        bookmarks.starts.after(dt.datetime(2026, 1, 5, tzinfo=dt.UTC), bookmarks.states.of) is None
    )


def test_a_filtered_bookmark_is_the_greatest_value_by_its_type():
    state: dict[str, Any] = {}
    bookmarks = marks(FILTERED, state)
    assert bookmarks.after({}) is None
    bookmarks.move({}, finished("e1"), newest="9")
    bookmarks.move({}, finished("e2"), newest="10")
    bookmarks.move({}, finished("e3"), newest="9.5")
    assert bookmarks.after({}) == ("number", "10")
    bookmarks.move({}, finished("e4"), newest=None)
    assert bookmarks.after({}) == ("number", "10")


def test_the_bookmark_of_another_key_bounds_nothing():
    state = {"replication_key": "updated_at", "replication_key_value": "2026-01-01"}
    assert marks(FILTERED, state).after({}) is None
    assert not marks(FILTERED, state).is_loaded({}, finished())


def test_a_snapshot_is_sent_once_unless_its_columns_or_hashes_change():
    state: dict[str, Any] = {}
    marks(SNAPSHOT, state, "a", "b").move({}, finished("e1"))
    assert marks(SNAPSHOT, state, "a", "b").is_loaded({}, finished("e1"))
    assert not marks(SNAPSHOT, state, "a", "b").is_loaded({}, finished("e2"))
    assert not marks(SNAPSHOT, state, "a").is_loaded({}, finished("e1"))
    hashed = [Hashing(lambda name: name == "a", key) for key in (b"one", b"two")]
    assert not marks(SNAPSHOT, state, "a", "b", hashing=hashed[0]).is_loaded({}, finished("e1"))
    marks(SNAPSHOT, state, "a", "b", hashing=hashed[0]).move({}, finished("e1"))
    assert not marks(SNAPSHOT, state, "a", "b", hashing=hashed[1]).is_loaded({}, finished("e1"))


def test_a_whole_snapshot_forgets_the_bookmark_of_a_filtered_one():
    state = {"replication_key": "number", "replication_key_value": "10"}
    marks(SNAPSHOT, state).move({}, finished("e1"))
    assert "replication_key_value" not in state
    assert marks(SNAPSHOT, state).position({}) is None


def test_a_version_stays_open_until_it_is_activated():
    state: dict[str, Any] = {}
    bookmarks = marks(SNAPSHOT, state)
    assert not bookmarks.version_is_open(TEAM)
    bookmarks.open_version(TEAM)
    assert bookmarks.version_is_open(TEAM)
    bookmarks.close_version(TEAM)
    # Kept as false: where two states are merged, a missing key would bring the old one back.
    assert state["partitions"][0]["version_is_open"] is False


def test_a_replication_key_that_cannot_be_one_is_refused():
    unknown = Replication(INCREMENTAL, is_dated=False, key="nope", key_type=None)
    with pytest.raises(ConfigurationError, match="'nope', which is not a column"):
        marks(unknown, {}).check()
    hashing = Hashing(lambda name: name == "number", b"key")
    with pytest.raises(ConfigurationError, match="'hash_columns' hides the column 'number'"):
        marks(FILTERED, {}, hashing=hashing).check()
    marks(DATED, {}).check()


def test_what_is_replaced_ends_where_the_rows_of_its_owner_do():
    def until(day: int, **context: str) -> dict[str, Any]:
        return {"context": context, "replaced_until": f"2026-01-{day:02}T00:00:00.000000Z"}

    parts = [until(1, team_id="a"), until(2, team_id="b"), until(3, team_id="b", filters="f")]
    states, owners = DictStates({"partitions": parts}), {"a", "b", "new"}
    assert replaces_until(states, "a", owners)[:10] == "2026-01-01"
    assert replaces_until(states, "b", owners)[:10] == "2026-01-03"
    assert replaces_until(states, "new", owners) == ""
    assert replaces_until(states, "", owners)[:10] == "2026-01-03"  # the rows of all
    states.of({})["replaced_until"] = "2026-01-05T00:00:00.000000Z"
    assert replaces_until(states, "a", owners)[:10] == "2026-01-05"
    parts.append(until(6, filters="g"))  # those of all, through a filter
    assert replaces_until(states, "a", owners)[:10] == "2026-01-06"
    assert replaces_until(states, "", owners)[:10] == "2026-01-06"


def test_an_export_that_does_not_reach_what_it_replaces_is_too_old():
    states = DictStates({})
    bookmarks = Bookmarks(states, DATED, ["a"])
    bookmarks.move({}, finished(start="2026-01-01", end="2026-02-01T00:00:00.000000Z"))
    bookmarks.restart(1, "mark")
    pending = finished(start="2026-01-01", end="2026-01-20T00:00:00.000000Z").pending
    wanted = ExportSpec("a", "o", "n", end="2026-03-01T00:00:00.000000Z")
    assert bookmarks.loaded({}).overtakes(pending, wanted)
    later = finished(start="2026-01-01", end="2026-02-02T00:00:00.000000Z").pending
    assert not bookmarks.loaded({}).overtakes(later, wanted)
