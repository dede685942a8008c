"""The definition of the Meltano plugin, as the Hub wants it."""

from __future__ import annotations

import json
from typing import Any

import yaml

from tap_autodesk_exports.json_reading import read_json
from tap_autodesk_exports.settings import Settings
from tap_autodesk_exports.settings.config import sdk_schema
from tap_autodesk_exports.settings.schema import json_schema

NAME = "tap-autodesk-exports"
REPOSITORY = "https://github.com/tap-autodesk-exports/tap-autodesk-exports"
"""The one place for the repository's address."""
CAPABILITIES = (
    "about",
    "activate-version",
    "batch",
    "catalog",
    "discover",
    "schema-flattening",
    "state",
    "stream-maps",
    "structured-logging",
    "test",
)
COMMANDS = {
    "doctor": "Try each step of a run, and say what fails and why.",
    "export": "Load streams straight into files and databases, without a target.",
    "login": "Sign in once; from then on the tap renews its tokens.",
    "plan": "Share an extract out among many workers, as JSON.",
    "schema": "Compare the bundled Data Connector schema with the published one.",
    "shapes": "Report what the APIs really answer, in names and kinds, never in values.",
}
SELECT = (
    "*.*",
    "!activities_*.*",
    "!cdc*.*",
    "!clashes_*.*",
    "!classifications_*.*",
    "!estimates_*.*",
    "!issuesbim360_*.*",
    "!packages_*.*",
    "!takeoff_*.*",
)
"""What the tap selects by default: all but events, change tables, and service groups that the API
does not document."""
SIGN_IN = (
    ("client_id",),
    ("client_id", "client_secret"),
    ("client_id", "refresh_token"),
    (
        "client_id",
        "client_secret",
        "service_account_id",
        "service_account_key_id",
        "service_account_private_key",
    ),
    ("access_token",),
    ("credentials",),
    ("sandbox",),
)
"""The settings of each way to sign in."""
PREAMBLE = """\
Autodesk gives this data out as exports that take minutes to hours. Without an account, set
`sandbox: true` to try the tap with made-up data.
"""
PREREQUISITES = """\
- An app in the [Autodesk Platform Services portal](https://aps.autodesk.com/myapps) with the
  callback URL `http://localhost:8931/callback`.
- For the Data Connector: the app added as a custom integration of the account.
- Without an account, `sandbox: true` is all that is needed.
"""
NEXT_STEPS = """\
Sign in once where a user has to, let the tap try each step of a run, then run it:

```bash
meltano invoke tap-autodesk-exports:login
meltano invoke tap-autodesk-exports:doctor
meltano run tap-autodesk-exports target-jsonl
```
"""
USAGE = """\
## Exports take minutes to hours

A run that is stopped leaves its pending exports in the state; the next run resumes them. Meltano
keeps state only with an environment (`default_environment`).

## What is selected

Meltano selects every stream where `select` names none. The tap then leaves out what it does not
select by default: activities, tables of changes (cdc) and undocumented service groups. To load
those, name them: `select: ["*.*", "activities_*.*"]`.

## Fast loads

`batch_config` with `format: jsonl` and `compression: gzip` loads twice as fast into targets that
support BATCH, such as MeltanoLabs' target-postgres. Targets that do not support it lose the rows.
"""


def definition() -> dict[str, Any]:
    """Return the definition: what the Hub's schema of an extractor describes."""
    return {
        "name": NAME,
        "namespace": NAME.replace("-", "_"),
        "variant": "autodesk-exports",
        "label": "Autodesk Exports",
        "description": (
            "Autodesk seats, usage, tokens and construction project data (ACC, BIM 360) from "
            "asynchronous exports."
        ),
        "docs": f"{REPOSITORY}#readme",
        "repo": REPOSITORY,
        "domain_url": "https://aps.autodesk.com/developer/documentation",
        "logo_url": "/assets/logos/extractors/autodesk-exports.png",
        "keywords": ["api", "meltano_sdk"],
        "maintenance_status": "beta",
        "quality": "silver",
        "supported_python_versions": ["3.11", "3.12", "3.13"],
        "pip_url": f"{NAME}[sandbox]",
        "executable": NAME,
        "log_parser": "singer-sdk",
        "capabilities": list(CAPABILITIES),
        "commands": {
            name: {"executable": "autodesk-exports", "args": name, "description": description}
            for name, description in COMMANDS.items()
        },
        "select": list(SELECT),
        "settings_group_validation": [list(names) for names in SIGN_IN],
        "settings_preamble": PREAMBLE,
        "prereq": PREREQUISITES,
        "next_steps": NEXT_STEPS,
        "usage": USAGE,
        "settings": [
            *own_settings(),
            *(_setting(name, schema) for name, schema in _flat(sdk_schema()["properties"])),
        ],
    }


def own_settings() -> list[dict[str, Any]]:
    """Return the settings of this tap, as Meltano declares them."""
    return [_setting(*item) for item in json_schema(Settings)["properties"].items()]


def _flat(properties: dict[str, Any], prefix: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Return the settings of the SDK, those within objects by names with dots."""
    found: list[tuple[str, dict[str, Any]]] = []
    for name, schema in properties.items():
        if schema.get("properties"):
            found += _flat(schema["properties"], f"{prefix}{name}.")
        else:
            found.append((prefix + name, schema))
    return found


def _setting(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": name,
        "label": schema.get("title") or name,
        "kind": kind(schema),
        "description": schema.get("description") or schema.get("title") or name,
    }
    if schema.get("secret"):
        entry["sensitive"] = True
    choices = [value for value in schema.get("enum") or () if value is not None]
    if choices:
        entry["options"] = [
            {"label": str(value).replace("_", " "), "value": value} for value in choices
        ]
    if "default" in schema:
        entry["value"] = schema["default"]
    return entry


def kind(schema: dict[str, Any]) -> str:
    """Return Meltano's kind of a setting from its JSON schema; only secrets are passwords.

    Numbers are text, which the tap reads as well: Meltano makes a Decimal of what the environment
    gives for its kind `decimal`, and then cannot write the tap's settings (observed: 4.4.1).
    """
    if schema.get("enum"):
        return "options"
    if schema.get("format") == "date-time":
        return "date_iso8601"
    types = schema.get("type", "string")
    name: str = types if isinstance(types, str) else next(each for each in types if each != "null")
    if name == "string" and schema.get("secret"):
        return "password"
    return {"number": "string"}.get(name, name)


LOADERS: dict[str, dict[str, Any]] = {
    "target-jsonl": {
        "name": "target-jsonl",
        "namespace": "target_jsonl",
        "variant": "andyh1203",
        "label": "JSON lines",
        "repo": "https://github.com/andyh1203/target-jsonl",
        "pip_url": "target-jsonl==0.1.4",
        "executable": "target-jsonl",
        "settings": [
            {
                "name": "destination_path",
                "label": "Destination path",
                "kind": "string",
                "value": "output",
                "description": "Folder of the files, one for each stream; it must exist.",
            },
            {
                "name": "do_timestamp_file",
                "label": "Timestamp in file names",
                "kind": "boolean",
                "value": False,
                "description": "Whether each run writes new files.",
            },
        ],
    },
    "target-postgres": {
        "name": "target-postgres",
        "namespace": "target_postgres",
        "variant": "meltanolabs",
        "label": "PostgreSQL",
        "repo": "https://github.com/MeltanoLabs/target-postgres",
        "pip_url": "meltanolabs-target-postgres==0.8.1",
        "executable": "target-postgres",
        "capabilities": [
            "about",
            "activate-version",
            "hard-delete",
            "schema-flattening",
            "stream-maps",
            "structured-logging",
        ],
        "settings": [
            {
                "name": "sqlalchemy_url",
                "label": "URL",
                "kind": "password",
                "sensitive": True,
                "description": "Such as postgresql+psycopg://user:password@host/database.",
            },
            {
                "name": "default_target_schema",
                "label": "Schema",
                "kind": "string",
                "value": "autodesk",
                "description": "The schema of the tables.",
            },
            {
                "name": "use_copy",
                "label": "COPY",
                "kind": "boolean",
                "value": False,
                "description": "It rounds numbers of more than 15 digits, so it is off.",
            },
        ],
    },
}
"""Loaders that are known to lose nothing of what this tap sends, with the settings for it."""


def as_yaml(definition: dict[str, Any]) -> str:
    """Return a definition as YAML."""
    plain = read_json(json.dumps(definition))  # enums and tuples as what they are in YAML
    return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100))
