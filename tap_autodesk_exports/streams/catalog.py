"""A Singer catalog as it came: whether the SDK can read it, and whether it is that of this run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from singer_sdk.singerlib import Catalog

from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.json_reading import read_json
from tap_autodesk_exports.settings.config import parse_object
from tap_autodesk_exports.streams.selection import Patterns, given_patterns

OVERWRITTEN = (
    "Where two runs share a Meltano project, each overwrites the catalog of the other: run one "
    "after the other, or give each its own system folder (`MELTANO_SYS_DIR_ROOT`)."
)


def read_catalog(text: str, what: str) -> dict[str, Any]:
    """Return the catalog that a text holds.

    Args:
        text: The text.
        what: What it is, for a person.

    Raises:
        ConfigurationError: It is no JSON, no catalog, or that of another run of Meltano's.
    """
    catalog = _parsed(text, what)
    try:
        for stream in Catalog.from_dict(catalog).streams:
            stream.metadata.resolve_selection()
        is_one = all(map(_has_columns, catalog.get("streams", ())))
    except (AttributeError, KeyError, TypeError, ValueError):
        is_one = False
    if not is_one:
        msg = (
            f"The {what} is no Singer catalog: `streams` must be a list of objects, each with "
            "`tap_stream_id`, `schema` and `metadata`. `tap-autodesk-exports --config … "
            "--discover` writes one."
        )
        raise ConfigurationError(msg)
    if patterns := given_patterns():
        _check(catalog, Patterns(patterns), what)
    return catalog


def _parsed(text: str, what: str) -> dict[str, Any]:
    """Return the JSON object that a text is; one that is cut off is another run's doing."""
    try:
        found = read_json(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        how = f"is cut off or damaged: it is not JSON ({error.msg} at {where})"
        msg = f"The {what} {how if text.strip() else 'is empty'}. {OVERWRITTEN}"
        raise ConfigurationError(msg) from None
    except ValueError:
        found = None  # whole, and yet no catalog
    return found if isinstance(found, dict) else parse_object(text, what)


def _check(catalog: Mapping[str, Any], patterns: Patterns, what: str) -> None:
    """Raise where a catalog selects what the user's project does not."""
    for entry in catalog.get("streams", ()):
        stream = entry["tap_stream_id"]
        if not patterns.names(stream) and _is_selected(entry):
            msg = (
                f"The {what} selects '{stream}', and `select` of the project does not, so it is "
                f"not the catalog of this run. {OVERWRITTEN}"
            )
            raise ConfigurationError(msg)


def _is_selected(entry: Mapping[str, Any]) -> bool:
    return any(
        not node["breadcrumb"] and node["metadata"].get("selected") is True
        for node in entry["metadata"]
    )


def _has_columns(stream: Mapping[str, Any]) -> bool:
    """Tell whether a stream has a name, and a schema in which each column is an object."""
    properties = stream["schema"]["properties"]
    return isinstance(stream["tap_stream_id"], str) and all(
        isinstance(column, Mapping) for column in properties.values()
    )
