"""The walk-throughs of the three tutorials, step by step, by the tap's own clients.

The clock is the sandbox's: an export is finished when the test says that time has passed.
"""

from __future__ import annotations

import dataclasses
import threading
import zipfile
from typing import TYPE_CHECKING

import openpyxl
import pytest
import requests

from support.made_up_service import FastClock
from tap_autodesk_exports.autodesk.data_connector.client import DataConnector, Job
from tap_autodesk_exports.autodesk.data_connector.quota import JobQuota
from tap_autodesk_exports.autodesk.data_connector.service import DataConnectorService
from tap_autodesk_exports.autodesk.http import ApiContext
from tap_autodesk_exports.autodesk.insights.client import Insights
from tap_autodesk_exports.autodesk.insights.service import InsightsService
from tap_autodesk_exports.autodesk.tokenflex.client import TokenFlex
from tap_autodesk_exports.autodesk.tokenflex.service import TokenFlexService
from tap_autodesk_exports.clock import Clock
from tap_autodesk_exports.exports.download import Downloader
from tap_autodesk_exports.exports.export import ExportSpec, FinishedExport, PendingExport, Status
from tap_autodesk_exports.sandbox import Sandbox
from tap_autodesk_exports.settings import Settings
from tap_autodesk_exports.signin import SignIn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JOB_SECONDS = 60
ASKED_AT = "2026-01-01T00:00:00.000000Z"


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(job_seconds=JOB_SECONDS) as sandbox:
        yield sandbox


@pytest.fixture
def context(server: Sandbox) -> ApiContext:
    settings = Settings.from_config(server.settings())
    clock = Clock()
    sign_in = SignIn.from_settings(settings, clock)
    return ApiContext(server.url, sign_in, clock, threading.Event())


def fetch(context, service, finished, file, folder: Path) -> Path:
    return Downloader(context.clock, context.stop, api_url=context.api_url).fetch(
        service, finished, file, folder
    )


def test_insights_subscriptions_as_a_workbook_for_all_teams(server, context, tmp_path):
    # Step 2: submit, for all teams, in Excel format.
    insights = Insights(context)
    submitted = insights.create_export({"outputFormat": "EXCEL", "reports": ["SUBSCRIPTIONS"]})
    assert submitted.status == "SUBMITTED"
    assert submitted.downloads == ()
    assert submitted.team_id == ""
    # Step 3: look, wait, look again, download from the signed link.
    service = InsightsService(insights)
    body = {"outputFormat": "EXCEL", "reports": ["SUBSCRIPTIONS"]}
    spec = ExportSpec(api="insights", owner="", name="subscriptions", body=body)
    pending = PendingExport(spec, ASKED_AT, id=submitted.export_id)
    assert service.poll(pending).state is Status.PENDING
    server.clock.advance(JOB_SECONDS)
    status = service.poll(pending)
    assert status.state is Status.READY
    assert [file.kind for file in status.files] == ["SUBSCRIPTIONS"]
    path = fetch(context, service, FinishedExport(pending, status), status.files[0], tmp_path)
    with path.open("rb") as file:
        sheet = openpyxl.load_workbook(file).worksheets[0]
    header = [cell.value for cell in sheet[1]]
    assert {"contract_number", "seat_quantity", "subscription_status"} <= set(header)
    # Step 4: list all exports.
    assert [export["id"] for export in insights.exports()] == [submitted.export_id]


def test_token_flex_manual_adjustments_of_contract_year_1(server, context, tmp_path):
    # Step 2: submit; the key holds ':' and '#'.
    tokenflex = TokenFlex(context)
    service = TokenFlexService(tokenflex)
    contract = next(one for one in tokenflex.contracts() if one["isActive"])["contractNumber"]
    body = {
        "fields": [
            "contractYear",
            "chargedItemID",
            "reasonType",
            "reasonComment",
            "usageCategory",
            "usageDate",
            "transactionDate",
            "productLineCode",
            "productName",
        ],
        "metrics": ["tokensConsumed", "quantity"],
        "usageCategory": ["MANUAL_ADJUSTMENT", "MANUAL_CONSUMPTION"],
        "where": "contractYear=1",
    }
    spec = ExportSpec(api="tokenflex", owner=contract, name="myYear1Adjustments", body=body)
    server.faults.add("ends_failed", api="tokenflex")
    pending = PendingExport(spec, ASKED_AT, id=service.submit(PendingExport(spec, ASKED_AT)))
    assert ":" in pending.id
    assert "#" in pending.id
    # Step 3: look under the encoded key; Error, retry, Requested, Download.
    # One by one, as the tutorial does, and not by the list.
    service._listed.of = lambda *_, **__: []
    assert service.poll(pending).said == "Requested"
    server.clock.advance(JOB_SECONDS)
    status = service.poll(pending)
    assert (status.state, status.said) == (Status.FAILED, "Error")
    assert service.retry(pending)
    assert service.poll(pending).said == "Requested"
    server.clock.advance(JOB_SECONDS)
    status = service.poll(pending)
    assert status.state is Status.READY
    assert status.said == "Download"
    # The link is refreshed, and followed without credentials.
    first = tokenflex.refreshed_link(contract, pending.id)
    second = tokenflex.refreshed_link(contract, pending.id)
    assert first != second
    path = fetch(context, service, FinishedExport(pending, status), status.files[0], tmp_path)
    assert path.name == f"myYear1Adjustments-{spec.content}-20260101T000000000000.csv"
    header, *rows = path.read_text(encoding="utf-8-sig").splitlines()
    assert header.split(",") == [*body["fields"], *body["metrics"]]
    assert rows
    assert all(row.startswith("1,") for row in rows)


def test_data_connector_jobs_listing_signed_link_and_zip(server, context, tmp_path):
    client = DataConnector(context)
    service = DataConnectorService(client, JobQuota(client, [server.account_id]))
    account = server.account_id
    spec = ExportSpec(
        api="data_connector", owner=account, name="extract", body={"serviceGroups": ["admin"]}
    )
    pending = PendingExport(spec, ASKED_AT, id=service.submit(PendingExport(spec, ASKED_AT)))
    # Step 1: the jobs of the request; there is none for a moment.
    assert client.request_jobs(account, pending.id) == []
    assert service.poll(pending).said == "waiting for its job"
    server.clock.advance(JOB_SECONDS * 2)
    (job,) = client.request_jobs(account, pending.id)
    assert (job["status"], job["completionStatus"]) == ("complete", "success")
    # Step 2: the files of the extract.
    listing = client.data_listing(account, job["id"])
    names = {file["name"] for file in listing}
    assert {"README.html", "admin_users.csv", "autodesk_data_extract.zip"} <= names
    # Step 3: a signed link, good for 60 seconds, without credentials.
    link = client.signed_link(account, job["id"], "autodesk_data_extract.zip")
    bearer = context.sign_in.headers("data_connector")
    assert requests.get(link, headers=bearer, timeout=10).status_code == 400
    server.clock.advance(61)
    assert requests.get(link, timeout=10).status_code == 403
    status = service.poll(pending)
    file = next(file for file in status.files if file.name == "autodesk_data_extract.zip")
    path = fetch(context, service, FinishedExport(pending, status), file, tmp_path)
    assert path.stat().st_size == file.size
    with zipfile.ZipFile(path) as archive:
        assert {"admin_users.csv", "README.html", "metadata.csv"} <= set(archive.namelist())


def test_an_id_of_a_request_or_a_job_may_hold_any_character(server, context, monkeypatch):
    request_id, job_id = "urn:request/1%2F+", "job/1="
    job = {"id": job_id, "requestId": request_id, "status": "running"}
    client = DataConnector(context)
    monkeypatch.setattr(client, "newest_jobs", lambda _: [job])
    monkeypatch.setattr(client, "create_request", lambda *_, **__: request_id)
    monkeypatch.setattr(client, "job", lambda _, asked: Job.read({**job, "id": asked}))
    service = DataConnectorService(client, JobQuota(client, [server.account_id]))
    spec = ExportSpec(
        "data_connector", server.account_id, "extract", body={"serviceGroups": ["admin"]}
    )
    pending = PendingExport(spec, ASKED_AT, id=service.submit(PendingExport(spec, ASKED_AT)))
    for export_id in (pending.id, Job.read(job).extract):
        status = service.poll(dataclasses.replace(pending, id=export_id))
        assert (status.said, status.export_id) == ("running", job_id)


def test_no_more_requests_a_minute_than_the_setting_says(server, context):
    clock = FastClock()
    client = DataConnector(dataclasses.replace(context, clock=clock), requests_per_minute=2)
    for _ in range(5):
        client.requests(server.account_id)
    assert 120 <= clock.monotonic() < 180
