"""A Singer catalog as it came: whether the SDK can read it, and whether it is that of this run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from singer_sdk.singerlib import Catalog

from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.json_reading import read_json
from tap_autodesk_exports.settings.config import parse_object
from tap_autodesk_exports.streams.selection import Patterns, given_patterns

if TYPE_CHECKING:
    from collections.abc import Iterator

OVERWRITTEN = (
    "Where two runs share a Meltano project, each overwrites the catalog of the other: run one "
    "after the other, or give each its own system folder (`MELTANO_SYS_DIR_ROOT`)."
)


def read_catalog(text: str, what: str) -> Catalog:
    """Return the catalog that a text holds.

    Args:
        text: The text.
        what: What it is, for a person.

    Raises:
        ConfigurationError: It is no JSON, no catalog, or that of another run of Meltano's.
    """
    catalog = _parsed(text, what)
    found = Catalog()
    try:
        found = Catalog.from_dict(catalog)
        for stream in found.streams:
            stream.metadata.resolve_selection()
        is_one = all(map(_has_columns, catalog.get("streams", ())))
        wrong = [part for stream in catalog.get("streams", ()) for part in _odd_parts(stream)]
    except (AttributeError, KeyError, TypeError, ValueError):
        is_one = False
    if not is_one:
        msg = (
            f"The {what} is no Singer catalog: `streams` must be a list of objects, each with "
            "`tap_stream_id`, `schema` and `metadata`. `tap-autodesk-exports --config … "
            "--discover` writes one."
        )
        raise ConfigurationError(msg)
    if wrong:
        msg = (
            f"The {what} cannot be used: {', '.join(wrong)} has another form than in the catalog "
            "that `tap-autodesk-exports --config … --discover` writes: take it from there."
        )
        raise ConfigurationError(msg)
    if patterns := given_patterns():
        _check(catalog, Patterns(patterns), what)
    return found


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


def _odd_parts(stream: Mapping[str, Any]) -> Iterator[str]:
    """Yield which parts of a stream the SDK could not use, each with the name of the stream."""
    name = stream["tap_stream_id"]
    forms = {
        "stream": stream.get("stream") in {None, name},
        "key_properties": _are_names(stream.get("key_properties")),
        "replication_key": isinstance(stream.get("replication_key") or "", str),
        "table-key-properties": all(
            _are_names(node["metadata"].get("table-key-properties")) for node in stream["metadata"]
        ),
        "schema": all(map(_is_schema, stream["schema"]["properties"].values())),
    }
    yield from (f"`{part}` of '{name}'" for part, is_right in forms.items() if not is_right)


def _are_names(value: Any) -> bool:  # noqa: ANN401
    is_list = value is None or isinstance(value, (list, tuple))
    return is_list and all(isinstance(name, str) for name in value or ())


def _is_schema(schema: Any) -> bool:  # noqa: ANN401
    """Tell whether a schema is an object whose types are names, its alternatives too."""
    if not isinstance(schema, Mapping):
        return False
    types = schema.get("type")
    parts = [part for word in ("anyOf", "oneOf", "allOf") for part in schema.get(word) or ()]
    return (isinstance(types, str) or _are_names(types)) and all(map(_is_schema, parts))
