"""`autodesk-exports shapes`: what differs is listed, and nothing that is anybody's."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from destinations.conftest import Source
from support.in_process import SandboxTime
from support.processes import BIN, clean_environment
from tap_autodesk_exports.sandbox import Sandbox
from tap_autodesk_exports.settings import Settings
from tap_autodesk_exports.shapes.files import shape_of
from tap_autodesk_exports.shapes.kinds import form_of, kind_of
from tap_autodesk_exports.shapes.visit import visit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1, job_seconds=0) as sandbox:
        yield sandbox


@pytest.fixture
def shapes(server, tmp_path) -> Callable[..., dict[str, Any]]:
    """Run the command over the sandbox; return its report."""

    def run(*options: str, **config: Any) -> dict[str, Any]:
        file = tmp_path / "config.json"
        file.write_text(json.dumps({**server.settings(), **config}))
        done = subprocess.run(
            [str(BIN / "autodesk-exports"), "shapes", "--config", str(file), "--json", *options],
            capture_output=True,
            text=True,
            env=clean_environment(),
            check=False,
        )
        assert done.stdout, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        odd = bool(report["differences"] or report["failures"])
        assert done.returncode == int(odd), done.stderr
        return report

    return run


def test_the_sandbox_answers_as_this_release_expects(shapes):
    report = shapes()
    assert report["differences"] == report["failures"] == []
    assert len(report["endpoints"]) > 15
    assert {"insights_users file 1", "tokenflex_usage file 1", "admin_users.csv"} <= set(
        report["files"]
    )
    day = report["files"]["insights_usage file 1"]
    assert day["columns"]["day_used"] == ["date"]
    assert day["forms"]["day_used"] == ["9999-99-99"]


@pytest.mark.parametrize("wanted", ["CSV", "EXCEL", "JSON"])
@pytest.mark.parametrize("scope", ["per_team", "all_teams"])
def test_so_do_its_files_in_every_format(server, wanted, scope):
    config = {"insights_output_format": wanted, "insights_export_scope": scope}
    settings = Settings.from_config({**server.settings(), "apis": ["insights"], **config})
    seen = visit(settings, SandboxTime(server), with_exports=True, minutes=1)
    assert seen.differences == seen.failures == []
    assert seen.files["insights_users file 1"].rows_seen > 0


@pytest.mark.parametrize(
    ("fault", "difference"),
    [
        (
            {"api": "insights", "endpoint": "contexts", "edits": {"*.region": "EU"}},
            "insights GET /contexts: unknown field region (text)",
        ),
        (
            {"api": "tokenflex", "endpoint": "last", "edits": {"*.lastUsageDate": 7.5}},
            "tokenflex GET /usage/:id/last: field lastUsageDate is number, expected date",
        ),
        (
            {"api": "tokenflex", "endpoint": "contracts", "edits": {"*.isActive": "yes"}},
            "tokenflex GET /contract: field isActive is text, expected boolean",
        ),
        (
            {"api": "data_connector", "endpoint": "jobs", "edits": {"results.*.region": {"a": 1}}},
            "data_connector GET /accounts/:id/jobs: unknown field region.a (number)",
        ),
    ],
)
def test_a_changed_field_of_an_answer_is_the_one_difference(server, shapes, fault, difference):
    server.faults.add("edit", times=None, **fault)
    report = shapes()
    assert report["differences"] == [difference]


@pytest.mark.parametrize(
    ("fault", "difference"),
    [
        (
            {"endpoint": "contexts", "removed": ["*.alias"]},
            "insights GET /contexts: field alias is missing",
        ),
        (
            {"endpoint": "export", "removed": ["downloads.*.type"]},
            "insights GET /exports/:id: field downloads.type is missing",
        ),
        (
            {"endpoint": "list", "removed": ["pagination.totalResults"]},
            "insights GET /exports: field (page).pagination.totalResults is missing",
        ),
        (
            {"endpoint": "list", "removed": ["pagination"]},
            "insights GET /exports: field (page).pagination is missing",
        ),
        (
            {"endpoint": "list", "edits": {"next": "ann"}},
            "insights GET /exports: unknown field (page).next (text)",
        ),
        (
            {"endpoint": "list", "edits": {"exports.*.teamName": 7}},
            "insights GET /exports: field teamName is number, expected text",
        ),
        (
            {"endpoint": "contexts", "edits": {"*.reportingBenefits": [7]}},
            "insights GET /contexts: field reportingBenefits is list of number, expected texts",
        ),
        (
            {"endpoint": "list", "edits": {"exports.*.downloads": ["ann"]}},
            "insights GET /exports: field downloads is list of text, expected objects",
        ),
    ],
)
def test_whatever_happens_to_a_field_is_the_one_difference_and_told_without_its_value(
    server, fault, difference
):
    settings = Settings.from_config({**server.settings(), "apis": ["insights"]})
    visit(settings, SandboxTime(server), with_exports=True, minutes=5)  # then there is a list
    server.faults.add("edit", api="insights", times=None, **fault)
    seen = visit(settings, SandboxTime(server), with_exports=True, minutes=5)
    assert seen.differences == [difference]
    assert "ann" not in json.dumps(seen.as_json())


def test_another_spelling_of_columns_is_listed(server, shapes):
    server.insights.columns = "title"
    report = shapes(apis=["insights"])
    assert "insights_users file 1: column email is spelled Email" in report["differences"]
    assert not [line for line in report["differences"] if "unknown" in line or "missing" in line]


def test_columns_that_are_all_new_are_listed_and_not_shown(server, shapes):
    """A file without any known column may be one without a header, whose first row is a person."""
    rows = "ann@example.test,Ann,Admin\nbob@example.test,Bob,Admin\n"
    server.faults.add("words", api="insights", body=rows, times=None)
    report = shapes(apis=["insights"])
    assert sorted(report["differences"]) == [
        f"insights_{name}: no file has its columns"
        for name in ("subscriptions", "usage", "usage_report", "users")
    ]
    assert "ann" not in json.dumps(report)


def test_a_table_that_the_extract_lacks_is_listed(server, shapes):
    server.data_connector.zip_files = {"issues_issues.csv": "missing"}
    report = shapes(apis=["data_connector"])
    assert report["differences"] == ["issues_issues.csv: is not in the extract"]


@pytest.mark.parametrize(
    ("cell", "difference"),
    [
        ("many", "column qty is text, expected number"),
        ("2026-01-31", "column qty is date, expected number"),
        ("1.5", None),
        ("", None),
    ],
)
def test_cells_of_another_kind_and_tables_without_a_stream_are_listed(tmp_path, cell, difference):
    table = "cost_main_contract_items"
    source = Source(tmp_path / "extract")
    with source.sandbox as server:
        source.write([{"id": "1", "qty": cell}, {"id": "2", "qty": ""}], table)
        source.write([{"id": "1"}], "cost_brand_new")
        source.write([{"id": "1"}], "cost_of_2026-01-31_Ann")
        settings = Settings.from_config({**server.settings(), **source.config()})
        found = visit(settings, SandboxTime(server), with_exports=True, minutes=5).differences
    listed = [line for line in found if "qty" in line]
    assert listed == ([f"{table}.csv: {difference}"] if difference else [])
    assert "cost_brand_new.csv: unknown table" in found
    assert "Ann" not in str(found)


@pytest.mark.parametrize(
    ("body", "kind"), [("null", "null"), ("", "null"), ("<p>ann@b.test</p>", "not JSON")]
)
def test_an_answer_that_says_nothing_is_listed(server, body, kind):
    """Also where the run goes on, so that nothing else of the report shows it."""
    server.faults.add("status", api="tokenflex", endpoint="submit", status=200, body=body, times=1)
    settings = Settings.from_config({**server.settings(), "apis": ["tokenflex"]})
    seen = visit(settings, SandboxTime(server), with_exports=True, minutes=5)
    assert seen.failures == []
    assert seen.differences == [
        f"tokenflex POST /export/:id/requests: unknown field (entry) ({kind})"
    ]


def test_it_holds_no_value_name_or_id(server, shapes):
    text = json.dumps(shapes())
    served = b"".join(one.path.read_bytes() for one in server.served if one.path)
    people = set(re.findall(r"[\w.+-]+@[\w.-]+", served.decode(errors="ignore")))
    known = {server.account_id, *people, *server.secrets()}
    known |= {export.id for export in server.exports}
    assert len(known) > 20
    assert [value for value in known if value in text] == []


def test_no_export_is_requested_where_none_is_wanted(server, shapes):
    report = shapes("--no-exports")
    assert server.exports == []
    assert report["files"] == {}


def test_a_refusal_is_a_failure_and_names_no_id(server, shapes):
    server.faults.add("status", api="tokenflex", endpoint="contracts", status=403, times=None)
    report = shapes()
    assert report["differences"] == ["tokenflex GET /contract: answered 403"]
    assert "tokenflex exports: ApiError 403" in report["failures"]
    assert any(name.startswith("insights_users") for name in report["files"])


def test_it_is_written_as_markdown_or_json(server, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**server.settings(), "apis": ["insights"]}))
    for name, start in (("shapes.md", "# Shapes"), ("shapes.json", "{")):
        command = [str(BIN / "autodesk-exports"), "shapes", "--config", str(config), "--output"]
        done = subprocess.run(
            [*command, str(tmp_path / name)], capture_output=True, text=True, check=True
        )
        assert "0 differences, 0 failures" in done.stdout
        assert (tmp_path / name).read_text().startswith(start)


@pytest.mark.parametrize("size", [200_000, 5 << 20])
@pytest.mark.parametrize("place", ["header", "row"])
def test_a_very_long_cell_has_a_shape_as_well(tmp_path, size, place):
    path = tmp_path / "users.csv"
    long = "x" * size
    text = f"email,{long}\na,b\n" if place == "header" else f"email,role\n{long},b\n"
    path.write_text(text)
    limit = csv.field_size_limit()
    shape = shape_of(path, tmp_path, {"email"}, str)
    assert "email" in shape.columns or shape.problem
    assert csv.field_size_limit() == limit < size  # of the whole process
    assert "xx" not in json.dumps(shape.as_json())


def test_kinds_tell_no_value():
    assert kind_of(None) == "null"
    assert kind_of(True) == "boolean"  # noqa: FBT003
    assert kind_of(["a", 1]) == "list of number or text"
    assert kind_of("2026-01-31 04:05") == "date-time"
    assert kind_of("2026-01-31") == "date"
    assert kind_of("someone@example.com") == "text"
    assert form_of("2026-01-31 04:05") == "9999-99-99 99:99"
