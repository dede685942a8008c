"""One row keeps its key whatever is renamed; what a key is made of does not change unseen."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from support import in_process
from support.processes import TapRun
from tap_autodesk_exports.autodesk.data_connector.schema.registry import bundled
from tap_autodesk_exports.sandbox import Sandbox, SandboxClock
from tap_autodesk_exports.sandbox.data.world import PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NOW = dt.datetime(2026, 6, 15, 4, tzinfo=dt.UTC)
INSIGHTS = (
    "insights_subscriptions",
    "insights_users",
    "insights_usage",
    "insights_usage_report",
)
TOKENS = ("tokenflex_usage", "tokenflex_desktop_sessions", "tokenflex_manual_usage")
OWN = {
    "name": "by_product",
    "fields": ["productLineCode", "productName", "usageMonth"],
    "metrics": ["tokensConsumed"],
}
CONFIG: dict[str, Any] = {
    "apis": ["insights", "tokenflex"],
    "start_date": "2026-05-20",
    "tokenflex_exports": [OWN],
}
OF_THE_EXPORT = {"_export_id", "_exported_at", "window_end", "monthly_average"}
"""Columns that differ between two exports of the same rows."""
KEY = "made-up-hash-key-of-some-length"
VERSIONS = {"emit_activate_version_messages": True}

Table = dict[Any, dict[str, Any]]


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1, job_seconds=0, clock=SandboxClock(NOW)) as sandbox:
        yield sandbox


def run(server: Sandbox, *streams: str, state: Any = None, **config: Any) -> TapRun:
    return in_process.run(server, {**CONFIG, **config}, *streams, state=state)


def failure(done: TapRun) -> str:
    assert done.code == 1, done.stderr
    (sentence,) = [line for line in done.stderr.splitlines() if "| FAILED " in line]
    return sentence


class Warehouse:
    """What a target holds that replaces rows by key, and old versions where it is asked to."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}
        self._versions: dict[str, dict[Any, Any]] = {}

    def take(self, done: TapRun) -> None:
        keys: dict[str, list[str]] = {}
        for message in done.messages:
            stream = message.get("stream", "")
            table, versions = (
                kept.setdefault(stream, {}) for kept in (self.tables, self._versions)
            )
            match message["type"]:
                case "SCHEMA":
                    keys[stream] = message["key_properties"]
                case "RECORD":
                    row = message["record"]
                    key = tuple(row[name] for name in keys[stream])
                    table[key] = row
                    versions[key] = message.get("version")
                case "ACTIVATE_VERSION":
                    for key in [k for k, v in versions.items() if v != message["version"]]:
                        del table[key], versions[key]

    def content(self, stream: str) -> Table:
        return content(self.tables.get(stream, {}))


def content(table: Mapping[Any, Mapping[str, Any]]) -> Table:
    return {
        key: {name: value for name, value in row.items() if name not in OF_THE_EXPORT}
        for key, row in table.items()
    }


def rename_everything(server: Sandbox) -> None:
    world = server.data_connector.tables[server.account_id].world
    server.switch(
        {
            "names": {
                "teams": {team.id: f"New {team.alias}" for team in world.teams},
                "offerings": {
                    name: f"A new {name}" for name in {each.offering for each in PRODUCTS}
                },
                "products": {name: f"Another {name}" for name in {each.name for each in PRODUCTS}},
                "groups": {person.group: f"Group {person.group}" for person in world.people},
            }
        }
    )


# --- renames -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mixed", [False, True])
def test_renaming_teams_products_and_groups_doubles_no_row_of_any_stream(server, mixed):
    server.insights.mixed_access = mixed
    server.tokenflex.last_usage = "empty"  # so that every category is read again
    streams = (*INSIGHTS, *TOKENS, "tokenflex_by_product")
    warehouse = Warehouse()
    first = run(server, *streams)
    assert first.code == 0, first.stderr
    warehouse.take(first)
    names = {row["team_alias"] for row in first.records("insights_users")}
    rename_everything(server)
    server.clock.advance(3600)
    second = run(server, *streams, state=first.state)
    assert second.code == 0, second.stderr
    warehouse.take(second)
    fresh = run(server, *streams)
    for stream in streams:
        assert warehouse.content(stream) == content(fresh.table(stream)), stream
        assert len(fresh.records(stream)) == len(fresh.table(stream)) > 0, stream
    renamed = {row["team_alias"] for row in second.records("insights_users")}
    assert not renamed & names


def test_the_row_of_a_seat_keeps_its_key_when_the_token_row_is_gone(server):
    server.switch({"insights": {"mixed_access": True, "token_rows_until": "2026-06-16T00:00:00Z"}})
    stream = "insights_usage_report"
    first = run(server, stream, start_date="2026-06-01")
    options = {}
    for row in first.records(stream):
        person = (row["hashed_autodesk_id"], row["offering_name"])
        options.setdefault(person, {})[row["access_option"]] = row["_row_id"]
    both = {person: found for person, found in options.items() if len(found) == 2}
    assert both
    server.clock.advance(2 * 86400)
    second = run(server, stream, state=first.state, start_date="2026-06-01")
    later = {
        (row["hashed_autodesk_id"], row["offering_name"]): row for row in second.records(stream)
    }
    for person, found in both.items():
        assert later[person]["access_option"] == "Subscription"
        assert later[person]["_row_id"] == found["Subscription"]


LABELS = ("name", "title", "label", "alias", "display_name", "description", "status")


def test_no_key_of_the_data_connector_rests_on_a_name():
    for name, table in bundled().items():
        parts = table["primary_key"] or ()
        assert not [part for part in parts if part.endswith(LABELS)], name


# --- hashing -----------------------------------------------------------------------------------


def test_hashing_what_no_row_is_identified_by_changes_no_key(server):
    streams = ("insights_usage", "insights_users")
    first = run(server, *streams)
    hashing = {"hash_columns": ["*.email", "*.first_name"], "hash_key": KEY}
    server.clock.advance(3600)
    second = run(server, *streams, state=first.state, **hashing)
    assert second.code == 0, second.stderr
    for stream in streams:
        assert second.table(stream).keys() == first.table(stream).keys(), stream
        assert len(second.records(stream)[0]["email"]) in {5, 64}


@pytest.mark.parametrize(
    "later",
    [
        {},
        {"hash_columns": ["*.userName"], "hash_key": "another-key-of-some-length"},
        {"hash_columns": ["*.userName", "*.usageDate"], "hash_key": KEY},
    ],
)
def test_hashing_a_part_of_the_key_otherwise_loads_nothing_twice_and_says_what_to_do(server, later):
    hashing = {"hash_columns": ["*.userName"], "hash_key": KEY}
    streams = ("tokenflex_usage", "tokenflex_contracts")
    first = run(server, *streams, **hashing)
    assert first.code == 0
    server.clock.advance(86400)
    requested = len(server.exports)
    second = run(server, *streams, state=first.state, **later)
    sentence = failure(second)
    assert "tokenflex_usage: Rows that were loaded before would be there twice" in sentence
    assert "is part of the key and" in sentence
    assert "--full-refresh" in sentence
    assert "emit_activate_version_messages" in sentence
    assert second.records("tokenflex_usage") == []
    assert second.records("tokenflex_contracts")
    assert len(server.exports) == requested
    assert KEY not in second.stderr
    # Nothing is lost: with the settings of before, it goes on.
    third = run(server, *streams, state=second.state, **hashing)
    assert third.code == 0, third.stderr
    assert third.records("tokenflex_usage")
    # And a whole load starts again.
    assert run(server, *streams, **later).code == 0


@pytest.mark.parametrize("replaces", [False, True])
def test_hashing_what_is_read_whole_by_date_is_noticed_too(server, replaces):
    """It has no bookmark that says how far it is loaded."""
    full = {"replication-method": "FULL_TABLE"}
    config = {**CONFIG, "emit_activate_version_messages": replaces}
    hashed = {**config, "hash_personal_data": True, "hash_key": KEY}
    stream, warehouse = "insights_usage", Warehouse()
    first = in_process.run(server, config, stream, metadata=full)
    warehouse.take(first)
    done = in_process.run(server, hashed, stream, state=first.state, metadata=full)
    warehouse.take(done)
    assert len(warehouse.tables[stream]) == len(first.records(stream)) > 0
    if replaces:
        assert done.code == 0, done.stderr
        assert len(done.of_type("ACTIVATE_VERSION")) == 1
    else:
        assert "would be there twice" in failure(done)


def test_hashing_replaces_whole_tables_by_version(server):
    streams = ("insights_users", "insights_usage", "tokenflex_usage")
    hashing = {"hash_columns": ["*.autodesk_id", "*.hashed_*", "*.userName"], "hash_key": KEY}
    warehouse = Warehouse()
    first = run(server, *streams, **VERSIONS)
    warehouse.take(first)
    server.clock.advance(40 * 86400)
    second = run(server, *streams, state=first.state, **VERSIONS)
    warehouse.take(second)
    assert not [m for m in second.of_type("ACTIVATE_VERSION") if m["stream"] != "insights_users"]
    third = run(server, *streams, state=second.state, **VERSIONS, **hashing)
    assert third.code == 0, third.stderr
    for stream in streams:
        (line,) = [line for line in third.stderr.splitlines() if f"{stream}: its rows get" in line]
        assert line.startswith("WARNING")
        assert "is hashed otherwise than before" in line
    warehouse.take(third)
    fresh = run(server, *streams, **hashing)
    for stream in streams:
        assert warehouse.content(stream) == content(fresh.table(stream)), stream
    # From then on, all is as usual.
    server.clock.advance(86400)
    fourth = run(server, *streams, state=third.state, **VERSIONS, **hashing)
    assert fourth.code == 0, fourth.stderr
    assert "its rows get other keys" not in fourth.stderr
    assert len(fourth.records("tokenflex_usage")) < len(third.records("tokenflex_usage"))
    warehouse.take(fourth)
    fresh = run(server, *streams, **hashing)
    for stream in streams:
        assert warehouse.content(stream) == content(fresh.table(stream)), stream


def go_on(server: Sandbox, warehouse: Warehouse, stream: str, state: Any, **config: Any) -> None:
    """Run twice: exports of a run that failed are resumed, and end before the present one does."""
    for _ in range(2):
        again = run(server, stream, state=state, **config)
        assert again.code == 0, again.stderr
        warehouse.take(again)
        state = again.state


def test_a_table_that_is_not_replaced_whole_in_one_run_is_so_in_the_next(server):
    stream, hashing = "insights_usage", {"hash_columns": ["*.hashed_*"], "hash_key": KEY}
    warehouse = Warehouse()
    first = run(server, stream, **VERSIONS)
    warehouse.take(first)
    before = warehouse.content(stream)
    server.faults.add("ends_failed", api="insights", occasions=(3, 4, 5, 6), times=None)
    second = run(server, stream, state=first.state, max_concurrent_exports=1, **VERSIONS, **hashing)
    assert second.code == 1
    assert second.records(stream)
    assert second.of_type("ACTIVATE_VERSION") == []
    warehouse.take(second)
    assert warehouse.content(stream).items() >= before.items()
    server.faults.clear()
    # Without versions, the rest would stay beside what it replaces.
    refused = run(server, stream, state=second.state, **hashing)
    assert "the version that replaces them is not complete" in failure(refused)
    go_on(server, warehouse, stream, second.state, **VERSIONS, **hashing)
    assert warehouse.content(stream) == content(run(server, stream, **hashing).table(stream))


@pytest.mark.parametrize("stream", ["insights_users", "insights_usage", "tokenflex_usage"])
def test_a_version_that_was_cut_off_is_known_also_where_the_settings_are_as_before(server, stream):
    warehouse = Warehouse()
    first = run(server, stream, **VERSIONS)
    warehouse.take(first)
    server.clock.advance(60)
    hashing = {"hash_columns": ["*.autodesk_id", "*.hashed_*", "*.userName"], "hash_key": KEY}
    second = run(server, stream, state=first.state, **VERSIONS, **hashing)
    kinds = [message["type"] for message in second.messages]
    cut = TapRun(second.messages[: kinds.index("RECORD") + 1], "", -9)
    warehouse.take(cut)
    server.clock.advance(60)
    third = run(server, stream, state=cut.state, **VERSIONS)
    assert third.code == 0, third.stderr
    assert f"{stream}: its rows get other keys" in third.stderr
    warehouse.take(third)
    assert warehouse.content(stream).keys() == run(server, stream).table(stream).keys()


# --- other changes of a key --------------------------------------------------------------------


def test_people_that_are_identified_by_another_column_are_not_loaded_twice(server):
    stream = "insights_usage_report"
    first = run(server, stream)
    server.insights.columns = "generation_x"  # neither hashed IDs nor Autodesk IDs
    server.clock.advance(86400)
    second = run(server, stream, state=first.state)
    sentences = [line for line in second.stderr.splitlines() if "| FAILED " in line]
    assert len(sentences) == 2  # one team shows no personal data
    for by in ("email", "nothing"):
        says = f"identified by '{by}' in this file, and were by 'hashed_autodesk_id' before"
        assert any(says in sentence for sentence in sentences)
    assert second.records(stream) == []

    warehouse = Warehouse()
    server.insights.columns = "snake"
    first = run(server, stream, **VERSIONS)
    warehouse.take(first)
    server.insights.columns = "generation_x"
    second = run(server, stream, state=first.state, **VERSIONS)
    assert second.stderr.count("The next run loads the whole table again") >= 1
    assert second.code == 1
    go_on(server, warehouse, stream, second.state, **VERSIONS)
    assert warehouse.content(stream) == content(run(server, stream).table(stream))


@pytest.mark.parametrize("columns", [("generation_x", "snake"), ("snake", "generation_x")])
def test_a_part_of_the_key_that_comes_or_goes_loads_nothing_twice(server, columns):
    """Files of one generation of the help pages have no version."""
    before, later = columns
    stream, warehouse = "insights_usage", Warehouse()
    server.insights.columns = before
    first = run(server, stream, **VERSIONS)
    warehouse.take(first)
    server.insights.columns = later
    server.clock.advance(3600)
    again = run(server, stream, state=first.state)
    assert "'version' is part of the key and is" in failure(again)
    assert again.records(stream) == []
    replaced = run(server, stream, state=first.state, **VERSIONS)
    assert replaced.code == 1
    go_on(server, warehouse, stream, replaced.state, **VERSIONS)
    assert warehouse.content(stream) == content(run(server, stream).table(stream))


def test_another_key_in_the_catalog_is_noticed(server):
    config = {"apis": ["data_connector"], "data_connector_extract": "new"}
    first = in_process.run(server, config, "issues_issues")
    other = {"table-key-properties": ["_row_id"]}
    second = in_process.run(server, config, "issues_issues", state=first.state, metadata=other)
    assert "the key is made in another way" in failure(second)
    third = in_process.run(server, config, "issues_issues", state=first.state)
    assert third.code == 0


def forget_identity(state: Any, stream: str) -> None:
    for partition in state["bookmarks"][stream]["partitions"]:
        assert partition.pop("identity")


def test_rows_of_an_earlier_release_are_not_loaded_beside_those_of_this_one(server):
    state = run(server, "insights_users", "tokenflex_contracts").state
    forget_identity(state, "insights_users")
    second = run(server, "insights_users", "tokenflex_contracts", state=state)
    assert "an earlier release of this tap made them" in failure(second)
    tables = {"apis": ["data_connector"]}
    state = in_process.run(server, tables, "issues_issues").state
    forget_identity(state, "issues_issues")
    assert in_process.run(server, tables, "issues_issues", state=state).code == 0
