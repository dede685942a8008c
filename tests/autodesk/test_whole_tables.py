"""What an extract holds of a table is held against its listing before it counts as the table."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from support import exported, in_process
from support.sandbox_client import Client
from tap_autodesk_exports.autodesk.data_connector import extracts
from tap_autodesk_exports.sandbox import Sandbox, SandboxClock
from tap_autodesk_exports.sandbox.data.rows import Snapshot
from tap_autodesk_exports.sandbox.data.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.processes import TapRun

NOW = dt.datetime(2026, 6, 15, 4, tzinfo=dt.UTC)
CONFIG = {"apis": ["data_connector"], "emit_activate_version_messages": True}
TABLE, OTHER = "issues_issues", "issues_comments"


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1, job_seconds=0, clock=SandboxClock(NOW)) as sandbox:
        yield sandbox


@pytest.fixture
def zipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the ZIP fetched however few tables are selected."""
    monkeypatch.setattr(extracts, "UNPACKING", float("-inf"))


def run(server: Sandbox, *streams: str, state: Any = None, **config: Any) -> TapRun:
    return in_process.run(server, {**CONFIG, **config}, *streams, state=state)


def rows(server: Sandbox, table: str) -> int:
    tables = server.data_connector.tables[server.account_id]
    return len(list(tables.rows(table, Snapshot(server.clock.now()))))


def activated(run: TapRun) -> list[str]:
    return [message["stream"] for message in run.of_type("ACTIVATE_VERSION")]


def fetched(server: Sandbox) -> list[str]:
    """Return the files whose links were requested, in order."""
    requests = [request.path for request in server.requests if "/data/" in request.path]
    return [path.rpartition("/")[2] for path in requests]


@pytest.mark.usefixtures("zipped")
@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("missing", "lacks"),
        ("upper_case", "has another case for"),
        ("twice", "has more than one of"),
        ("twice_differing", "has more than one of"),
        ("half", "bytes of"),
        ("header_only", "bytes of"),
        ("shorter", "bytes of"),
    ],
)
def test_a_table_that_the_zip_has_otherwise_than_the_listing_is_fetched_by_itself(
    server, how, says
):
    server.data_connector.zip_files = {f"{TABLE}.csv": how}
    done = run(server, TABLE, OTHER)
    assert done.code == 0, done.stderr
    assert len(done.records(TABLE)) == rows(server, TABLE) > 0
    assert len(done.records(OTHER)) == rows(server, OTHER)
    assert sorted(activated(done)) == [OTHER, TABLE]
    assert sorted(fetched(server)) == ["autodesk_data_extract.zip", f"{TABLE}.csv"]
    (line,) = [line for line in done.stderr.splitlines() if f"{says} '{TABLE}.csv'" in line]
    assert "fetching that file by itself" in line


@pytest.mark.usefixtures("zipped")
@pytest.mark.parametrize("size", [None, "52,000", -1])
def test_a_table_without_a_size_in_the_listing_is_fetched_by_itself(server, size):
    client = Client(server)
    names = [file["name"] for file in client.get(f"{client.extract('issues')}/data-listing")]
    at = names.index(f"{TABLE}.csv")
    server.faults.add("edit", endpoint="listing", edits={f"{at}.size": size}, times=None)
    server.data_connector.zip_files = {f"{TABLE}.csv": "half"}
    done = run(server, TABLE, OTHER, data_connector_extract="new")
    assert done.code == 0, done.stderr
    assert len(done.records(TABLE)) == rows(server, TABLE) > 0
    assert sorted(fetched(server)) == ["autodesk_data_extract.zip", f"{TABLE}.csv"]


@pytest.mark.usefixtures("zipped")
def test_tables_of_a_zip_that_is_what_the_listing_says_cost_one_link(server):
    done = run(server, TABLE, OTHER)
    assert done.code == 0
    assert fetched(server) == ["autodesk_data_extract.zip"]


@pytest.mark.usefixtures("zipped")
def test_a_zip_that_cannot_be_fetched_is_replaced_by_single_files(server):
    server.faults.add("status", endpoint="file", path="*.zip*", status=404, times=None)
    done = run(server, TABLE, OTHER)
    assert done.code == 0, done.stderr
    assert len(done.records(TABLE)) == rows(server, TABLE)
    assert len(done.records(OTHER)) == rows(server, OTHER)


@pytest.mark.usefixtures("zipped")
@pytest.mark.parametrize("how", ["half", "header_only", "shorter", "longer"])
def test_a_table_that_is_nowhere_as_it_is_listed_fails_alone(server, how):
    server.data_connector.zip_files = {f"{TABLE}.csv": "missing"}
    server.data_connector.single_files = {f"{TABLE}.csv": how}
    done = run(server, TABLE, OTHER)
    assert done.code == 1
    assert done.records(TABLE) == []
    assert len(done.records(OTHER)) == rows(server, OTHER)
    assert activated(done) == [OTHER]


@pytest.mark.parametrize("tables", ["few", "many"])
def test_a_table_that_is_missing_everywhere_is_reported_and_nothing_of_it_is_removed(
    server, monkeypatch, tables
):
    if tables == "many":
        monkeypatch.setattr(extracts, "UNPACKING", float("-inf"))
    state = run(server, TABLE, OTHER).state
    registry = dict(server.data_connector.registry)
    del registry[TABLE]
    server.data_connector.change_schema(registry)
    server.clock.advance(2 * 86400)
    done = run(server, TABLE, OTHER, state=state)
    assert done.code == 0, done.stderr
    assert f"{TABLE}: extract" in done.stderr
    assert "has no file of this table" in done.stderr
    assert activated(done) == [OTHER]


@pytest.mark.parametrize("table", ["activities_issues_activities", "cdcissues_issues"])
def test_days_without_a_file_of_a_table_are_asked_for_again(server, table):
    registry = server.data_connector.registry
    without = {name: each for name, each in registry.items() if name != table}
    first = run(server, table, start_date="2026-06-01")
    state, loaded = first.state, first.table(table)
    for tables in (without, without, registry):
        server.clock.advance(9 * 86400)
        server.data_connector.change_schema(tables)
        done = run(server, table, state=state, start_date="2026-06-01")
        assert done.code == 0, done.stderr
        is_missing = "later runs ask for these days again" in done.stderr
        assert is_missing == (tables is without)
        state, loaded = done.state, loaded | done.table(table)
    now = {"start_date": "2026-06-01", "data_connector_extract": "new"}
    assert loaded.keys() == run(server, table, **now).table(table).keys()
    assert len(loaded) > len(first.table(table)) > 0


def test_days_of_an_extract_that_exists_are_asked_for_again_however_long_it_is(server):
    table, first_of = "activities_issues_activities", "2026-06-14T00:00:00Z"
    registry = dict(server.data_connector.registry)
    latest = {"data_connector_extract": "latest", "start_date": "2026-06-01"}

    def extract(start: str, end: str) -> None:
        dates = {"dateRange": "CUSTOM", "startDate": start, "endDate": end}
        server.data_connector.add_extract({"serviceGroups": ["activities"], **dates})

    extract("2026-06-01T00:00:00Z", first_of)
    first = run(server, table, **latest)
    assert first.code == 0, first.stderr
    server.data_connector.change_schema({n: each for n, each in registry.items() if n != table})
    server.clock.advance(9 * 86400)
    extract("2026-05-24T00:00:00Z", "2026-06-23T23:59:59Z")
    done = run(server, table, state=first.state, **latest)
    assert done.code == 0, done.stderr
    assert "later runs ask for these days again" in done.stderr
    assert done.state["bookmarks"] == first.state["bookmarks"]


def test_a_table_that_is_gone_for_good_is_not_waited_for_and_costs_no_job(server):
    table, other = "activities_issues_activities", "activities_admin_activities"
    state = run(server, table, other, start_date="2026-06-01").state
    registry = dict(server.data_connector.registry)
    del registry[table]
    server.data_connector.change_schema(registry)
    for _ in range(12):
        jobs = len(server.exports)
        server.clock.advance(5 * 86400)
        done = run(server, table, other, state=state, start_date="2026-06-01")
        assert done.code == 0, done.stderr
        state = done.state
        assert len(server.exports) - jobs <= 2
    assert len(server.exports) <= 16


def test_a_table_without_a_file_ends_no_run_with_an_error_where_extracts_outlast_runs():
    table, other = "activities_issues_activities", "activities_admin_activities"
    config = {"start_date": "2026-06-10", "export_timeout_minutes": 1}
    with Sandbox(scale=0.1, job_seconds=4000, clock=SandboxClock(NOW)) as server:
        registry = server.data_connector.registry
        server.data_connector.change_schema({n: t for n, t in registry.items() if n != table})
        state, codes = None, []
        for _ in range(6):
            done = run(server, table, other, state=state, **config)
            codes.append(done.code)
            state = done.state
            server.clock.advance(86400)
        assert codes == [1, 0] * 3  # requested, loaded
        assert len(server.exports) == 3


HASHED = {
    "hash_columns": ["activities_issues_activities.activity_id", "cdcissues_issues.adsk_row_id"],
    "hash_key": "k" * 32,
}


def sent_to(target: dict[tuple[Any, ...], int | None], run: TapRun, table: str) -> None:
    """Have a target that honours ACTIVATE_VERSION take what a run sent: key -> version."""
    names = run.of_type("SCHEMA", table)[-1]["key_properties"]
    for message in run.messages:
        if message.get("stream") != table:
            continue
        if message["type"] == "RECORD":
            key = tuple(message["record"][name] for name in names)
            target[key] = message.get("version")
        elif message["type"] == "ACTIVATE_VERSION":
            for key, version in [*target.items()]:
                if version != message["version"]:
                    del target[key]


@pytest.mark.parametrize(
    ("table", "start"),
    [
        ("activities_issues_activities", "2026-06-01"),
        ("activities_issues_activities", "2026-02-01"),
        ("cdcissues_issues", "2026-06-01"),
    ],
)
def test_a_table_is_not_replaced_by_rows_of_which_a_file_was_missing(server, table, start):
    registry = server.data_connector.registry
    without = {name: each for name, each in registry.items() if name != table}
    target: dict[tuple[Any, ...], int | None] = {}
    done = run(server, table, start_date=start)
    sent_to(target, done, table)
    before = len(target)
    for tables in (without, without, *[registry] * 7):  # a date range a run
        server.clock.advance(2 * 86400)
        server.data_connector.change_schema(tables)
        done = run(server, table, state=done.state, start_date=start, **HASHED)
        assert done.code == ("not all of them are there yet" in done.stderr), done.stderr
        sent_to(target, done, table)
        assert len(target) >= before > 0
    now = run(server, table, start_date=start, data_connector_extract="new", **HASHED)
    assert target.keys() == now.table(table).keys()


@pytest.mark.parametrize("kind", ["duckdb", "folder"])
@pytest.mark.parametrize("table", [TABLE, "cdcissues_issues"])
def test_an_export_does_not_come_back_to_an_extract_without_a_file(server, tmp_path, table, kind):
    """What does not replace its table stays pending, and each run would find no file in it."""
    to = str(tmp_path / "x.duckdb") if kind == "duckdb" else f"{tmp_path}/all/"
    config = {**CONFIG, "data_connector_service_groups": [table.partition("_")[0]]}
    hashed = {**config, "hash_columns": ["*.issue_id", "*.adsk_row_id"], "hash_key": "k" * 32}
    registry = server.data_connector.registry
    without = {name: each for name, each in registry.items() if name != table}

    def load(settings: dict[str, Any]) -> exported.Exported:
        server.clock.advance(2 * 86400)
        return exported.export(server, to, table, config=settings)

    def there() -> set[str]:
        if kind == "duckdb":
            found = exported.in_duckdb(tmp_path / "x.duckdb", table)
        else:
            found = exported.in_parquet(tmp_path / "all" / table / f"{table}.parquet")
        return {row["_row_id"] for row in found}

    assert load(config).code == 0
    before = there()
    server.data_connector.change_schema(without)
    for _ in range(2):
        done = load(hashed)
        assert done.code == 1
        assert "not all of them are there yet" in done.log
        assert there() == before
    server.data_connector.change_schema(registry)
    asked = len(server.exports)
    done = load(hashed)
    assert done.code == 0, done.log
    assert len(server.exports) == asked + 1
    assert len(there()) == len(before) > 0
    assert there().isdisjoint(before)


def test_a_file_that_no_other_extract_brings_today_holds_back_no_other_table():
    seconds = [4000.0]
    clock = SandboxClock(NOW)
    with Sandbox(scale=0.1, job_seconds=lambda: seconds[0], clock=clock) as server:
        first = run(server, TABLE, OTHER, export_timeout_minutes=0.01)
        assert (first.code, len(first.state["exports"])) == (1, 1)
        seconds[0] = 0
        server.clock.advance(2 * 3600)
        server.data_connector.zip_files = {f"{OTHER}.csv": "shorter"}
        server.data_connector.single_files = {f"{OTHER}.csv": "shorter"}
        server.data_connector.jobs_per_day = 0
        second = run(server, TABLE, OTHER, state=first.state)
        assert second.code == 1
        assert len(second.records(TABLE)) == rows(server, TABLE) > 0
        assert second.records(OTHER) == []
        server.data_connector.jobs_per_day = 24
        server.data_connector.single_files = {}
        server.clock.advance(3600)
        third = run(server, TABLE, OTHER, state=second.state)
        assert third.code == 0, third.stderr
        assert len(third.records(OTHER)) == rows(server, OTHER) > 0


def test_an_empty_listing_of_a_job_that_succeeded_is_an_error(server):
    server.faults.add("no_files", api="data_connector", times=None)
    done = run(server, TABLE, OTHER)
    assert done.code == 1
    assert done.records(TABLE) == []
    assert activated(done) == []
    partitions = done.state["bookmarks"].get(TABLE, {}).get("partitions", [])
    assert not any("export_id" in partition for partition in partitions)


@pytest.mark.parametrize("how", ["zip_only", "folder"])
def test_a_table_that_the_listing_has_only_in_the_zip_or_in_a_folder_is_loaded(server, how):
    server.data_connector.listing = how
    done = run(server, TABLE)
    assert done.code == 0, done.stderr
    assert len(done.records(TABLE)) == rows(server, TABLE) > 0
    assert activated(done) == [TABLE]


@pytest.mark.parametrize(
    ("how", "says"), [("readme_only", "lists no table of it"), ("numbered", "as one CSV file")]
)
def test_an_extract_without_tables_or_with_parts_of_them_is_an_error(server, how, says):
    server.data_connector.listing = how
    done = run(server, TABLE)
    assert done.code == 1
    assert says in done.stderr
    assert done.records(TABLE) == []
    assert activated(done) == []


def test_an_extract_without_tables_is_not_used_again(server):
    """Neither one that is there already, nor the one that is requested in its place."""
    server.data_connector.add_extract({}, created=NOW - dt.timedelta(hours=1))
    server.data_connector.listing = "readme_only"
    first = run(server, TABLE)
    assert first.code == 1
    assert len(server.exports) == 1, first.stderr
    server.data_connector.listing = "files"
    second = run(server, TABLE, state=first.state, data_connector_extract="new")
    assert second.code == 0, second.stderr
    assert len(second.records(TABLE)) == rows(server, TABLE)
    assert len(server.exports) == 2


def test_an_extract_whose_zip_has_no_tables_is_not_used_again(server):
    tables = {f"{name}.csv": "missing" for name in server.data_connector.registry}
    server.data_connector.add_extract({}, created=NOW - dt.timedelta(hours=1))
    server.data_connector.listing = "zip_only"
    server.data_connector.zip_files = tables
    first = run(server, TABLE)
    assert first.code == 1
    assert "lists no table of it" in first.stderr
    server.data_connector.zip_files = {}
    second = run(server, TABLE, state=first.state)
    assert second.code == 0, second.stderr
    assert len(second.records(TABLE)) == rows(server, TABLE)
    assert len(server.exports) == 1


@pytest.mark.parametrize(
    ("name", "akin"),
    [
        ("issues_issues.csv", True),
        ("data/ISSUES_ISSUES.csv", True),
        ("issues_issues (2).csv", True),
        ("issues_issues-00001.csv", True),
        ("issues_issues_part2.csv", True),
        ("issues_issues_1.csv", True),
        ("issues_issues.csv.gz", True),
        ("issues_issues.part.csv", True),
        ("issues_issues_subtypes.csv", False),
        ("issues_issues2x_y.csv", False),
        ("issues_issues.html", False),
        ("issues_issue.csv", False),
    ],
)
def test_parts_and_copies_are_known_by_their_names(name, akin):
    there = extracts._sorted([("issues_a.csv", 1), (name, 1), ("issues_issues_old.csv", 1)])
    found = list(extracts._akin(there, TABLE))
    assert found == ([(name.rpartition("/")[2].lower(), name, 1)] if akin else [])


def test_a_table_is_not_taken_for_whole_without_an_account_that_was_loaded_before():
    with Sandbox(scale=0.1, accounts=2, job_seconds=0, clock=SandboxClock(NOW)) as server:
        both = run(server, TABLE)
        assert activated(both) == [TABLE]
        server.clock.advance(2 * 86400)
        one = run(
            server,
            TABLE,
            state=both.state,
            data_connector_account_ids=[server.account_ids[0]],
        )
        assert one.code == 0
        assert one.records(TABLE)
        assert activated(one) == []
        assert f"account_id {server.account_ids[1]} was loaded before" in one.stderr
        # Without the state, the tap knows of one account alone.
        server.clock.advance(2 * 86400)
        again = run(server, TABLE, data_connector_account_ids=[server.account_ids[0]])
        assert activated(again) == [TABLE]


@pytest.mark.parametrize("kind", ["tap", "export"])
@pytest.mark.parametrize("lacks", [[0], [1], [0, 1]], ids=str)
@pytest.mark.parametrize("table", [TABLE, "cdcissues_issues", "activities_issues_activities"])
def test_a_table_of_which_an_account_never_had_a_file_is_replaced(tmp_path, table, lacks, kind):
    """Its missing file holds back nothing: there are no rows of it that could be lost."""
    to = str(tmp_path / "x.duckdb")
    hashed = {
        "hash_columns": ["*.issue_id", "*.adsk_row_id", "*.activity_id"],
        "hash_key": "k" * 32,
    }
    config: dict[str, Any] = {
        **CONFIG,
        "start_date": "2026-06-01",
        "data_connector_max_age_hours": 0,
        "data_connector_service_groups": [table.partition("_")[0]],
    }
    with Sandbox(
        scale=0.05, accounts=2, projects=2, job_seconds=0, clock=SandboxClock(NOW)
    ) as server:
        api = server.data_connector
        without = {name: each for name, each in api.registry.items() if name != table}
        for at in lacks:
            account = server.account_ids[at]
            api.tables[account] = Tables(api.tables[account].world, without)
        state: Any = None
        for now, is_refreshed in ((config, False), ({**config, **hashed}, False), (config, True)):
            if kind == "export":
                done = exported.export(server, to, table, config=now, full_refresh=is_refreshed)
                assert done.code == 0, done.log
            elif not is_refreshed:
                sent = in_process.run(server, now, table, state=state)
                assert sent.code == 0, sent.stderr
                assert activated(sent) or now is config or len(lacks) > 1
                state = sent.state
            server.clock.advance(86400)
