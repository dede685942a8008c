"""Each flow loads a stream of each API that accepts it, with the tap as its own process."""

import functools

import pytest

from support import processes
from support.oauth_server import (
    CONFIDENTIAL,
    PUBLIC_WITH_REFRESH_TOKEN,
    SECRETS,
    TIED,
    WITH_ACCESS_TOKEN,
    WITH_PAT,
    WITH_REFRESH_TOKEN,
)
from tap_autodesk_exports.sandbox import credentials
from tap_autodesk_exports.sandbox.server import Sandbox
from tap_autodesk_exports.tap import TapAutodeskExports

STREAMS = {
    "insights": "insights_contexts",
    "tokenflex": "tokenflex_contracts",
    "data_connector": "data_connector_jobs",
}
REFUSED = 1


@functools.cache
def discovered():
    return TapAutodeskExports(config={**WITH_ACCESS_TOKEN}).catalog_dict


def only(*streams):
    """Return a catalog in which these streams are selected."""
    entries = [
        {
            **entry,
            "metadata": [
                {**each, "metadata": {**each["metadata"], "selected": True}}
                for each in entry["metadata"]
            ],
        }
        for entry in discovered()["streams"]
        if entry["tap_stream_id"] in streams
    ]
    return {"streams": entries}


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(job_seconds=0, secrets=SECRETS) as sandbox:
        key = {
            "service_account_id": credentials.SERVICE_ACCOUNT_ID,
            "service_account_key_id": credentials.SERVICE_ACCOUNT_KEY_ID,
            "service_account_private_key": sandbox.authentication.private_key_pem,
        }
        sandbox.service_account = {**CONFIDENTIAL, **key}
        yield sandbox


@pytest.fixture
def load(sandbox, tmp_path):
    """`load(credentials, apis)` runs the tap; no secret may show in what it says."""

    def run(config, apis):
        given = {
            "api_url": sandbox.url,
            "data_connector_account_ids": [sandbox.account_id],
            "token_store": str(tmp_path / "tokens.json"),
            "apis": list(STREAMS),
            **config,
        }
        done = processes.run_tap(
            tmp_path,
            given,
            catalog=only(*(STREAMS[api] for api in apis)),
            env={"TAP_AUTODESK_EXPORTS_LOGLEVEL": "DEBUG"},
        )
        said = done.stderr + str(done.messages)
        assert not [secret for secret in sandbox.secrets() if secret in said]
        return done

    return run


@pytest.mark.parametrize(
    "config",
    [
        WITH_REFRESH_TOKEN,
        PUBLIC_WITH_REFRESH_TOKEN,
        WITH_ACCESS_TOKEN,
        lambda sandbox: sandbox.service_account,
        {**WITH_PAT, "credentials": {"tokenflex": TIED, "data_connector": WITH_ACCESS_TOKEN}},
    ],
    ids=["refresh", "public", "ready", "service account", "one flow for each API"],
)
def test_each_flow_loads_a_stream_of_each_api(sandbox, load, config):
    config = config(sandbox) if callable(config) else config
    done = load(config, STREAMS)
    assert (done.code, sorted(done.streams)) == (0, sorted(STREAMS.values())), done.stderr
    assert done.records("insights_contexts")
    assert done.records("tokenflex_contracts")


@pytest.mark.parametrize(
    ("config", "api", "sentence"),
    [
        (WITH_PAT, "data_connector", "Data Connector cannot be used with 'auth_flow'"),
        (CONFIDENTIAL, "insights", "Insights cannot be used with 'auth_flow' client_credentials"),
        (CONFIDENTIAL, "tokenflex", "Token Flex: GET /contract answered 403"),
        ({"client_id": "x"}, "insights", "There is no refresh token for the app x"),
        (
            {**WITH_ACCESS_TOKEN, "access_token": "old"},
            "insights",
            "The access token in setting 'access_token' is invalid or expired",
        ),
    ],
)
def test_a_combination_that_cannot_work_gets_one_sentence(load, config, api, sentence):
    done = load(config, [api])
    assert done.code == REFUSED
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.records(STREAMS[api]) == []


def test_a_token_that_was_revoked_between_two_runs_is_renewed_once(sandbox, load):
    grant = sandbox.authentication._seed(credentials.PUBLIC_CLIENT_ID)
    sandbox.authentication._refresh_tokens["a-fresh-seed"] = grant
    config = {**PUBLIC_WITH_REFRESH_TOKEN, "refresh_token": "a-fresh-seed"}
    used = sandbox.authentication.answered["refresh_token"]
    for _ in range(2):
        done = load(config, ["insights"])
        assert done.code == 0, done.stderr
        sandbox.authentication.forget_access_tokens()
    assert sandbox.authentication.answered["refresh_token"] == used + 2
