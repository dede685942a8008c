"""Tokens are had in each flow, renewed before they end, and told apart from secrets in errors."""

import concurrent.futures
import json

import pytest
import requests
from joserfc import jwt
from joserfc.jwk import RSAKey

from support.oauth_server import (
    CONFIDENTIAL,
    PUBLIC_WITH_REFRESH_TOKEN,
    SECRETS,
    TIED,
    WITH_ACCESS_TOKEN,
    WITH_PAT,
    WITH_REFRESH_TOKEN,
    OAuthServer,
    response,
)
from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.sandbox import credentials
from tap_autodesk_exports.signin import SignInError

ALL = tuple(Api)


@pytest.fixture
def server():
    with OAuthServer() as server:
        yield server


def service_account(server):
    return {
        **CONFIDENTIAL,
        "service_account_id": credentials.SERVICE_ACCOUNT_ID,
        "service_account_key_id": credentials.SERVICE_ACCOUNT_KEY_ID,
        "service_account_private_key": server.authentication.private_key_pem,
    }


@pytest.mark.parametrize(
    ("config", "apis"),
    [
        (WITH_PAT, {Api.INSIGHTS}),
        (TIED, {Api.TOKENFLEX}),
        (WITH_REFRESH_TOKEN, set(ALL)),
        (PUBLIC_WITH_REFRESH_TOKEN, set(ALL)),
        (WITH_ACCESS_TOKEN, set(ALL)),
        (service_account, set(ALL)),
    ],
    ids=["pat", "tied", "refresh", "public", "ready", "service account"],
)
def test_each_flow_opens_the_apis_that_accept_it_and_no_other(server, tmp_path, config, apis):
    config = config(server) if callable(config) else config
    sign_in = server.sign_in(tmp_path, **config)
    assert {api for api in ALL if server.status(api, sign_in.headers(api)) == 200} == apis


def test_apis_may_use_different_flows_in_one_run(server, tmp_path):
    sign_in = server.sign_in(
        tmp_path,
        **WITH_REFRESH_TOKEN,
        credentials={
            "insights": {"personal_access_token": SECRETS.personal_access_token},
            "tokenflex": TIED,
        },
    )
    assert [server.status(api, sign_in.headers(api)) for api in ALL] == [200, 200, 200]
    assert server.authentication.answered == {"client_credentials": 2, "refresh_token": 1}
    assert "ADSK-PAT" in sign_in.headers(Api.INSIGHTS)
    assert "ADSK-PAT" not in sign_in.headers(Api.DATA_CONNECTOR)


def test_apis_with_the_same_credentials_share_one_token(server, tmp_path):
    sign_in = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
    assert len({sign_in.headers(api)["Authorization"] for api in ALL}) == 1
    assert server.authentication.answered == {"refresh_token": 1}


def test_only_the_scopes_of_the_selected_apis_are_asked_for(server):
    server.sign_in(**TIED, apis=["tokenflex"]).headers(Api.TOKENFLEX)
    assert server.forms[-1]["scope"] == "data:read data:write"
    key = RSAKey.import_key(server.authentication.private_key_pem)
    for apis, scopes in (
        (["insights"], ["data:read", "data:write"]),
        (["data_connector", "insights"], ["data:create", "data:read", "data:write"]),
    ):
        server.sign_in(**service_account(server), apis=apis).headers(Api.INSIGHTS)
        claims = jwt.decode(server.forms[-1]["assertion"], key, algorithms=["RS256"]).claims
        assert claims["scope"] == scopes
        assert claims["exp"] - server.clock.now().timestamp() <= 300


def test_nothing_is_sent_before_the_first_request(server, tmp_path):
    sign_in = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
    sign_in.check(Api.DATA_CONNECTOR)
    assert server.forms == []


def test_a_secret_stands_in_the_header_and_never_in_the_form(server, tmp_path):
    server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(Api.INSIGHTS)
    assert set(server.forms[-1]) == {"grant_type", "refresh_token"}
    server.sign_in(tmp_path, **PUBLIC_WITH_REFRESH_TOKEN).headers(Api.INSIGHTS)
    assert set(server.forms[-1]) == {"grant_type", "refresh_token", "client_id"}


@pytest.mark.parametrize("config", [WITH_PAT, WITH_REFRESH_TOKEN, service_account])
def test_a_token_is_renewed_before_it_expires(server, tmp_path, config):
    config = config(server) if callable(config) else config
    sign_in = server.sign_in(tmp_path, **config)
    first = sign_in.headers(Api.INSIGHTS)
    server.clock.advance(3599 - 301)
    assert sign_in.headers(Api.INSIGHTS) == first
    server.clock.advance(2)
    second = sign_in.headers(Api.INSIGHTS)
    assert second != first
    assert server.status(Api.INSIGHTS, second) == 200


@pytest.mark.parametrize("config", [WITH_PAT, WITH_REFRESH_TOKEN, service_account])
def test_a_rejected_token_is_renewed_once_for_all_threads(server, tmp_path, config):
    config = config(server) if callable(config) else config
    sign_in = server.sign_in(tmp_path, **config)
    rejected = sign_in.headers(Api.INSIGHTS)
    server.authentication.forget_access_tokens()
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda _: sign_in.renew(Api.INSIGHTS, rejected), range(20)))
    assert sum(server.authentication.answered.values()) == 2
    assert server.status(Api.INSIGHTS, sign_in.headers(Api.INSIGHTS)) == 200


def test_threads_that_begin_together_sign_in_once(server, tmp_path):
    sign_in = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        headers = list(
            pool.map(lambda _: sign_in.headers(Api.INSIGHTS)["Authorization"], range(20))
        )
    assert len(set(headers)) == 1
    assert server.authentication.answered == {"refresh_token": 1}


def test_a_ready_token_that_was_rejected_says_that_it_cannot_be_renewed(server):
    sign_in = server.sign_in(**WITH_ACCESS_TOKEN)
    with pytest.raises(SignInError, match="'access_token' is invalid or expired, and cannot be"):
        sign_in.renew(Api.INSIGHTS, sign_in.headers(Api.INSIGHTS))


def test_an_api_that_is_not_selected_needs_no_working_flow(server):
    sign_in = server.sign_in(**WITH_PAT)
    sign_in.check(Api.INSIGHTS)
    with pytest.raises(ConfigurationError, match="Data Connector cannot be used"):
        sign_in.check(Api.DATA_CONNECTOR)
    assert server.forms == []


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({**CONFIDENTIAL, "client_secret": "wrong-one"}, "Autodesk does not know this app: check"),
        (
            {**WITH_REFRESH_TOKEN, "refresh_token": "used-before"},
            "Sign in again with `autodesk-exports login`",
        ),
        (
            {"client_id": credentials.CLIENT_ID, "refresh_token": SECRETS.refresh_token},
            "every other app needs one",
        ),
    ],
)
def test_a_refusal_says_what_to_do_and_shows_no_secret(server, tmp_path, config, sentence):
    sign_in = server.sign_in(tmp_path, **config)
    with pytest.raises(SignInError) as caught:
        sign_in.headers(Api.TOKENFLEX)
    assert sentence in str(caught.value)
    for secret in ("wrong-one", "used-before", SECRETS.refresh_token):
        assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"service_account_id": "OTHER"}, "'service_account_id'"),
        ({"service_account_key_id": "other"}, "this machine's clock"),
    ],
)
def test_a_refused_assertion_says_what_to_check(server, change, sentence):
    sign_in = server.sign_in(**{**service_account(server), **change})
    with pytest.raises(SignInError, match=sentence):
        sign_in.headers(Api.DATA_CONNECTOR)


def test_a_private_key_that_is_none_is_told(server):
    config = {**service_account(server), "service_account_private_key": "-----BEGIN x-----\nno\n"}
    with pytest.raises(ConfigurationError, match="is not an RSA private key in PEM form"):
        server.sign_in(**config).headers(Api.DATA_CONNECTOR)


def test_an_answer_that_echoes_a_secret_is_told_without_it(server, tmp_path):
    body = json.dumps({"error": "invalid_request", "error_description": "bad first-seed here"})
    server.answers = [response(400, body, Content_Type="application/json")]
    sign_in = server.sign_in(tmp_path, **{**WITH_REFRESH_TOKEN, "refresh_token": "first-seed"})
    with pytest.raises(SignInError) as caught:
        sign_in.headers(Api.INSIGHTS)
    assert "bad … here" in str(caught.value)


def test_an_outage_of_the_token_endpoint_is_waited_for(server, tmp_path):
    server.answers = [response(503), response(429, Retry_After="25")]
    sign_in = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
    assert server.status(Api.INSIGHTS, sign_in.headers(Api.INSIGHTS)) == 200
    assert server.clock.waited == [1.0, 25.0]


def test_an_outage_that_lasts_is_told(server, tmp_path):
    server.answers = [response(500)] * 4
    with pytest.raises(SignInError, match=r"answered 500\. Autodesk cannot answer now: run again"):
        server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(Api.INSIGHTS)
    assert len(server.forms) == 4


def test_a_server_that_asks_for_hours_of_patience_gets_an_error(server):
    server.answers = [response(429, Retry_After="7200")]
    with pytest.raises(SignInError, match="answered 429"):
        server.sign_in(**WITH_PAT).headers(Api.INSIGHTS)
    assert server.clock.waited == []


def test_an_unreachable_host_is_told(server):
    sign_in = server.sign_in(**{**WITH_PAT, "api_url": "http://127.0.0.1:9"})
    with pytest.raises(SignInError, match=r"127\.0\.0\.1:9 cannot be reached \(ConnectionError\)"):
        sign_in.headers(Api.INSIGHTS)
    assert len(server.clock.waited) == 3


def test_a_page_in_place_of_a_token_is_told(server):
    server.answers = [response(200, "<html>Welcome to the proxy</html>")]
    with pytest.raises(SignInError, match="answered 200 without an access token"):
        server.sign_in(**WITH_PAT).headers(Api.INSIGHTS)


def test_a_redirect_is_not_followed_with_credentials(server):
    server.answers = [response(302, Location=f"{server.url}/elsewhere")]
    with pytest.raises(SignInError, match="answered 302"):
        server.sign_in(**WITH_PAT).headers(Api.INSIGHTS)


def test_a_lost_answer_says_that_the_chain_is_lost_and_how_to_go_on(server, tmp_path):
    server.answers = ["lose"]
    sign_in = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
    with pytest.raises(SignInError) as caught:
        sign_in.headers(Api.INSIGHTS)
    assert "was lost on the way" in str(caught.value)
    assert "Sign in again with `autodesk-exports login`" in str(caught.value)


def test_everything_secret_is_known_to_the_log_filter(server, tmp_path):
    sign_in = server.sign_in(
        tmp_path,
        **WITH_REFRESH_TOKEN,
        credentials={"tokenflex": service_account(server), "insights": WITH_PAT},
    )
    for api in ALL:
        sign_in.headers(api)
    server.clock.advance(3600)
    sign_in.headers(Api.DATA_CONNECTOR)
    known = set(sign_in.secrets())
    handed_out = set(server.authentication.secrets()) - {
        SECRETS.two_legged_client_secret,
        SECRETS.public_refresh_token,
        SECRETS.access_token,
    }
    assert handed_out <= known


def test_introspection_tells_user_and_scopes(server, tmp_path):
    told = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).introspect(Api.INSIGHTS)
    assert told.user == credentials.USER_EMAIL
    assert told.scopes == {"data:create", "data:read", "data:write"}
    assert server.sign_in(**TIED).introspect(Api.TOKENFLEX).user is None
    assert server.sign_in(**WITH_ACCESS_TOKEN).introspect(Api.TOKENFLEX) is None


def test_a_netrc_file_changes_nothing(server, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    sign_in = server.sign_in(tmp_path, **PUBLIC_WITH_REFRESH_TOKEN)
    assert sign_in.introspect(Api.INSIGHTS).user == credentials.USER_EMAIL


def test_the_sandbox_refuses_credentials_in_header_and_body(server):
    url = f"{server.url}/authentication/v2/token"
    form = {"grant_type": "client_credentials", "scope": "data:read", **CONFIDENTIAL}
    auth = (credentials.CLIENT_ID, SECRETS.client_secret)
    assert requests.post(url, form, auth=auth, timeout=10).status_code == 400
    assert requests.post(url, form, timeout=10).status_code == 200


def test_the_sandbox_answers_a_missing_scope_with_the_plain_text_403(server):
    url = f"{server.url}/authentication/v2/token"
    form = {"grant_type": "client_credentials", "scope": "data:read", **TIED}
    token = requests.post(url, form, timeout=10).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    refused = requests.get(f"{server.url}/tokenflex/v1/guarded", headers=headers, timeout=10)
    assert (refused.status_code, refused.headers["Content-Type"]) == (403, "text/plain")
    assert refused.text == "Token does not have the privilege for this request."
    headers = {"Authorization": "Bearer nothing"}
    refused = requests.get(f"{server.url}/tokenflex/v1/guarded", headers=headers, timeout=10)
    assert refused.status_code == 401
    assert refused.json()["developerMessage"] == "Access token provided is invalid or expired."


@pytest.mark.parametrize(
    ("claims", "header"),
    [
        ({"exp": 301}, {}),
        ({"exp": -1}, {}),
        ({"aud": "https://elsewhere.example/token"}, {}),
        ({"iss": "other"}, {}),
        ({}, {"kid": "other"}),
        ({"scope": ["account:write"]}, {}),
    ],
)
def test_the_sandbox_checks_every_part_of_an_assertion(server, claims, header):
    url = f"{server.url}/authentication/v2/token"
    now = server.clock.now().timestamp()
    payload = {
        "iss": credentials.CLIENT_ID,
        "sub": credentials.SERVICE_ACCOUNT_ID,
        "aud": url,
        "scope": ["data:read"],
        **claims,
        "exp": int(now + claims.get("exp", 60)),
    }
    head = {"alg": "RS256", "kid": credentials.SERVICE_ACCOUNT_KEY_ID, **header}
    key = RSAKey.import_key(server.authentication.private_key_pem)
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": jwt.encode(head, payload, key, algorithms=["RS256"]),
        **CONFIDENTIAL,
    }
    assert requests.post(url, form, timeout=10).status_code == 400
