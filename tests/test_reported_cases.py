"""Situations of public reports and files, each with its right outcome, from the outside.

All data is made up. Cases that need an input file have it here; those about an API's answers over
several days are beside their kinds: `autodesk/test_existing_extracts.py` (an extract of one
project), `autodesk/test_whole_tables.py` (a ZIP without a table),
`autodesk/test_published_schema.py` (the published index and changes, versions of changes),
`streams/test_never_past_now.py` (an end date a month ahead, `last` that answers an empty list).
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import itertools
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from support import in_process
from support.sandbox_client import Client
from tap_autodesk_exports.sandbox import Sandbox, SandboxClock
from tap_autodesk_exports.settings import Settings
from tap_autodesk_exports.settings.rules import WrongSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.processes import TapRun

NOW = dt.datetime(2026, 1, 25, 4, tzinfo=dt.UTC)
JANUARY = {"start_date": "2026-01-01"}
ACCOUNT = "872264f8-2433-498d-8d36-16649ecb13fe"
PROJECT = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1, job_seconds=0, clock=SandboxClock(NOW)) as sandbox:
        yield sandbox


def insights(server: Sandbox, stream: str, *files: str, **config: Any) -> TapRun:
    """Load one team's export, whose files hold these texts, in order."""
    server.faults.clear()
    state = config.pop("state", None)
    team = server.data_connector.tables[server.account_id].world.teams[0].id
    paths = ("*_2.*", "*") if len(files) > 1 else ("*",)
    if stream == "insights_usage_report":  # beside one file with the explanation of its columns
        paths = ("*/usage_report.*",)
    replaced = [
        {
            "effect": "status",
            "status": 200,
            "body": text,
            "endpoint": "file",
            "path": path,
            "content_type": "text/csv",
            "times": None,
        }
        for path, text in zip(paths, reversed(files), strict=True)
    ]
    server.faults.add_all(replaced)
    settings = {"apis": ["insights"], "insights_team_ids": [team], **JANUARY, **config}
    return in_process.run(server, settings, stream, state=state)


def tokenflex(server: Sandbox, stream: str, text: str, **config: Any) -> TapRun:
    """Load one contract's export, whose file holds this text."""
    server.faults.clear()
    server.faults.add("status", status=200, body=text, endpoint="file", times=None)
    settings = {"apis": ["tokenflex"], **JANUARY, **config}
    return in_process.run(server, settings, stream)


def table(tmp_path: Path, name: str, text: str, **config: Any) -> TapRun:
    """Load a table of an extract that holds this text."""
    folder = tmp_path / "extract"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.csv").write_text(text, encoding="utf-8-sig")
    settings = {"apis": ["data_connector"], "data_connector_extract": "new", **config}
    with Sandbox(extract=folder, job_seconds=0) as server:
        return in_process.run(server, settings, name)


def failure(run: TapRun) -> str:
    assert run.code == 1, run.stderr
    (sentence,) = [line for line in run.stderr.splitlines() if "| FAILED " in line]
    return sentence


# --- 03: no data, in words ---------------------------------------------------------------------


def test_a_file_that_says_in_words_that_there_is_no_data_is_no_table(server):
    words = "No data available for the selected criteria\n"
    first = insights(server, "insights_usage", words)
    assert "insights_usage" in failure(first)
    assert first.state["exports"] == []
    requested = len(server.exports)
    second = insights(server, "insights_usage", words, state=first.state)
    assert failure(second)
    assert len(server.exports) > requested


# --- 05: seat rows and token rows in two downloads ---------------------------------------------

USAGE = (
    "access_option",
    "autodesk_id",
    "day_used",
    "email",
    "first_name",
    "hashed_autodesk_id",
    "last_name",
    "offering_name",
    "product_name",
    "team_alias",
    "version",
    "tokens_used",
)


def usage(option: str, first: int, last: int, tokens: str) -> list[dict[str, str]]:
    return [
        dict(
            zip(
                USAGE,
                (
                    option,
                    f"ID{at:04}",
                    f"2026-01-{at % 100 + 1:02}",
                    f"u{at}@example.invalid",
                    "U",
                    f"{at:040x}",
                    "X",
                    "AEC",
                    "Revit",
                    "T",
                    "2026",
                    tokens,
                ),
                strict=True,
            )
        )
        for at in range(first, last)
    ]


def as_text(rows: list[dict[str, str]], names: tuple[str, ...] = USAGE) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize("format_", ["CSV", "JSON"])
def test_both_downloads_of_a_usage_export_are_loaded(server, format_):
    server.insights.split_downloads = True
    write = as_text if format_ == "CSV" else json.dumps
    seats, tokens = usage("Subscription", 0, 10, ""), usage("Flex", 116, 120, "7")
    files = [write(seats), write(tokens)]
    run = insights(server, "insights_usage", *files, insights_output_format=format_)
    assert run.code == 0, run.stderr
    rows = run.records("insights_usage")
    assert len(rows) == len(run.table("insights_usage")) == 14
    assert sum(row["tokens_used"] or 0 for row in rows) == 28
    assert {row["hashed_autodesk_id"] for row in rows} == {
        row["hashed_autodesk_id"] for row in (*seats, *tokens)
    }


# --- 06: a team is renamed between two runs ----------------------------------------------------


def test_the_rows_of_a_renamed_team_take_the_place_of_the_old_ones(server):
    ann = [
        {**row, "hashed_autodesk_id": "ab" * 20, "autodesk_id": "A1B2C3D4E5F6"}
        for row in usage("Subscription", 0, 5, "")
    ]
    first = insights(server, "insights_usage", as_text([{**r, "team_alias": "Old"} for r in ann]))
    server.clock.advance(86400)
    renamed = as_text([{**row, "team_alias": "New name"} for row in ann])
    second = insights(server, "insights_usage", renamed, state=first.state)
    assert first.code == second.code == 0
    loaded = first.table("insights_usage") | second.table("insights_usage")
    assert len(loaded) == 5
    assert {row["team_alias"] for row in loaded.values()} == {"New name"}


# --- 07: one person, one offering, by seat and by token ----------------------------------------

REPORT = (
    "hashed_autodesk_id,first_name,last_name,email,autodesk_id,team_alias,group,offering_name,"
    "version,seat_assignment,assigned_date,unassigned_date,user_activity,days_inactive,"
    "access_option,days_used,monthly_average,tokens_used,last_accessed\n"
)
ANN = (
    f"{1:040},Ann,X,ann@example.invalid,ANN,T,,AEC Collection,2026,assigned,"
    "2024-05-10T21:20:32Z,,active,,"
)
SEAT, TOKEN = f"{ANN}Subscription,7,1.0,,2026-01-10\n", f"{ANN}Flex,4,1.0,28,2026-01-10\n"


def test_the_seat_row_keeps_its_key_without_the_token_row_in_every_order_of_rows(server):
    keys = set()
    for lines in itertools.permutations((SEAT, TOKEN)):
        run = insights(server, "insights_usage_report", REPORT + "".join(lines))
        assert run.code == 0, run.stderr
        rows = {row["access_option"]: row for row in run.records("insights_usage_report")}
        assert len(run.table("insights_usage_report")) == 2
        keys.add((rows["Subscription"]["_row_id"], rows["Flex"]["_row_id"]))
    ((seat, token),) = keys
    assert seat != token
    for line, key in ((SEAT.replace(",7,", ",8,"), seat), (TOKEN, token)):
        run = insights(server, "insights_usage_report", REPORT + line)
        assert [row["_row_id"] for row in run.records("insights_usage_report")] == [key]


# --- 08: a column in which no cell fits, and spellings of numbers ------------------------------


def test_cells_that_do_not_fit_are_kept_and_the_column_is_named_with_advice(server):
    spellings = ("60.00", "1,234.50", "1.234,50", "6,6", "(12.5)", "+5", " 60 ")
    names = (
        "usageCategory",
        "usageDate",
        "contractYear",
        "productName",
        "userName",
        "tokensConsumed",
    )
    rows = [
        dict(
            zip(
                names,
                ("DESKTOP_PRODUCT", "2026-01-02", "Year 3", "P", f"u{at}", text),
                strict=True,
            )
        )
        for at, text in enumerate(spellings)
    ]
    run = tokenflex(server, "tokenflex_usage", as_text(rows, names))
    assert run.code == 0, run.stderr
    loaded = {row["userName"]: row for row in run.records("tokenflex_usage")}
    assert len(loaded) == len(spellings)
    for at, text in enumerate(spellings):
        row = loaded[f"u{at}"]
        rescued = json.loads(row["_rescued_data"] or "{}")
        assert row["contractYear"] is None
        assert rescued["contractYear"] == "Year 3"
        if row["tokensConsumed"] is None:
            assert rescued["tokensConsumed"] == text
        else:
            assert row["tokensConsumed"] == Decimal(text.strip()), text
    assert loaded["u0"]["tokensConsumed"] == 60
    (line,) = [line for line in run.stderr.splitlines() if "No value of" in line]
    assert line.startswith("WARNING")
    assert "'contractYear'" in line
    assert "'Aaaa 9'" in line
    assert "in the catalog" in line


# --- 10: own exports that cannot be streams ----------------------------------------------------


def test_wrong_own_exports_are_refused_with_a_sentence_for_each():
    metrics = ["tokensConsumed"]
    exports = [
        {"name": "a", "fields": ["productName"], "metrics": metrics},
        {"name": "a", "fields": ["userName"], "metrics": metrics},
        {"name": "usage", "fields": ["productName"], "metrics": metrics},
        {"name": "b", "fields": ["_row_id", "productName"], "metrics": metrics},
    ]
    with pytest.raises(WrongSettings) as error:
        in_process.catalog({"apis": ["tokenflex"], "tokenflex_exports": exports})
    assert len(error.value.problems) == 3
    assert Settings.from_config({"tokenflex_exports": exports[:1]})


# --- 11: an address where a machine's name is expected -----------------------------------------


def test_no_address_leaves_in_clear_whatever_column_it_is_in(server):
    text = (
        "usageDate,productName,userName,machineName,chargedItemID\n"
        "2026-01-02,Revit,ann.person@example.invalid,PC-17,A\n"
        "2026-01-02,VRED Core,RENDER-04,ann.person@example.invalid,B\n"
    )
    key = {"hash_personal_data": True, "hash_key": "made-up-hash-key-of-some-length"}
    run = tokenflex(server, "tokenflex_desktop_sessions", text, **key)
    assert run.code == 0, run.stderr
    rows = {row["chargedItemID"]: row for row in run.records("tokenflex_desktop_sessions")}
    assert rows["A"]["userName"] == rows["B"]["machineName"]
    said = json.dumps(run.messages, default=str) + run.stderr
    for hidden in ("ann.person", "PC-17", "RENDER-04"):
        assert hidden not in said


# --- 12: JSON with camelCase names -------------------------------------------------------------

CAMEL = [
    {
        "teamAlias": "Welch Grape Shack",
        "offeringName": "AEC Collection",
        "contractNumber": "110001234567",
        "subscriptionId": "574-12345678",
        "term": "3 Years",
        "startDate": "2022-03-02 00:00",
        "endDate": "2025-03-01 00:00",
        "autorenewDate": "",
        "subscriptionStatus": "Active",
        "seatQuantity": "9",
        "resellerEmail": "",
        "resellerName": 'Rée, Söhne "& Co"',
    },
    {"teamAlias": "N/A", "offeringName": "AutoCAD", "contractNumber": "110001234568"},
]


def test_names_in_camel_case_are_the_columns_of_the_csv_file(server):
    run = insights(
        server, "insights_subscriptions", json.dumps(CAMEL), insights_output_format="JSON"
    )
    if not run.records("insights_subscriptions"):
        pytest.fail(run.stderr)
    first, second = run.records("insights_subscriptions")
    assert first["team_alias"] == "Welch Grape Shack"
    assert first["reseller_name"] == 'Rée, Söhne "& Co"'
    assert first["start_date"] == "2022-03-02T00:00:00.000000Z"
    assert first["seat_quantity"] == 9
    assert second["contract_number"] == "110001234568"
    assert json.loads(first["_rescued_data"]) == {"autorenew_date": ""}
    assert not second["_rescued_data"]
    assert "No value of" not in run.stderr


# --- tables of the Data Connector --------------------------------------------------------------


def test_columns_that_were_renamed_lose_nothing_and_the_advice_works(tmp_path):
    text = (
        "id,bim360_account_id,bim360_project_id,content_lineage_id,content_version,package_id,"
        f"type_id,object_name\nc1,{ACCOUNT},{PROJECT},,urn:adsk.wipprod:fs.file:vf.AbC?version=2,"
        ",,x\n"
    )
    renamed = text.replace("object_name", "object_node_name")
    run = table(tmp_path, "takeoff_takeoff_items", renamed)
    assert run.code == 0, run.stderr
    (row,) = run.records("takeoff_takeoff_items")
    rescued = json.loads(row["_rescued_data"] or "{}")
    assert rescued["object_node_name"] == "x"
    found = {**row, **rescued}
    assert "urn:adsk.wipprod:fs.file:vf.AbC?version=2" in found.values()
    lines = [line for line in run.stderr.splitlines() if "does not know" in line]
    assert len(lines) == 1
    assert "data_connector_schema: live" in lines[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("06:00:00", "06:00:00"),
        ("06:15", "06:15:00"),
        ("6", None),
        ("6:00", None),
        ("06:30:00.5", "06:30:00.5"),
        ("1970-01-01 07:00:00", None),
        ("8 AM", None),
        ("24:00:00", None),
    ],
)
def test_an_hour_is_a_time_or_is_kept_as_it_is_written(tmp_path, text, value):
    header = "weather_id,bim360_account_id,bim360_project_id,hour,temp\n"
    run = table(tmp_path, "forms_weather_hours", f"{header}1,{ACCOUNT},{PROJECT},{text},1.5\n")
    assert run.code == 0, run.stderr
    (row,) = run.records("forms_weather_hours")
    if row["hour"] is None:
        rescued = json.loads(row["_rescued_data"] or "{}")
        assert rescued["hour"] == text
        assert value is None or text == "06:15"
    else:
        assert row["hour"].startswith(value or "never")


def test_digits_of_numbers_and_codes_never_change(tmp_path):
    header = (
        "activity_id,bim360_account_id,bim360_project_id,created_at,object_code,object_subject_id,"
        "object_main_contract_code\n"
    )
    lines = (
        f"a1,{ACCOUNT},{PROJECT},2026-01-02 00:00:00,01000,9007199254740993,\n"
        f'a2,{ACCOUNT},{PROJECT},2026-01-02 00:00:00.5,B-12,,"1,000.50"\n'
    )
    config = {"start_date": "2026-01-01"}
    run = table(tmp_path, "activities_cost_activities", header + lines, **config)
    assert run.code == 0, run.stderr
    rows = {row["activity_id"]: row for row in run.records("activities_cost_activities")}
    for key, column, text in (
        ("a1", "object_code", "01000"),
        ("a1", "object_subject_id", "9007199254740993"),
        ("a2", "object_code", "B-12"),
        ("a2", "object_main_contract_code", "1,000.50"),
    ):
        rescued = json.loads(rows[key]["_rescued_data"] or "{}")
        value = rows[key][column]
        assert (rescued[column] if value is None else str(value)) == text, column


def test_an_extract_of_one_project_is_not_loaded_for_the_account(tmp_path):
    folder = tmp_path / "extract"
    folder.mkdir()
    (folder / "issues_issue_types.csv").write_text(
        "issue_type_id,bim360_account_id,bim360_project_id,issue_type,is_active\n"
        f"a0000000-0000-4000-8000-000000000001,{ACCOUNT},{PROJECT},Only of project 1,t\n"
    )
    with Sandbox(extract=folder, job_seconds=0) as server:
        body = {"serviceGroups": ["issues"], "projectId": PROJECT, "projectIdList": None}
        _, job = server.data_connector.add_extract(body)
        config: dict[str, Any] = {"apis": ["data_connector"]}
        run = in_process.run(server, config, "issues_issue_types")
        assert run.code == 0, run.stderr
        assert len(server.exports) == 1
        assert {row["_export_id"] for row in run.records("issues_issue_types")} != {job}
    with Sandbox(extract=folder, job_seconds=0) as server:
        server.data_connector.add_extract(body)
        latest = {**config, "data_connector_extract": "latest"}
        run = in_process.run(server, latest, "issues_issue_types")
        assert "no successful extract that covers" in failure(run)
        assert server.exports == []


# --- answers -----------------------------------------------------------------------------------


def test_a_contract_in_another_form_stops_neither_the_others_nor_other_apis(server):
    edit = {"effect": "edit", "endpoint": "contracts", "removed": ["0.isActive"], "times": None}
    server.faults.add_all([edit])
    config = {"apis": ["insights", "tokenflex", "data_connector"], **JANUARY}
    streams = ("insights_users", "tokenflex_manual_usage", "issues_issue_types")
    run = in_process.run(server, config, *streams)
    assert "without 'isActive'" in failure(run)
    for stream in streams:
        assert run.records(stream), stream


def test_the_list_of_exports_is_requested_with_dates_that_have_a_time(server):
    server.tokenflex.date_times_only = True
    config = {"apis": ["tokenflex"], **JANUARY}
    run = in_process.run(server, config, "tokenflex_manual_usage", "tokenflex_export_requests")
    assert run.code == 0, run.stderr
    assert Client(server).contract()
