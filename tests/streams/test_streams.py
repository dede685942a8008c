"""Every stream over real HTTP: the rows that arrive are the rows that the sandbox served.

The served files are read a second time, by Python's csv module; the tap is a process of its own.
"""

from __future__ import annotations

import datetime as dt
import json
import subprocess
from collections import Counter, defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import pytest

from end_to_end import independent_reading
from support import in_process, processes
from support.rescued import opened
from tap_autodesk_exports.autodesk.insights.datasets import column_name
from tap_autodesk_exports.sandbox import Sandbox
from tap_autodesk_exports.tables.layout import PROVENANCE, type_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_autodesk_exports.sandbox.record import Served

INSIGHTS = {
    "SUBSCRIPTIONS": "insights_subscriptions",
    "USERS": "insights_users",
    "USAGE": "insights_usage",
    "USAGE_REPORT": "insights_usage_report",
}
ADDED = {"team_id", "window_start", "window_end", *PROVENANCE}
TODAY = dt.datetime.now(dt.UTC).date()
RANGE = {"start_date": f"{TODAY - dt.timedelta(days=56)}", "end_date": f"{TODAY}"}
AGAIN = f"{TODAY - dt.timedelta(days=7)}"


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.3, job_seconds=0.2) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def catalog() -> dict[str, Any]:
    """What discovery finds, with everything selected."""
    command = [str(processes.BIN / "tap-autodesk-exports"), "--discover"]
    found: dict[str, Any] = json.loads(subprocess.check_output(command, stderr=subprocess.PIPE))
    for stream in found["streams"]:
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = True
    return found


@pytest.fixture(scope="module")
def first(server, catalog, tmp_path_factory) -> processes.TapRun:
    """The first run: all streams, two months."""
    folder = tmp_path_factory.mktemp("first")
    return processes.run_tap(folder, {**server.settings(), **RANGE}, catalog=catalog)


@pytest.fixture(scope="module")
def files(server, first) -> dict[str, list[Served]]:
    """Stream -> the files that were served for it in the first run."""
    assert first.code == 0, first.stderr
    names = {export.id: export.body for export in server.exports}
    found: dict[str, list[Served]] = defaultdict(list)
    for served in list(server.served):
        if served.path is None or not served.name.endswith(".csv"):
            continue
        if served.api == "insights" and served.kind in INSIGHTS:
            found[INSIGHTS[served.kind]].append(served)
        elif served.api == "tokenflex":
            found[names[served.export_id]["downloadFileName"].partition("-")[0]].append(served)
        elif served.api == "data_connector":
            found[served.kind].append(served)
    return found


def exported(catalog) -> list[str]:
    return [
        stream["tap_stream_id"]
        for stream in catalog["streams"]
        if "_row_id" in stream["schema"]["properties"]
    ]


def added(stream: str) -> set[str]:
    """Return the columns that are in no file."""
    return ADDED | ({"contract_number"} if stream.startswith("tokenflex") else set())


def canonical(value: Any) -> Any:
    """Write a value of the second reading as the record has it."""
    if isinstance(value, dt.datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return value


def comparable(row: dict[str, Any]) -> str:
    return json.dumps(
        {
            name: str(Decimal(value)) if isinstance(value, int | Decimal) else value
            for name, value in row.items()
            if not isinstance(value, bool)
        }
        | {name: value for name, value in row.items() if isinstance(value, bool)},
        sort_keys=True,
    )


def test_discovery_offers_all_443_tables_and_the_rest(catalog):
    names = {stream["tap_stream_id"] for stream in catalog["streams"]}
    assert len(exported(catalog)) == 443 + 4 + 3
    assert len(names) == 443 + 6 + 9 + 3


def test_every_exported_stream_holds_the_rows_that_were_served(first, files, catalog):
    schemas = {stream["tap_stream_id"]: stream["schema"] for stream in catalog["streams"]}
    wrong = []
    for stream in exported(catalog):
        types = {
            name: type_of(schema).value
            for name, schema in schemas[stream]["properties"].items()
            if name not in added(stream)
        }
        served = Counter(
            comparable({name: canonical(value) for name, value in row.items()})
            for file in files[stream]
            for row in independent_reading.rows(file.path, types)
        )
        got = Counter(
            comparable(
                {
                    name: value
                    for name, value in record.items()
                    if name not in added(stream) or name == "_rescued_data"
                }
            )
            for record in map(opened, first.records(stream))
        )
        if served != got:
            wrong.append(
                (stream, list((served - got).items())[:1], list((got - served).items())[:1])
            )
    assert wrong == []


def test_every_exported_stream_was_asked_for(files, catalog):
    assert set(exported(catalog)) <= set(files)


def test_every_row_tells_its_export_and_when_it_was_taken(first, server, catalog):
    jobs = {export.id for export in server.exports}
    for stream in exported(catalog):
        for record in first.records(stream):
            assert record["_exported_at"][:10] >= f"{TODAY}"
            assert len(record["_row_id"]) == 32
            if stream.startswith(("insights", "tokenflex")):
                assert record["_export_id"] in jobs


def test_no_two_rows_of_an_export_have_one_key(first, catalog):
    for stream in exported(catalog):
        key = first.of_type("SCHEMA", stream)[-1]["key_properties"]
        keys = Counter(
            (record["_export_id"], *(record[name] for name in key))
            for record in first.records(stream)
        )
        assert not [key for key, count in keys.items() if count > 1], stream


def test_lists_hold_what_the_api_listed(first, server):
    contexts = first.table("insights_contexts")
    assert len(contexts) == 4
    assert any("ReportingAPIAccess" in row["reportingBenefits"] for row in contexts.values())
    assert {row["id"] for row in first.records("insights_exports")} <= {
        export.id for export in server.exports
    }
    enrichments = first.records("tokenflex_enrichments")
    assert [row["position"] for row in enrichments] == list(range(1, 11))
    for stream in ("tokenflex_contracts", "tokenflex_contract_years", "tokenflex_last_usage"):
        assert first.records(stream), stream
    (job,) = {row["_export_id"] for row in first.records("admin_users")}
    assert job in {row["id"] for row in first.records("data_connector_jobs")}
    assert "admin_users.csv" in {
        row["name"] for row in first.records("data_connector_files") if row["job_id"] == job
    }


def test_signed_links_are_in_no_record(first, server):
    text = json.dumps(first.messages, default=str)
    assert processes.secrets_in(text + first.stderr, server.secrets()) == []


def test_one_job_serves_all_tables_of_a_range(server, first):
    """Eight weeks of activities take two jobs, or three, of which the last brings the snapshots.

    All changes since the start date take one.
    """
    assert first.code == 0
    jobs = [export for export in server.exports if export.api == "data_connector"]
    assert len(jobs) <= 4
    assert len({row["_export_id"] for row in first.records("issues_issues")}) == 1


def tables(catalog) -> list[dict[str, Any]]:
    """Return Data Connector's tables."""
    names = {name for name in exported(catalog) if not name.startswith(("insights", "tokenflex"))}
    return [each for each in catalog["streams"] if each["tap_stream_id"] in names]


def every_kind(catalog) -> dict[str, Any]:
    """Return a catalog that holds every kind of stream, all of them selected.

    These are all streams of Insights and Token Flex, all lists, and of Data Connector two tables of
    each service group: snapshots, activities and changes, with keys and without.
    """
    left_out = []
    groups: Counter[str] = Counter()
    for table in tables(catalog):
        group = table["tap_stream_id"].partition("_")[0]
        groups[group] += 1
        left_out += [table] if groups[group] > 2 else []
    return {"streams": [each for each in catalog["streams"] if each not in left_out]}


def test_a_second_run_asks_only_for_what_is_new(first, server, catalog, tmp_path):
    before = len(server.exports)
    tomorrow = f"{TODAY + dt.timedelta(days=1)}"
    config = {**server.settings(), **RANGE, "end_date": tomorrow, "lookback_days": 7}
    kinds = every_kind(catalog)
    second = processes.run_tap(tmp_path, config, catalog=kinds, state=first.state)
    assert second.code == 0, second.stderr
    asked = server.exports[before:]
    for export in asked:
        if "startDate" in export.body:
            first_day = AGAIN if export.api != "insights" else f"{AGAIN[:7]}-01"
            assert export.body["startDate"] >= first_day, export
        if "usageDate >=" in export.body.get("where", ""):
            assert f"usageDate >= '{AGAIN}'" in export.body["where"]
    # The extract is young, so it still serves, and none of its rows is sent again.
    snapshots = [
        stream["tap_stream_id"]
        for stream in tables(kinds)
        if stream.get("replication_method") == "FULL_TABLE"
    ]
    assert len(snapshots) > 40
    assert set(snapshots) <= set(second.streams)
    assert not [name for name in snapshots if second.records(name)]
    assert len([export for export in asked if export.api == "data_connector"]) == 1
    # What is read again has the id that it had.
    for stream in ("insights_usage", "tokenflex_usage"):
        again = {
            key: row for key, row in second.table(stream).items() if key in first.table(stream)
        }
        assert again
        assert all(row["_row_id"] in {k[0] for k in first.table(stream)} for row in again.values())


def test_both_generations_of_column_names_give_one_name():
    assert column_name("Team") == column_name("team_alias") == "team_alias"
    assert column_name("Product") == column_name("offering_name") == "offering_name"
    assert column_name("First name") == column_name("first_name")
    assert column_name("Autodesk ID") == column_name("autodesk_id")


@pytest.fixture(scope="module")
def insights() -> Iterator[Callable[..., processes.TapRun]]:
    """Run all of Insights, again and again, over one sandbox; `columns` are its files' names."""
    with Sandbox(scale=0.1, job_seconds=0) as sandbox:

        def run(columns: Literal["snake", "title"], output_format: str) -> processes.TapRun:
            sandbox.insights.columns = columns
            config = {**RANGE, "apis": ["insights"], "insights_output_format": output_format}
            return in_process.run(sandbox, config, *INSIGHTS.values())

        yield run


@pytest.fixture(scope="module")
def plain(insights) -> processes.TapRun:
    return insights("snake", "CSV")


@pytest.mark.parametrize("output_format", ["CSV", "EXCEL", "JSON"])
@pytest.mark.parametrize("columns", ["snake", "title"])
def test_every_format_and_generation_of_an_insights_file_gives_the_same_rows(
    insights, plain, output_format, columns
):
    run = insights(columns, output_format)
    assert run.code == 0, run.stderr
    for stream in INSIGHTS.values():
        assert run.records(stream)
        expected = [without_export(row) for row in plain.table(stream).values()]
        got = [without_export(row) for row in run.table(stream).values()]
        # Rows that share their key are numbered by their texts, and a workbook has other texts of
        # numbers (6 for 6.0): such rows may have exchanged their IDs.
        ids = [sorted(row.pop("_row_id") for row in rows) for rows in (got, expected)]
        assert ids[0] == ids[1]
        assert sorted(got, key=json.dumps) == sorted(expected, key=json.dumps)


def without_export(row: dict[str, Any]) -> dict[str, Any]:
    left_out = {"_export_id", "_exported_at", "window_end"}
    return {
        name: f"{Decimal(value):f}".removesuffix(".0")
        if isinstance(value, Decimal | int)
        else value
        for name, value in row.items()
        if name not in left_out and value != ""
    }


def test_an_export_of_ones_own_is_a_stream(server, tmp_path):
    config = {
        **server.settings(),
        "apis": ["tokenflex"],
        "tokenflex_exports": [
            {
                "name": "by_product",
                "fields": ["productName"],
                "metrics": ["tokensConsumed"],
                "usage_category": ["CLOUD_PRODUCT"],
                "where": "contractYear=1",
                "primary_keys": ["productName"],
            }
        ],
    }
    own = in_process.catalog(config, "tokenflex_by_product")
    run = processes.run_tap(tmp_path, config, catalog=own)
    assert run.code == 0, run.stderr
    table = run.table("tokenflex_by_product")
    assert table
    assert all(row["productName"] for row in table.values())
