"""Which credentials sign in to which API, and the sentence for each that cannot."""

from pathlib import Path

import pytest

from support.oauth_server import CONFIDENTIAL, WITH_PAT, WITH_REFRESH_TOKEN, OAuthServer
from tap_autodesk_exports.apis import Api, Flow
from tap_autodesk_exports.clock import Clock
from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.settings import Settings
from tap_autodesk_exports.signin import SignIn, SignInError
from tap_autodesk_exports.signin.credentials import check_flow, credentials_for
from tap_autodesk_exports.signin.endpoint import Token
from tap_autodesk_exports.signin.store import TokenStore, default_location

PEM = "-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----\n"
SERVICE_ACCOUNT = {
    **CONFIDENTIAL,
    "service_account_id": "ROBOT",
    "service_account_key_id": "key-1",
    "service_account_private_key": PEM,
}


def read(api=Api.DATA_CONNECTOR, **config):
    return credentials_for(api, Settings.from_config(config))


@pytest.mark.parametrize(
    ("config", "flow"),
    [
        (CONFIDENTIAL, Flow.CLIENT_CREDENTIALS),
        (WITH_PAT, Flow.CLIENT_CREDENTIALS),
        (WITH_REFRESH_TOKEN, Flow.REFRESH_TOKEN),
        ({"client_id": "public"}, Flow.REFRESH_TOKEN),
        (SERVICE_ACCOUNT, Flow.SERVICE_ACCOUNT),
        ({"access_token": "t"}, Flow.ACCESS_TOKEN),
        ({**CONFIDENTIAL, "auth_flow": "refresh_token"}, Flow.REFRESH_TOKEN),
        ({**WITH_REFRESH_TOKEN, "refresh_token": ""}, Flow.CLIENT_CREDENTIALS),
    ],
)
def test_the_flow_follows_from_what_is_given(config, flow):
    assert read(**config).flow is flow


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({}, "No credentials for Data Connector: set 'client_id'"),
        (
            {"access_token": "a", "refresh_token": "b"},
            "'access_token', 'refresh_token' belong to different sign-in flows: set 'auth_flow' to",
        ),
        (
            {"personal_access_token": "a", "client_id": "b"},
            "'auth_flow' client_credentials needs 'client_secret', which is not set",
        ),
        (
            {**SERVICE_ACCOUNT, "service_account_key_id": ""},
            "'auth_flow' service_account needs 'service_account_key_id', which is not set",
        ),
        (
            {"auth_flow": "access_token", "client_id": "x"},
            "'auth_flow' access_token needs 'access_token', which is not set",
        ),
        (
            {"auth_flow": "refresh_token", "refresh_token": "x"},
            "'auth_flow' refresh_token needs 'client_id', which is not set",
        ),
        (
            {**SERVICE_ACCOUNT, "service_account_private_key": "/no/such/key.pem"},
            "Setting 'service_account_private_key' is neither PEM text nor the path of a readable",
        ),
        (
            {"credentials": {"data_connector": {"client_secret": "s"}}},
            "needs 'client_id', which is not set in 'credentials.data_connector'",
        ),
    ],
)
def test_incomplete_or_ambiguous_credentials_name_what_is_missing(config, sentence):
    with pytest.raises(ConfigurationError) as caught:
        read(**config)
    assert sentence in str(caught.value)


def test_a_private_key_may_be_a_file_or_have_its_line_ends_written_out(tmp_path):
    file = tmp_path / "key.pem"
    file.write_text(PEM)
    in_file = read(**{**SERVICE_ACCOUNT, "service_account_private_key": str(file)})
    escaped = {**SERVICE_ACCOUNT, "service_account_private_key": PEM.replace("\n", "\\n")}
    assert in_file.service_account_private_key == PEM
    assert read(**escaped).service_account_private_key == PEM


def test_a_file_that_is_no_key_is_refused(tmp_path):
    file = tmp_path / "key.pem"
    file.write_text("hello")
    with pytest.raises(ConfigurationError, match="holds no PEM text"):
        read(**{**SERVICE_ACCOUNT, "service_account_private_key": str(file)})


def test_one_api_may_have_credentials_of_its_own_beside_the_shared_ones():
    config = {
        **WITH_REFRESH_TOKEN,
        "credentials": {
            "insights": {"personal_access_token": "pat"},
            "tokenflex": {"client_id": "tied", "client_secret": "s"},
        },
    }
    insights = read(Api.INSIGHTS, **config)
    assert (insights.flow, insights.client_id) == (
        Flow.CLIENT_CREDENTIALS,
        CONFIDENTIAL["client_id"],
    )
    tokenflex = read(Api.TOKENFLEX, **config)
    assert (tokenflex.flow, tokenflex.client_id) == (Flow.CLIENT_CREDENTIALS, "tied")
    assert read(Api.DATA_CONNECTOR, **config).flow is Flow.REFRESH_TOKEN


def test_an_api_with_an_app_of_its_own_shares_no_secret():
    config = {**WITH_REFRESH_TOKEN, "credentials": {"insights": {"client_id": "public"}}}
    own = read(Api.INSIGHTS, **config)
    assert (own.client_secret, own.refresh_token) == (None, None)


def test_credentials_per_api_may_come_as_json_text_as_an_environment_variable_does():
    text = '{"insights": {"access_token": "ready"}}'
    config = {**WITH_REFRESH_TOKEN, "credentials": text}
    assert read(Api.INSIGHTS, **config).access_token == "ready"


def test_an_own_flow_wins_over_the_shared_one():
    config = {**WITH_REFRESH_TOKEN, "auth_flow": "refresh_token"}
    config["credentials"] = {"insights": {"access_token": "ready"}}
    assert read(Api.INSIGHTS, **config).flow is Flow.ACCESS_TOKEN


def test_data_connector_cannot_be_used_without_a_user():
    with pytest.raises(ConfigurationError, match="Data Connector cannot be used with 'auth_flow'"):
        check_flow(Api.DATA_CONNECTOR, read(**WITH_PAT))


def test_insights_needs_a_personal_access_token_beside_client_credentials():
    check_flow(Api.INSIGHTS, read(Api.INSIGHTS, **WITH_PAT))
    with pytest.raises(ConfigurationError, match="set 'personal_access_token'"):
        check_flow(Api.INSIGHTS, read(Api.INSIGHTS, **CONFIDENTIAL))


def test_no_credentials_show_in_a_repr():
    shown = repr(read(**SERVICE_ACCOUNT)) + repr(Settings.from_config(WITH_REFRESH_TOKEN))
    assert "BEGIN" not in shown
    assert WITH_REFRESH_TOKEN["refresh_token"] not in shown
    assert CONFIDENTIAL["client_secret"] not in shown


# A login that is stored


@pytest.fixture
def logged_in(tmp_path):
    """A server, and a store in which somebody signed in to its app."""
    with OAuthServer() as server:
        seedless = {**CONFIDENTIAL, "auth_flow": "refresh_token"}
        server.sign_in(tmp_path, **seedless)
        credentials = credentials_for(Api.INSIGHTS, server.settings(tmp_path, **seedless))
        store = TokenStore(str(tmp_path / "tokens.json"))
        now = server.clock.now()
        with store.locked():
            store.reserve()
            store.write(credentials.chain(server.url), Token("a", now, now, "r"), now)
        yield server


@pytest.mark.parametrize("api", Api)
def test_a_stored_login_of_the_app_is_used(logged_in, tmp_path, api):
    found = credentials_for(api, logged_in.settings(tmp_path, **CONFIDENTIAL))
    assert found.flow is Flow.REFRESH_TOKEN
    own = {"credentials": {api.value: CONFIDENTIAL}, "client_id": "other"}
    assert credentials_for(api, logged_in.settings(tmp_path, **own)).flow is Flow.REFRESH_TOKEN


@pytest.mark.parametrize(
    "config",
    [
        {**CONFIDENTIAL, "client_id": "another-app"},
        {**CONFIDENTIAL, "auth_flow": "client_credentials"},
        {**WITH_PAT},
        {**CONFIDENTIAL, "api_url": "https://elsewhere.example"},
        {**CONFIDENTIAL, "credentials": {"insights": {"auth_flow": "client_credentials"}}},
        {**CONFIDENTIAL, "credentials": {"insights": {"personal_access_token": "p"}}},
    ],
    ids=["another app", "said", "a token of an admin", "another host", "said for one", "PAT"],
)
def test_a_stored_login_changes_nothing_where_the_settings_say_otherwise(
    logged_in, tmp_path, config
):
    settings = logged_in.settings(tmp_path, **config)
    assert credentials_for(Api.INSIGHTS, settings).flow is Flow.CLIENT_CREDENTIALS


def test_a_service_account_needs_no_login(logged_in, tmp_path):
    settings = logged_in.settings(tmp_path, **SERVICE_ACCOUNT)
    assert credentials_for(Api.INSIGHTS, settings).flow is Flow.SERVICE_ACCOUNT


def test_a_store_that_cannot_be_read_is_reported_where_it_is_configured(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    location = default_location(CONFIDENTIAL["client_id"])
    Path(location).parent.mkdir(parents=True)
    Path(location).write_text("my shopping list")
    assert read(**CONFIDENTIAL).flow is Flow.CLIENT_CREDENTIALS
    with pytest.raises(SignInError, match="holds something else than tokens"):
        read(**CONFIDENTIAL, token_store=location)


def test_all_apis_without_credentials_are_named_in_one_message():
    settings = Settings.from_config({"credentials": {"tokenflex": {"access_token": "t"}}})
    with pytest.raises(ConfigurationError) as raised:
        SignIn.from_settings(settings, Clock())
    first, insights, data_connector = str(raised.value).splitlines()
    assert first == "2 settings are wrong:"
    assert "No credentials for Insights" in insights
    assert "No credentials for Data Connector" in data_connector
