"""The schema as Autodesk publishes it: an index of more than groups, changes without their time."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from support import in_process
from support.raw_server import RawServer, answer
from tap_autodesk_exports.autodesk.data_connector.schema import live, registry
from tap_autodesk_exports.cli import main
from tap_autodesk_exports.sandbox import Sandbox
from tap_autodesk_exports.tap import TapAutodeskExports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHANGE = {
    "service_group": "issues",
    "table": "issues",
    "column": "severity",
    "change_type": "ADDED",
    "notes": "New column",
    "year": 2026,
    "month": 9,
}


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1, job_seconds=0) as sandbox:
        sandbox.data_connector.published_schema = "observed"
        yield sandbox


def discover(server: Sandbox, schema: str = "live") -> dict[str, Any]:
    config = {**server.settings(), "apis": ["data_connector"], "data_connector_schema": schema}
    found = TapAutodeskExports(config=config).catalog_dict["streams"]
    return {entry["tap_stream_id"]: entry for entry in found}


def test_discovery_from_the_published_schema_keeps_key_and_version_of_changes(server):
    found = discover(server)
    assert found == discover(server, "bundled")
    changes = [entry for name, entry in found.items() if name.startswith("cdc")]
    assert len(changes) == 152
    for entry in changes:
        assert entry["key_properties"] == ("adsk_row_id",), entry["tap_stream_id"]
        assert entry["replication_key"] in entry["schema"]["properties"]


def test_a_new_table_of_changes_has_what_its_neighbours_have(server):
    tables = dict(server.data_connector.registry)
    for group in ("cdcissues", "cdcv2admin"):
        like = next(table for table in tables.values() if table.group == group)
        tables[f"{group}_novelties"] = dataclasses.replace(like, name=f"{group}_novelties")
    server.data_connector.change_schema(tables)
    found = discover(server)
    for name, by in (
        ("cdcissues_novelties", "adsk_updated_at"),
        ("cdcv2admin_novelties", "updated_at"),
    ):
        assert found[name]["key_properties"] == ("adsk_row_id",)
        assert found[name]["replication_key"] == by
        assert ("adsk_updated_at" in found[name]["schema"]["properties"]) == (
            by == "adsk_updated_at"
        )


def test_the_schema_command_says_what_is_newer_than_the_bundled_one(server):
    server.data_connector.schema_changes = [
        {**CHANGE, "watermark": "1790000000"},
        {**CHANGE, "watermark": "1760000000", "table": "before"},
        {**CHANGE, "watermark": 1790000000000, "table": "as_a_number"},
        {**CHANGE, "watermark": "2026-12-24T00:00:00Z", "table": "as_a_date"},
        {**CHANGE, "watermark": None, "table": "by_its_month"},
        {**CHANGE, "watermark": "soon", "year": None, "table": "undated"},
    ]
    done = CliRunner().invoke(main, ["schema", "--api-url", server.url])
    assert done.exit_code == 0, done.output
    lines = [line for line in done.output.splitlines() if line.startswith("! ")]
    assert lines == [
        "! 2026-09-01 ADDED issues.by_its_month.severity: New column",
        "! 2026-09-21 ADDED issues.issues.severity: New column",
        "! 2026-09-21 ADDED issues.as_a_number.severity: New column",
        "! 2026-12-24 ADDED issues.as_a_date.severity: New column",
        "! undated ADDED issues.undated.severity: New column",
    ]
    assert "0 differences from the bundled schema" in done.output
    assert "5 documented changes since" in done.output


@pytest.mark.parametrize(
    "answer", [{"status": 200, "body": "<p>none</p>"}, {"status": 400}, {"status": 404}]
)
def test_a_name_in_the_index_that_is_no_service_group_is_left_out(server, caplog, answer):
    index = '<a href="/doc/schema?format=json&amp;name=glossary">Terms</a>'
    server.faults.add("status", endpoint="doc", status=200, body=index, times=None)
    server.faults.add_all([{"effect": "status", "path": "*/doc/schema", "times": None, **answer}])
    assert live.published(server.url, set()) == {}
    assert caplog.text.count("names 'glossary'") == 1


@pytest.mark.parametrize(
    "document", [[{"table": "issues"}], {}, {"issues": {}}, {"issues": None}, {"error": "gone"}]
)
def test_a_known_group_in_another_form_is_an_error(server, document):
    """Also where it is empty: streams do not vanish from the catalog unseen."""
    server.faults.add("edit", path="*/doc/schema", edits={"": document}, times=None)
    with pytest.raises(live.SchemaError, match="not in the documented form"):
        live.published(server.url, {"issues"})


def test_a_page_in_place_of_the_index_does_not_make_all_tables_vanish(server):
    page = "<h1>We will be back soon</h1>"
    server.faults.add("status", endpoint="doc", status=200, body=page, times=None)
    server.faults.add("status", path="*/doc/schema", status=404, times=None)
    with pytest.raises(live.SchemaError, match="/doc of the Data Connector is not in"):
        live.published(server.url, {"admin", "issues"})


def test_versions_of_a_row_without_the_internal_time_are_ordered_by_what_the_table_has(
    tmp_path: Path,
):
    folder = tmp_path / "extract"
    folder.mkdir()
    (folder / "cdcv2admin_account_services.csv").write_text(
        "bim360_account_id,service,created_at,updated_at,deleted_at,adsk_row_id\n"
        "a,field,2026-01-02 00:00:00,2026-01-02 00:00:00,,r1\n"
        "a,docs,2026-01-03 00:00:00,,2026-01-04 00:00:00,r2\n"
        "a,docs,2026-01-03 00:00:00,2026-01-05 00:00:00,,r2\n"
    )
    config = {"apis": ["data_connector"], "data_connector_extract": "new"}
    with Sandbox(extract=folder, job_seconds=0) as server:
        done = in_process.run(server, config, "cdcv2admin_account_services")
    assert done.code == 0, done.stderr
    rows = {row["adsk_row_id"]: row for row in done.records("cdcv2admin_account_services")}
    assert len(rows) == len(done.records("cdcv2admin_account_services")) == 2
    assert rows["r2"]["updated_at"] == "2026-01-05T00:00:00.000000Z"
    assert rows["r2"]["deleted_at"] is None


def test_tables_of_changes_without_any_time_keep_all_their_versions():
    group = {"cdcissues": {"tags": {"adsk_row_id": "string", "name": "string"}}}
    new = registry.renewed({}, group)["cdcissues_tags"]
    assert new["replication_key"] is None


def test_the_published_schema_is_asked_for_without_credentials_of_the_machine(
    tmp_path, monkeypatch
):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password hidden-0123456789\n")
    monkeypatch.setenv("NETRC", str(netrc))
    document = b'{"issues": {"id": {"data_type": "string", "ordinal_position": 1}}}'
    with RawServer(lambda _: [answer(document)]) as plain:
        assert live.published(plain.url, {"issues"}) == {"issues": {"issues": {"id": "string"}}}
    assert len(plain.requests) == 2
    assert "authorization" not in "".join(map(str, plain.requests)).lower()


@pytest.mark.parametrize("status", ["302 Found", "500 Oops", "404 Not Found"])
def test_a_published_schema_that_does_not_come_is_one_sentence(status):
    with (
        RawServer(lambda _: [answer(status=status)]) as plain,
        pytest.raises(live.SchemaError, match=f"the answer was {status[:3]}"),
    ):
        live.published(plain.url, {"issues"})


def test_a_published_schema_whose_host_is_none_is_one_sentence():
    with pytest.raises(live.SchemaError, match=r"the name nowhere\.invalid cannot be resolved"):
        live.published("http://nowhere.invalid", {"issues"})
