"""Kind 10: a sandbox that serves a real extract opens to its token, and to nothing else."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from support import processes
from support.attack import COMPANION
from tap_autodesk_exports.sandbox import credentials

pytestmark = pytest.mark.kind(10)

CELL = "a cell of a real extract 0123456789"
BESIDE = "a file beside the extract 0123456789"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Door:
    """`autodesk-exports sandbox --extract`, as its own process."""

    def __init__(self, folder, *arguments):
        self.folder = folder
        extract = folder / "extract"
        extract.mkdir(exist_ok=True)
        header = "id,bim360_account_id,name,status"
        (extract / "admin_roles.csv").write_text(f"{header}\n1,2,{CELL},active\n", "utf-8")
        (folder / "beside.csv").write_text(BESIDE, "utf-8")
        ready = folder / "ready.json"
        ready.unlink(missing_ok=True)
        self.ready = ready
        command = [
            str(processes.BIN / COMPANION), "sandbox", "--port", "0", "--extract", str(extract),
            "--job-seconds", "0", "--ready-file", str(ready), *arguments,
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=processes.clean_environment(),
        )
        until = time.monotonic() + 30
        while not ready.exists() and self.process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        if ready.exists():
            given = json.loads(ready.read_text("utf-8"))
            self.netloc = urlsplit(given["url"]).netloc
            self.settings = given["settings"]
            self.token = self.settings["access_token"]
            self.account = self.settings["data_connector_account_ids"][0]

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.communicate(timeout=20)
        self.process.kill()
        self.process.wait()

    def ask(self, method, path, body=None, **headers):
        """Return status, headers and body; no Host is made up where one is given."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        client = http.client.HTTPConnection(self.netloc, timeout=30)
        with contextlib.closing(client):
            client.putrequest(method, path, skip_host="Host" in given, skip_accept_encoding=True)
            data = body.encode() if isinstance(body, str) else body
            for name, value in given.items():
                client.putheader(name, value)
            if data is not None:
                client.putheader("Content-Length", str(len(data)))
            client.endheaders(data)
            answer = client.getresponse()
            return (
                answer.status,
                dict(answer.getheaders()),
                answer.read().decode("utf-8", "replace"),
            )

    def bearer(self, token):
        return {"Authorization": f"Bearer {token}"}

    def steal(self, token):
        """Return whatever can be read of the extract with a token."""
        seen = []
        base = f"/data-connector/v1/accounts/{self.account}"
        body = json.dumps({"serviceGroups": ["admin"], "effectiveFrom": "2026-01-01T00:00:00Z"})
        with contextlib.suppress(ValueError, KeyError, IndexError):
            auth = self.bearer(token)
            _, _, text = self.ask("POST", f"{base}/requests", body,
                                       Content_Type="application/json", **auth)  # fmt: skip
            seen.append(text)
            time.sleep(0.1)
            _, _, text = self.ask("GET", f"{base}/jobs", **auth)
            seen.append(text)
            job = json.loads(text)["results"][-1]["id"]
            _, _, text = self.ask("GET", f"{base}/jobs/{job}/data/admin_roles.csv", **auth)
            seen.append(text)
            link = urlsplit(json.loads(text)["signedUrl"])
            _, _, text = self.ask("GET", f"{link.path}?{link.query}")
            seen.append(text)
        return "\n".join(seen)


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    door = Door(tmp_path_factory.mktemp("door"))
    assert door.ready.exists(), door.process.stdout.read()
    yield door
    door.close()


def assert_shut(door, status, text):
    assert status in {400, 401, 403, 404, 405, 421}, (status, text[:200])
    assert CELL not in text
    assert door.token not in text


ADMIN = (
    ("GET", "/sandbox/settings"), ("GET", "/sandbox/served"), ("GET", "/sandbox/served/0"),
    ("GET", "/sandbox/requests"), ("GET", "/sandbox/exports"), ("GET", "/sandbox/secrets"),
    ("GET", "/sandbox/clock"), ("POST", "/sandbox/clock"), ("POST", "/sandbox/insights"),
    ("GET", "/sandbox/faults"), ("POST", "/sandbox/faults"), ("DELETE", "/sandbox/faults"),
    ("GET", "/sandbox/behaviour"), ("POST", "/sandbox/behaviour"), ("POST", "/sandbox/extracts"),
    ("GET", "/sandbox/stranger"), ("GET", "/sandbox/"), ("GET", "/sandbox"),
)  # fmt: skip


@pytest.mark.parametrize(("method", "path"), ADMIN)
@pytest.mark.short("GET-/sandbox/secrets")
def test_admin_pages_need_the_token(door, method, path):
    """No admin page answers without the token."""
    body = '{"advance_seconds": 1}' if method == "POST" else None
    for headers in ({}, {"Origin": "https://evil.test"}, {"Content_Type": "text/plain"}):
        status, _, text = door.ask(method, path, body, **headers)
        assert_shut(door, status, text)


WRONG = {
    "none": "",
    "empty": "Bearer ",
    "another one": "Bearer " + secrets.token_urlsafe(),
    "the one of an older release": "Bearer SandboxReadyThreeLeggedAccessToken",
    "the beginning of the right one": "Bearer {start}",
    "the right one and more": "Bearer {token}x",
    "the right one in another case": "Bearer {swapped}",
    "a pattern": "Bearer *",
    "the right one as a password": "Basic {basic}",
    "null": "Bearer null",
    "one of another alphabet": "Bearer \xe9\xff",
}


@pytest.mark.parametrize("name", WRONG)
def test_no_other_token_opens_anything(door, name):
    """No token but the one that the start printed opens an admin page or an API."""
    value = WRONG[name].format(
        start=door.token[:-1],
        token=door.token,
        swapped=door.token.swapcase(),
        basic=base64.b64encode(f"user:{door.token}".encode()).decode(),
    )
    headers = {"Authorization": value} if value else {}
    for path in ("/sandbox/secrets", f"/data-connector/v1/accounts/{door.account}/jobs"):
        status, _, text = door.ask("GET", path, **headers)
        assert_shut(door, status, text)


def test_the_token_opens_it(door):
    """The token that the start prints opens the admin pages and the extract."""
    assert door.ask("GET", "/sandbox/settings", **door.bearer(door.token))[0] == 200
    assert CELL in door.steal(door.token)


HOSTS = {
    "another name": "evil.test",
    "another name with the port": "evil.test:{port}",
    "our address as a label": "127.0.0.1.evil.test:{port}",
    "our name as a label": "localhost.evil.test:{port}",
    "our name in front": "localhost@evil.test",
    "another address": "192.0.2.1:{port}",
    "an address of the link": "169.254.169.254",
    "nothing": "",
    "a name below ours": "evil.localhost.test",
    "two names": "127.0.0.1:{port}, evil.test",
    "a name with a dot": "evil.test.:{port}",
    "any address": "0.0.0.0:{port}",
}


@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.short("our address as a label")
def test_a_foreign_host_is_refused(door, name):
    """A request that names another host is refused, also with the token."""
    host = HOSTS[name].format(port=door.netloc.rpartition(":")[2])
    for path in ("/sandbox/settings", f"/data-connector/v1/accounts/{door.account}/jobs",
                 "/insights/v1/contexts", "/authentication/v2/authorize"):  # fmt: skip
        status, _, text = door.ask("GET", path, Host=host, **door.bearer(door.token))
        assert_shut(door, status, text)


def test_a_foreign_host_in_the_request_line_is_refused(door):
    """A request whose line names another host is refused."""
    with socket.create_connection(door.netloc.split(":"), timeout=20) as connection:
        connection.sendall(
            b"GET http://evil.test/sandbox/settings HTTP/1.1\r\n"
            b"Host: evil.test\r\nConnection: close\r\n"
            b"Authorization: Bearer " + door.token.encode() + b"\r\n\r\n"
        )
        text = b""
        while chunk := connection.recv(65536):
            text += chunk
    assert_shut(door, int(text.split()[1]), text.decode("utf-8", "replace"))


def token_of(door, **form):
    status, _, text = door.ask("POST", "/authentication/v2/token", urlencode(form), **FORM)
    return json.loads(text).get("access_token", "") if status == 200 else ""


CLIENTS = (credentials.CLIENT_ID, credentials.PUBLIC_CLIENT_ID, credentials.TWO_LEGGED_CLIENT_ID)
OLD = ("sandbox-client-secret-1", "sandbox-client-secret-3", "", "secret",
       "SandboxSeedRefreshTokenOfTheConfidentialApp", "SandboxSeedRefreshTokenOfThePublicApp",
       "SandboxPersonalAccessToken")  # fmt: skip


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.short("SandboxConfidentialApp0000000001")
def test_no_published_secret_gives_a_token(door, client):
    """No secret that stands in a release or in its documentation gives a token."""
    for secret in OLD:
        assert not token_of(door, grant_type="client_credentials", client_id=client,
                            client_secret=secret, scope="data:read")  # fmt: skip
        assert not token_of(door, grant_type="refresh_token", client_id=client,
                            client_secret=secret, refresh_token=secret)  # fmt: skip
        assert not token_of(door, grant_type="refresh_token", client_id=client,
                            refresh_token=secret)  # fmt: skip


@pytest.mark.parametrize("client", CLIENTS)
def test_a_sign_in_page_alone_opens_nothing(door, client):
    """Whoever clicks through the sign-in page without a secret gets nothing of the extract."""
    verifier = secrets.token_urlsafe(48)
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
    query = urlencode({
        "client_id": client, "response_type": "code", "redirect_uri": "http://127.0.0.1:9/x",
        "scope": "data:read data:write data:create", "state": "s", "code_challenge_method": "S256",
        "code_challenge": digest.rstrip(b"=").decode(),
    })  # fmt: skip
    path = f"/authentication/v2/authorize?{query}"
    _, headers, text = door.ask("POST", path, "answer=allow", **FORM)
    code = parse_qs(urlsplit(headers.get("Location", "")).query).get("code", [""])[0]
    got = token_of(door, grant_type="authorization_code", client_id=client, code=code,
                   code_verifier=verifier, redirect_uri="http://127.0.0.1:9/x")  # fmt: skip
    assert CELL not in text
    assert not got or CELL not in door.steal(got)


TRAVERSALS = (
    "../beside.csv", "..%2fbeside.csv", "%2e%2e/beside.csv", "%2e%2e%2fbeside.csv",
    "..\\beside.csv", "..%5cbeside.csv", "/etc/passwd", "%2fetc%2fpasswd", "....//beside.csv",
    "admin_roles.csv/../../beside.csv",
    "..%c0%afbeside.csv", "admin_roles.csv%00.csv", "file:///etc/passwd",
)  # fmt: skip


@pytest.mark.parametrize("name", TRAVERSALS)
def test_nothing_beside_the_extract_is_served(door, name):
    """No path leads out of the extract's folder, with the token neither."""
    auth = door.bearer(door.token)
    door.steal(door.token)
    base = f"/data-connector/v1/accounts/{door.account}"
    jobs = json.loads(door.ask("GET", f"{base}/jobs", **auth)[2])["results"]
    found = []
    for path in (f"{base}/jobs/{jobs[0]['id']}/data/{name}", f"/storage/data_connector/{name}",
                 f"/storage/{name}", f"/static/{name}", f"/{name.lstrip('/')}"):  # fmt: skip
        status, _, text = door.ask("GET", path, **auth)
        found.append(text)
        if status == 200 and "signedUrl" in text:
            link = urlsplit(json.loads(text)["signedUrl"])
            found.append(door.ask("GET", f"{link.path}?{link.query}")[2])
    assert BESIDE not in "".join(found)
    assert "root:" not in "".join(found)


def test_a_page_of_another_site_may_read_nothing(door):
    """No answer lets a page of another site read it."""
    for path in ("/sandbox/settings", "/insights/v1/contexts"):
        for method in ("GET", "OPTIONS"):
            _, headers, _ = door.ask(
                method, path, Origin="https://evil.test", **door.bearer(door.token)
            )
            lower = {name.lower() for name in headers}
            assert "access-control-allow-origin" not in lower


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PUT", "PATCH", "CONNECT"])
def test_no_other_method_opens_an_admin_page(door, method):
    """No other HTTP method opens an admin page without the token."""
    status, headers, text = door.ask(method, "/sandbox/secrets")
    assert CELL not in text
    assert door.token not in text + json.dumps(headers)
    assert status != 200 or not text


def test_a_link_is_good_for_its_file_alone(door):
    """A signed link that is changed, or has expired, opens nothing."""
    door.steal(door.token)
    auth = door.bearer(door.token)
    base = f"/data-connector/v1/accounts/{door.account}"
    job = json.loads(door.ask("GET", f"{base}/jobs", **auth)[2])["results"][0]["id"]
    text = door.ask("GET", f"{base}/jobs/{job}/data/admin_roles.csv", **auth)[2]
    link = urlsplit(json.loads(text)["signedUrl"])
    query = {name: values[0] for name, values in parse_qs(link.query).items()}
    for name in ("Signature", "Expires"):
        for value in ("", "0", "9" * 12, query[name][::-1], "x", "nan", "inf", "-1"):
            changed = urlencode({**query, name: value})
            status, _, text = door.ask("GET", f"{link.path}?{changed}")
            assert status >= 400, (name, value)
            assert CELL not in text
    assert door.ask("GET", link.path)[0] >= 400


def test_every_start_has_its_own_token(door, tmp_path):
    """Each start makes its own token, which no release holds."""
    other = Door(tmp_path)
    try:
        assert other.token != door.token
        assert len(other.token) >= 24
        assert CELL not in door.steal(other.token)
    finally:
        other.close()
    for path in (processes.ROOT / "tap_autodesk_exports").rglob("*.py"):
        text = path.read_text("utf-8")
        assert door.token not in text
        assert other.token not in text


@pytest.mark.parametrize("mask", [0o022, 0o000])
def test_the_ready_file_is_for_its_owner_alone(tmp_path, mask):
    """The file with the token can be read by its owner alone."""
    before = os.umask(mask)
    try:
        door = Door(tmp_path)
    finally:
        os.umask(before)
    try:
        assert door.ready.stat().st_mode & 0o077 == 0
    finally:
        door.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.2"])  # noqa: S104
def test_it_listens_to_this_machine_alone(tmp_path, host):
    """With a real extract it does not listen to other machines."""
    door = Door(tmp_path, "--host", host)
    try:
        if door.ready.exists():
            listening = urlsplit(json.loads(door.ready.read_text("utf-8"))["url"]).hostname
            assert listening in {"127.0.0.1", "localhost", "::1"}
    finally:
        door.close()


def test_odd_requests_do_not_end_it(door):
    """Requests that are none do not end it, and tell nothing."""
    for data in (b"\0\0\0\0\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 100_000, b"\r\n" * 1000,
                 b"GET /" + quote("☃" * 5000).encode() + b" HTTP/1.1\r\n\r\n"):  # fmt: skip
        with (
            socket.create_connection(door.netloc.split(":"), timeout=20) as connection,
            contextlib.suppress(OSError),
        ):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            assert CELL.encode() not in connection.recv(65536)
    assert door.ask("GET", "/sandbox/settings", **door.bearer(door.token))[0] == 200


@pytest.mark.parametrize("value", ["%e2%98%83", "%ed%a0%80", "", "nan", "%00"])
def test_a_link_with_another_signature_is_refused(door, value):
    """A link whose signature or end is another one is refused, whatever stands there."""
    for query in (f"Expires=9999999999&Signature={value}", f"Expires={value}&Signature=00"):
        status, _, text = door.ask("GET", f"/storage/data_connector/x/admin_roles.csv?{query}")
        assert status == 403
        assert_shut(door, status, text)
