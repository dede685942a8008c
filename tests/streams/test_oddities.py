"""What is odd is said once, in words, and stops nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support import in_process
from tap_autodesk_exports.autodesk.chosen import named
from tap_autodesk_exports.autodesk.tokenflex.datasets import MANUAL_USAGE, USAGE
from tap_autodesk_exports.sandbox import Sandbox
from tap_autodesk_exports.tap import TapAutodeskExports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.processes import TapRun

APIS = ["insights", "tokenflex", "data_connector"]
TOKENS: dict[str, Any] = {"apis": ["tokenflex"]}


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1, job_seconds=0) as sandbox:
        yield sandbox


def warnings(run: TapRun, word: str) -> list[str]:
    lines = [line for line in run.stderr.splitlines() if word in line]
    assert all(line.startswith("WARNING") for line in lines)
    return lines


# --- columns -----------------------------------------------------------------------------------


@pytest.mark.parametrize("batches", [False, True])
def test_a_column_none_of_whose_values_fits_is_named_with_the_shape_of_one(tmp_path, batches):
    (tmp_path / "extract").mkdir()
    (tmp_path / "extract/issues_issues.csv").write_text(
        "issue_id,display_id,due_date,title\na,Year 3,2026-01-01,x\nb,Year 4,soon,y\nc,,,\n"
    )
    storage = {
        "encoding": {"format": "parquet"},
        "storage": {"root": f"file://{tmp_path}", "prefix": "b-"},
    }
    config = {"apis": ["data_connector"], **({"batch_config": storage} if batches else {})}
    with Sandbox(extract=tmp_path / "extract", job_seconds=0) as server:
        run = in_process.run(server, config, "issues_issues")
    assert run.code == 0, run.stderr
    (line,) = warnings(run, "No value of")
    assert "'display_id' in 'issues_issues.csv' is an integer, such as 'Aaaa 9'" in line
    assert "make it a string in the catalog" in line


def test_the_advice_for_a_column_of_another_type_works(tmp_path):
    (tmp_path / "extract").mkdir()
    (tmp_path / "extract/issues_issues.csv").write_text("issue_id,display_id\na,Year 3\n")
    config = {"apis": ["data_connector"]}
    with Sandbox(extract=tmp_path / "extract", job_seconds=0) as server:
        settings = {**server.settings(), **config, "data_connector_service_groups": ["issues"]}
        catalog = in_process.catalog(settings, "issues_issues")
        properties = catalog["streams"][0]["schema"]["properties"]
        properties["display_id"] = {"type": ["string", "null"]}
        run = in_process.run(server, settings, found=catalog)
    assert warnings(run, "No value of") == []
    assert [row["display_id"] for row in run.records("issues_issues")] == ["Year 3"]


@pytest.mark.parametrize(
    "spelled",
    [
        ("usage_date", "tokens_consumed", "custom_field_10", "product_line_code"),
        ("Usage date", "Tokens consumed", "Custom field 10", "Product line code"),
        ("USAGEDATE", "TOKENSCONSUMED", "CUSTOMFIELD10", "PRODUCTLINECODE"),
        ("UsageDate", "TokensConsumed", "CustomField10", "ProductLineCode"),
    ],
)
def test_headers_of_token_flex_are_read_in_every_spelling(spelled):
    names = [USAGE.rename(header) for header in spelled]
    assert names == ["usageDate", "tokensConsumed", "customField10", "productLineCode"]


def test_a_name_that_no_field_has_stays_as_it_is():
    assert MANUAL_USAGE.rename("Something else") == "Something else"


# --- answers -----------------------------------------------------------------------------------


def test_unknown_fields_of_answers_are_named_once_for_each_api(server):
    edits = [
        ("contexts", {"*.region": "US"}),
        ("list", {"exports.*.priority": 1}),
        ("export", {"priority": 1, "downloads.*.checksum": "x"}),
        ("jobs", {"results.*.tier": {"name": "gold"}}),
        ("contracts", {"*.region": "EU"}),
    ]
    server.faults.add_all(
        [
            {"effect": "edit", "endpoint": endpoint, "edits": changed, "times": None}
            for endpoint, changed in edits
        ]
    )
    config = {"apis": APIS, "start_date": "2026-01-01"}
    streams = ("insights_users", "insights_contexts", "tokenflex_contracts", "issues_issue_types")
    run = in_process.run(server, config, *streams)
    assert run.code == 0, run.stderr
    lines = "\n".join(warnings(run, "does not know"))
    for field, times in {
        "'region'": 2,
        "'priority'": 1,
        "'downloads.checksum'": 1,
        "'tier.name'": 1,
    }.items():
        assert lines.count(field) == times, (field, lines)
    rescued = [row["_rescued_data"] for row in run.records("insights_contexts")]
    assert all(json.loads(each) == {"region": "US"} for each in rescued)


def test_answers_as_they_are_documented_are_not_spoken_of(server):
    config = {"apis": APIS, "start_date": "2026-01-01"}
    streams = (
        "insights_exports",
        "insights_usage_report",
        "tokenflex_export_requests",
        "tokenflex_manual_usage",
        "data_connector_requests",
        "data_connector_files",
        "issues_issue_types",
    )
    run = in_process.run(server, config, *streams)
    assert run.code == 0, run.stderr
    assert warnings(run, "does not know") == []


def test_a_contract_of_the_settings_that_is_none_of_the_users_is_named_and_costs_no_export(server):
    known = in_process.run(server, TOKENS, "tokenflex_contracts").records("tokenflex_contracts")
    number = known[0]["contractNumber"]
    config = {**TOKENS, "tokenflex_contract_numbers": [number, "4711"]}
    run = in_process.run(server, config, "tokenflex_manual_usage", "tokenflex_contract_years")
    assert run.code == 1
    sentences = [line for line in run.stderr.splitlines() if "| FAILED " in line]
    assert len(sentences) == 1  # of both streams
    assert "contract 4711 of 'tokenflex_contract_numbers' is none of this user's" in sentences[0]
    assert {export.owner for export in server.exports} == {number}
    years = run.records("tokenflex_contract_years")
    assert {row["contractNumber"] for row in years} == {number}


def test_a_contract_that_is_listed_or_named_twice_is_read_once(server):
    listed = in_process.run(server, TOKENS, "tokenflex_contracts").records("tokenflex_contracts")
    entries = [
        {name: value for name, value in row.items() if not name.startswith("_")} for row in listed
    ]
    again = {"status": 200, "body": json.dumps(entries * 2), "content_type": "application/json"}
    server.faults.add("status", endpoint="contracts", times=None, **again)
    done = in_process.run(server, TOKENS, "tokenflex_usage")
    assert done.code == 0, done.stderr
    assert len(done.records("tokenflex_usage")) == len(done.table("tokenflex_usage")) > 0
    twice = named(["1", "2", "1"], [{"id": 1}, {"id": 2}], "id", str.format)
    assert twice.items == ("1", "2")


def test_a_user_without_contracts_is_told_so(server):
    server.tokenflex.admin = False
    config = {**TOKENS, "emit_activate_version_messages": True}
    run = in_process.run(server, config, "tokenflex_contracts")
    assert run.code == 1
    assert "this user sees no contract" in run.stderr
    assert run.of_type("ACTIVATE_VERSION") == []


# --- selection ---------------------------------------------------------------------------------


def whole_catalog(server: Sandbox, *selected: str) -> dict[str, Any]:
    config = {**server.settings(), "apis": ["insights", "tokenflex"]}
    found: dict[str, Any] = json.loads(json.dumps(TapAutodeskExports(config=config).catalog_dict))
    for entry in found["streams"]:
        for node in entry["metadata"]:
            if not node["breadcrumb"]:
                node["metadata"]["selected"] = entry["tap_stream_id"] in selected
    return found


def test_that_nothing_is_selected_is_said(server):
    config = {"apis": ["insights", "tokenflex"]}
    run = in_process.run(server, config, found=whole_catalog(server))
    assert run.code == 0
    (line,) = warnings(run, "No stream is selected")
    assert "meltano select" in line
    assert warnings(in_process.run(server, config, "insights_contexts"), "No stream") == []


@pytest.mark.parametrize(
    "maps",
    [
        {"insights_users": {"email": None}},
        {"insights_users": None},
        {"insights_*": {"where": "'here'"}},
        {"a_copy": {"__source__": "insights_users"}},
        {"no_stream": {"where": "'here'"}},
    ],
)
def test_a_map_of_a_stream_that_is_not_selected_does_nothing(server, maps):
    config = {"apis": ["insights", "tokenflex"], "stream_maps": maps}
    found = whole_catalog(server, "tokenflex_contracts")
    run = in_process.run(server, config, found=found)
    assert run.code == 0, run.stderr
    assert run.records("tokenflex_contracts")
    assert "Traceback" not in run.stderr
    assert ("'stream_maps' names what no stream is called" in run.stderr) == ("no_stream" in maps)
