"""`autodesk-exports login`: a person signs in once, and the tap renews from then on."""

import base64
import hashlib
import json
import re
import socket
import stat
import subprocess
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from click.testing import CliRunner

from support import chromium
from support.oauth_server import CONFIDENTIAL, TIED, WITH_REFRESH_TOKEN, OAuthServer
from support.processes import BIN, clean_environment
from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.cli import main
from tap_autodesk_exports.clock import Clock
from tap_autodesk_exports.sandbox import credentials
from tap_autodesk_exports.settings import Settings
from tap_autodesk_exports.settings.config import environment_variables
from tap_autodesk_exports.signin.login import wanted

PUBLIC = {"client_id": credentials.PUBLIC_CLIENT_ID}


@pytest.fixture
def server():
    with OAuthServer(Clock()) as server:
        yield server


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Login:
    """The command as its own process, configured by the environment as Meltano does it."""

    def __init__(self, server, folder, config, *arguments, env=None):
        self.callback = f"http://localhost:{free_port()}/callback"
        given = {"api_url": server.url, "token_store": str(folder / "tokens.json"), **config}
        settings = {"DISPLAY": "", **environment_variables(given)}
        environment = {**clean_environment(), **settings, **(env or {})}
        if not (env or {}).get("BROWSER"):
            arguments = (*arguments, "--no-browser")
        self.process = subprocess.Popen(
            [str(BIN / "autodesk-exports"), "login", "--callback", self.callback, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            cwd=folder,
        )
        self.said = ""

    def address(self):
        """Wait for the address to sign in at."""
        while True:
            line = self.process.stdout.readline()
            self.said += line
            if found := re.search(r"^\s+(http\S+)", line):
                return found[1]
            assert line, self.said

    def ready(self):
        while "paste the" not in self.said:
            line = self.process.stdout.readline()
            assert line, self.said
            self.said += line

    def end(self, pasted=""):
        out, _ = self.process.communicate(pasted, timeout=60)
        self.said += out
        return self.process.returncode


def answer(address, choice="allow"):
    """Do what the browser does on the consent page; return where it is sent."""
    sent = requests.post(address, {"answer": choice}, allow_redirects=False, timeout=10)
    return sent.headers["Location"]


@pytest.mark.skipif(chromium.PROGRAM is None, reason="no Chromium here: apt-get install chromium")
def test_a_real_browser_goes_through(server, tmp_path):
    opened = tmp_path / "opened"
    opener = tmp_path / "opener"
    opener.write_text(f'#!/bin/sh\nps -eww -o args > {tmp_path}/listed\necho "$1" > {opened}\n')
    opener.chmod(0o755)
    login = Login(server, tmp_path, PUBLIC, env={"BROWSER": f"{opener} %s"})
    address = login.address()
    with chromium.Chromium(tmp_path) as browser:
        login.ready()
        assert opened.read_text().strip() == address
        browser.go(address)
        browser.wait_for("document.querySelector('#allow') !== null")
        assert credentials.PUBLIC_CLIENT_ID in browser.run("document.body.innerText")
        browser.run("document.querySelector('#allow').click()")
        browser.wait_for("document.title === 'Done'")
        assert browser.run("location.href").startswith(login.callback)
    assert login.end() == 0
    assert f"Signed in as {credentials.USER_EMAIL}" in login.said
    sign_in = server.sign_in(tmp_path, **PUBLIC)
    sign_in.check(Api.DATA_CONNECTOR)
    for api in Api:
        assert server.status(api, sign_in.headers(api)) == 200
    listed = (tmp_path / "listed").read_text()
    for secret in server.authentication.secrets():
        assert secret not in login.said
        assert secret not in listed


def test_pkce_is_used_and_it_is_told_for_whom_and_until_when(server, tmp_path):
    login = Login(server, tmp_path, CONFIDENTIAL)
    address = login.address()
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert asked["scope"] == "data:create data:read data:write"
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    login.ready()
    requests.get(answer(address), timeout=10)
    assert login.end() == 0
    verifier = server.forms[-1]["code_verifier"]
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
    assert asked["code_challenge"] == digest.rstrip(b"=").decode()
    assert 43 <= len(verifier) <= 128
    assert not [secret for secret in server.authentication.secrets() if secret in login.said]
    assert "client_secret" not in server.forms[-1]
    user = f"Signed in as {credentials.USER_EMAIL}, with the app {credentials.CLIENT_ID}"
    assert user in login.said
    assert str(tmp_path / "tokens.json") in login.said
    assert re.search(r"Without a run it ends on \d{4}-\d\d-\d\d", login.said)
    assert "Now set" not in login.said
    sign_in = server.sign_in(tmp_path, **CONFIDENTIAL)
    assert server.status(Api.DATA_CONNECTOR, sign_in.headers(Api.DATA_CONNECTOR)) == 200
    assert stat.S_IMODE((tmp_path / "tokens.json").stat().st_mode) == 0o600


def test_where_the_settings_say_two_legged_it_is_told_what_to_set(server, tmp_path):
    login = Login(server, tmp_path, {**CONFIDENTIAL, "auth_flow": "client_credentials"})
    address = login.address()
    login.ready()
    requests.get(answer(address), timeout=10)
    assert login.end() == 0
    assert "Now set 'auth_flow' to refresh_token, so that the tap uses it." in login.said


def test_an_address_may_be_pasted_where_nothing_listens(server, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        callback = f"http://localhost:{taken.getsockname()[1]}/callback"
        login = Login(server, tmp_path, PUBLIC, "--callback", callback)
        address = login.address()
        login.ready()
        assert f"{callback} cannot be listened to from here" in login.said
        assert login.end(f"{callback}?code=x&state=y\n\n{answer(address)}\n") == 0
    assert "That is not the address that this sign-in ends on" in login.said
    assert "Signed in as" in login.said


def test_a_redirect_of_another_sign_in_is_not_taken(server, tmp_path):
    login = Login(server, tmp_path, PUBLIC)
    address = login.address()
    login.ready()
    forged = requests.get(f"{login.callback}?code=stolen&state=guessed", timeout=10)
    assert forged.status_code == 400
    assert requests.get(login.callback.replace("callback", "other"), timeout=10).status_code == 404
    assert server.forms == []
    assert requests.get(answer(address), timeout=10).status_code == 200
    assert login.end() == 0


@pytest.mark.parametrize(
    ("config", "choice", "sentence"),
    [
        (PUBLIC, "deny", "Access was denied in the browser: sign in again and allow it."),
        (TIED, "allow", "This app may not be used three-legged: a client that Autodesk tied"),
    ],
)
def test_a_refusal_is_told(server, tmp_path, config, choice, sentence):
    login = Login(server, tmp_path, config)
    address = login.address()
    login.ready()
    requests.get(answer(address, choice), timeout=10)
    assert login.end() == 1
    assert sentence in login.said


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({}, "No credentials for Insights: set 'client_id'"),
        ({"access_token": "t"}, "There is nothing to sign in to with a browser"),
        (
            {
                **PUBLIC,
                "credentials": {"tokenflex": {**CONFIDENTIAL, "auth_flow": "refresh_token"}},
            },
            "The APIs have different apps: sign in to one after the other, with `--api insights or",
        ),
        ({"auth_flow": "by_magic"}, "Setting 'auth_flow' ('by_magic') is not one of the words"),
        ({**PUBLIC, "token_store": "/proc/no/store.json"}, "cannot be used (FileNotFoundError"),
    ],
)
def test_bad_settings_are_told_before_anyone_signs_in(tmp_path, config, sentence):
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    done = CliRunner().invoke(main, ["login", "--no-browser", "--config", str(file)])
    assert done.exit_code == 1
    assert sentence in done.output
    assert "/authorize" not in done.output


OWN_APP = {**CONFIDENTIAL, "auth_flow": "refresh_token"}


def test_one_of_several_apps_is_chosen_by_api():
    settings = Settings.from_config({**PUBLIC, "credentials": {"tokenflex": OWN_APP}})
    found = wanted(settings, "tokenflex")
    assert found.credentials.client_id == credentials.CLIENT_ID
    assert found.scopes == ["data:read", "data:write"]


def test_apis_that_share_a_chain_are_signed_in_to_together():
    found = wanted(Settings.from_config(PUBLIC), "insights")
    assert found.apis == tuple(Api)
    assert "data:create" in found.scopes


def test_an_app_is_asked_for_the_scopes_of_its_own_apis_alone():
    config = {**WITH_REFRESH_TOKEN, "credentials": {"insights": TIED, "data_connector": TIED}}
    assert wanted(Settings.from_config(config), None).scopes == ["data:read", "data:write"]


def test_a_sign_in_by_hand_wins_over_a_chain_that_broke(server, tmp_path):
    server.sign_in(**WITH_REFRESH_TOKEN, token_store=str(tmp_path / "lost.json")).headers(
        Api.INSIGHTS
    )
    login = Login(server, tmp_path, WITH_REFRESH_TOKEN)
    address = login.address()
    login.ready()
    requests.get(answer(address), timeout=10)
    assert login.end() == 0
    assert "Now set 'auth_flow'" not in login.said
    sign_in = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
    assert server.status(Api.DATA_CONNECTOR, sign_in.headers(Api.DATA_CONNECTOR)) == 200


def test_the_sandbox_takes_a_code_once_with_its_verifier_and_for_five_minutes(server):
    url = f"{server.url}/authentication/v2/token"
    callback = "http://localhost:1/callback"
    verifier = "v" * 43
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    asked = {
        "response_type": "code",
        "client_id": credentials.PUBLIC_CLIENT_ID,
        "redirect_uri": callback,
        "scope": "data:read",
        "code_challenge": digest.decode(),
        "code_challenge_method": "S256",
    }
    address = requests.Request("GET", f"{server.url}/authentication/v2/authorize", params=asked)

    def exchange(**change):
        code = parse_qs(urlsplit(answer(address.prepare().url)).query)["code"][0]
        form = {
            "grant_type": "authorization_code",
            "client_id": credentials.PUBLIC_CLIENT_ID,
            "code": code,
            "redirect_uri": callback,
            "code_verifier": verifier,
            **change,
        }
        return requests.post(url, form, timeout=10), form

    first, form = exchange()
    assert first.status_code == 200
    assert requests.post(url, form, timeout=10).json()["error"] == "invalid_grant"
    assert exchange(code_verifier="w" * 43)[0].status_code == 400
    assert exchange(code_verifier="")[0].status_code == 400
    assert exchange(redirect_uri="http://localhost:2/callback")[0].status_code == 400
    for missing in ("code_challenge", "scope"):
        less = {name: value for name, value in asked.items() if name != missing}
        refused = requests.Request("GET", f"{server.url}/authentication/v2/authorize", params=less)
        assert "error=" in answer(refused.prepare().url)
