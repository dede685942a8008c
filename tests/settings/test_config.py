"""Settings from files and the environment, and what is said where they cannot be read."""

import base64
import json

import pytest
from click.testing import CliRunner

from tap_autodesk_exports.cli import main
from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.settings import Settings
from tap_autodesk_exports.settings.config import (
    PREFIX,
    environment_variables,
    parse_object,
    read_config,
    read_object,
)

SECRET = "s3cr3t-value-of-this-test"


@pytest.fixture(autouse=True)
def _in_a_folder_without_env_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def environment(monkeypatch):
    """`environment(name=text)` sets variables of the tap."""

    def set_variables(**variables):
        for name, text in variables.items():
            monkeypatch.setenv(PREFIX + name.upper(), text)

    return set_variables


def refused(call, *arguments):
    with pytest.raises(ConfigurationError) as raised:
        call(*arguments)
    assert SECRET not in str(raised.value)
    return str(raised.value)


def test_settings_come_from_the_environment_or_a_file(tmp_path, environment):
    environment(
        client_id="from-the-environment", data_connector_max_age_hours="12.5", apis='["insights"]'
    )
    (tmp_path / "a.json").write_text('{"client_id": "a", "client_secret": "a"}')
    (tmp_path / "b.json").write_text('{"client_id": "b"}')
    given = {
        "client_id": "from-the-environment",
        "data_connector_max_age_hours": 12.5,
        "apis": ["insights"],
    }
    assert read_config(["ENV"]) == given
    assert read_config(["a.json", "b.json"]) == {"client_id": "b", "client_secret": "a"}
    assert read_config(["a.json", "ENV"]) == {**given, "client_secret": "a"}


def test_every_kind_of_setting_survives_the_environment(environment):
    config = {
        "client_id": "1234",
        "lookback_days": 7,
        "poll_interval_seconds": 0.5,
        "sandbox": True,
        "data_connector_sdc_deleted_at": False,
        "insights_team_ids": ["1", "2"],
        "tokenflex_exports": [{"name": "own", "fields": ["productName"]}],
        "credentials": {"insights": {"personal_access_token": SECRET}},
        "insights_usage_report_filters": {"a": ["b"]},
        "emit_activate_version_messages": True,
        "stream_maps": {"*": {"a": None}},
    }
    environment(**{n.removeprefix(PREFIX): v for n, v in environment_variables(config).items()})
    assert read_config(["ENV"]) == config
    assert Settings.from_config(read_config(["ENV"])) == Settings.from_config(config)


@pytest.mark.parametrize("text", ['["1", "2"]', "1,2", "1, 2", ' ["1", "2"]'])
def test_a_list_in_the_environment_is_json_or_has_commas(environment, text):
    environment(insights_team_ids=text)
    assert Settings.from_config(read_config(["ENV"])).insights_team_ids == ("1", "2")


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("0", False), ("TRUE", True)])
def test_a_switch_in_the_environment_is_one_of_the_usual_words(environment, text, value):
    environment(sandbox=text)
    assert Settings.from_config(read_config(["ENV"])).sandbox is value


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        (
            "insights_team_ids",
            '["1", "2"',
            (
                "Setting 'insights_team_ids' ('[\"1\", \"2\"') is not a list: write it as "
                '["110000123456"].'
            ),
        ),
        (
            "tokenflex_exports",
            "by_product",
            (
                "Setting 'tokenflex_exports[0]' ('by_product') is not an object: write it as "
                '{"name": "…"}.'
            ),
        ),
        (
            "lookback_days",
            "a month",
            "Setting 'lookback_days' ('a month') is not a whole number: write it as 30.",
        ),
        (
            "credentials",
            '{"insights": {"client_secret": "s3cr3t-value-of-this-test"',
            (
                "Setting 'credentials' is not an object: write it as {\"insights\": "
                '{"client_id": "…"}}.'
            ),
        ),
        (
            "stream_maps",
            "{s3cr3t-value-of-this-test",
            (
                "The environment variable TAP_AUTODESK_EXPORTS_STREAM_MAPS cannot be read as "
                "object or null: write it as JSON."
            ),
        ),
        (
            "stream_maps",
            "[" * 100_000,
            (
                "The environment variable TAP_AUTODESK_EXPORTS_STREAM_MAPS cannot be read as "
                "object or null: write it as JSON."
            ),
        ),
        (
            "flattening_max_depth",
            "deep",
            (
                "The environment variable TAP_AUTODESK_EXPORTS_FLATTENING_MAX_DEPTH cannot be read "
                "as integer or null: write it as JSON."
            ),
        ),
    ],
)
def test_a_value_of_the_environment_that_is_of_another_kind(environment, name, text, sentence):
    environment(**{name: text})
    assert refused(read_config, ["ENV"]) == sentence


def test_a_variable_that_is_almost_a_setting_is_reported(environment, caplog):
    environment(hash_colums='["*.email"]', loglevel="DEBUG", something="else")
    assert read_config(["ENV"]) == {}
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning == (
        "The environment variable TAP_AUTODESK_EXPORTS_HASH_COLUMS is ignored: did you mean "
        "TAP_AUTODESK_EXPORTS_HASH_COLUMNS?"
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "The settings file config.json cannot be read (No such file or directory): give"),
        (b"", "The settings file config.json is empty: write an object, such as"),
        (b"{client_id: s3cr3t-value-of-this-test", "config.json is not JSON (Expecting property"),
        (b'{"client_id": "s3cr3t-value-of-this-test"', "is not JSON (Expecting ',' delimiter at"),
        (b"[1]", "The settings file config.json holds no JSON object: it must begin with {"),
        (b"null", "The settings file config.json holds no JSON object: it must begin with {"),
        (
            b"[" * 100_000,
            "The settings file config.json cannot be read as JSON: it is nested too deeply",
        ),
        (b"\xff\xfe{\x00}\x00", "The settings file config.json is not text in UTF-8: save it"),
    ],
)
def test_a_file_that_holds_no_settings(tmp_path, content, sentence):
    if content is not None:
        (tmp_path / "config.json").write_bytes(content)
    assert sentence in refused(read_config, ["config.json"])
    for command in ("doctor", "login"):
        done = CliRunner().invoke(main, [command, "--config", "config.json"])
        assert done.exit_code == 1
        assert sentence in done.output
        assert "Traceback" not in done.output
        assert SECRET not in done.output


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "config.json").mkdir()
    assert "(Is a directory): give a path" in refused(read_config, ["config.json"])


def test_a_byte_order_mark_is_no_content(tmp_path):
    (tmp_path / "config.json").write_bytes(b"\xef\xbb\xbf" + b'{"client_id": "an-app"}')
    assert read_object("config.json", "settings") == {"client_id": "an-app"}


def test_a_state_that_is_no_object_is_named_as_such():
    assert refused(parse_object, f'"{SECRET}"', "state file s.json").startswith(
        "The state file s.json holds no JSON object"
    )


def secrets_in_wrong_places():
    """Yield settings with a secret in a value of the wrong kind or form."""
    encoded = base64.b64encode(SECRET.encode()).decode()
    for name in ("client_secret", "refresh_token", "access_token", "personal_access_token"):
        for value in (f"{SECRET}\n", [SECRET], {"value": SECRET}, f"a {SECRET}", [[SECRET]]):
            yield {name: value}
            yield {"credentials": {"insights": {name: value}}}
    yield {"credentials": SECRET}
    yield {"credentials": [SECRET]}
    yield {"credentials": json.dumps({"insights": {"client_secret": SECRET}})[:-1]}
    yield {"credentials": {SECRET: {"client_id": "a"}}}
    yield {"credentials": {"insights": SECRET}}
    yield {"credentials": {"insights": {SECRET: "client_secret"}}}
    yield {"credentials": {"insights": {"client_secert": SECRET}}}
    yield {"hash_key": SECRET[:10], "hash_columns": ["*.email"]}
    yield {"hash_key": [SECRET]}
    yield {"service_account_private_key": {"pem": SECRET}}
    yield {"token_store": {"url": f"s3://key:{SECRET}@bucket/t.json"}}
    yield {"token_store": [f"s3://key:{SECRET}@bucket/t.json"]}
    yield {"api_url": f"https://user:{SECRET}@host"}
    yield {"api_url": f"https://host/?token={SECRET}"}
    yield {"client_id": {"client_secret": SECRET}}
    yield {"client_secert": SECRET}
    yield {"batch_config": {"storage": {"root": [f"s3://key:{SECRET}@bucket"]}}}
    yield {"stream_maps": f"{SECRET} {encoded}"}


@pytest.mark.parametrize("config", [*secrets_in_wrong_places()], ids="".join)
def test_no_secret_is_in_what_is_said_about_wrong_settings(tmp_path, config):
    (tmp_path / "config.json").write_text(json.dumps(config))
    said = refused(read_config, ["config.json"])
    assert SECRET[:10] not in said
    assert next(iter(config)) in said
