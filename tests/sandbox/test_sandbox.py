"""The sandbox keeps what the documentation says, over real HTTP."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest
import requests

from support.sandbox_client import JOB_SECONDS, Client
from tap_autodesk_exports.sandbox import Sandbox, SandboxClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = dt.datetime(2026, 9, 10, 12, 0, tzinfo=dt.UTC)
PERIOD = {"startDate": "2026-08-01T00:00:00Z", "endDate": "2026-08-31T00:00:00Z"}
BY_PRODUCT = {"reports": ["USAGE_REPORT"], "usageReports": ["USAGE_REPORT_BY_PRODUCT"], **PERIOD}


@pytest.fixture
def client() -> Iterator[Client]:
    clock = SandboxClock(NOW)
    with Sandbox(scale=0.3, job_seconds=JOB_SECONDS, clock=clock) as sandbox:
        yield Client(sandbox)


def table(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))


# The three walk-throughs.


def test_subscriptions_in_excel_for_all_teams(client: Client) -> None:
    export = client.insights(outputFormat="EXCEL", reports=["SUBSCRIPTIONS"])
    assert export["status"] == "COMPLETED"
    assert set(export) == {
        "id", "timestamp", "downloads", "status", "outputFormat", "teamId", "teamName", "reports",
    }  # fmt: skip
    [download] = export["downloads"]
    assert download["type"] == "SUBSCRIPTIONS"
    book = openpyxl.load_workbook(io.BytesIO(client.fetch(download["downloadURL"]).content))
    assert book.sheetnames == ["Subscriptions"]
    rows = list(book["Subscriptions"].values)
    assert {row[0] for row in rows[1:]} == {
        team["alias"]
        for team in client.get("/insights/v1/contexts")
        if "ReportingAPIAccess" in team["reportingBenefits"]
    }
    listed = client.get("/insights/v1/exports")
    assert [e["id"] for e in listed["exports"]] == [export["id"]]
    assert listed["pagination"] == {"offset": 0, "limit": 100, "totalResults": 1}


def test_manual_adjustments_of_year_one_with_retry_and_a_refreshed_link(client: Client) -> None:
    client.sandbox.faults.add("ends_failed", api="tokenflex")
    path = client.tokenflex(
        client.contract(),
        fields=["contractYear", "chargedItemID", "usageCategory", "usageDate", "transactionDate"],
        metrics=["tokensConsumed", "quantity"],
        usageCategory=["MANUAL_ADJUSTMENT", "MANUAL_CONSUMPTION"],
        where="contractYear=1",
        downloadFileName="myYear1Adjustments",
    )
    assert "%23" in path
    assert "%3A" in path
    assert client.get(path)["requestStatus"] == "Requested"
    client.wait()
    assert client.get(path)["requestStatus"] == "Error"
    retried = client.ask("POST", f"{path}/retry").json()
    assert retried["requestStatus"] == "Requested"
    client.wait()
    done = client.get(path)
    assert done["requestStatus"] == "Download"
    assert done["downloadFileName"] == "myYear1Adjustments.csv"
    rows = table(client.fetch(done["downloadUrl"]).content)
    assert list(rows[0])[-2:] == ["tokensConsumed", "quantity"]
    assert {row["contractYear"] for row in rows} == {"1"}
    client.wait(300)
    assert client.fetch(client.get(path)["downloadUrl"]).status_code == 403
    fresh = client.ask("POST", f"{path}/refreshUrl").json()
    assert table(client.fetch(fresh["downloadUrl"]).content) == rows
    assert client.ask("POST", f"{path}/retry").json()["requestStatus"] == "Download"
    assert client.ask("DELETE", path).status_code == 204
    assert client.ask("GET", path).status_code == 404


def test_jobs_listing_signed_link_and_zip(client: Client) -> None:
    posted = client.request("admin", "issues")
    assert posted.status_code == 201
    jobs_path = f"{client.account}/requests/{posted.json()['id']}/jobs?sort=desc&limit=10&offset=0"
    assert client.get(jobs_path)["results"] == []
    seen = []
    for _ in range(3):
        client.wait(JOB_SECONDS / 3)
        seen.append(client.get(jobs_path)["results"][0]["status"])
    client.wait(1)
    [job] = client.get(jobs_path)["results"]
    assert seen[:2] == ["queued", "running"]
    assert (job["status"], job["completionStatus"]) == ("complete", "success")
    path = f"{client.account}/jobs/{job['id']}"
    listing = client.get(f"{path}/data-listing")
    assert {"README.html", "admin_users.csv", "autodesk_data_extract.zip"} <= {
        entry["name"] for entry in listing
    }
    sizes = {entry["name"]: entry["size"] for entry in listing}
    data = client.file(path, "autodesk_data_extract.zip")
    assert len(data) == sizes["autodesk_data_extract.zip"]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        assert {"README.html", "metadata.csv", "schemas/schema.json"} <= names
        users = archive.read("admin_users.csv")
    assert len(users) == sizes["admin_users.csv"]
    assert users == client.file(path, "admin_users.csv")
    served = {s.kind: s for s in client.sandbox.served if s.path}
    assert served["admin_users"].rows == len(table(users))
    assert served["admin_users"].path.read_bytes() == users
    assert served["issues_issues"].rows > 0


# Links and the storage.


def test_a_link_expires_by_the_clock_and_takes_no_token(client: Client) -> None:
    job = client.extract("locations")
    link = client.get(f"{job}/data/locations_trees.csv")["signedUrl"]
    refused = client.fetch(link, Authorization=f"Bearer {client.token}")
    assert (refused.status_code, refused.headers["Content-Type"]) == (400, "application/xml")
    assert client.fetch(link.replace("Expires=1", "Expires=2")).status_code == 403
    assert client.fetch(link).status_code == 200
    client.wait(61)
    expired = client.fetch(link)
    assert expired.status_code == 403
    assert "Request has expired" in expired.text


def test_a_file_counts_as_served_once_its_ranges_cover_it(client: Client) -> None:
    job = client.extract("locations")
    link = client.get(f"{job}/data/locations_nodes.csv")
    half = link["size"] // 2
    first = client.fetch(link["signedUrl"], Range=f"bytes=0-{half - 1}")
    assert first.status_code == 206
    assert first.headers["Content-Range"] == f"bytes 0-{half - 1}/{link['size']}"
    assert not [s for s in client.sandbox.served if s.path]
    second = client.fetch(link["signedUrl"], Range=f"bytes={half}-")
    [served] = [s for s in client.sandbox.served if s.path]
    assert first.content + second.content == served.path.read_bytes()
    assert client.fetch(link["signedUrl"], Range=f"bytes={link['size']}-").status_code == 416


def test_no_secret_stands_in_the_record_of_requests(client: Client) -> None:
    client.file(client.extract("locations"), "locations_trees.csv")
    shown = json.dumps([request.path for request in client.sandbox.requests])
    assert client.token in client.sandbox.secrets()
    assert not [secret for secret in client.sandbox.secrets() if secret in shown]


# Insights.


def test_a_usage_report_comes_as_filters_and_data(client: Client) -> None:
    export = client.insights(outputFormat="CSV", filters={}, **BY_PRODUCT)
    assert [d["type"] for d in export["downloads"]] == ["USAGE_REPORT", "USAGE_REPORT"]
    filters, data = [client.fetch(d["downloadURL"]).text for d in export["downloads"]]
    assert filters.startswith("Filter,Value\n")
    assert data.startswith("hashed_autodesk_id,first_name,")


def test_workbook_sheets_are_named_in_the_language_asked_for(client: Client) -> None:
    body = {**BY_PRODUCT, "reports": ["USAGE", "SUBSCRIPTIONS", "USAGE_REPORT"]}
    export = client.insights({"Accept-Language": "de-DE"}, outputFormat="EXCEL", **body)
    [download] = export["downloads"]
    book = openpyxl.load_workbook(io.BytesIO(client.fetch(download["downloadURL"]).content))
    assert book.sheetnames == ["Abonnements", "Nutzung", "Filter", "Nutzungsbericht"]
    assert {s.kind for s in client.sandbox.served if s.path} == set(body["reports"])


def test_csv_workbook_and_json_tell_the_same(client: Client) -> None:
    links = {
        kind: client.insights(outputFormat=kind, **BY_PRODUCT)["downloads"][-1]["downloadURL"]
        for kind in ("CSV", "EXCEL", "JSON")
    }
    rows = table(client.fetch(links["CSV"]).content)
    objects = client.fetch(links["JSON"]).json()
    book = openpyxl.load_workbook(io.BytesIO(client.fetch(links["EXCEL"]).content))
    assert len(rows) == len(objects) == book.worksheets[1].max_row - 1 > 10
    used = [int(row["days_used"]) for row in rows]
    assert used == [entry["days_used"] for entry in objects]
    assert {entry["tokens_used"] is None for entry in objects} == {True, False}


def test_daily_usage_includes_both_ends_of_the_period(client: Client) -> None:
    export = client.insights(outputFormat="CSV", reports=["USAGE"], **PERIOD)
    rows = table(client.fetch(export["downloads"][0]["downloadURL"]).content)
    days = {row["day_used"] for row in rows}
    assert (min(days), max(days)) == ("2026-08-01", "2026-08-31")
    masked = [row for row in rows if row["email"] == "*****"]
    assert masked
    assert all(len(row["hashed_autodesk_id"]) == 40 for row in masked)


def test_late_usage_appears_later(client: Client) -> None:
    def rows() -> set[tuple[str, ...]]:
        export = client.insights(outputFormat="CSV", reports=["USAGE"], **PERIOD)
        link = export["downloads"][0]["downloadURL"]
        return {tuple(row.values()) for row in table(client.fetch(link).content)}

    early = rows()
    client.wait(40 * 86400)
    client.sandbox.settings()
    assert early < rows()


def test_column_names_can_be_switched(client: Client) -> None:
    assert (
        client.admin("POST", "/behaviour", json={"insights": {"columns": "title"}}).status_code
        == 200
    )
    export = client.insights(outputFormat="CSV", reports=["USERS"])
    header = client.fetch(export["downloads"][0]["downloadURL"]).text.splitlines()[0]
    assert header.startswith("Team,Autodesk ID,Email,")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"outputFormat": "PDF", "reports": ["USERS"]}, 400),
        ({"outputFormat": "CSV", "reports": []}, 400),
        ({"outputFormat": "CSV", "reports": ["USAGE"]}, 400),
        ({"outputFormat": "CSV", **BY_PRODUCT, "startDate": "2025-01-01T00:00:00Z"}, 400),
        ({"outputFormat": "CSV", **BY_PRODUCT, "filters": {"startDate": 1}}, 400),
        ({"outputFormat": "CSV", "reports": ["USERS"], "teamId": "4000013"}, 403),
    ],
)
def test_insights_refuses_what_is_not_documented(
    client: Client, body: dict[str, Any], status: int
) -> None:
    assert client.ask("POST", "/insights/v1/exports", json=body).status_code == status


def test_insights_lists_two_weeks_page_by_page(client: Client) -> None:
    ids = [client.insights(outputFormat="CSV", reports=["USERS"])["id"] for _ in range(3)]
    listed = client.get("/insights/v1/exports?limit=2&offset=1")
    assert [export["id"] for export in listed["exports"]] == ids[1::-1]
    client.wait(15 * 86400)
    client.sandbox.settings()
    assert client.get("/insights/v1/exports")["exports"] == []
    assert client.ask("GET", f"/insights/v1/exports/{ids[0]}").status_code == 404


def test_a_list_in_pages_is_remembered_once_with_all_its_rows(client: Client) -> None:
    for _ in range(3):
        client.insights(outputFormat="CSV", reports=["USERS"])
    before = len(client.sandbox.served)
    for offset in (0, 2):
        client.get(f"/insights/v1/exports?limit=2&offset={offset}")
    assert [(s.kind, s.rows) for s in client.sandbox.served[before:]] == [("exports", 3)]


# Token Flex.


def test_contracts_one_active_one_expired_none_for_others(client: Client) -> None:
    contracts = client.get("/tokenflex/v1/contract")
    assert sorted(contract["isActive"] for contract in contracts) == [False, True]
    client.sandbox.tokenflex.admin = False
    assert client.get("/tokenflex/v1/contract") == []


def test_usage_lists_of_a_contract(client: Client) -> None:
    number = client.contract()
    assert len(client.get(f"/tokenflex/v1/contract/{number}/enrichment")) == 10
    assert len(client.get(f"/tokenflex/v1/contract/{number}")["contractYears"]) == 3
    summary = client.get(f"/tokenflex/v1/usage/{number}/summary?contractYear=1")
    assert {entry["contractYear"] for entry in summary} == {1}
    assert "PRODUCT_CONSUMPTION" in {entry["usageCategory"] for entry in summary}
    last = client.get(f"/tokenflex/v1/usage/{number}/last")
    assert {"CHARGED", "FREE", "N/A"} == {entry["chargeCategory"] for entry in last}
    assert client.ask("GET", "/tokenflex/v1/usage/1/last").status_code == 403


def test_an_export_is_grouped_by_its_fields_and_filtered_by_where(client: Client) -> None:
    def rows(**body: Any) -> list[dict[str, str]]:
        path = client.tokenflex(client.contract(), **body)
        client.wait()
        return table(client.fetch(client.get(path)["downloadUrl"]).content)

    where = "usageDate >= '2026-03-01' and usageDate < '2026-03-08'"
    grouped = rows(fields=["usageDate"], metrics=["tokensConsumed", "uniqueUsers"], where=where)
    assert list(grouped[0]) == ["usageDate", "tokensConsumed", "uniqueUsers"]
    assert [row["usageDate"] for row in grouped] == [f"2026-03-0{day}" for day in range(1, 8)]
    both = rows(
        fields=["usageCategory"],
        metrics=["tokensConsumed"],
        where=f"{where} AND usageCategory IN ('CLOUD_PRODUCT', 'DESKTOP_PRODUCT')",
    )
    assert {row["usageCategory"] for row in both} == {"CLOUD_PRODUCT", "DESKTOP_PRODUCT"}
    sessions = rows(
        fields=["chargedItemID", "usageDate", "sessionStartDate"],
        metrics=["tokensConsumed"],
        usageCategory=["DESKTOP_PRODUCT"],
        where=where,
    )
    assert len({row["chargedItemID"] for row in sessions}) == len(sessions) > 20
    desktop = next(row for row in both if row["usageCategory"] == "DESKTOP_PRODUCT")
    total = sum(float(row["tokensConsumed"]) for row in sessions)
    assert total == pytest.approx(float(desktop["tokensConsumed"]))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"fields": ["noSuchField"]},
        {"fields": ["chargedItemID"]},
        {"fields": ["chargedItemID"], "usageCategory": ["DESKTOP_PRODUCT", "CLOUD_PRODUCT"]},
        {"fields": ["chargedItemID", "tokenPool"], "usageCategory": ["DESKTOP_PRODUCT"]},
        {"fields": ["usageDate"], "where": "not usageDate = '2026-01-01'"},
        {"fields": ["usageDate"], "where": "usageDate = 'yesterday'"},
        {"fields": ["usageDate"], "where": "userName LIKE 'ad%'"},
        {"fields": ["usageDate"], "where": "contractYear=1 or contractYear=2"},
    ],
)
def test_tokenflex_refuses_what_is_not_documented(client: Client, body: dict[str, Any]) -> None:
    path = f"/tokenflex/v1/export/{client.contract()}/requests"
    refused = client.ask("POST", path, json=body)
    assert refused.status_code == 400
    assert refused.json()["Code"] == "BadRequestError"


def test_a_list_of_token_flex_exports_needs_both_dates(client: Client) -> None:
    number = client.contract()
    path = f"/tokenflex/v1/export/{number}/requests"
    client.tokenflex(number, fields=["usageDate"])
    assert client.ask("GET", f"{path}?fromDate=2026-09-10").status_code == 400
    assert len(client.get(f"{path}?fromDate=2026-09-10&toDate=2026-09-11")) == 1
    assert client.get(f"{path}?fromDate=2026-09-09&toDate=2026-09-10") == []


# Data Connector.


@pytest.fixture
def busy() -> Iterator[Client]:
    """A client of a sandbox in which every day has activities."""
    with Sandbox(scale=2, job_seconds=JOB_SECONDS, clock=SandboxClock(NOW)) as sandbox:
        yield Client(sandbox)


def test_activities_fall_back_to_yesterday_beyond_31_days(busy: Client) -> None:
    client = busy

    def days(**body: str) -> set[str]:
        job = client.extract("activities", **body)
        rows = table(client.file(job, "activities_docs_activities.csv"))
        return {row["created_at"][:10] for row in rows}

    month = days(startDate="2026-08-01T00:00:00Z", endDate="2026-08-31T00:00:00Z")
    assert (min(month), max(month)) == ("2026-08-01", "2026-08-30")
    yesterday = {"2026-09-09"}
    assert days(startDate="2026-07-01T00:00:00Z", endDate="2026-08-31T00:00:00Z") == yesterday
    assert days() == yesterday
    assert days(dateRange="LAST_MONTH") >= {"2026-08-01", "2026-08-31"}


def test_change_groups_tell_what_happened_within_the_range(client: Client) -> None:
    begin, end = "2026-03-01", "2026-05-31"
    job = client.extract("cdcissues", "issues", startDate=begin, endDate=end)
    changed = table(client.file(job, "cdcissues_issues.csv"))
    events = [
        [row[c] for c in ("created_at", "updated_at", "deleted_at") if row[c]] for row in changed
    ]
    assert changed
    assert all(any(begin <= at[:10] <= end for at in row) for row in events)
    expected = {
        row["issue_id"]
        for row in table(client.file(job, "issues_issues.csv"))
        if any(begin <= row[c][:10] <= end for c in ("created_at", "updated_at", "deleted_at"))
    }
    assert {row["issue_id"] for row in changed} == expected
    assert len({row["adsk_row_id"] for row in changed}) == len(changed)


def test_projects_limit_an_extract(client: Client) -> None:
    everything = table(client.file(client.extract("admin"), "admin_projects.csv"))
    chosen = everything[1]["id"]
    posted = client.request("issues", projectIdList=[chosen])
    assert json.loads(posted.json()["projectIdList"]) == [chosen]
    job = client.extract("issues", projectIdList=[chosen])
    rows = table(client.file(job, "issues_issues.csv"))
    assert {row["bim360_project_id"] for row in rows} == {chosen}
    archived = client.extract("admin", projectStatus="archived")
    assert {r["status"] for r in table(client.file(archived, "admin_projects.csv"))} == {"archived"}


@pytest.mark.parametrize(
    "body",
    [
        {"serviceGroups": ["all", "admin"]},
        {"serviceGroups": []},
        {"serviceGroups": ["nonsense"]},
        {"effectiveFrom": None},
        {"projectIdList": [f"00000000-0000-4000-8000-{n:012}" for n in range(51)]},
        {"dateRange": "CUSTOM", "startDate": "2026-01-01"},
        {"scheduleInterval": "DAY"},
    ],
)
def test_data_connector_refuses_what_is_not_documented(
    client: Client, body: dict[str, Any]
) -> None:
    refused = client.request("admin", **body)
    assert refused.status_code == 400
    if "all" in body.get("serviceGroups", []):
        assert "Bad service groups" in refused.text


def test_twenty_four_jobs_in_rolling_24_hours(client: Client) -> None:
    for _ in range(24):
        assert client.request("locations").status_code == 201
    assert client.request("locations").status_code == 429
    client.wait(86400)
    client.sandbox.settings()
    assert client.request("locations").status_code == 201
    assert len(client.sandbox.exports) == 25


def test_a_cancelled_or_failed_job_has_no_listing(client: Client) -> None:
    posted = client.request("locations").json()
    client.wait(JOB_SECONDS / 2)
    jobs = f"{client.account}/requests/{posted['id']}/jobs"
    job = f"{client.account}/jobs/{client.get(jobs)['results'][0]['id']}"
    assert client.ask("DELETE", job).status_code == 204
    assert client.get(job)["completionStatus"] == "cancelled"
    client.sandbox.faults.add("ends_failed", api="data_connector")
    failed = client.extract("locations")
    assert client.get(failed)["completionStatus"] == "failed"
    for path in (job, failed):
        assert client.ask("GET", f"{path}/data-listing").status_code == 404


def test_lists_are_sorted_filtered_and_paged(client: Client) -> None:
    ids = []
    for number in range(5):
        ids.append(client.request("locations", description=f"number {number}").json()["id"])
        client.wait()
    path = f"{client.account}/requests"
    page = client.get(f"{path}?sort=desc&limit=2&offset=1")
    assert [entry["id"] for entry in page["results"]] == [ids[3], ids[2]]
    assert page["pagination"] == {"limit": 2, "offset": 1, "totalResults": 5}
    assert len(client.get(f"{path}?filter[createdAt]=2026-09-10T12:00:25Z..")["results"]) == 2
    jobs = client.get(f"{client.account}/jobs?filter[status]=complete")["results"]
    assert len(jobs) == 5


def test_the_schema_is_open_to_all(client: Client) -> None:
    base = f"{client.sandbox.url}/data-connector/v1/doc"
    schema = requests.get(f"{base}/schema?name=admin&format=json", timeout=30).json()
    assert schema["users"]["email"]["data_type"] == "string"
    assert schema["users"]["id"]["ordinal_position"] == 1
    assert requests.get(base, timeout=30).headers["Content-Type"].startswith("text/html")
    assert requests.get(f"{base}/changes", timeout=30).json()["changes"]
    assert requests.get(f"{base}/schema?name=nonsense", timeout=30).status_code == 404


def test_real_files_are_served_byte_for_byte(tmp_path: Path) -> None:
    folder = tmp_path / "extract"
    folder.mkdir()
    (folder / "admin_users.csv").write_bytes(b'\xef\xbb\xbfid,name\r\n1,"a\nb"\r\n2,""\r\n')
    (folder / "issues_issues.csv").write_bytes(b"\xef\xbb\xbfissue_id\n")
    (folder / "metadata.csv").write_bytes(b"created_at,region\n2026-02-12 04:42:48,US\n")
    with Sandbox(extract=folder, job_seconds=0) as sandbox:
        client = Client(sandbox)
        job = client.extract("admin", "forms")
        names = {entry["name"] for entry in client.get(f"{job}/data-listing")}
        assert names == {"README.html", "admin_users.csv", "autodesk_data_extract.zip"}
        data = client.file(job, "autodesk_data_extract.zip")
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in ("admin_users.csv", "metadata.csv"):
                assert archive.read(name) == (folder / name).read_bytes()
        [served] = [s for s in sandbox.served if s.kind == "admin_users"]
        assert served.rows == 2


# Without a token, and as a program.


def test_no_endpoint_of_an_api_passes_without_a_token(client: Client) -> None:
    for path in ("/insights/v1/exports", "/tokenflex/v1/contract", f"{client.account}/jobs"):
        assert requests.get(client.sandbox.url + path, timeout=30).status_code == 401


def test_the_clock_is_set_over_http(client: Client) -> None:
    assert client.admin("POST", "/clock", json={"now": "2027-01-01T00:00:00Z"}).ok
    assert client.admin("POST", "/clock", json={"advance_seconds": 3600}).ok
    assert client.admin("GET", "/clock").json()["now"].startswith("2027-01-01T01:00:0")
    assert client.admin("POST", "/clock", json={}).status_code == 400


def test_the_record_is_readable_over_http(client: Client) -> None:
    client.file(client.extract("locations"), "locations_trees.csv")
    served = client.admin("GET", "/served").json()
    number = next(n for n, entry in enumerate(served) if entry["kind"] == "locations_trees")
    data = client.admin("GET", f"/served/{number}").content
    assert len(table(data)) == served[number]["rows"]
    assert client.admin("GET", "/exports").json()[0]["api"] == "data_connector"
    assert client.token in client.admin("GET", "/secrets").json()
    assert client.admin("GET", "/requests").json()[0]["method"] == "POST"


def test_the_command_serves_until_it_is_stopped(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps([{"effect": "status", "status": 503, "api": "insights"}]))
    program = [sys.executable, "-c", "from tap_autodesk_exports.cli import main; main()", "sandbox"]
    arguments = ["--port", "0", "--ready-file", str(ready), "--faults", str(faults)]
    with subprocess.Popen([*program, *arguments], stdout=subprocess.PIPE, text=True) as process:
        while not ready.exists():
            assert process.poll() is None
            time.sleep(0.05)
        told = json.loads(ready.read_text())
        headers = {"Authorization": f"Bearer {told['settings']['access_token']}"}
        contexts = f"{told['url']}/insights/v1/contexts"
        assert requests.get(contexts, headers=headers, timeout=30).status_code == 503
        assert requests.get(contexts, headers=headers, timeout=30).status_code == 200
        os.kill(process.pid, signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert told["url"] in output
