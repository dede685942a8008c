"""Rotated refresh tokens are kept: before they are used, whole, private, and for the right seed."""

import json
import logging
import os
import signal
import stat
import subprocess
import sys

import fsspec
import pytest

from support.oauth_server import (
    CONFIDENTIAL,
    SECRETS,
    WITH_REFRESH_TOKEN,
    Changed,
    OAuthServer,
    response,
)
from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.clock import Clock
from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.sandbox import credentials
from tap_autodesk_exports.signin import SignInError
from tap_autodesk_exports.signin.store import TokenStore, default_location

API = Api.DATA_CONNECTOR


@pytest.fixture
def server():
    with OAuthServer() as server:
        yield server


@pytest.fixture
def state_home(tmp_path, monkeypatch):
    """The user's state folder, elsewhere for this test."""
    folder = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


def test_the_next_run_goes_on_where_the_last_one_stopped(server, tmp_path):
    for _ in range(3):
        sign_in = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
        assert server.status(API, sign_in.headers(API)) == 200
        server.clock.advance(24 * 3600)
    assert server.authentication.answered == {"refresh_token": 3}


def test_a_run_within_the_hour_takes_the_stored_access_token(server, tmp_path):
    first = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    server.clock.advance(600)
    assert server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API) == first
    assert server.authentication.answered == {"refresh_token": 1}


def test_a_stored_access_token_that_was_revoked_is_renewed(server, tmp_path):
    server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    server.authentication.forget_access_tokens()
    sign_in = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
    sign_in.renew(API, sign_in.headers(API))
    assert server.status(API, sign_in.headers(API)) == 200


def test_a_process_that_finds_its_token_replaced_takes_the_new_one(server, tmp_path):
    one = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
    two = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
    rejected = one.headers(API)
    assert two.headers(API) == rejected
    server.authentication.forget_access_tokens()
    one.renew(API, rejected)
    two.renew(API, rejected)
    assert two.headers(API) == one.headers(API)
    assert server.authentication.answered == {"refresh_token": 2}


def test_the_store_and_its_lock_are_readable_by_their_owner_alone(server, tmp_path):
    folder = tmp_path / "new" / "folder"
    before = os.umask(0)
    try:
        server.sign_in(folder, **WITH_REFRESH_TOKEN).headers(API)
        server.clock.advance(3600)
        server.sign_in(folder, **WITH_REFRESH_TOKEN).headers(API)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"tokens.json": 0o600, "tokens.json.lock": 0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_store_that_others_could_read_is_closed_with_the_next_token(server, tmp_path):
    server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    store = tmp_path / "tokens.json"
    store.chmod(0o644)
    server.clock.advance(3600)
    server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    assert stat.S_IMODE(store.stat().st_mode) == 0o600


def test_the_seed_itself_is_neither_stored_nor_in_a_file_name(server, state_home):
    server.sign_in(**WITH_REFRESH_TOKEN).headers(API)
    (store,) = state_home.rglob("*.json")
    assert SECRETS.refresh_token not in store.read_text()
    assert credentials.CLIENT_ID not in str(store)


def test_a_new_seed_wins_over_the_stored_chain(server, tmp_path):
    server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    config = {**WITH_REFRESH_TOKEN, "refresh_token": "another-seed"}
    with pytest.raises(SignInError, match="invalid_grant"):
        server.sign_in(tmp_path, **config).headers(API)
    assert server.forms[-1]["refresh_token"] == "another-seed"
    assert server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)


def test_a_chain_of_one_host_is_not_sent_to_another(server, tmp_path):
    server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    with OAuthServer() as other:
        other.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
        assert other.forms[-1]["refresh_token"] == SECRETS.refresh_token


def test_without_a_setting_the_store_is_in_the_users_state_folder(server, state_home, caplog):
    server.sign_in(**WITH_REFRESH_TOKEN).headers(API)
    (store,) = state_home.rglob("*.json")
    assert str(store) == default_location(credentials.CLIENT_ID)
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert "The refresh token of the settings is used up now" in warning
    assert str(store) in warning
    caplog.clear()
    server.clock.advance(3600)
    server.sign_in(**WITH_REFRESH_TOKEN).headers(API)
    assert caplog.records == []


def test_without_any_store_a_loud_warning_tells_of_the_next_run(server, state_home, caplog):
    state_home.write_text("a file where the folder should be")
    sign_in = server.sign_in(**WITH_REFRESH_TOKEN)
    assert server.status(API, sign_in.headers(API)) == 200
    assert "THE NEXT RUN CANNOT SIGN IN" in caplog.text
    server.clock.advance(3600)
    assert server.status(API, sign_in.headers(API)) == 200
    with pytest.raises(SignInError, match="was used before"):
        server.sign_in(**WITH_REFRESH_TOKEN).headers(API)


def test_a_store_that_cannot_be_written_is_told_before_a_token_is_used_up(server, tmp_path):
    (tmp_path / "tokens.json").mkdir()
    with pytest.raises(SignInError, match="cannot be used"):
        server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(SignInError, match="set 'token_store' to a place that can be read and"):
        server.sign_in(blocked, **WITH_REFRESH_TOKEN).headers(API)
    assert server.forms == []


def test_a_full_disk_is_told_before_a_token_is_used_up(server, monkeypatch, tmp_path):
    def full(_file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SignInError, match="No space left on device"):
        server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    assert server.forms == []
    assert [path.name for path in tmp_path.iterdir()] == ["tokens.json.lock"]


def test_a_store_that_breaks_after_the_answer_leaves_the_run_going(
    server, monkeypatch, tmp_path, caplog
):
    def broken(_store, _content):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(TokenStore, "_replace", broken)
    sign_in = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
    assert server.status(API, sign_in.headers(API)) == 200
    assert "THE NEXT RUN CANNOT SIGN IN" in caplog.text
    server.clock.advance(3600)
    assert server.status(API, sign_in.headers(API)) == 200


def test_a_store_that_holds_something_else_is_told_and_left_alone(server, tmp_path):
    store = tmp_path / "tokens.json"
    store.write_text("my shopping list")
    with pytest.raises(SignInError, match="holds something else than tokens"):
        server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    assert store.read_text() == "my shopping list"
    assert server.forms == []


KILLED_BEFORE_RENAMING = """
import json, os, pathlib, sys
pathlib.Path.replace = lambda *_: os._exit(9)
from tap_autodesk_exports.clock import Clock
from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.settings import Settings
from tap_autodesk_exports.signin import SignIn
SignIn.from_settings(Settings.from_config(json.load(sys.stdin)), Clock()).headers(Api.INSIGHTS)
"""


def test_a_kill_between_writing_and_renaming_loses_nothing(tmp_path):
    with OAuthServer(Clock()) as server:
        config = {**WITH_REFRESH_TOKEN, "api_url": server.url}
        config["token_store"] = str(tmp_path / "tokens.json")
        killed = subprocess.run(
            [sys.executable, "-c", KILLED_BEFORE_RENAMING],
            input=json.dumps(config),
            text=True,
            check=False,
        )
        assert killed.returncode == 9
        assert not (tmp_path / "tokens.json").exists()
        sign_in = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
        assert server.status(API, sign_in.headers(API)) == 200


def test_what_a_killed_process_had_only_set_aside_is_removed(server, tmp_path):
    server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    (tmp_path / ".tokens.json.next").write_bytes(b" " * 1000)
    server.clock.advance(3600)
    server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tokens.json", "tokens.json.lock"]


def test_a_url_is_a_store_too(server):
    url = "memory://vault/tokens.json"
    for _ in range(2):
        sign_in = server.sign_in(**WITH_REFRESH_TOKEN, token_store=url)
        assert server.status(API, sign_in.headers(API)) == 200
        server.clock.advance(3600)
    chains = json.loads(fsspec.filesystem("memory").cat("/vault/tokens.json"))["chains"]
    assert len(chains) == 1
    assert server.authentication.answered == {"refresh_token": 2}


def test_a_url_that_cannot_be_used_is_told_before_a_token_is_used_up(server):
    sign_in = server.sign_in(**WITH_REFRESH_TOKEN, token_store="zip://x.json::/no/such.zip")
    with pytest.raises(SignInError, match="The token store zip://"):
        sign_in.headers(API)
    assert server.forms == []


def test_a_url_of_an_unknown_kind_is_told(server):
    with pytest.raises(ConfigurationError, match="'token_store'"):
        server.sign_in(**WITH_REFRESH_TOKEN, token_store="nosuch://x/y")


def test_a_symbolic_link_stays_one(server, tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    link = tmp_path / "tokens.json"
    link.symlink_to(real / "tokens.json")
    server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    assert link.is_symlink()
    assert (real / "tokens.json").is_file()


def test_chains_that_are_dead_are_dropped(server, tmp_path):
    server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    for days, chains in ((14, 2), (2, 2)):
        server.clock.advance(days * 24 * 3600)
        with OAuthServer(server.clock) as other:
            other.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
        assert len(json.loads((tmp_path / "tokens.json").read_text())["chains"]) == chains


def test_an_app_without_any_refresh_token_is_told_how_to_get_one(server, tmp_path):
    config = {**CONFIDENTIAL, "auth_flow": "refresh_token"}
    sign_in = server.sign_in(tmp_path, **config)
    with pytest.raises(ConfigurationError, match=r"no refresh token.*autodesk-exports login"):
        sign_in.check(API)
    with pytest.raises(SignInError, match="There is no refresh token for the app"):
        sign_in.headers(API)


def test_a_server_that_sends_no_new_refresh_token_leaves_the_old_one(server, tmp_path):
    body = json.dumps({"access_token": "a", "expires_in": 10})
    server.answers = [response(200, body, Content_Type="application/json")]
    server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    server.clock.advance(3600)
    sign_in = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
    assert server.status(API, sign_in.headers(API)) == 200


SIGN_IN = KILLED_BEFORE_RENAMING.replace("pathlib.Path.replace = lambda *_: os._exit(9)\n", "")


def test_an_interrupt_while_the_answer_is_on_its_way_loses_nothing(tmp_path):
    with OAuthServer(Clock()) as server:
        server.answers = ["slow"]
        config = {**WITH_REFRESH_TOKEN, "api_url": server.url}
        config["token_store"] = str(tmp_path / "tokens.json")
        with subprocess.Popen(
            [sys.executable, "-c", SIGN_IN],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
        ) as run:
            run.stdin.write(json.dumps(config).encode())
            run.stdin.close()
            while not server.forms:
                assert run.poll() is None
            run.send_signal(signal.SIGINT)
            assert b"KeyboardInterrupt" in run.stderr.read()
        sign_in = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
        assert server.status(API, sign_in.headers(API)) == 200
        assert server.authentication.answered == {"refresh_token": 1}


# The chain is never lost


LIVES = [None, "soon", "", "3599", "1e3", -1, 0, 1e300, 10**400, True, [], {}, float("nan")]


@pytest.mark.parametrize("lifetime", ["missing", *LIVES], ids=repr)
def test_whatever_an_answer_says_of_its_lifetime_its_refresh_token_is_kept(
    server, tmp_path, lifetime
):
    given = {} if lifetime == "missing" else {"expires_in": lifetime}
    server.answers = [Changed(lambda body: body.pop("expires_in") and body.update(given))]
    sign_in = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
    assert server.status(API, sign_in.headers(API)) == 200
    server.clock.advance(3600)
    assert server.status(API, sign_in.headers(API)) == 200
    server.clock.advance(3600)
    next_run = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
    assert server.status(API, next_run.headers(API)) == 200


@pytest.mark.parametrize("token", ["missing", None, "", " ", "a\nb", 7, ["x"]], ids=repr)
def test_an_answer_without_an_access_token_fails_and_keeps_its_refresh_token(
    server, tmp_path, token
):
    given = {} if token == "missing" else {"access_token": token}
    server.answers = [Changed(lambda body: body.pop("access_token") and body.update(given))]
    with pytest.raises(SignInError, match="answered 200 without an access token"):
        server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    sign_in = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
    assert server.status(API, sign_in.headers(API)) == 200
    assert server.authentication.answered == {"refresh_token": 2}


@pytest.mark.parametrize("token", ["missing", None, "", " ", "\n", 7, {}], ids=repr)
def test_an_answer_without_a_new_refresh_token_leaves_the_old_one(server, tmp_path, token):
    server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    server.clock.advance(3600)
    body = {"access_token": "a", "expires_in": 10, "refresh_token": token}
    if token == "missing":
        del body["refresh_token"]
    server.answers = [response(200, json.dumps(body), Content_Type="application/json")]
    server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    server.clock.advance(3600)
    sign_in = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
    assert server.status(API, sign_in.headers(API)) == 200


@pytest.mark.parametrize("body", ["", "null", "[]", "7", '"a"', "<html>", "{", "[" * 10**5])
def test_an_answer_that_is_no_object_changes_nothing(server, tmp_path, body):
    server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    server.clock.advance(3600)
    server.answers = [response(200, body, Content_Type="application/json")]
    with pytest.raises(SignInError, match="answered 200 without an access token"):
        server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    sign_in = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
    assert server.status(API, sign_in.headers(API)) == 200


OTHERS = [
    None, 7, "text", [], {}, {"stored_at": None}, {"stored_at": 7}, {"stored_at": "yesterday"},
    {"stored_at": "2026-03-01T12:00:00"}, {"stored_at": "2026-03-01"}, {"refresh_token": None},
]  # fmt: skip


@pytest.mark.parametrize("other", OTHERS, ids=repr)
def test_a_damaged_entry_of_another_app_costs_nothing_and_is_kept(server, tmp_path, other):
    server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    store = tmp_path / "tokens.json"
    document = json.loads(store.read_text())
    document["chains"]["another"] = other
    document["of a newer release"] = [1]
    store.write_text(json.dumps(document))
    for _ in range(2):
        server.clock.advance(3600)
        sign_in = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
        assert server.status(API, sign_in.headers(API)) == 200
    document = json.loads(store.read_text())
    assert document["chains"]["another"] == other
    assert document["of a newer release"] == [1]


@pytest.mark.parametrize(
    "damage",
    [
        {"access_token": None},
        {"access_token": 7},
        {"expires_at": None},
        {"expires_at": "soon"},
        {"renew_at": 7},
        {"renew_at": "2026-03-01T12:30:00"},
        {"stored_at": None},
    ],
    ids=str,
)
def test_a_damaged_entry_is_used_as_far_as_it_goes(server, tmp_path, damage):
    server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    store = tmp_path / "tokens.json"
    document = json.loads(store.read_text())
    for entry in document["chains"].values():
        entry.update(damage)
    store.write_text(json.dumps(document))
    sign_in = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
    assert server.status(API, sign_in.headers(API)) == 200


@pytest.mark.parametrize("entry", [7, "text", [], {}, {"refresh_token": ""}], ids=repr)
def test_an_entry_without_a_refresh_token_is_ignored_with_a_warning(
    server, tmp_path, caplog, entry
):
    seedless = {**CONFIDENTIAL, "auth_flow": "refresh_token"}
    chain = server.sign_in(tmp_path, **seedless).credentials(API).chain(server.url)
    (tmp_path / "tokens.json").write_text(json.dumps({"chains": {chain: entry}}))
    with pytest.raises(ConfigurationError, match=r"no refresh token.*autodesk-exports login"):
        server.sign_in(tmp_path, **seedless).check(API)
    assert "holds a damaged entry for this app" in caplog.text


@pytest.mark.parametrize("content", ["", " \n"])
def test_an_empty_file_is_an_empty_store(server, tmp_path, content):
    (tmp_path / "tokens.json").write_text(content)
    sign_in = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
    assert server.status(API, sign_in.headers(API)) == 200


@pytest.mark.parametrize(
    "content", ["null", "[]", '{"chains": []}', '{"chains": null}', "\0" * 99, "[" * 10**5]
)
def test_a_store_of_another_shape_is_reported_and_left_alone(server, tmp_path, content):
    (tmp_path / "tokens.json").write_text(content)
    with pytest.raises(SignInError, match="holds something else than tokens"):
        server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    assert (tmp_path / "tokens.json").read_text() == content
    assert server.forms == []


@pytest.mark.parametrize("cut", [0.0, 0.1, 0.5, 0.9, "null", "{}", "7", '{"chains": 7}', "\0" * 9])
def test_a_half_written_file_beside_the_store_is_no_store(server, tmp_path, cut):
    server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    text = (tmp_path / "tokens.json").read_text()
    left = cut if isinstance(cut, str) else text[: int(len(text) * cut)]
    (tmp_path / ".tokens.json.next").write_text(left)
    server.clock.advance(3600)
    sign_in = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
    assert server.status(API, sign_in.headers(API)) == 200
    assert server.authentication.answered == {"refresh_token": 2}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tokens.json", "tokens.json.lock"]


def test_a_store_that_cannot_be_renamed_over_is_written_in_its_place(server, monkeypatch, tmp_path):
    """A single file that a container mounts is such a store."""
    store = tmp_path / "tokens.json"
    store.write_text("")
    inode = store.stat().st_ino

    def busy(*_):
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(type(tmp_path), "replace", busy)
    for _ in range(2):
        sign_in = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
        assert server.status(API, sign_in.headers(API)) == 200
        server.clock.advance(3600)
    assert store.stat().st_ino == inode
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tokens.json", "tokens.json.lock"]


def test_where_renaming_fails_the_whole_file_beside_the_store_is_found_later(
    server, monkeypatch, tmp_path
):
    def busy(*_):
        raise OSError(16, "Device or resource busy")

    with monkeypatch.context() as patch:
        patch.setattr(type(tmp_path), "replace", busy)
        server.sign_in(tmp_path, **WITH_REFRESH_TOKEN).headers(API)
    assert (tmp_path / ".tokens.json.next").exists()
    server.clock.advance(3600)
    sign_in = server.sign_in(tmp_path, **WITH_REFRESH_TOKEN)
    assert server.status(API, sign_in.headers(API)) == 200


def test_a_password_in_the_location_is_not_shown(server):
    location = "ftp://user:hidden-pass%2Fword@127.0.0.1:9/tokens.json?key=hidden-key"
    sign_in = server.sign_in(**WITH_REFRESH_TOKEN, token_store=location)
    with pytest.raises(SignInError, match=r"The token store ftp://127\.0\.0\.1:9/tokens\.json ca"):
        sign_in.headers(API)
    assert {"hidden-pass%2Fword", "hidden-pass/word", "hidden-key"} <= set(sign_in.secrets())
    with pytest.raises(ConfigurationError) as raised:
        server.sign_in(**WITH_REFRESH_TOKEN, token_store=location.replace("ftp", "nosuch"))
    assert "hidden" not in str(raised.value)
