"""Settings from JSON files and from the environment, for the tap and for `autodesk-exports`.

The environment is the variables `TAP_AUTODESK_EXPORTS_<SETTING>` and a `.env` file;
`meltano invoke tap-autodesk-exports:<command>` sets them from `meltano.yml`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import jsonschema
from jsonschema.exceptions import best_match
from singer_sdk import Tap
from singer_sdk.configuration._dict_config import (
    merge_missing_config_jsonschema,
    parse_environment_config,
)
from singer_sdk.helpers.capabilities import EMIT_ACTIVATE_VERSION_CONFIG

from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.json_reading import TooDeep, read_json
from tap_autodesk_exports.settings.kinds import Switch, nearest
from tap_autodesk_exports.settings.rules import Known, WrongSettings
from tap_autodesk_exports.settings.schema import kinds
from tap_autodesk_exports.settings.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

logger = logging.getLogger("tap-autodesk-exports")

ENVIRONMENT = "ENV"
"""In place of a file: the environment variables."""
PREFIX = "TAP_AUTODESK_EXPORTS_"
NEAR_ENOUGH = 0.9
"""How much a variable must look like a setting's to be reported: others use the prefix too."""

config_option = click.option(
    "--config",
    "sources",
    multiple=True,
    default=[ENVIRONMENT],
    metavar="FILE|ENV",
    help="Settings as for the tap: JSON files, or ENV for TAP_AUTODESK_EXPORTS_… (the default).",
)


def sdk_schema() -> dict[str, Any]:
    """Return the JSON schema of the settings that the Singer SDK itself reads."""
    schema: dict[str, Any] = {}
    Tap.append_builtin_config(schema)
    merge_missing_config_jsonschema(EMIT_ACTIVATE_VERSION_CONFIG, schema)
    return schema


def read_config(
    sources: Sequence[str], known: Callable[[Mapping[str, Any]], Known] | None = None
) -> dict[str, Any]:
    """Read the settings as the tap does: later files win, and the environment over files.

    Args:
        sources: Files, and `ENV` for the environment.
        known: Returns what they are checked against beyond what holds for all.

    Raises:
        ConfigurationError: They cannot be read, or something about them is wrong.
    """
    config = read_sources(sources)
    check_config(config, known(config) if known else None)
    return config


def read_sources(sources: Sequence[str]) -> dict[str, Any]:
    """Return what files and environment say, unchecked; `ENV` among the sources is the environment.

    Raises:
        ConfigurationError: A file cannot be read as a JSON object, or a value of the environment
            as what the SDK wants.
    """
    config: dict[str, Any] = {}
    for file in sources:
        if file != ENVIRONMENT:
            config.update(read_object(file, "settings"))
    if ENVIRONMENT in sources:
        config.update(from_environment())
    return config


def check_config(config: Mapping[str, Any], known: Known | None = None) -> Settings:
    """Check the settings, those of the SDK among them.

    Args:
        config: Setting name -> value.
        known: What the caller knows beyond them; the names of the SDK's are added.

    Raises:
        ConfigurationError: A sentence for everything that is wrong.
    """
    schema = sdk_schema()
    known = dataclasses.replace(known or Known(), others=schema["properties"])
    problems = [*_sdk_problems(config, schema)]
    try:
        settings = Settings.from_config(config, known)
    except WrongSettings as error:
        raise WrongSettings([*error.problems, *problems]) from None
    if problems:
        raise WrongSettings(problems)
    return settings


def from_environment() -> dict[str, Any]:
    """Return the settings that environment variables hold.

    Lists, objects, numbers and booleans are written as JSON. What is none is returned as it is,
    for the reader of the setting to say what is wrong with it.

    Raises:
        WrongSettings: A setting of the SDK cannot be read.
    """
    parse_environment_config({}, PREFIX)  # reads the .env file into the environment
    theirs, problems = sdk_schema()["properties"], []
    config: dict[str, Any] = {}
    for variable, text in sorted(os.environ.items()):
        name = variable.removeprefix(PREFIX).lower()
        if not variable.startswith(PREFIX):
            continue
        if name in kinds(Settings):
            config[name] = _parsed(name, text)
        elif name in theirs:
            try:
                config |= parse_environment_config({"properties": {name: theirs[name]}}, PREFIX)
            except (ValueError, RecursionError):  # the SDK reads it as JSON by itself
                problems.append(
                    f"The environment variable {variable} cannot be read as "
                    f"{' or '.join(theirs[name]['type'])}: write it as JSON."
                )
        elif near := nearest(name, [*kinds(Settings), *theirs], NEAR_ENOUGH):
            logger.warning(
                "The environment variable %s is ignored: did you mean %s%s?",
                variable,
                PREFIX,
                near.upper(),
            )
    if problems:
        raise WrongSettings(problems)
    return config


def environment_variables(settings: Mapping[str, Any]) -> dict[str, str]:
    """Write settings as the environment variables that Meltano makes of them."""
    return {
        PREFIX + name.upper(): value if isinstance(value, str) else json.dumps(value)
        for name, value in settings.items()
    }


def read_object(file: str, what: str) -> dict[str, Any]:
    """Return the JSON object in a file.

    Args:
        file: Path of the file.
        what: What it holds, for a person: "settings", "state", "catalog".

    Raises:
        ConfigurationError: It cannot be read, or holds something else.
    """
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
    except OSError as error:
        msg = f"The {what} file {file} cannot be read ({error.strerror}): give a path that exists."
        raise ConfigurationError(msg) from None
    except UnicodeDecodeError:
        msg = f"The {what} file {file} is not text in UTF-8: save it as such."
        raise ConfigurationError(msg) from None
    return parse_object(text, f"{what} file {file}")


def parse_object(text: str, what: str) -> dict[str, Any]:
    """Return the JSON object that a text is.

    Args:
        text: The text. It may hold secrets: no error shows any of it.
        what: What it is, for a person: "settings file config.json".

    Raises:
        ConfigurationError: It is something else.
    """
    try:
        found = read_json(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        reason = "is empty" if not text.strip() else f"is not JSON ({error.msg} at {where})"
        msg = f'The {what} {reason}: write an object, such as {{"client_id": "…"}}.'
        raise ConfigurationError(msg) from None
    except TooDeep as error:
        msg = f"The {what} cannot be read as JSON: {error}."
        raise ConfigurationError(msg) from None
    except ValueError:  # a number of thousands of digits
        msg = f"The {what} cannot be read as JSON: a number in it is too long."
        raise ConfigurationError(msg) from None
    if not isinstance(found, dict):
        msg = f"The {what} holds no JSON object: it must begin with {{ and end with }}."
        raise ConfigurationError(msg)
    return found


def _parsed(name: str, text: str) -> Any:  # noqa: ANN401
    """Return the JSON value that a variable holds, or its text where the setting is text."""
    kind = kinds(Settings)[name]
    with contextlib.suppress(ValueError):
        if isinstance(kind, Switch):
            return kind.read(text)
        if "string" not in kind.schema()["type"]:
            return read_json(text)
    return text


_ALTERNATIVES = {"anyOf", "oneOf", "allOf"}


def _sdk_problems(config: Mapping[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the settings of the SDK, without their values."""
    given = {
        name: value
        for name, value in config.items()
        if name in schema["properties"] and name not in kinds(Settings)
    }
    for found in jsonschema.Draft7Validator(schema).iter_errors(given):
        error = best_match([found]) or found  # of the alternatives, the one that is meant
        path = ".".join(str(step) for step in error.path)
        wanted = error.validator_value
        words = " or ".join(map(str, wanted)) if isinstance(wanted, list) else str(wanted)
        how = "" if error.validator in _ALTERNATIVES else f": {error.validator} {words}"
        yield f"Setting '{path}' is not what the Singer SDK wants{how}."
