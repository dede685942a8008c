"""What Data Connector may do, as its switches and the faults of an export play it."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
import requests

from support.sandbox_client import JOB_SECONDS, Client
from tap_autodesk_exports.sandbox import Sandbox, SandboxClock

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = dt.datetime(2026, 9, 10, 12, 0, tzinfo=dt.UTC)
ZIP = "autodesk_data_extract.zip"
NODES = "locations_nodes.csv"


@pytest.fixture
def client() -> Iterator[Client]:
    with Sandbox(scale=0.2, job_seconds=JOB_SECONDS, clock=SandboxClock(NOW)) as sandbox:
        yield Client(sandbox)


def rows(data: bytes) -> list[dict[str, str]]:
    text = io.StringIO(data.decode("utf-8-sig"), newline="")
    return list(csv.DictReader(text, strict=True))


def unzipped(client: Client, job: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(client.file(job, ZIP)))


def projects(client: Client) -> list[str]:
    job = client.extract("admin")
    return [row["id"] for row in rows(client.file(job, "admin_projects.csv"))]


# Requests and jobs that were made elsewhere.


def test_a_legacy_request_names_its_project_alone(client: Client) -> None:
    one = projects(client)[0]
    posted = client.request("admin", projectId=one).json()
    assert (posted["projectId"], posted["projectIdList"]) == (one, None)
    client.wait()
    [job] = client.get(f"{client.account}/requests/{posted['id']}/jobs")["results"]
    assert (job["projectId"], job["projectIdList"]) == (one, None)
    data = client.file(f"{client.account}/jobs/{job['id']}", "admin_projects.csv")
    assert [row["id"] for row in rows(data)] == [one]
    listed = client.get(f"{client.account}/requests?filter[projectId]={one}")["results"]
    assert [entry["id"] for entry in listed] == [posted["id"]]


@pytest.mark.parametrize(
    ("form", "on_request", "on_job"),
    [("mixed", str, list), ("text", str, str), ("array", list, list)],
)
def test_the_list_of_projects_in_every_form(
    client: Client, form: str, on_request: type, on_job: type
) -> None:
    two = projects(client)[:2]
    client.sandbox.data_connector.project_lists = form
    posted = client.request("locations", projectIdList=two).json()
    client.wait()
    [job] = client.get(f"{client.account}/requests/{posted['id']}/jobs")["results"]
    for found, kind in ((posted["projectIdList"], on_request), (job["projectIdList"], on_job)):
        assert type(found) is kind
        assert (json.loads(found) if kind is str else found) == two


def test_an_extract_that_was_made_in_the_product(client: Client) -> None:
    one = projects(client)[0]
    request_id, job_id = client.sandbox.data_connector.add_extract(
        {"projectId": one, "projectStatus": "active", "description": "Made by hand"},
        created=NOW - dt.timedelta(days=1),
        request={"projectId": None, "serviceGroups": ["all"]},
        job={"projectId": one},
    )
    request = client.get(f"{client.account}/requests/{request_id}")
    assert (request["projectId"], request["projectIdList"]) == (None, None)
    assert request["serviceGroups"] == ["all"]
    assert request["createdAt"].startswith("2026-09-09T12:00:00")
    job = client.get(f"{client.account}/jobs/{job_id}")
    assert (job["projectId"], job["completionStatus"]) == (one, "success")
    with unzipped(client, f"{client.account}/jobs/{job_id}") as archive:
        assert [row["id"] for row in rows(archive.read("admin_projects.csv"))] == [one]
        assert "issues_issues.csv" in archive.namelist()
        assert not [name for name in archive.namelist() if name.startswith("cdc")]
    assert not [export for export in client.sandbox.exports if export.id == request_id]


def test_an_extract_of_the_product_counts_for_the_quota_and_is_added_over_http(
    client: Client,
) -> None:
    added = client.admin(
        "POST",
        "/extracts",
        json={
            "body": {"serviceGroups": ["locations"]},
            "created": "2026-09-10T11:00:00Z",
            "job": {"status": "Succeeded"},
        },
    )
    found = client.get(f"{client.account}/jobs")["results"]
    assert [(job["id"], job["status"]) for job in found] == [(added.json()["jobId"], "Succeeded")]
    client.sandbox.data_connector.jobs_per_day = 1
    assert client.request("locations").status_code == 429
    assert client.admin("POST", "/extracts", json={"colour": "red"}).status_code == 400


def test_archived_projects_only(client: Client) -> None:
    _, job_id = client.sandbox.data_connector.add_extract(
        {"serviceGroups": ["admin"], "projectStatus": "archived"},
        created=NOW - dt.timedelta(hours=1),
        request={"projectStatus": "ARCHIVED"},
    )
    job = f"{client.account}/jobs/{job_id}"
    found = rows(client.file(job, "admin_projects.csv"))
    assert {row["status"] for row in found} == {"archived"}
    [request] = client.get(f"{client.account}/requests")["results"]
    assert request["projectStatus"] == "ARCHIVED"


# Lists.


def test_requests_and_jobs_are_listed_late(client: Client) -> None:
    client.sandbox.data_connector.listed_after = 600
    posted = client.request("locations").json()
    client.wait(300)
    for path in ("requests", "jobs"):
        assert client.get(f"{client.account}/{path}")["results"] == []
    assert client.get(f"{client.account}/requests/{posted['id']}/jobs")["results"]
    client.wait(300)
    for path in ("requests", "jobs"):
        assert len(client.get(f"{client.account}/{path}")["results"]) == 1


@pytest.mark.parametrize(
    ("paging", "expected"),
    [
        ("ignores_offset", [[0, 1], [0, 1], [0, 1]]),
        ("repeats", [[0, 1], [2, 0], [1, 2]]),
        ("shifts", [[0, 1], [1, 2], [2]]),
    ],
)
def test_pages_that_are_wrong(client: Client, paging: str, expected: list[list[int]]) -> None:
    ids = [client.request("locations", description=str(n)).json()["id"] for n in range(3)]
    client.sandbox.data_connector.paging = paging
    pages = [client.get(f"{client.account}/requests?limit=2&offset={n}") for n in (0, 2, 4)]
    assert [[ids.index(one["id"]) for one in page["results"]] for page in pages] == expected


# Files.


def test_files_are_gone_after_the_retention(client: Client) -> None:
    client.sandbox.data_connector.kept_days = 2
    job = client.extract("locations")
    client.file(job, NODES)
    client.wait(3 * 86400)
    client.sandbox.settings()
    assert client.get(job)["completionStatus"] == "success"
    for path in (f"{job}/data-listing", f"{job}/data/{NODES}"):
        assert client.ask("GET", path).status_code == 404


@pytest.mark.parametrize(
    ("effect", "listing"), [("no_files", []), ("null_files", None), ("files_gone", 404)]
)
def test_a_successful_job_that_has_no_files(
    client: Client, effect: str, listing: list[Any] | int | None
) -> None:
    client.sandbox.faults.add(effect, api="data_connector")
    job = client.extract("locations")
    assert client.get(job)["completionStatus"] == "success"
    answer = client.ask("GET", f"{job}/data-listing")
    assert (answer.json() if answer.ok else answer.status_code) == listing
    assert client.ask("GET", f"{job}/data/{NODES}").status_code == 404


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_a_request_and_its_job_that_cannot_be_read_for_ever(client: Client, status: int) -> None:
    client.sandbox.faults.add("unreadable", api="data_connector", status=status)
    posted = client.request("locations").json()
    client.wait()
    request = f"{client.account}/requests/{posted['id']}"
    [job] = client.get(f"{client.account}/jobs")["results"]
    for path in (request, f"{request}/jobs", f"{client.account}/jobs/{job['id']}"):
        assert client.ask("GET", path).status_code == status
    assert len(client.get(f"{client.account}/requests")["results"]) == 1


def test_links_that_are_dead_for_ever(client: Client) -> None:
    client.sandbox.faults.add("dead_links", api="data_connector", status=404)
    job = client.extract("locations")
    for name in (NODES, ZIP, ZIP):
        link = client.get(f"{job}/data/{name}")["signedUrl"]
        assert client.fetch(link).status_code == 404


@pytest.mark.parametrize(
    ("how", "names", "share"),
    [
        ("missing", [], None),
        ("upper_case", [NODES.upper()], 1.0),
        ("twice", [NODES, NODES], 1.0),
        ("twice_differing", [NODES, NODES], 1.0),
        ("half", [NODES], 0.5),
        ("header_only", [NODES], 0.0),
    ],
)
def test_a_zip_that_differs_from_the_listing(
    client: Client, how: str, names: list[str], share: float | None
) -> None:
    client.sandbox.data_connector.zip_files = {NODES: how}
    job = client.extract("locations")
    whole = client.file(job, NODES)
    sizes = {entry["name"]: entry["size"] for entry in client.get(f"{job}/data-listing")}
    assert sizes[NODES] == len(whole)
    before = len(client.sandbox.served)
    with unzipped(client, job) as archive:
        found = [one for one in archive.infolist() if one.filename.lower() == NODES]
        assert [one.filename for one in found] == names
        parts = [len(rows(archive.read(one))) for one in found]
        assert "locations_trees.csv" in archive.namelist()
    total = len(rows(whole))
    if share is not None:
        assert abs(parts[-1] - total * share) <= 1
    if how == "twice_differing":
        assert parts[0] < parts[1]
    served = [one.rows for one in client.sandbox.served[before:] if one.name == NODES]
    assert served == parts[-1:]


@pytest.mark.parametrize("how", ["shorter", "longer", "half", "header_only"])
def test_a_single_file_of_another_size_than_the_listing_says(client: Client, how: str) -> None:
    client.sandbox.data_connector.single_files = {NODES: how}
    job = client.extract("locations")
    with unzipped(client, job) as archive:
        whole = archive.read(NODES)
    sizes = {entry["name"]: entry["size"] for entry in client.get(f"{job}/data-listing")}
    link = client.get(f"{job}/data/{NODES}")
    assert sizes[NODES] == link["size"] == len(whole)
    single = client.fetch(link["signedUrl"]).content
    assert (len(single) > len(whole)) is (how == "longer")
    assert len(single) != len(whole)


def test_a_file_that_the_listing_has_and_no_link(client: Client) -> None:
    client.sandbox.data_connector.single_files = {NODES: "missing"}
    job = client.extract("locations")
    assert NODES in {entry["name"] for entry in client.get(f"{job}/data-listing")}
    assert client.ask("GET", f"{job}/data/{NODES}").status_code == 404


def test_sizes_as_text_and_links_under_another_name(client: Client) -> None:
    job = client.extract("locations")
    faults = client.sandbox.faults
    faults.add("edit", endpoint="listing", as_text=["*.size"], removed=["0.name"])
    listing = client.get(f"{job}/data-listing")
    assert {type(entry["size"]) for entry in listing} == {str}
    assert [("name" in entry) for entry in listing][:2] == [False, True]
    faults.add("edit", endpoint="link", removed=["signedUrl"], edits={"url": "http://nowhere/"})
    link = client.get(f"{job}/data/{NODES}")
    assert set(link) == {"name", "size", "url"}


# Change groups and the published schema.


def test_every_version_of_a_row_within_the_range(client: Client) -> None:
    period = {"startDate": "2026-01-01T00:00:00Z", "endDate": "2026-09-01T00:00:00Z"}
    name = "cdcissues_issues.csv"
    last = rows(client.file(client.extract("cdcissues", **period), name))
    client.sandbox.data_connector.change_versions = True
    every = rows(client.file(client.extract("cdcissues", **period), name))
    assert len(every) > len({row["adsk_row_id"] for row in every})
    assert {row["adsk_row_id"] for row in last} <= {row["adsk_row_id"] for row in every}
    newest = {row["adsk_row_id"]: row for row in every}
    stamps = {key: row["adsk_updated_at"] for key, row in newest.items()}
    assert all(row["adsk_updated_at"] <= stamps[row["adsk_row_id"]] for row in every)


def test_the_second_group_of_changes_of_admin(client: Client) -> None:
    tables = [t for t in client.sandbox.data_connector.registry.values() if t.group == "cdcv2admin"]
    assert len(tables) == 13
    for table in tables:
        assert {"adsk_row_id", "created_at", "updated_at", "deleted_at"} <= set(table.columns)
        assert "adsk_updated_at" not in table.columns
    period = {"startDate": "2024-01-01T00:00:00Z", "endDate": "2026-09-01T00:00:00Z"}
    job = client.extract("cdcv2admin", "cdcadmin", **period)
    users = rows(client.file(job, "cdcv2admin_users.csv"))
    assert len(users) > 10
    first = rows(client.file(job, "cdcadmin_users.csv"))
    assert users == [{k: v for k, v in row.items() if k in users[0]} for row in first]


def test_the_schema_as_it_is_published(client: Client) -> None:
    client.sandbox.data_connector.published_schema = "observed"
    base = f"{client.sandbox.url}/data-connector/v1/doc"

    def get(path: str) -> Any:
        answer = requests.get(base + path, timeout=30)
        assert answer.status_code == 200
        return answer.json() if "json" in answer.headers["Content-Type"] else answer.text

    names = set(re.findall(r"schema\?name=(\w+)&amp;format=json", get("")))
    groups = {table.group for table in client.sandbox.data_connector.registry.values()}
    assert {"cdcv2admin", "issues"} <= groups
    assert names - groups == {"changes"} | {
        f"activities_{tool}_verb_column_details"
        for tool in ("admin", "assets", "bridge", "cost", "docs", "issues", "rfis", "sheets",
                     "submittals")
    }  # fmt: skip
    for name in names - groups:
        document = get(f"/schema?name={name}&format=json")
        assert not all(isinstance(value, dict) for value in document.values())
        assert get(f"/schema?name={name}&format=html")
    changes = get("/changes?format=json")
    assert changes["watermark"].isdigit()
    assert all(entry["watermark"].isdigit() for entry in changes["changes"])
    issues = get("/schema?name=cdcissues&format=json")["issues"]
    assert "adsk_row_id" in issues
    assert "adsk_updated_at" not in issues
    with unzipped(client, client.extract("cdcissues")) as archive:
        inside = json.loads(archive.read("schemas/cdcissues.json"))
        assert "adsk_updated_at" in inside["issues"]
        assert json.loads(archive.read("schemas/changes.json"))["watermark"].isdigit()


def test_the_schema_as_service_groups_alone(client: Client) -> None:
    client.sandbox.data_connector.published_schema = "groups_only"
    base = f"{client.sandbox.url}/data-connector/v1/doc"
    index = requests.get(base, timeout=30).text
    assert "changes" not in index
    assert "cdcv2admin" not in index
    assert requests.get(f"{base}/schema?name=changes", timeout=30).status_code == 404
    watermark = requests.get(f"{base}/changes", timeout=30).json()["watermark"]
    assert watermark == "2026-03-18 00:00:00"
    schema = requests.get(f"{base}/schema?name=cdcissues&format=json", timeout=30).json()
    assert "adsk_updated_at" in schema["issues"]


def test_a_user_has_a_daily_quota_in_all_accounts_together() -> None:
    with Sandbox(accounts=2, projects=2, scale=0.1, clock=SandboxClock(NOW)) as sandbox:
        sandbox.data_connector.jobs_per_user = 3
        client = Client(sandbox)
        body = {"serviceGroups": ["locations"], "effectiveFrom": "2026-01-01T00:00:00Z"}
        paths = [f"/data-connector/v1/accounts/{each}/requests" for each in sandbox.account_ids]
        answers = [client.ask("POST", paths[n % 2], json=body).status_code for n in range(5)]
        assert answers == [201, 201, 201, 429, 429]
        sandbox.clock.advance(86400)
        sandbox.settings()  # renews the token
        assert client.ask("POST", paths[1], json=body).status_code == 201
