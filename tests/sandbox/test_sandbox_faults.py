"""Each fault of the sandbox does what it says, where and as often as it was asked to."""

from __future__ import annotations

import io
import time
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
import requests

from support.sandbox_client import JOB_SECONDS, Client
from tap_autodesk_exports.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTEXTS = "/insights/v1/contexts"


@pytest.fixture
def client() -> Iterator[Client]:
    with Sandbox(scale=0.1, job_seconds=JOB_SECONDS) as sandbox:
        yield Client(sandbox)


def served(client: Client) -> list[str]:
    return [s.name for s in client.sandbox.served if s.path]


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503, 504])
def test_a_status_with_headers_and_body(client: Client, status: int) -> None:
    client.sandbox.faults.add(
        "status", endpoint="contexts", status=status, headers={"Retry-After": "7"}, body="no"
    )
    answer = client.ask("GET", CONTEXTS)
    assert (answer.status_code, answer.text) == (status, "no")
    assert answer.headers["Retry-After"] == "7"
    assert client.ask("GET", CONTEXTS).status_code == 200
    assert [request.status for request in client.sandbox.requests] == [status, 200]


def test_occasions_and_times(client: Client) -> None:
    fault = client.sandbox.faults.add("status", path="/insights/*", occasions=[2, 4])
    assert [client.ask("GET", CONTEXTS).status_code for _ in range(5)] == [200, 500, 200, 500, 200]
    assert fault.struck == 2
    client.sandbox.faults.clear()
    client.sandbox.faults.add("status", api="insights", method="GET", times=None)
    assert {client.ask("GET", CONTEXTS).status_code for _ in range(3)} == {500}
    assert client.ask("GET", "/tokenflex/v1/contract").status_code == 200


def test_a_reset_connection(client: Client) -> None:
    client.sandbox.faults.add("reset", api="insights")
    with pytest.raises(requests.ConnectionError):
        client.ask("GET", CONTEXTS)
    assert client.ask("GET", CONTEXTS).status_code == 200
    assert [request.status for request in client.sandbox.requests] == [0, 200]


def test_an_answer_that_is_lost_was_executed(client: Client) -> None:
    client.sandbox.faults.add("lost", endpoint="submit")
    with pytest.raises(requests.ConnectionError):
        client.ask(
            "POST", "/insights/v1/exports", json={"outputFormat": "CSV", "reports": ["USERS"]}
        )
    assert len(client.sandbox.exports) == 1
    assert len(client.get("/insights/v1/exports")["exports"]) == 1


def test_refused_connections_come_back_on_the_same_port(client: Client) -> None:
    client.sandbox.faults.add("refused", api="insights", seconds=0.5)
    with pytest.raises(requests.ConnectionError):
        client.ask("GET", CONTEXTS)
    deadline = time.monotonic() + 10
    refused = 0
    while time.monotonic() < deadline:
        try:
            assert client.ask("GET", CONTEXTS).status_code == 200
        except requests.ConnectionError as error:
            refused += "refused" in str(error)
            time.sleep(0.05)
        else:
            assert refused
            return
    pytest.fail("the sandbox did not come back")


def test_a_stall_outlasts_the_timeout_of_a_reader(client: Client) -> None:
    job = client.extract("locations")
    link = client.get(f"{job}/data/locations_nodes.csv")["signedUrl"]
    client.sandbox.faults.add("stall", endpoint="file", seconds=30)
    client.sandbox.faults.add("stall_body", endpoint="file", seconds=30)
    with pytest.raises(requests.ReadTimeout):
        requests.get(link, timeout=0.3)
    with pytest.raises((requests.ConnectionError, requests.ReadTimeout)):
        requests.get(link, timeout=0.3)
    assert client.fetch(link).status_code == 200
    assert served(client) == ["locations_nodes.csv"]


def test_a_stalled_file_counts_once_it_arrived_and_not_when_nobody_waited(client: Client) -> None:
    job = client.extract("locations")
    link = client.get(f"{job}/data/locations_nodes.csv")
    client.sandbox.faults.add("stall", endpoint="file", seconds=0.6, occasions=[1])
    client.sandbox.faults.add("stall_body", endpoint="file", seconds=0.6, times=2)
    for _ in range(2):
        with pytest.raises((requests.ConnectionError, requests.ReadTimeout)):
            requests.get(link["signedUrl"], timeout=0.1)
    arrived = client.fetch(link["signedUrl"])
    assert len(arrived.content) == link["size"]
    assert served(client) == ["locations_nodes.csv"]


def test_files_that_are_not_what_they_say(client: Client) -> None:
    job = client.extract("locations")
    link = client.get(f"{job}/data/locations_nodes.csv")
    size = link["size"]

    def fetch() -> requests.Response:
        return client.fetch(link["signedUrl"])

    faults = client.sandbox.faults
    faults.add("truncate", api="data_connector", endpoint="file", after_bytes=100)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        fetch()
    faults.add("wrong_length", endpoint="file")
    assert len(fetch().content) == size // 2
    faults.add("corrupt", endpoint="file", after_bytes=7)
    corrupt, whole = fetch().content, fetch().content
    assert [at for at in range(size) if corrupt[at] != whole[at]] == [7]
    faults.add("html", endpoint="file")
    assert fetch().text.startswith("<!doctype html>")
    faults.add("xml", endpoint="file")
    assert (fetch().status_code, faults.all[-1].struck) == (200, 1)
    faults.add("zip", endpoint="file")
    with zipfile.ZipFile(io.BytesIO(fetch().content)) as archive:
        assert len(archive.read("file.csv")) == size
    faults.add("expired_link", endpoint="file")
    assert fetch().status_code == 403
    assert served(client) == ["locations_nodes.csv"]  # the whole one
    files = [r.status for r in client.sandbox.requests if r.path.startswith("/storage/")]
    assert files == [200, 200, 200, 200, 200, 200, 200, 403]


def test_a_quota_that_is_used_up(client: Client) -> None:
    client.sandbox.faults.add("quota", api="data_connector", endpoint="submit")
    refused = client.request("locations")
    assert refused.status_code == 429
    assert refused.json() == {"developerMessage": "Quota limit exceeded."}
    assert "Retry-After" not in refused.headers
    assert client.request("locations").status_code == 201


@pytest.mark.parametrize(
    ("effect", "insights", "tokenflex", "data_connector"),
    [
        ("ends_failed", "ERROR", "Error", ("complete", "failed")),
        ("ends_cancelled", "ERROR", "Error", ("complete", "cancelled")),
        ("ends_expired", "EXPIRED", "Error", ("complete", "failed")),
        ("never_starts", "SUBMITTED", "Requested", ("queued", None)),
        ("unknown_status", "ARCHIVING", "Archiving", ("archiving", None)),
    ],
)
def test_ends_of_an_export(
    client: Client, effect: str, insights: str, tokenflex: str, data_connector: tuple[str, Any]
) -> None:
    client.sandbox.faults.add(effect, times=None)
    assert client.insights(outputFormat="CSV", reports=["USERS"])["status"] == insights
    path = client.tokenflex(client.contract(), fields=["usageDate"])
    client.wait()
    assert client.get(path)["requestStatus"] == tokenflex
    job = client.get(client.extract("locations"))
    assert (job["status"], job["completionStatus"]) == data_connector


def test_a_job_that_never_appears(client: Client) -> None:
    client.sandbox.faults.add("no_job", api="data_connector")
    posted = client.request("locations").json()
    client.wait(3600 - JOB_SECONDS)
    assert client.get(f"{client.account}/requests/{posted['id']}/jobs")["results"] == []


def test_faults_over_http(client: Client) -> None:
    assert client.admin("POST", "/faults", json=[{"effect": "quota", "api": "insights"}]).ok
    assert client.ask("GET", CONTEXTS).status_code == 429
    [fault] = client.admin("GET", "/faults").json()
    assert (fault["effect"], fault["struck"]) == ("quota", 1)
    assert client.admin("DELETE", "/faults").json() == []
    unknown = client.admin("POST", "/faults", json={"effect": "quota", "colour": "red"})
    assert unknown.status_code == 400
    assert "colour" in unknown.json()["message"]
    assert client.admin("POST", "/faults", json={"effect": "nonsense"}).status_code == 400
