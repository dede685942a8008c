"""Personal data: a keyed hash in place of the value, on both roads, and the raw value nowhere."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import pytest

from support import in_process
from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.sandbox import Sandbox
from tap_autodesk_exports.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "a secret key of its own"
COLUMNS = ["*.email", "*email*", "tokenflex_*.username", "*.first_name", "*.LAST_NAME", "*.name"]
HASHED = {"hash_columns": COLUMNS, "hash_key": KEY}
STREAMS = (
    "admin_users",
    "data_connector_requests",
    "insights_users",
    "tokenflex_desktop_sessions",
)


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1, job_seconds=0) as sandbox:
        yield sandbox


def load(server: Sandbox, **config: Any):
    start = f"{server.clock.now() - dt.timedelta(days=35):%Y-%m-%d}"
    run = in_process.run(server, {"start_date": start, **config}, *STREAMS)
    assert run.code == 0, run.stderr
    return run


def test_one_person_has_one_hash_in_every_stream(server):
    plain, hashed = load(server), load(server, **HASHED)
    address = {row["email"] for row in plain.records("admin_users") if row["email"]}
    expected = {
        hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest() for text in address
    }
    assert {row["email"] for row in hashed.records("admin_users") if row["email"]} == expected
    users = {row["email"] for row in hashed.records("insights_users")}
    assert users - {None, "*****"}
    assert users - {None, "*****"} <= expected
    assert {row["userName"] for row in hashed.records("tokenflex_desktop_sessions")} <= expected
    mine = {row["createdByEmail"] for row in hashed.records("data_connector_requests")}
    assert all(len(value) == 64 for value in mine)
    masked = [row for row in plain.records("insights_users") if row["email"] == "*****"]
    assert masked
    assert len([row for row in hashed.records("insights_users") if row["email"] == "*****"]) == len(
        masked
    )


def test_no_raw_value_is_anywhere(server):
    plain, hashed = load(server), load(server, **HASHED)
    text = json.dumps(hashed.messages, default=str) + hashed.stderr
    raw = {row["email"] for row in plain.records("admin_users") if row["email"]}
    assert raw
    assert not [value for value in raw if value in text]
    assert KEY not in text


def test_row_ids_tell_the_same_rows_apart_and_nothing_of_what_is_hashed(server):
    plain, hashed, again = load(server), load(server, **HASHED), load(server, **HASHED)
    for stream in ("admin_users", "insights_users", "tokenflex_desktop_sessions"):
        ids = [[row["_row_id"] for row in run.records(stream)] for run in (plain, hashed, again)]
        assert sorted(ids[1]) == sorted(ids[2])
        assert len(set(ids[1])) == len(set(ids[0])) == len(ids[0]) > 0
        # No ID is made of a person's address, which could be found by trying: people are
        # identified by IDs of their own, which are not hashed here.
        assert set(ids[0]) == set(ids[1]), stream


def test_both_roads_hash_alike(server):
    fast = load(server, **HASHED)
    maps = {"admin_users": {"extra": "1"}}
    plain = load(server, **HASHED, stream_maps=maps)
    assert plain.records("admin_users")[0]["extra"]
    assert [row["email"] for row in plain.records("admin_users")] == [
        row["email"] for row in fast.records("admin_users")
    ]


def test_the_schema_of_a_hashed_column_is_text(server):
    run = load(server, hash_columns=["admin_users.created_at", "*.lastQueuedAt"], hash_key=KEY)
    for stream, column in (
        ("admin_users", "created_at"),
        ("data_connector_requests", "lastQueuedAt"),
    ):
        schema = run.of_type("SCHEMA", stream)[0]["schema"]["properties"]
        if column in schema:
            assert schema[column] == {"type": ["string", "null"]}, stream
            assert all(row[column] is None or len(row[column]) == 64 for row in run.records(stream))


def test_hashing_that_is_turned_on_or_changed_sends_an_extract_again(server):
    only = {"apis": ["data_connector"]}
    plain = in_process.run(server, only, "admin_users", "issues_issues")
    state, sent = plain.state, [plain]
    for key in (KEY, KEY, KEY[::-1]):
        config = {**only, "hash_columns": ["*.email"], "hash_key": key}
        sent.append(in_process.run(server, config, "admin_users", "issues_issues", state=state))
        state = sent[-1].state
    assert [bool(run.records("admin_users")) for run in sent] == [True, True, False, True]
    # Nothing of this one is hidden.
    assert [bool(run.records("issues_issues")) for run in sent] == [True, False, False, False]
    assert KEY not in json.dumps(state)


def test_a_bookmark_never_shows_a_hashed_column(server):
    by_update = {"replication-method": "INCREMENTAL", "replication-key": "updated_at"}
    config = {"apis": ["data_connector"], "hash_columns": ["*.updated_at"], "hash_key": KEY}
    run = in_process.run(server, config, "issues_issues", metadata=by_update)
    assert run.code == 1
    assert "'hash_columns' hides the column 'updated_at'" in run.stderr
    assert "replication_key_value" not in json.dumps(run.state)


def test_patterns_that_hide_nothing_are_told(server):
    with pytest.raises(ConfigurationError, match=r"such as '\*\.email'"):
        Settings.from_config({"hash_columns": ["email"], "hash_key": KEY})
    config = {
        "apis": ["data_connector"],
        "hash_columns": ["*.emial", "admin_users.EMAIL"],
        "hash_key": KEY,
    }
    run = in_process.run(server, config, "admin_users")
    (line,) = [line for line in run.stderr.splitlines() if "matches no column" in line]
    assert "'*.emial'" in line


def test_a_key_that_could_be_guessed_is_refused():
    with pytest.raises(ConfigurationError, match="fewer than 16 characters") as error:
        Settings.from_config({"hash_columns": ["*.email"], "hash_key": "guessable"})
    assert "guessable" not in str(error.value)


def test_a_missing_key_is_told():
    with pytest.raises(ConfigurationError, match="'hash_key' is missing"):
        Settings.from_config({"hash_columns": ["*.email"]})
    assert "quiet" not in repr(Settings(hash_key="quiet"))
