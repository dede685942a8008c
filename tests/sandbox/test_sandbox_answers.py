"""Answers that faults bend: storage, redirects, floods, drips, edited JSON, sign-in."""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.client
import socket
import time
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from support.oauth_server import SECRETS, WITH_REFRESH_TOKEN
from support.sandbox_client import JOB_SECONDS, Client
from tap_autodesk_exports.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTEXTS = "/insights/v1/contexts"
TOKEN = "/authentication/v2/token"
EXPORT = {"outputFormat": "CSV", "reports": ["USERS"]}
ENDLESS = 3_000_000


@pytest.fixture
def client() -> Iterator[Client]:
    with Sandbox(scale=0.1, job_seconds=JOB_SECONDS, secrets=SECRETS) as sandbox:
        yield Client(sandbox)


@pytest.fixture
def link(client: Client) -> str:
    job = client.extract("locations")
    found: str = client.get(f"{job}/data/locations_nodes.csv")["signedUrl"]
    return found


def served(client: Client) -> list[str]:
    return [s.name for s in client.sandbox.served if s.path]


def raw(url: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    """Fetch without any decoding."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    connection.request("GET", f"{parts.path}?{parts.query}", headers=headers)
    answer = connection.getresponse()
    return answer, answer.read()


# Ranges, versions and checksums of files.


def test_files_have_etag_date_and_ranges_as_s3_gives_them(client: Client, link: str) -> None:
    whole = client.fetch(link)
    assert whole.headers["ETag"].count("-") == 1
    assert whole.headers["Last-Modified"].endswith("GMT")
    same = {name: whole.headers[name] for name in ("ETag", "Last-Modified")}
    part = client.fetch(link, Range="bytes=10-", **{"If-Range": same["ETag"]})
    assert (part.status_code, part.content) == (206, whole.content[10:])
    assert {name: part.headers[name] for name in same} == same
    other = client.fetch(link, Range="bytes=10-", **{"If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, whole.content)
    assert client.fetch(link, **{"If-Match": '"other"'}).status_code == 412
    assert client.fetch(link, **{"If-Match": same["ETag"]}).status_code == 200


def test_a_range_that_starts_elsewhere(client: Client, link: str) -> None:
    whole = client.fetch(link).content
    client.sandbox.faults.add("range_start", times=None)
    assert client.fetch(link).status_code == 200  # no range was requested
    part = client.fetch(link, Range="bytes=100-")
    assert (part.status_code, part.content) == (206, whole)
    assert part.headers["Content-Range"] == f"bytes 0-{len(whole) - 1}/{len(whole)}"


def test_a_range_of_another_total(client: Client, link: str) -> None:
    whole = client.fetch(link).content
    client.sandbox.faults.add("range_total")
    part = client.fetch(link, Range="bytes=100-")
    assert (part.status_code, part.content) == (206, whole[100:])
    last = len(whole) - 1
    assert part.headers["Content-Range"] == f"bytes 100-{last}/{len(whole) + 1}"


@pytest.mark.parametrize("name", ["ETag", "Last-Modified", "Content-Range", "Content-Type"])
def test_a_header_is_replaced_or_taken_out_of_answers_to_ranges(
    client: Client, link: str, name: str
) -> None:
    faults = client.sandbox.faults
    faults.add("headers", endpoint="file", ranged=True, headers={name.lower(): "other"})
    faults.add("headers", endpoint="file", ranged=True, headers={name: None})
    assert client.fetch(link).headers.get(name) != "other"
    first, second = (raw(link, Range="bytes=5-")[0] for _ in range(2))
    assert first.getheader(name) == "other"
    assert second.getheader(name) is None


def test_a_replaced_header_leaves_the_file_served(client: Client, link: str) -> None:
    client.sandbox.faults.add("headers", endpoint="file", headers={"X-Further": "yes"})
    assert client.fetch(link).headers["X-Further"] == "yes"
    assert served(client) == ["locations_nodes.csv"]


def test_checksums_are_those_of_the_file(client: Client, link: str) -> None:
    client.sandbox.storage.change(
        {
            "etag": "md5",
            "checksums": [
                "Content-MD5", "x-amz-checksum-crc32", "x-amz-checksum-sha1",
                "x-amz-checksum-sha256",
            ],
        }
    )  # fmt: skip
    answer = client.fetch(link)
    data = answer.content
    assert answer.headers["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'  # noqa: S324
    expected = {
        "Content-MD5": hashlib.md5(data).digest(),  # noqa: S324
        "x-amz-checksum-crc32": zlib.crc32(data).to_bytes(4, "big"),
        "x-amz-checksum-sha1": hashlib.sha1(data).digest(),  # noqa: S324
        "x-amz-checksum-sha256": hashlib.sha256(data).digest(),
    }
    for name, digest in expected.items():
        assert base64.b64decode(answer.headers[name]) == digest
    client.sandbox.storage.checksums = ["composite"]
    assert client.fetch(link).headers["x-amz-checksum-sha256"].endswith("=-3")


def test_a_corrupt_file_keeps_the_right_checksum_and_a_whole_one_can_have_a_wrong_one(
    client: Client, link: str
) -> None:
    client.sandbox.storage.checksums = ["Content-MD5"]
    client.sandbox.faults.add("corrupt", endpoint="file")
    wrong = {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}
    client.sandbox.faults.add("headers", endpoint="file", headers=wrong)
    bent, mislabelled, right = (client.fetch(link) for _ in range(3))
    sums = [base64.b64encode(hashlib.md5(one.content).digest()).decode()  # noqa: S324
            for one in (bent, mislabelled, right)]  # fmt: skip
    assert [one.headers["Content-MD5"] for one in (bent, mislabelled, right)] == [
        sums[2], wrong["Content-MD5"], sums[2],
    ]  # fmt: skip
    assert sums[0] != sums[1] == sums[2]


# Lengths and encodings.


def test_a_compressed_file_and_one_that_ends_early(client: Client, link: str) -> None:
    client.sandbox.faults.add("gzip", endpoint="file")
    client.sandbox.faults.add("gzip_cut", endpoint="file")
    answer, packed = raw(link, Range="bytes=5-")
    assert (answer.status, answer.getheader("Content-Encoding")) == (200, "gzip")
    assert answer.getheader("Content-Length") == str(len(packed))
    whole = gzip.decompress(packed)
    assert served(client) == ["locations_nodes.csv"]
    answer, packed = raw(link)
    assert answer.getheader("Content-Length") == str(len(packed))
    with pytest.raises(EOFError):
        gzip.decompress(packed)
    assert client.fetch(link).content == whole
    assert len(served(client)) == 2


def test_a_file_without_a_length_whole_and_cut(client: Client, link: str) -> None:
    client.sandbox.faults.add("no_length", endpoint="file")
    client.sandbox.faults.add("no_length_cut", endpoint="file", after_bytes=100)
    whole, cut, right = (client.fetch(link) for _ in range(3))
    assert [len(one.content) for one in (whole, cut)] == [len(right.content), 100]
    assert [("Content-Length" in one.headers) for one in (whole, cut, right)] == [
        False, False, True,
    ]  # fmt: skip
    assert len(served(client)) == 2


def test_json_in_place_of_a_file(client: Client, link: str) -> None:
    client.sandbox.faults.add("json", endpoint="file")
    client.sandbox.faults.add(
        "status", endpoint="file", status=200, body="[]", content_type="application/json"
    )
    assert client.fetch(link).json() == {"message": "Something went wrong."}
    assert client.fetch(link).json() == []
    assert served(client) == []


def test_a_slow_drip_arrives_in_the_end(client: Client, link: str) -> None:
    client.sandbox.faults.add("drip", endpoint="file", size=300, seconds=0.01)
    client.sandbox.faults.add("drip", endpoint="contexts", seconds=0.2)
    begin = time.monotonic()
    assert client.fetch(link).content.startswith(b"\xef\xbb\xbf")
    assert time.monotonic() - begin > 0.03
    assert served(client) == ["locations_nodes.csv"]
    with requests.get(
        client.sandbox.url + CONTEXTS,
        headers={"Authorization": f"Bearer {client.token}"},
        stream=True,
        timeout=30,
    ) as answer:
        assert len(next(answer.iter_content(1))) == 1


def test_a_drip_ends_when_the_sandbox_stops(client: Client, link: str) -> None:
    client.sandbox.faults.add("drip", endpoint="file", seconds=600)
    answer = requests.get(link, stream=True, timeout=30)
    begin = time.monotonic()
    client.sandbox.stop()
    answer.close()
    assert time.monotonic() - begin < 120


@pytest.mark.parametrize("status", [200, 400, 500])
def test_an_error_body_without_an_end(client: Client, status: int) -> None:
    client.sandbox.faults.add("flood", endpoint="contexts", status=status, body="no ")
    with requests.get(
        client.sandbox.url + CONTEXTS,
        headers={"Authorization": f"Bearer {client.token}"},
        stream=True,
        timeout=30,
    ) as answer:
        assert answer.status_code == status
        assert "Content-Length" not in answer.headers
        pieces = answer.iter_content(65536)
        read = 0
        while read < ENDLESS:
            read += len(next(pieces))
    assert client.ask("GET", CONTEXTS).status_code == 200
    client.sandbox.faults.add("flood", endpoint="contexts", status=status, size=100_000)
    assert len(client.ask("GET", CONTEXTS).content) == 100_000
    assert [request.status for request in client.sandbox.requests] == [status, 200, status]


# Redirects.


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_an_answer_that_leads_to_a_stranger(client: Client, status: int) -> None:
    client.sandbox.faults.add("redirect", status=status, path=f"{CONTEXTS}*")
    answer = client.ask("GET", f"{CONTEXTS}?limit=1", allow_redirects=False)
    stranger = client.sandbox.stranger
    assert answer.status_code == status
    assert answer.headers["Location"] == f"{stranger.url}{CONTEXTS}?limit=1"
    assert stranger.arrivals == []
    assert client.fetch(answer.headers["Location"], **{"ADSK-PAT": "x"}).json() == []
    [arrival] = stranger.arrivals
    assert (arrival.method, arrival.path) == ("GET", f"{CONTEXTS}?limit=1")
    assert arrival.headers["Adsk-Pat"] == "x"
    assert client.admin("GET", "/stranger").json()[0]["path"] == f"{CONTEXTS}?limit=1"


def test_a_post_that_is_redirected_was_not_executed(client: Client) -> None:
    client.sandbox.faults.add("redirect", endpoint="submit", status=307)
    client.sandbox.stranger.answer = (200, '{"id": "a stranger"}', "application/json")
    followed = client.ask("POST", "/insights/v1/exports", json=EXPORT)
    assert followed.json() == {"id": "a stranger"}
    [arrival] = client.sandbox.stranger.arrivals
    assert (arrival.method, '"USERS"' in arrival.body) == ("POST", True)
    assert client.sandbox.exports == []


def test_a_redirect_within_the_sandbox_and_of_a_file(client: Client, link: str) -> None:
    client.sandbox.faults.add("redirect", endpoint="contexts", location=client.sandbox.url)
    assert client.ask("GET", CONTEXTS).status_code == 200
    client.sandbox.faults.add("redirect", endpoint="file")
    assert client.fetch(link).json() == []
    assert client.sandbox.stranger.arrivals[-1].path.startswith("/storage/data_connector/")


def test_the_stranger_stops_with_the_sandbox(client: Client) -> None:
    address = urlsplit(client.sandbox.stranger.url)
    client.sandbox.stop()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((address.hostname or "", address.port or 0), timeout=5)


# Edited JSON, and sign-in.


def test_fields_are_set_removed_and_turned_into_text(client: Client) -> None:
    teams = client.get(CONTEXTS)
    client.sandbox.faults.add(
        "edit",
        endpoint="contexts",
        edits={
            "*.further": {"a": [1]},
            "0.contextId": 7,
            "9.alias": "nobody",
            "1.reportingBenefits.0": None,
            "no.such.place": 1,
        },
        as_text=["1.further", "*.alias"],
        removed=["2.alias", "3", "*.reportingBenefits.1"],
    )
    found = client.get(CONTEXTS)
    assert len(found) == 3
    assert [team["alias"] for team in found[:2]] == [team["alias"] for team in teams[:2]]
    assert "alias" not in found[2]
    assert [team["further"] for team in found] == [{"a": [1]}, '{"a": [1]}', {"a": [1]}]
    assert found[0]["contextId"] == 7
    assert found[1]["reportingBenefits"][0] is None
    benefits = teams[0]["reportingBenefits"]
    assert found[0]["reportingBenefits"] == [benefits[0], *benefits[2:]]
    assert client.get(CONTEXTS) == teams


def test_an_edit_of_the_whole_and_of_what_is_no_json(client: Client, link: str) -> None:
    client.sandbox.faults.add("edit", endpoint="contexts", edits={"": {"teams": []}})
    assert client.get(CONTEXTS) == {"teams": []}
    client.sandbox.faults.add("edit", endpoint="file", edits={"": []})
    client.sandbox.faults.add("edit", endpoint="contexts", removed=[""])
    assert client.fetch(link).content.startswith(b"\xef\xbb\xbf")
    assert client.get(CONTEXTS) is None


@pytest.mark.parametrize(
    "expires_in", ["missing", None, "soon", "3599", -1, 0, 1e30, 10**40, [], True]
)
def test_a_sign_in_that_says_anything_of_its_end(client: Client, expires_in: Any) -> None:
    changes = (
        {"removed": ["expires_in"]}
        if expires_in == "missing"
        else {"edits": {"expires_in": expires_in}}
    )
    client.sandbox.faults.add("edit", api="authentication", endpoint="_token", **changes)
    form = {**WITH_REFRESH_TOKEN, "grant_type": "refresh_token"}
    answer = requests.post(client.sandbox.url + TOKEN, form, timeout=30)
    assert answer.json().get("expires_in", "missing") == expires_in
    assert len(answer.json()["refresh_token"]) > 20
    form["refresh_token"] = answer.json()["refresh_token"]
    client.sandbox.faults.add("edit", endpoint="_token", edits={"refresh_token": ""})
    assert requests.post(client.sandbox.url + TOKEN, form, timeout=30).json()["refresh_token"] == ""


@pytest.mark.parametrize("value", ["-1", "1e99", "soon", "99999999999999999999", "", "NaN"])
def test_a_retry_after_that_makes_no_sense(client: Client, value: str) -> None:
    client.sandbox.faults.add(
        "status", endpoint="contexts", status=429, headers={"Retry-After": value}
    )
    assert client.ask("GET", CONTEXTS).headers["Retry-After"] == value


def test_switches_and_faults_over_http(client: Client) -> None:
    shown = client.admin("GET", "/behaviour").json()
    assert set(shown) == {"insights", "tokenflex", "data_connector", "storage", "names"}
    assert shown["insights"]["columns"] == "snake"
    changed = client.admin(
        "POST",
        "/behaviour",
        json={
            "insights": {"columns": "camel", "kept_days": 3},
            "data_connector": {"closed": ["x"], "zip_files": {"a.csv": "missing"}},
        },
    ).json()
    assert (changed["insights"]["columns"], changed["insights"]["kept_days"]) == ("camel", 3.0)
    assert client.sandbox.data_connector.closed == {"x"}
    for wrong in (
        {"insights": {"columns": "blue"}},
        {"insights": {"colour": "blue"}},
        {"insights": {"split_downloads": 1}},
        {"insights": {"columns": "upper"}, "nobody": {}},
        {"insights": []},
    ):
        refused = client.admin("POST", "/behaviour", json=wrong)
        assert refused.status_code == 400, wrong
        assert refused.json()["message"]
    assert client.sandbox.insights.columns == "camel"
    moment = {"effect": "status", "since": "yesterday"}
    assert client.admin("POST", "/faults", json=moment).status_code == 400
