"""All files of a report are loaded, with whose rows they are; what is left aside is named."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest

from support import in_process
from tap_autodesk_exports.autodesk.insights.datasets import DATASETS, column_name
from tap_autodesk_exports.autodesk.insights.files import Download, report_file
from tap_autodesk_exports.files.convert import as_csv
from tap_autodesk_exports.sandbox import Sandbox, SandboxClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.processes import TapRun

NOW = dt.datetime(2026, 6, 15, 4, tzinfo=dt.UTC)
CONFIG = {"apis": ["insights"], "start_date": "2026-06-01"}
STREAMS = ("insights_subscriptions", "insights_users", "insights_usage", "insights_usage_report")
OF_THE_EXPORT = {"_export_id", "_exported_at", "window_end", "monthly_average"}
ALL_TEAMS = {"insights_export_scope": "all_teams"}


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1, job_seconds=0, clock=SandboxClock(NOW)) as sandbox:
        yield sandbox


def run(server: Sandbox, *streams: str, state: Any = None, **config: Any) -> TapRun:
    done = in_process.run(server, {**CONFIG, **config}, *(streams or STREAMS), state=state)
    assert done.code == 0, done.stderr
    return done


def content(done: TapRun, stream: str, *but: str) -> dict[Any, dict[str, Any]]:
    return {
        key: {name: value for name, value in row.items() if name not in OF_THE_EXPORT | {*but}}
        for key, row in done.table(stream).items()
    }


# --- several downloads and sheets --------------------------------------------------------------


@pytest.mark.parametrize("format_", ["CSV", "EXCEL", "JSON"])
def test_seat_rows_and_token_rows_of_one_report_are_all_loaded(server, format_):
    server.insights.mixed_access = True
    whole = run(server, "insights_usage", "insights_usage_report")
    server.insights.split_downloads = True
    split = run(server, "insights_usage", "insights_usage_report", insights_output_format=format_)
    for stream in ("insights_usage", "insights_usage_report"):
        options = {row["access_option"] for row in split.records(stream)}
        assert options == {"Subscription", "Flex"}, stream
        assert len(split.records(stream)) == len(whole.records(stream)), stream
        if format_ == "CSV":  # a workbook does not tell null from an empty text
            found = content(split, stream, "tokens_used")
            assert found == content(whole, stream, "tokens_used"), stream
        else:
            assert split.table(stream).keys() == whole.table(stream).keys(), stream


def test_downloads_that_are_listed_in_another_order_with_every_look_are_all_loaded(server):
    server.insights.split_downloads = server.insights.mixed_access = True
    whole = run(server, "insights_usage")
    server.insights.downloads = "other_order"
    found = run(server, "insights_usage")
    assert content(found, "insights_usage") == content(whole, "insights_usage") != {}


def test_downloads_of_which_one_may_have_been_fetched_twice_are_not_all_of_them(server):
    """Neither their order nor their places stay the same, so that nothing tells which is which."""
    server.insights.split_downloads = server.insights.mixed_access = True
    whole = run(server, "insights_usage")
    server.insights.downloads = "moved"
    state, rows = None, {}
    for _ in range(6):
        found = in_process.run(server, CONFIG, "insights_usage", state=state)
        state, rows = found.state, rows | content(found, "insights_usage")
        if found.code == 0:
            break
        assert "one file may have been fetched twice and another one not at all" in found.stderr
    assert found.code == 1 or rows == content(whole, "insights_usage")


def test_downloads_that_are_listed_late_are_not_left_out(server):
    server.insights.split_downloads = server.insights.mixed_access = True
    whole = run(server, "insights_usage", start_date="2026-06-01")
    server.insights.downloads = "late"
    config = {**CONFIG, "start_date": "2026-06-01"}
    first = in_process.run(server, config, "insights_usage")
    assert first.code == 1
    assert "with 2 files, where it had 1" in first.stderr
    exports = len(server.exports)
    second = run(server, "insights_usage", state=first.state, start_date="2026-06-01")
    assert len(server.exports) == exports
    rows = {**first.table("insights_usage"), **second.table("insights_usage")}
    assert rows.keys() == whole.table("insights_usage").keys() != set()


def downloads(folder: Path, *texts: str) -> list[Download]:
    found = []
    for number, text in enumerate(texts):
        path = folder / f"{number}.csv"
        path.write_text(text)
        found.append(Download(f"USAGE-{number}", path))
    return found


HEADER = "day_used,email,team_alias,offering_name,version,access_option"
EXPECTED = {name for dataset in DATASETS for name in dataset.columns}


def report(folder: Path, *texts: str) -> tuple[list[str], tuple[str, ...]]:
    found = report_file(downloads(folder, *texts), EXPECTED, column_name, folder)
    assert found
    return found.path.read_text().splitlines(), found.left_aside


def test_columns_that_one_of_two_files_has_are_null_in_rows_of_the_other(tmp_path):
    lines, aside = report(
        tmp_path,
        f"{HEADER}\n2026-01-01,a@x.com,T,P,2026,Subscription\n",
        "Day used,Email,Team,Product,Version,Access option,Tokens used\n"
        "2026-01-02,b@x.com,T,P,2026,Flex,7\n",
    )
    assert lines == [
        f"{HEADER},Tokens used",
        "2026-01-01,a@x.com,T,P,2026,Subscription,",
        "2026-01-02,b@x.com,T,P,2026,Flex,7",
    ]
    assert aside == ()


@pytest.mark.parametrize("columns", [1, 3, 6])
@pytest.mark.parametrize("empty_first", [True, False])
def test_an_empty_json_list_says_nothing_of_the_columns_of_the_rows(tmp_path, columns, empty_first):
    """JSON may leave out what has no value, so rows may have few of the expected columns."""
    names = HEADER.split(",")[:columns]
    texts = [json.dumps([dict.fromkeys(names, "x")] * 3), "[]"]
    found = []
    for number, text in enumerate(reversed(texts) if empty_first else texts):
        path = tmp_path / f"{number}.json"
        path.write_text(text)
        table = as_csv(path, tmp_path, json=True, expected=EXPECTED, rename=column_name)
        found.append(Download(f"USAGE-{number}", table, is_json=True))
    made = report_file(found, EXPECTED, column_name, tmp_path)
    assert made
    assert len(made.path.read_text().splitlines()) == 4
    assert made.left_aside == ()
    only = report_file(found[:1] if empty_first else found[1:], EXPECTED, column_name, tmp_path)
    assert only
    assert len(only.path.read_text().splitlines()) == 1


def test_a_list_of_filters_is_left_aside_and_named(tmp_path, caplog):
    caplog.set_level("INFO")
    lines, aside = report(tmp_path, "Filter,Value\nTeam,T\n", f"{HEADER}\n2026-01-01,,T,P,,\n")
    assert len(lines) == 2
    assert aside == ()
    assert "'USAGE-0' of the export has 0 of the report's columns and is left aside" in caplog.text


def test_a_file_that_may_hold_rows_and_is_left_aside_is_warned_of(tmp_path, caplog):
    caplog.set_level("WARNING")
    _, aside = report(tmp_path, f"{HEADER}\n", "day_used,email,team_alias,seats\n2026-01-01,,T,1\n")
    assert aside == ("USAGE-1",)
    assert "'USAGE-1' of the export has 3 of the report's columns" in caplog.text


def test_the_same_file_twice_is_loaded_once(tmp_path, caplog):
    text = f"{HEADER}\n2026-01-01,a@x.com,T,P,2026,Subscription\n"
    lines, aside = report(tmp_path, text, text)
    assert len(lines) == 2
    assert aside == ()
    assert "is the same as another one" in caplog.text
    assert len(report(tmp_path, f"{HEADER}\n", f"{HEADER}\n")[0]) == 1


# --- whose rows ----------------------------------------------------------------------------------


def test_one_export_of_all_teams_gives_the_rows_that_one_for_each_gives(server):
    single = run(server)
    requested = len(server.exports)
    both = run(server, state=single.state, **ALL_TEAMS)
    assert len(server.exports) - requested == len(STREAMS)
    assert {export.owner for export in server.exports[requested:]} == {None}
    for stream in STREAMS:
        assert content(both, stream) == content(single, stream), stream
        assert {row["team_id"] for row in both.records(stream)} == {
            row["team_id"] for row in single.records(stream)
        }
    back = run(server, state=both.state)
    for stream in STREAMS:
        assert content(back, stream) == content(single, stream), stream


def test_a_team_that_is_renamed_while_its_export_is_made_keeps_its_id(server):
    team = server.data_connector.tables[server.account_id].world.teams[0]
    before = run(server, "insights_users", **ALL_TEAMS)
    old = server.names.team(team)
    # The list of teams still has the old name when the exports are planned.
    server.switch({"names": {"teams": {team.id: "Another name"}}})
    server.faults.add_all(
        [{"effect": "edit", "endpoint": "contexts", "edits": {"0.alias": old}, "times": 1}]
    )
    after = run(server, "insights_users", state=before.state, **ALL_TEAMS)
    assert after.table("insights_users").keys() == before.table("insights_users").keys()
    assert "Another name" in {row["team_alias"] for row in after.records("insights_users")}


def test_teams_of_one_alias_are_exported_one_by_one(server):
    teams = server.data_connector.tables[server.account_id].world.teams
    server.switch({"names": {"teams": {team.id: "Same name" for team in teams}}})
    done = run(server, "insights_users", **ALL_TEAMS)
    assert None not in {export.owner for export in server.exports}
    assert len({row["team_id"] for row in done.records("insights_users")}) > 1
    assert done.stderr.count("several teams have the alias 'Same name'") == 1


def test_teams_of_which_one_has_no_alias_are_exported_one_by_one(server):
    """Its rows would be loaded without its ID, and twice once the scope is switched."""
    server.faults.add("edit", endpoint="contexts", edits={"0.alias": None}, times=None)
    done = run(server, "insights_users", **ALL_TEAMS)
    assert done.code == 0, done.stderr
    assert None not in {export.owner for export in server.exports}
    assert None not in {row["team_id"] for row in done.records("insights_users")}
    assert done.stderr.count("a team has no alias") == 1


def test_an_alias_that_no_team_has_is_named_and_its_rows_are_loaded(server):
    server.faults.add_all(
        [
            {
                "effect": "edit",
                "endpoint": "contexts",
                "edits": {"0.alias": "Nobody"},
                "times": None,
            }
        ]
    )
    team = server.data_connector.tables[server.account_id].world.teams[0]
    done = run(server, "insights_users", "insights_usage", **ALL_TEAMS)
    rows = done.records("insights_users")
    unknown = [row for row in rows if row["team_alias"] == team.alias]
    assert unknown
    assert {row["team_id"] for row in unknown} == {None}
    assert all(row["team_id"] for row in rows if row["team_alias"] != team.alias)
    assert done.stderr.count(f"no team of this user has the alias '{team.alias}'") == 1


def test_a_team_of_the_settings_that_is_none_of_the_users_is_named_and_costs_no_export(server):
    team = server.data_connector.tables[server.account_id].world.teams[0]
    config = {**CONFIG, "insights_team_ids": [team.id, "4711"]}
    done = in_process.run(server, config, "insights_users")
    assert done.code == 1
    (sentence,) = [line for line in done.stderr.splitlines() if "| FAILED " in line]
    assert "team 4711 of 'insights_team_ids' is none of this user's, which are: " in sentence
    assert {row["team_id"] for row in done.records("insights_users")} == {team.id}
    assert {export.owner for export in server.exports} == {team.id}


def test_a_user_without_teams_is_told_so(server):
    server.faults.add_all(
        [{"effect": "edit", "endpoint": "contexts", "edits": {"": []}, "times": None}]
    )
    versions = {"emit_activate_version_messages": True}
    done = in_process.run(server, {**CONFIG, **versions}, "insights_contexts")
    assert done.code == 1
    assert "this user sees no team" in done.stderr
    assert done.of_type("ACTIVATE_VERSION") == []


# --- spellings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["title", "camel", "words", "upper"])
@pytest.mark.parametrize("format_", ["CSV", "JSON"])
def test_columns_are_the_same_in_every_spelling(server, spelling, format_):
    plain = run(server, insights_output_format=format_)
    server.insights.columns = spelling
    done = run(server, insights_output_format=format_)
    for stream in STREAMS:
        assert content(done, stream) == content(plain, stream), stream
        assert not any(row["_rescued_data"] for row in done.records(stream)), stream
    assert "catalog does not know" not in done.stderr


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("teamAlias", "team_alias"),
        ("TEAM_ALIAS", "team_alias"),
        ("Team Alias", "team_alias"),
        ("Team", "team_alias"),
        ("hashedAutodeskId", "hashed_autodesk_id"),
        ("Autodesk ID", "autodesk_id"),
        ("autodeskID", "autodesk_id"),
        ("Feature", "product_name"),
        (" Day used ", "day_used"),
        ("Group_type", "group_type"),
        ("New Column", "new_column"),
        ("newColumn", "new_column"),
        ("Größe", "Größe"),
        ("列", "列"),
    ],
)
def test_one_name_for_every_spelling(header, name):
    assert column_name(header) == name
