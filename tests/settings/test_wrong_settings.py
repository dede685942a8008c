"""Wrong settings are reported before anything is sent: each in one sentence, all in one message."""

import pytest

from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.settings import Known, Settings
from tap_autodesk_exports.settings.config import check_config

ACCOUNT = "0f5e4c3b-2a19-4807-96f5-e4d3c2b1a098"
KEY = "0123456789abcdef"
OWN = {"name": "own", "fields": ["productName"], "metrics": ["tokensConsumed"]}
KNOWN = Known(
    groups=("admin", "issues", "activities"),
    streams=("tokenflex_usage", "tokenflex_contracts"),
)


def own(**changes):
    return {"tokenflex_exports": [{**OWN, **changes}]}


WRONG = [
    # Names
    ({"hash_colums": []}, "Setting 'hash_colums' does not exist: did you mean 'hash_columns'?"),
    ({"stream_map": {}}, "Setting 'stream_map' does not exist: did you mean 'stream_maps'?"),
    (
        {"x": 1},
        "Setting 'x' does not exist: remove it; `tap-autodesk-exports --about` lists all settings.",
    ),
    # Kinds
    ({"client_id": 7}, "Setting 'client_id' (7) is not text: write it in quotes."),
    (
        {"tokenflex_contract_numbers": [110000123456]},
        "Setting 'tokenflex_contract_numbers[0]' (110000123456) is not text: write it in quotes.",
    ),
    (
        {"insights_team_ids": {"a": 1}},
        "Setting 'insights_team_ids' (an object) is not a list: write it as [\"110000123456\"].",
    ),
    (
        {"lookback_days": "a month"},
        "Setting 'lookback_days' ('a month') is not a whole number: write it as 30.",
    ),
    (
        {"lookback_days": 1.5},
        "Setting 'lookback_days' (1.5) is not a whole number: write it as 30.",
    ),
    (
        {"lookback_days": True},
        "Setting 'lookback_days' (true) is not a whole number: write it as 30.",
    ),
    ({"lookback_days": -1}, "Setting 'lookback_days' (-1) is less than 0: write 0 or more."),
    (
        {"lookback_days": 10**9},
        "Setting 'lookback_days' (1000000000) is more than 36500: write 36500 or less.",
    ),
    (
        {"poll_interval_seconds": 0},
        "Setting 'poll_interval_seconds' (0) is not more than 0: write more than 0.",
    ),
    (
        {"export_timeout_minutes": float("nan")},
        "Setting 'export_timeout_minutes' (NaN) is not a number: write it as 0.5.",
    ),
    (
        {"sandbox": "maybe"},
        "Setting 'sandbox' ('maybe') is neither true nor false: write it as true or false.",
    ),
    (
        {"insights_output_format": "XLSX"},
        (
            "Setting 'insights_output_format' ('XLSX') is not one of the words that it can be: "
            "write CSV or EXCEL or JSON."
        ),
    ),
    (
        {"apis": ["insights", "bim360"]},
        (
            "Setting 'apis[1]' ('bim360') is not one of the words that it can be: write insights "
            "or tokenflex or data_connector."
        ),
    ),
    (
        {"insights_usage_report_filters": "productName"},
        (
            "Setting 'insights_usage_report_filters' ('productName') is not an object: write it as "
            '{"name": "value"}.'
        ),
    ),
    # Forms
    (
        {"data_connector_account_ids": ["YOUR-ACCOUNT"]},
        (
            "Setting 'data_connector_account_ids[0]' ('YOUR-ACCOUNT') is not the ID of an account "
            f"or project: write it as {ACCOUNT}."
        ),
    ),
    (
        {
            "data_connector_account_ids": [ACCOUNT],
            "data_connector_project_ids": [ACCOUNT, ACCOUNT[:-1]],
        },
        (
            f"Setting 'data_connector_project_ids[1]' ('{ACCOUNT[:-1]}') is not the ID of an "
            f"account or project: write it as {ACCOUNT}."
        ),
    ),
    (
        {"data_connector_account_ids": [ACCOUNT], "data_connector_job_id": "newest"},
        (
            "Setting 'data_connector_job_id' ('newest') is not the ID of a job: write it as "
            f"{ACCOUNT}."
        ),
    ),
    (
        {"insights_team_ids": ["New York Office"]},
        (
            "Setting 'insights_team_ids[0]' ('New York Office') is not a contract number or team "
            "ID: write it as 110000123456."
        ),
    ),
    (
        {"api_url": "developer.api.autodesk.com"},
        (
            "Setting 'api_url' ('developer.api.autodesk.com') is not the URL of a host: write it "
            "as https://developer.api.autodesk.com."
        ),
    ),
    (
        {"client_id": "app\n"},
        (
            "Setting 'client_id' ('app\\n') has a space, a line break or another character that no "
            "ID has: copy it again from Autodesk's developer portal."
        ),
    ),
    (
        {"access_token": "a token"},
        (
            "Setting 'access_token' has a space, a line break or another character that no token "
            "or secret has: copy it again, without a line break at its end."
        ),
    ),
    (
        {"parquet_numbers": "decimal(39,10)"},
        (
            "Setting 'parquet_numbers' ('decimal(39,10)') is not a type of numbers: write it as "
            "decimal(38,10), with at most 38 digits, or as text."
        ),
    ),
    # Dates
    (
        {"start_date": "31.01.2026"},
        "Setting 'start_date' ('31.01.2026') is not a date: write it as 2026-01-31 or with a time.",
    ),
    (
        {"start_date": "2026-02-01", "end_date": "2026-01-01"},
        (
            "Setting 'start_date' (2026-02-01) is not before 'end_date' (2026-01-01): give an "
            "earlier start or a later end."
        ),
    ),
    (
        {"start_date": "0206-01-31"},
        (
            "Setting 'start_date' (0206-01-31) is before 1990, when none of these APIs had data: "
            "write it as 2026-01-31."
        ),
    ),
    # Accounts and service groups
    (
        {"data_connector_project_ids": [ACCOUNT]},
        (
            "Setting 'data_connector_account_ids' is missing, and 'data_connector_project_ids' "
            f'needs it: name the accounts to extract, such as ["b.{ACCOUNT}"] (a hub\'s ID with or '
            "without `b.`), or leave 'data_connector' out of 'apis'."
        ),
    ),
    (
        {"data_connector_service_groups": ["admin", "isues"]},
        (
            "Setting 'data_connector_service_groups' names 'isues', which is no service group: did "
            "you mean 'issues'?"
        ),
    ),
    (
        {"data_connector_service_groups": ["docs"]},
        (
            "Setting 'data_connector_service_groups' names 'docs', which is no service group: "
            "write one that exists, like 'activities'."
        ),
    ),
    # Personal data
    (
        {"hash_columns": ["email"], "hash_key": KEY},
        (
            "Setting 'hash_columns' holds 'email', which names no column: write `stream.column`, "
            "such as '*.email'."
        ),
    ),
    (
        {"hash_columns": ["*.email"], "hash_key": None},
        (
            "Setting 'hash_columns' asks for hashed columns, and 'hash_key' is missing: give a "
            "secret key, such as the output of `openssl rand -hex 32`, and keep it."
        ),
    ),
    (
        {"hash_personal_data": True, "hash_key": "short"},
        (
            "Setting 'hash_key' has fewer than 16 characters, so that it could be found out by "
            "trying, and the hashed values with it: give a secret key, such as the output of "
            "`openssl rand -hex 32`, and keep it."
        ),
    ),
    # Exports of the user's own
    (
        own(name="By product"),
        (
            "Setting 'tokenflex_exports[0]' has the name 'By product', which cannot be part of a "
            "stream's name: write it with small letters, digits and underscores, such as "
            "'by_product'."
        ),
    ),
    (
        {"tokenflex_exports": [OWN, OWN]},
        (
            "Setting 'tokenflex_exports' has the name 'own' 2 times: give each export its own, "
            "such as 'own_2'."
        ),
    ),
    (
        own(name="usage"),
        (
            "Setting 'tokenflex_exports[0]' has the name 'usage', and a stream 'tokenflex_usage' "
            "is there already: choose another, such as 'own_usage'."
        ),
    ),
    (
        own(fields=["_row_id"]),
        (
            "Setting 'tokenflex_exports[0]' has the column '_row_id', which every stream has "
            "anyway: leave it out."
        ),
    ),
    (
        own(fields=["userName", "productName", "username", "user_name"]),
        (
            "Setting 'tokenflex_exports[0]' has one column in several spellings ('userName', "
            "'username', 'user_name'): name one of them."
        ),
    ),
    (
        own(fields=["tokensConsumed"]),
        "Setting 'tokenflex_exports[0]' has the column 'tokensConsumed' 2 times: name it once.",
    ),
    (
        own(fields=[], metrics=[]),
        (
            "Setting 'tokenflex_exports[0]' has neither fields nor metrics: name some, such as "
            '"fields": ["productName"].'
        ),
    ),
    (
        own(primary_keys=["productname"]),
        (
            "Setting 'tokenflex_exports[0]' has the primary key 'productname', which is none of "
            "its columns: did you mean 'productName'?"
        ),
    ),
    (
        own(metric=["tokensConsumed"]),
        (
            "Setting 'tokenflex_exports[0]' (an object) has a name that is almost 'metrics': the "
            "names are name, fields, metrics, usage_category, where, primary_keys."
        ),
    ),
    (
        {"tokenflex_exports": [{"fields": ["productName"]}]},
        "Setting 'tokenflex_exports[0]' (an object) has no 'name': write it as {\"name\": \"…\"}.",
    ),
    # Credentials of one API
    (
        {"credentials": {"insight": {"client_id": "an-app"}}},
        (
            "Setting 'credentials' has a name that is almost 'insights': the names are insights, "
            "tokenflex, data_connector."
        ),
    ),
    (
        {"credentials": {"insights": {"client_secret": ["x"]}}},
        "Setting 'credentials.insights.client_secret' is not text: write it in quotes.",
    ),
    # The SDK's own
    (
        {"flattening_max_depth": "deep"},
        "Setting 'flattening_max_depth' is not what the Singer SDK wants: type integer or null.",
    ),
    (
        {"stream_maps": {"insights_users": 5}},
        "Setting 'stream_maps.insights_users' is not what the Singer SDK wants.",
    ),
]


@pytest.mark.parametrize(("config", "sentence"), WRONG, ids=[next(iter(c)) for c, _ in WRONG])
def test_what_is_wrong_is_one_sentence_with_an_example_of_the_right_form(config, sentence):
    with pytest.raises(ConfigurationError) as raised:
        check_config(config, KNOWN)
    assert str(raised.value) == sentence


def test_everything_that_is_wrong_is_in_one_message():
    merged = {"hash_colums": [], "lookback_days": -1, "start_date": "soon", "stream_maps": 7}
    with pytest.raises(ConfigurationError) as raised:
        check_config({**merged, "end_date": "1999-01-01"}, KNOWN)
    first, *rest = str(raised.value).splitlines()
    assert first == "4 settings are wrong:"
    names = ["hash_colums", "lookback_days", "start_date", "stream_maps"]
    assert [line.partition("'")[2].partition("'")[0] for line in rest] == names
    assert all(line.startswith("- Setting '") for line in rest)


def test_the_exports_of_the_case_are_refused_one_sentence_each():
    config = {
        "tokenflex_exports": [
            {"name": "a", "fields": ["productName"], "metrics": ["tokensConsumed"]},
            {"name": "a", "fields": ["userName"], "metrics": ["tokensConsumed"]},
            {"name": "usage", "fields": ["productName"], "metrics": ["tokensConsumed"]},
            {"name": "b", "fields": ["_row_id", "productName"], "metrics": ["tokensConsumed"]},
        ]
    }
    with pytest.raises(ConfigurationError) as raised:
        check_config(config, KNOWN)
    _, twice, built_in, reserved = str(raised.value).splitlines()
    assert "the name 'a' 2 times" in twice
    assert "a stream 'tokenflex_usage' is there already" in built_in
    assert "the column '_row_id', which every stream has anyway" in reserved


def test_a_long_value_is_shortened_and_a_password_in_a_url_is_not_shown():
    for value in ("x" * 1000, "https://user:hidden@host/?key=hidden#hidden"):
        with pytest.raises(ConfigurationError) as raised:
            Settings.from_config({"api_url": value})
        assert "hidden" not in str(raised.value)
        assert len(str(raised.value)) < 200


def test_the_settings_of_the_sandbox_are_right(sandbox):
    check_config(sandbox.settings(), KNOWN)


def test_what_is_not_given_may_be_empty():
    config = {"client_id": "", "start_date": "", "data_connector_job_id": "", "hash_key": None}
    assert check_config(config) == Settings()
