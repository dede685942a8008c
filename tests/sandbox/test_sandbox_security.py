"""The sandbox is no open door: its data are for whoever has its token, on this machine."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import pytest
import requests

from support.sandbox_client import Client
from tap_autodesk_exports.sandbox import Sandbox, credentials

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTEXTS = "/insights/v1/contexts"
PROGRAM = [sys.executable, "-c", "from tap_autodesk_exports.cli import main; main()", "sandbox"]
ADMIN = [
    ("GET", "settings"), ("GET", "served"), ("GET", "served/0"), ("GET", "requests"),
    ("GET", "exports"), ("GET", "secrets"), ("GET", "clock"), ("POST", "clock"),
    ("GET", "behaviour"), ("POST", "behaviour"), ("POST", "extracts"), ("GET", "stranger"),
    ("GET", "faults"), ("POST", "faults"), ("DELETE", "faults"),
]  # fmt: skip


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Sandbox(scale=0.1, job_seconds=0) as sandbox:
        yield Client(sandbox)


def test_every_sandbox_has_its_own_secrets() -> None:
    one, two = credentials.Secrets(), credentials.Secrets()
    assert len(one.all() | two.all()) == 12
    assert min(map(len, one.all())) >= 40
    assert one.access_token not in repr(one)
    with Sandbox() as first, Sandbox() as second:
        token = {"Authorization": f"Bearer {first.token}"}
        assert requests.get(first.url + CONTEXTS, headers=token, timeout=30).status_code == 200
        assert requests.get(second.url + CONTEXTS, headers=token, timeout=30).status_code == 401


@pytest.mark.parametrize(("method", "page"), ADMIN)
def test_admin_pages_need_the_token(client: Client, method: str, page: str) -> None:
    url = f"{client.sandbox.url}/sandbox/{page}"
    wrong = {"Authorization": "Bearer nonsense"}
    for arguments in ({}, {"headers": wrong}, {"params": {"token": "nonsense"}}):
        refused = requests.request(method, url, timeout=30, **arguments)
        assert refused.status_code == 401, refused.text
        assert "token is needed" in refused.json()["message"]
    passed = requests.request(method, url, params={"token": client.token}, timeout=30)
    assert passed.status_code != 401


def test_all_admin_pages_are_tried_here(client: Client) -> None:
    routes = client.sandbox.app.url_map.iter_rules()
    found = {
        (method, re.sub("<int:.*>", "0", rule.rule).removeprefix("/sandbox/"))
        for rule in routes
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/sandbox/")
    }
    assert found == set(ADMIN)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8421", "127.0.0.1.evil.example", "192.168.1.7", "[", ""]
)
def test_a_foreign_host_is_refused_even_with_the_token(client: Client, host: str) -> None:
    before = client.sandbox.exports
    for path in (CONTEXTS, "/sandbox/secrets", "/authentication/v2/authorize"):
        refused = client.ask("GET", path, headers={"Host": host})
        assert refused.status_code == 421
        assert client.token not in refused.text
    body = {"outputFormat": "CSV", "reports": ["USERS"]}
    posted = client.ask("POST", "/insights/v1/exports", headers={"Host": host}, json=body)
    assert posted.status_code == 421
    assert client.sandbox.exports == before


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.1.2.3", "[::1]:80"])
def test_this_machine_s_own_names_pass(client: Client, host: str) -> None:
    assert client.ask("GET", CONTEXTS, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.com", ""])  # noqa: S104
def test_it_listens_on_loopback_only(tmp_path: Path, host: str) -> None:
    with pytest.raises(ValueError, match="serves this machine only"):
        Sandbox(folder=tmp_path).start(host=host)


def test_it_listens_on_ipv6_as_well(tmp_path: Path) -> None:
    sandbox = Sandbox(folder=tmp_path)
    try:
        url = sandbox.start(host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    try:
        assert url.startswith("http://[::1]:")
        assert Client(sandbox).ask("GET", CONTEXTS).status_code == 200
    finally:
        sandbox.stop()


def test_the_command_refuses_another_address_in_a_sentence() -> None:
    done = subprocess.run(
        [*PROGRAM, "--host", "0.0.0.0", "--port", "0"],  # noqa: S104
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "'0.0.0.0' is not a loopback address. Use 127.0.0.1" in " ".join(done.stderr.split())


def test_the_ready_file_is_for_its_owner_only(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    with subprocess.Popen(
        [*PROGRAM, "--port", "0", "--ready-file", str(ready)], stdout=subprocess.PIPE, text=True
    ) as process:
        while not ready.exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.terminate()
        process.communicate(timeout=30)
    assert stat.S_IMODE(ready.stat().st_mode) == 0o600
    assert len(json.loads(ready.read_text())["settings"]["access_token"]) >= 40


def test_nobody_signs_in_by_the_consent_page_where_real_files_are_served(tmp_path: Path) -> None:
    query = {
        "response_type": "code",
        "client_id": credentials.CLIENT_ID,
        "redirect_uri": "http://127.0.0.1:9/",
        "scope": "data:read",
    }
    with Sandbox() as made_up, Sandbox(extract=tmp_path) as real:
        found = [
            requests.post(
                f"{sandbox.url}/authentication/v2/authorize",
                {"answer": "allow"},
                params=query,
                allow_redirects=False,
                timeout=30,
            ).headers["Location"]
            for sandbox in (made_up, real)
        ]
    assert found[0].startswith("http://127.0.0.1:9/?code=")
    assert found[1] == "http://127.0.0.1:9/?error=access_denied"


def test_every_answer_has_the_date_of_the_sandbox_s_clock(client: Client) -> None:
    client.sandbox.clock.advance(-3 * 86400)
    now = client.sandbox.clock.now()
    client.sandbox.settings()
    client.sandbox.faults.add("status", path="/insights/v1/contexts", status=503)
    answers = [
        client.ask("GET", CONTEXTS),
        client.ask("GET", CONTEXTS),
        client.ask("GET", "/no/such/page"),
        client.ask("GET", CONTEXTS, headers={"Host": "evil.example"}),
        requests.get(f"{client.sandbox.url}/data-connector/v1/doc", timeout=30),
    ]
    assert [answer.status_code for answer in answers] == [503, 200, 404, 421, 200]
    for answer in answers:
        told = parsedate_to_datetime(answer.headers["Date"])
        assert abs((told - now).total_seconds()) < 60
        assert answer.headers["Date"].count("GMT") == 1
    client.sandbox.clock.advance(3 * 86400)
