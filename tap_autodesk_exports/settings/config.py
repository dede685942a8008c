"""The commands of `autodesk-exports` read their settings from where the tap reads them.

That is: JSON files, or the environment variables `TAP_AUTODESK_EXPORTS_<SETTING>` (and a `.env`
file), which `meltano invoke tap-autodesk-exports:<command>` sets from `meltano.yml`.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import jsonschema
from singer_sdk.configuration._dict_config import parse_environment_config

from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.settings.schema import json_schema
from tap_autodesk_exports.settings.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ENVIRONMENT = "ENV"
"""In place of a file: the environment variables, as for the tap."""
_PREFIX = "TAP_AUTODESK_EXPORTS_"

config_option = click.option(
    "--config",
    "sources",
    multiple=True,
    default=[ENVIRONMENT],
    metavar="FILE|ENV",
    help="Settings as for the tap: JSON files, or ENV for TAP_AUTODESK_EXPORTS_… (the default).",
)


def read_config(sources: Sequence[str]) -> dict[str, Any]:
    """Read the settings as the tap does: later files win, and the environment over files.

    Raises:
        ConfigurationError: They cannot be read, or break the rules of the settings.
    """
    config: dict[str, Any] = {}
    for file in sources:
        if file != ENVIRONMENT:
            config.update(_read_json(file))
    schema = json_schema(Settings)
    if ENVIRONMENT in sources:
        config.update(_from_environment(schema))
    problems = [
        f"'{'.'.join(str(part) for part in error.path)}': {error.message}"
        for error in jsonschema.Draft7Validator(schema).iter_errors(config)
    ]
    if problems:
        msg = f"The settings cannot be used: {'; '.join(problems)}."
        raise ConfigurationError(msg)
    return config


def environment_variables(settings: Mapping[str, Any]) -> dict[str, str]:
    """Write settings as the environment variables that Meltano makes of them."""
    return {
        _PREFIX + name.upper(): value if isinstance(value, str) else json.dumps(value)
        for name, value in settings.items()
    }


def _from_environment(schema: dict[str, Any]) -> dict[str, Any]:
    """Read the environment as the SDK does, and numbers as well, which it leaves as text."""
    config = parse_environment_config(schema, _PREFIX)
    for name, value in config.items():
        if "number" in schema["properties"][name]["type"]:
            with contextlib.suppress(ValueError):
                config[name] = float(value)
    return config


def _read_json(file: str) -> dict[str, Any]:
    try:
        return dict(json.loads(Path(file).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        msg = f"The settings file {file} cannot be read as a JSON object ({error})."
        raise ConfigurationError(msg) from None
