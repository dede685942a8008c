"""`autodesk-exports doctor`: what would fail, why, and what to do."""

import datetime as dt
import json
import subprocess
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from click.testing import CliRunner

from support.oauth_server import (
    CONFIDENTIAL,
    PUBLIC_WITH_REFRESH_TOKEN,
    SECRETS,
    TIED,
    WITH_ACCESS_TOKEN,
    WITH_PAT,
    WITH_REFRESH_TOKEN,
)
from support.processes import BIN, clean_environment
from tap_autodesk_exports.cli import main
from tap_autodesk_exports.sandbox import credentials
from tap_autodesk_exports.sandbox.clock import SandboxClock
from tap_autodesk_exports.sandbox.server import Sandbox

NOT_MINE = "0f5e4c3b-2a19-4807-96f5-e4d3c2b1a098"


@pytest.fixture(scope="module")
def shared():
    with Sandbox(job_seconds=0, secrets=SECRETS) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared):
    """The sandbox, with whatever a test broke in it mended again."""
    yield shared
    shared.tokenflex.admin = True


@pytest.fixture
def doctor(shared, tmp_path):
    """`doctor(**settings)` returns findings by (API, step), and checks the exit code."""

    def examine(**config):
        given = {
            "api_url": shared.url,
            "token_store": str(tmp_path / "tokens.json"),
            "data_connector_account_ids": [shared.account_id],
            **config,
        }
        file = tmp_path / "config.json"
        file.write_text(json.dumps(given))
        done = CliRunner().invoke(main, ["doctor", "--json", "--config", str(file)])
        report = json.loads(done.stdout)
        findings = {(found["api"], found["step"]): found for found in report["findings"]}
        fails = any(found["outcome"] == "FAILS" for found in findings.values())
        assert done.exit_code == int(fails)
        assert report["works"] is not fails
        table = CliRunner().invoke(main, ["doctor", "--config", str(file)]).output
        assert not [secret for secret in shared.secrets() if secret in done.output + table]
        return findings

    return examine


def failing(findings):
    return {key: found for key, found in findings.items() if found["outcome"] == "FAILS"}


def test_all_that_works_is_named(doctor):
    findings = doctor(**PUBLIC_WITH_REFRESH_TOKEN)
    assert failing(findings) == {}
    steps = {
        "insights": ["credentials", "token", "scopes", "contexts", "exports"],
        "tokenflex": ["credentials", "token", "scopes", "contracts"],
        "data_connector": ["credentials", "token", "scopes", "account", "jobs left"],
    }
    assert list(findings) == [(api, step) for api, names in steps.items() for step in names]
    assert credentials.USER_EMAIL in findings["insights", "token"]["found"]
    assert findings["data_connector", "jobs left"]["found"].startswith("24 of 24")


def test_missing_credentials_are_told(doctor):
    found = doctor()["settings", "credentials"]
    assert "No credentials for Insights: set 'client_id'" in found["found"]


def test_a_wrong_flow_fails_only_the_api_that_excludes_it(doctor):
    findings = doctor(**WITH_PAT, credentials={"tokenflex": TIED})
    assert list(failing(findings)) == [("data_connector", "credentials")]


def test_an_api_that_is_not_selected_is_not_examined(doctor):
    findings = doctor(**WITH_PAT, apis=["insights"])
    assert failing(findings) == {}
    assert {api for api, _ in findings} == {"insights"}


def test_a_client_that_autodesk_has_not_tied_is_told(doctor):
    found = doctor(**CONFIDENTIAL, apis=["tokenflex"])["tokenflex", "contracts"]
    assert found["outcome"] == "FAILS"
    assert "has not tied this client to one of your admins" in found["cause"]


def test_a_wrong_secret_is_told(doctor):
    findings = doctor(**{**CONFIDENTIAL, "client_secret": "wrong"}, apis=["tokenflex"])
    assert "Autodesk does not know this app" in findings["tokenflex", "token"]["found"]


def test_a_personal_access_token_that_is_not_valid_is_told(doctor):
    config = {**CONFIDENTIAL, "personal_access_token": "made-up"}
    found = doctor(**config, apis=["insights"])["insights", "contexts"]
    assert "the personal access token is invalid" in found["cause"]


def test_a_user_without_a_role_in_token_flex_is_told(doctor, sandbox):
    sandbox.tokenflex.admin = False
    found = doctor(**WITH_ACCESS_TOKEN, apis=["tokenflex"])["tokenflex", "contracts"]
    assert (found["outcome"], found["found"]) == ("FAILS", "no contract")
    assert "role missing" in found["cause"]
    assert "must not be used three-legged" in found["cause"]


def test_a_contract_of_others_is_told_with_those_that_there_are(doctor):
    config = {**WITH_ACCESS_TOKEN, "tokenflex_contract_numbers": ["77"], "apis": ["tokenflex"]}
    found = doctor(**config)["tokenflex", "contracts"]
    assert "not among them: 77" in found["found"]
    assert "110000900001" in found["remedy"]


def test_a_team_without_the_reporting_benefit_is_told(doctor, shared):
    teams = shared._services.world.teams
    team = next(team.id for team in teams if not team.reports)
    config = {**WITH_ACCESS_TOKEN, "insights_team_ids": [team], "apis": ["insights"]}
    found = doctor(**config)["insights", "contexts"]
    assert found["found"].endswith(f"not reporting: {team}")
    assert "team without the reporting benefit" in found["cause"]


def test_an_account_that_does_not_know_the_app_is_told(doctor):
    config = {**WITH_ACCESS_TOKEN, "data_connector_account_ids": [f"b.{NOT_MINE}"]}
    found = doctor(**config, apis=["data_connector"])["data_connector", "account"]
    assert f"/accounts/{NOT_MINE}/requests answered 403" in found["found"]
    for cause in ("custom integration missing", "role missing"):
        assert cause in found["cause"]


def test_a_missing_account_is_told(doctor):
    config = {**WITH_ACCESS_TOKEN, "data_connector_account_ids": []}
    found = doctor(**config, apis=["data_connector"])["data_connector", "account"]
    assert (found["outcome"], found["found"]) == ("FAILS", "none is set")


def test_scopes_that_were_not_signed_in_for_are_told(doctor, shared):
    token = signed_in_for(shared, "data:read")
    config = {**CONFIDENTIAL, "auth_flow": "access_token", "access_token": token}
    findings = doctor(**config)
    assert [api for api, step in failing(findings) if step == "scopes"] == [
        "insights",
        "tokenflex",
        "data_connector",
    ]
    found = findings["data_connector", "scopes"]
    assert found["found"] == "data:create data:write missing, data:read there"


def signed_in_for(sandbox, scope):
    """Sign in as a browser does, for a narrow scope, and return the access token."""
    oauth, callback = f"{sandbox.url}/authentication/v2", "http://localhost:1/callback"
    asked = {"response_type": "code", "redirect_uri": callback, "scope": scope}
    asked["client_id"] = credentials.CLIENT_ID
    sent = requests.post(
        f"{oauth}/authorize",
        {"answer": "allow"},
        params=asked,
        allow_redirects=False,
        timeout=10,
    )
    code = parse_qs(urlsplit(sent.headers["Location"]).query)["code"][0]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": callback}
    answer = requests.post(f"{oauth}/token", {**form, **CONFIDENTIAL}, timeout=10)
    return answer.json()["access_token"]


def test_an_expired_token_is_told(doctor):
    config = {**CONFIDENTIAL, "auth_flow": "access_token", "access_token": "old"}
    found = doctor(**config, apis=["insights"])["insights", "token"]
    assert (found["outcome"], found["found"]) == ("FAILS", "Autodesk calls the token inactive.")


def test_a_used_up_day_is_a_note_with_the_time_at_which_it_ends(tmp_path):
    clock = SandboxClock()
    with Sandbox(job_seconds=0, clock=clock) as sandbox:
        ask_for_jobs(sandbox, 24)
        config = {**sandbox.settings(), "apis": ["data_connector"]}
        (tmp_path / "config.json").write_text(json.dumps(config))
        done = CliRunner().invoke(main, ["doctor", "--config", str(tmp_path / "config.json")])
    assert done.exit_code == 0
    free = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    assert "0 of 24 in the last 24 hours" in done.output
    assert f"wait until {free:%Y-%m-%d}" in done.output


def ask_for_jobs(sandbox, number):
    url = f"{sandbox.url}/data-connector/v1/accounts/{sandbox.account_id}/requests"
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    body = {
        "scheduleInterval": "ONE_TIME",
        "effectiveFrom": dt.datetime.now(dt.UTC).isoformat(),
        "serviceGroups": ["admin"],
    }
    for _ in range(number):
        assert requests.post(url, json=body, headers=headers, timeout=10).status_code == 201


def test_the_command_reads_the_environment_and_runs_the_sandbox(tmp_path):
    done = subprocess.run(
        [str(BIN / "autodesk-exports"), "doctor"],
        env={**clean_environment(), "TAP_AUTODESK_EXPORTS_SANDBOX": "true"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert all(len(line) <= 100 for line in done.stdout.splitlines())


def test_a_chain_that_broke_is_told_with_the_way_out(doctor):
    config = {**WITH_REFRESH_TOKEN, "refresh_token": "used-up", "apis": ["insights"]}
    found = doctor(**config)["insights", "token"]
    assert "Sign in again with `autodesk-exports login`" in found["found"]


def test_wrong_settings_are_told_before_anything_is_tried(tmp_path):
    config = {
        **WITH_ACCESS_TOKEN,
        "data_connector_service_groups": ["isues"],
        "tokenflex_exports": [{"name": "usage", "fields": ["productName"]}],
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = CliRunner().invoke(main, ["doctor", "--config", str(tmp_path / "config.json")])
    assert done.exit_code == 1
    assert "did you mean 'issues'?" in done.output
    assert "a stream 'tokenflex_usage' is there already" in done.output
