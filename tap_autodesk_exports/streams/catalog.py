"""A Singer catalog as it came: whether the SDK can read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from singer_sdk.singerlib import Catalog

from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.settings.config import parse_object


def read_catalog(text: str, what: str) -> dict[str, Any]:
    """Return the catalog that a text holds.

    Args:
        text: The text.
        what: What it is, for a person.

    Raises:
        ConfigurationError: It is no JSON, or no catalog.
    """
    catalog = parse_object(text, what)
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
    return catalog


def _has_columns(stream: Mapping[str, Any]) -> bool:
    """Tell whether a stream has a name, and a schema in which each column is an object."""
    properties = stream["schema"]["properties"]
    return isinstance(stream["tap_stream_id"], str) and all(
        isinstance(column, Mapping) for column in properties.values()
    )
