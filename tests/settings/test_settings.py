"""A setting is declared once; schema, program and documentation say the same of it."""

import dataclasses
import json
import subprocess
import sys
from decimal import Decimal

import pytest

from support.processes import ROOT
from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.settings import Settings
from tap_autodesk_exports.settings.schema import json_schema, kinds, secret_settings

FIELDS = {field.name: field for field in dataclasses.fields(Settings)}
PROPERTIES = json_schema(Settings)["properties"]
TABLE = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
DEFAULTS_IN_WORDS = {"credentials", "data_connector_account_ids", "data_connector_project_ids"}
"""Empty, and their descriptions say what that means."""


def as_json(value):
    """Return a default as JSON has it, without the tuples and enums of the program."""
    return json.loads(json.dumps(value, default=vars))


def test_the_schema_has_every_field_in_its_order():
    assert list(PROPERTIES) == list(FIELDS)


@pytest.mark.parametrize("name", FIELDS)
def test_the_default_of_the_schema_is_the_default_of_the_program(name):
    default = as_json(getattr(Settings(), name))
    if name in DEFAULTS_IN_WORDS or default is None:
        assert not default
        assert "default" not in PROPERTIES[name]
    else:
        assert PROPERTIES[name]["default"] == default


@pytest.mark.parametrize("name", FIELDS)
def test_the_default_is_a_value_that_can_be_read(name):
    default = PROPERTIES[name].get("default")
    if default is not None:
        assert getattr(Settings.from_config({name: default}), name) == getattr(Settings(), name)


@pytest.mark.parametrize("name", FIELDS)
def test_a_secret_is_secret_in_schema_program_and_documentation(name):
    is_secret = PROPERTIES[name].get("secret", False)
    assert PROPERTIES[name].get("writeOnly", False) == is_secret
    assert FIELDS[name].repr != is_secret
    assert (name in secret_settings(Settings)) == is_secret
    row = next(line for line in TABLE.splitlines() if line.startswith(f"| `{name}` |"))
    assert (", secret |" in row) == is_secret


def test_secrets_are_what_their_names_say():
    words = ("secret", "token", "private_key", "hash_key")
    told = {name for name in FIELDS if any(word in name for word in words)}
    not_secret = {"token_store", "hash_columns"} | {n for n in told if n.startswith("tokenflex")}
    assert secret_settings(Settings) == (told - not_secret) | {"credentials"}


def test_the_kind_of_the_schema_is_the_kind_that_is_read():
    for name, kind in kinds(Settings).items():
        (json_type, null) = PROPERTIES[name]["type"]
        assert null == "null"
        assert json.loads(kind.example.replace("…", "")) is not None
        read = {
            "string": str,
            "boolean": bool,
            "integer": int,
            "number": int | float | Decimal,
            "array": list,
            "object": dict,
        }[json_type]
        assert isinstance(json.loads(kind.example), read), name


NUMBERS = [name for name in FIELDS if {"integer", "number"} & set(PROPERTIES[name]["type"])]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("written", [2, 2.0, Decimal(2), Decimal("2.0"), "2", " 2.0 "])
def test_a_number_is_read_as_its_field_says_however_it_is_written(name, written):
    wanted = int if PROPERTIES[name]["type"][0] == "integer" else float
    read = getattr(Settings.from_config({name: written}), name)
    assert (read, type(read)) == (2, wanted)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("written", [0.5, Decimal("0.5"), "0.5", "5e-1"])
def test_a_fraction_is_a_float_or_refused(name, written):
    if PROPERTIES[name]["type"][0] == "integer":
        with pytest.raises(ConfigurationError, match="is not a whole number: write it as 30"):
            Settings.from_config({name: written})
    else:
        read = getattr(Settings.from_config({name: written}), name)
        assert (read, type(read)) == (0.5, float)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "written",
    ["", "many", "0x10", "1,5", "inf", float("inf"), Decimal("nan"), True, [2], "9" * 400],
)
def test_what_is_no_number_is_refused_or_not_given(name, written):
    if written == "":
        assert Settings.from_config({name: written}) == Settings()
        return
    with pytest.raises(ConfigurationError, match=f"^Setting '{name}'"):
        Settings.from_config({name: written})


def test_filters_hold_no_decimals_since_they_are_sent_as_json():
    filters = {"minimum": Decimal("0.5"), "nested": [{"days": Decimal(30)}]}
    read = Settings.from_config({"insights_usage_report_filters": filters})
    sent = json.dumps(read.insights_usage_report_filters)
    assert sent == '{"minimum": 0.5, "nested": [{"days": 30}]}'


def test_settings_cost_nothing_to_import():
    code = (
        "import sys, tap_autodesk_exports.settings as _;"
        "print(*{name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"singer_sdk", "jsonschema", "click", "requests", "duckdb"}
    assert not heavy & set(done.stdout.split())


def test_an_account_is_one_however_it_is_written():
    bare = "0f5e4c3b-2a19-4807-96f5-e4d3c2b1a098"
    written = [bare, f"b.{bare}", f"B.{bare}", bare.upper()]
    settings = Settings.from_config({"data_connector_account_ids": written})
    assert settings.data_connector_account_ids == (bare,)
