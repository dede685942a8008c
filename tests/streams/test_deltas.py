"""Only what is new, every row once: keys, replication by `updated_at`, changes and deletions."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from support import in_process
from tap_autodesk_exports.sandbox import Sandbox
from tap_autodesk_exports.sandbox.data.rows import Snapshot
from year.simulation import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.processes import TapRun

NEW = {"apis": ["data_connector"], "data_connector_extract": "new"}
BY_UPDATE = {"replication-method": "INCREMENTAL", "replication-key": "updated_at"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of the extracts that the sandbox of this test serves."""
    (tmp_path / "extract").mkdir()
    return tmp_path / "extract"


@pytest.fixture
def server(folder: Path) -> Iterator[Sandbox]:
    with Sandbox(extract=folder, job_seconds=0) as sandbox:
        yield sandbox


@pytest.fixture
def write(folder: Path) -> Callable[..., None]:
    """`write("issues_issues", "issue_id,title", "a,b", …)`: a table of the next extracts."""

    def write_table(name: str, *lines: str) -> None:
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")

    return write_table


def failures(run: TapRun) -> list[str]:
    return [line.split(" | ", 2)[2] for line in run.stderr.splitlines() if "| FAILED " in line]


# --- keys ------------------------------------------------------------------------------------


def test_equal_rows_with_one_key_are_sent_once(server, write):
    write("issues_issues", "issue_id,title", "a,one", "b,two", "a,one")
    run = in_process.run(server, NEW, "issues_issues")
    assert run.code == 0
    assert sorted(row["issue_id"] for row in run.records("issues_issues")) == ["a", "b"]


def test_different_rows_with_one_key_fail_their_stream_alone(server, write):
    write("issues_issues", "issue_id,title", "a,confidential one", "a,confidential two", "b,x")
    write("issues_comments", "comment_id,comment_body", "c,text")
    run = in_process.run(server, NEW, "issues_issues", "issues_comments")
    assert run.code == 1
    (failure,) = failures(run)
    assert failure.startswith("FAILED issues_issues: The file 'issues_issues.csv' holds different")
    assert "('issue_id')" in failure
    assert "confidential" not in run.stderr
    assert run.records("issues_issues") == []
    assert len(run.records("issues_comments")) == 1
    assert (
        not run.state["bookmarks"]
        .get("issues_issues", {})
        .get("partitions", [{}])[0]
        .get("export_id")
    )


def test_a_stream_keyed_on_row_id_sends_all_rows_that_share_a_guessed_key(server, write):
    write("checklists_checklists", "id,title", "1,one", "1,two", "1,two")
    run = in_process.run(server, NEW, "checklists_checklists")
    assert run.code == 0, run.stderr
    assert run.of_type("SCHEMA")[0]["key_properties"] == ["_row_id"]
    assert len(run.table("checklists_checklists")) == 3


def test_row_id_chosen_as_key_in_the_catalog_loads_them_all(server, write):
    write("issues_issues", "issue_id,title", "a,one", "a,two")
    chosen = {"table-key-properties": ["_row_id"]}
    run = in_process.run(server, NEW, "issues_issues", metadata=chosen)
    assert run.code == 0, run.stderr
    assert len(run.table("issues_issues")) == 2


# --- INCREMENTAL on a standard table -----------------------------------------------------------


def test_incremental_sends_rows_from_the_bookmark_on(server, write):
    header = "issue_id,title,updated_at"
    write("issues_issues", header, "a,x,2026-01-01 10:00:00", "b,x,2026-01-02 10:00:00.5", "n,x,")
    first = in_process.run(server, NEW, "issues_issues", metadata=BY_UPDATE)
    assert first.code == 0, first.stderr
    (partition,) = first.state["bookmarks"]["issues_issues"]["partitions"]
    assert partition["replication_key"] == "updated_at"
    assert partition["replication_key_value"] == "2026-01-02T10:00:00.500000Z"

    write(
        "issues_issues",
        header,
        "a,x,2026-01-01 10:00:00",
        "b,x,2026-01-02 10:00:00.5",
        "c,x,2026-01-02 10:00:00.6",
        "n,y,",
    )
    second = in_process.run(server, NEW, "issues_issues", state=first.state, metadata=BY_UPDATE)
    # What equals the bookmark comes again, as Singer has it; a row without a value may be new.
    assert [row["issue_id"] for row in second.records("issues_issues")] == ["b", "c", "n"]
    (partition,) = second.state["bookmarks"]["issues_issues"]["partitions"]
    assert partition["replication_key_value"] == "2026-01-02T10:00:00.600000Z"


def test_the_bookmark_never_goes_back(server, write):
    write("issues_issues", "issue_id,updated_at", "a,2026-01-05 00:00:00")
    first = in_process.run(server, NEW, "issues_issues", metadata=BY_UPDATE)
    write("issues_issues", "issue_id,updated_at", "a,2026-01-04 00:00:00")
    second = in_process.run(server, NEW, "issues_issues", state=first.state, metadata=BY_UPDATE)
    assert second.records("issues_issues") == []
    (partition,) = second.state["bookmarks"]["issues_issues"]["partitions"]
    assert partition["replication_key_value"] == "2026-01-05T00:00:00.000000Z"


def test_back_to_full_table_sends_every_row(server, write):
    write("issues_issues", "issue_id,updated_at", "a,2026-01-05 00:00:00", "b,2026-01-01 00:00:00")
    latest = {**NEW, "data_connector_extract": "auto"}
    first = in_process.run(server, latest, "issues_issues", metadata=BY_UPDATE)
    again = in_process.run(server, latest, "issues_issues", state=first.state, metadata=BY_UPDATE)
    assert again.records("issues_issues") == []
    full = in_process.run(server, latest, "issues_issues", state=again.state)
    assert len(full.records("issues_issues")) == 2
    (partition,) = full.state["bookmarks"]["issues_issues"]["partitions"]
    assert "replication_key_value" not in partition


def test_incremental_without_a_column_to_go_by_is_told(server, write):
    write("admin_roles", "id,name", "a,x")
    chosen = {"replication-method": "INCREMENTAL", "replication-key": "modified"}
    run = in_process.run(server, NEW, "admin_roles", metadata=chosen)
    assert run.code == 1
    (failure,) = failures(run)
    assert "replication key 'modified'" in failure
    assert "FULL_TABLE" in failure


def test_timestamps_are_compared_as_instants_whatever_their_offset(server, write):
    header = "issue_id,updated_at"
    write("issues_issues", header, "a,2026-01-01T12:00:00+02:00", "b,2026-01-01 09:00:00")
    first = in_process.run(server, NEW, "issues_issues", metadata=BY_UPDATE)
    (partition,) = first.state["bookmarks"]["issues_issues"]["partitions"]
    assert partition["replication_key_value"] == "2026-01-01T10:00:00.000000Z"
    write(
        "issues_issues",
        header,
        "a,2026-01-01T12:00:00+02:00",
        "c,2026-01-01T12:00:00.001+02:00",
        "d,2026-01-01T11:59:59+02:00",
    )
    second = in_process.run(server, NEW, "issues_issues", state=first.state, metadata=BY_UPDATE)
    assert [row["issue_id"] for row in second.records("issues_issues")] == ["a", "c"]


@pytest.mark.parametrize(
    ("column", "values"),
    [("display_id", (9, 10, 11)), ("due_date", ("2026-01-09", "2026-01-10", "2026-01-11"))],
)
def test_other_types_can_be_gone_by_too(server, write, column, values):
    chosen = {**BY_UPDATE, "replication-key": column}
    state, lines = {}, []
    for number, value in enumerate(values):
        lines.append(f"{number},{value}")
        write("issues_issues", f"issue_id,{column}", *lines)
        run = in_process.run(server, NEW, "issues_issues", state=state, metadata=chosen)
        sent = [row["issue_id"] for row in run.records("issues_issues")]
        assert sent == [str(at) for at in range(max(0, number - 1), number + 1)]
        state = run.state


def test_a_bookmark_is_not_taken_for_that_of_another_replication_key(server, write):
    header = "issue_id,created_at,updated_at"
    old = "a,2026-01-01 00:00:00,2026-03-01 00:00:00"
    write("issues_issues", header, old)
    first = in_process.run(server, NEW, "issues_issues", metadata=BY_UPDATE)
    write("issues_issues", header, old, "b,2026-02-01 00:00:00,2026-03-02 00:00:00")
    other = {**BY_UPDATE, "replication-key": "created_at"}
    second = in_process.run(server, NEW, "issues_issues", state=first.state, metadata=other)
    assert len(second.records("issues_issues")) == 2
    (partition,) = second.state["bookmarks"]["issues_issues"]["partitions"]
    assert partition["replication_key_value"] == "2026-02-01T00:00:00.000000Z"


def test_the_same_extract_is_not_sent_twice_where_no_row_has_a_value_to_go_by(server, write):
    auto = {**NEW, "data_connector_extract": "auto"}
    write("issues_issues", "issue_id,updated_at", "a,", "b,")
    first = in_process.run(server, auto, "issues_issues", metadata=BY_UPDATE)
    assert len(first.records("issues_issues")) == 2
    second = in_process.run(server, auto, "issues_issues", state=first.state, metadata=BY_UPDATE)
    assert second.records("issues_issues") == []


# --- hard deletes ------------------------------------------------------------------------------


def activated(run: TapRun) -> list[str]:
    return [message["stream"] for message in run.of_type("ACTIVATE_VERSION")]


VERSIONS = {"apis": ["data_connector"], "emit_activate_version_messages": True}


def test_a_part_that_fails_holds_hard_deletes_back_and_they_are_not_lost():
    with Sandbox(scale=0.1, accounts=3, job_seconds=0) as sandbox:
        state = in_process.run(sandbox, VERSIONS, "issues_issues").state
        sandbox.clock.advance(2 * 86400)
        sandbox.data_connector.closed = {sandbox.account_ids[2]}
        failed = in_process.run(sandbox, VERSIONS, "issues_issues", state=state)
        assert failed.code == 1
        assert len({row["bim360_account_id"] for row in failed.records("issues_issues")}) == 2
        assert activated(failed) == []
        again = in_process.run(sandbox, VERSIONS, "issues_issues", state=failed.state)
        assert again.records("issues_issues") == []  # the same extracts are not sent twice
        # The third account has nothing new, and what the others have deleted still counts.
        sandbox.data_connector.closed = set()
        latest = {**VERSIONS, "data_connector_extract": "latest"}
        last = in_process.run(sandbox, latest, "issues_issues", state=again.state)
        assert last.code == 0, last.stderr
        assert activated(last) == ["issues_issues"]
        assert len({row["bim360_account_id"] for row in last.records("issues_issues")}) == 3
        assert len(sandbox.exports) == 5
        done = in_process.run(sandbox, latest, "issues_issues", state=last.state)
        assert done.records("issues_issues") == []
        assert activated(done) == []


def test_a_run_that_ends_before_it_could_activate_is_made_up_for():
    with Sandbox(scale=0.1, job_seconds=0) as sandbox:
        run = in_process.run(sandbox, VERSIONS, "issues_issues")
        types = [message["type"] for message in run.messages]
        before = run.messages[: types.index("ACTIVATE_VERSION")]
        state = [message["value"] for message in before if message["type"] == "STATE"][-1]
        assert state["bookmarks"]["issues_issues"]
        again = in_process.run(sandbox, VERSIONS, "issues_issues", state=state)
        assert again.table("issues_issues") == run.table("issues_issues")
        assert activated(again) == ["issues_issues"]
        assert len(sandbox.exports) == 1


# --- changes (cdc) -------------------------------------------------------------------------------


def test_of_the_versions_of_a_row_the_newest_is_sent_with_its_deletion(server, write):
    write(
        "cdcissues_issues",
        "issue_id,title,deleted_at,adsk_row_id,adsk_updated_at",
        "i,newest,2026-02-03 00:00:00,r1,2026-02-03 00:00:00",
        "i,oldest,,r1,2026-02-01 00:00:00",
        "i,middle,,r1,2026-02-02 12:00:00.123",
        "j,only,,r2,2026-02-01 00:00:00",
        "j,only,,r2,2026-02-01 00:00:00",
    )
    run = in_process.run(server, NEW, "cdcissues_issues")
    assert run.code == 0, run.stderr
    found = {row["adsk_row_id"]: row for row in run.records("cdcissues_issues")}
    assert len(run.records("cdcissues_issues")) == 2
    assert (found["r1"]["title"], found["r2"]["title"]) == ("newest", "only")
    assert found["r1"]["deleted_at"] == "2026-02-03T00:00:00.000000Z"
    assert "_sdc_deleted_at" not in found["r1"]


@pytest.mark.parametrize("time", ["yesterday", "2026-02-03T00:00:00.123456789Z"])
def test_a_version_whose_time_cannot_be_read_may_be_the_newest(server, write, time):
    header = "issue_id,title,deleted_at,adsk_row_id,adsk_updated_at"
    versions = ["i,old,,r1,2026-02-01 00:00:00", f"i,new,,r1,{time}"]
    write("cdcissues_issues", header, *versions)
    run = in_process.run(server, NEW, "cdcissues_issues")
    assert run.code == 1
    assert "different rows with one key" in failures(run)[0]
    assert run.records("cdcissues_issues") == []
    # Other columns may tell.
    header += ",updated_at"
    write("cdcissues_issues", header, f"{versions[0]},2026-02-01", f"{versions[1]},2026-02-03")
    run = in_process.run(server, NEW, "cdcissues_issues")
    assert [row["title"] for row in run.records("cdcissues_issues")] == ["new"]


def test_deletions_are_told_as_singer_targets_know_them(server, write):
    write(
        "cdcissues_issues",
        "issue_id,deleted_at,adsk_row_id,adsk_updated_at",
        "i,2026-02-03 00:00:00.5,r1,2026-02-03 00:00:00.5",
        "j,,r2,2026-02-01 00:00:00",
        "k,never,r3,2026-02-01 00:00:00",
    )
    config = {**NEW, "data_connector_sdc_deleted_at": True}
    run = in_process.run(server, config, "cdcissues_issues")
    properties = run.of_type("SCHEMA")[0]["schema"]["properties"]
    assert properties["_sdc_deleted_at"] == properties["deleted_at"]
    for row in run.records("cdcissues_issues"):
        assert row["_sdc_deleted_at"] == row["deleted_at"]
    found = {row["issue_id"]: row for row in run.records("cdcissues_issues")}
    assert found["i"]["_sdc_deleted_at"] == "2026-02-03T00:00:00.500000Z"
    assert found["k"]["_rescued_data"] == '{"deleted_at":"never"}'


def test_a_warehouse_marks_what_is_deleted_and_takes_back_what_returns(
    server, write, tmp_path, postgres
):
    config = {**NEW, "data_connector_sdc_deleted_at": True}
    state: dict = {}

    def loaded(*files: tuple[str, ...]) -> list[tuple[Any, ...]]:
        """Load files one after another, and return what PostgreSQL holds then."""
        nonlocal state
        with Target(tmp_path, postgres, "deltas") as target:
            for lines in files:
                header = "issue_id,title,deleted_at,adsk_row_id,adsk_updated_at"
                write("cdcissues_issues", header, *lines)
                run = in_process.run(
                    server, config, "cdcissues_issues", state=state, sink=target.input
                )
                assert run.code == 0, run.stderr
                state = run.state
        query = "SELECT issue_id, title, deleted_at, _sdc_deleted_at FROM deltas.cdcissues_issues"
        with postgres.connect() as connection:
            return sorted(connection.execute(query).fetchall())

    third, fourth = "2026-02-03 00:00:00", "2026-02-04 00:00:00"
    day = dt.datetime.fromisoformat(third)
    assert loaded(
        ("i,one,,i,2026-02-01 00:00:00", "k,other,,k,2026-02-01 00:00:00"),
        (f"i,one,{third},i,{third}",),
    ) == [("i", "one", day, day), ("k", "other", None, None)]
    assert loaded((f"i,one,{third},i,{third}", f"i,back,,i,{fourth}")) == [
        ("i", "back", None, None),
        ("k", "other", None, None),
    ]


@pytest.mark.parametrize("table", ["issues_issues", "rfis_rfi_assignees"])
def test_changes_alone_make_up_the_table(table):
    """Rows that a snapshot marks as deleted, and such as just vanish from it."""
    stream = f"cdc{table}"
    with Sandbox(scale=0.3, job_seconds=0) as sandbox:
        sandbox.clock.set(dt.datetime(2026, 3, 1, 5, tzinfo=dt.UTC))
        loaded: dict[tuple, dict] = {}
        state: dict = {}
        for _ in range(4):
            run = in_process.run(sandbox, {"apis": ["data_connector"]}, stream, state=state)
            assert run.code == 0, run.stderr
            loaded |= run.table(stream)
            state = run.state
            sandbox.clock.advance(40 * 86400)
        sandbox.clock.advance(-40 * 86400)
        key = sandbox.data_connector.registry[table].key[0]
        tables = sandbox.data_connector.tables[sandbox.account_id]
        columns = list(tables.registry[table].columns)
        rows = [
            dict(zip(columns, row, strict=True))
            for row in tables.rows(table, Snapshot(sandbox.clock.now()))
        ]
    assert any(row["deleted_at"] for row in loaded.values())
    assert {row[key] for row in loaded.values() if not row["deleted_at"]} == {
        row[key] for row in rows if not row.get("deleted_at")
    }
    jobs = [export.body for export in sandbox.exports]
    assert len(jobs) == 4
    assert jobs[0]["startDate"] < "2001"  # changes since the first day are all rows
    assert jobs[1]["startDate"][:10] == "2026-02-28"
