"""Which columns are hashed, as the settings `hash_columns` and `hash_personal_data` say."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.tables.hashing import Hashing
from tap_autodesk_exports.tables.layout import EXPORT_ID, EXPORTED_AT, RESCUED_DATA, ROW_ID
from tap_autodesk_exports.tables.links import without_signatures
from tap_autodesk_exports.tables.nested import hash_nested

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tap_autodesk_exports.settings import Settings

_NEVER = frozenset({EXPORT_ID, EXPORTED_AT, RESCUED_DATA, ROW_ID})


def hashing_of(
    stream: str, settings: Settings, is_personal: Callable[[str], bool]
) -> Hashing | None:
    """Return which columns of a stream are hashed, and how; None where no setting asks for it.

    Args:
        stream: Name of the stream.
        settings: The settings.
        is_personal: Tells whether a column holds personal data, for `hash_personal_data`.
    """
    patterns = settings.hash_columns
    if not (patterns or settings.hash_personal_data) or not settings.hash_key:
        return None

    def applies(column: str) -> bool:
        if settings.hash_personal_data and column not in _NEVER and is_personal(column):
            return True
        return any(_matches(pattern, stream, column) for pattern in patterns)

    return Hashing(applies, settings.hash_key.encode())


def unmatched(settings: Settings, streams: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the patterns that match no column of any stream, such as misspelt ones.

    Args:
        settings: The settings.
        streams: Name of a stream -> its columns.
    """
    columns = [(name, column) for name, names in streams.items() for column in names]
    return [
        pattern
        for pattern in settings.hash_columns
        if not any(_matches(pattern, stream, column) for stream, column in columns)
    ]


def _matches(pattern: str, stream: str, column: str) -> bool:
    # A second column of a name, `email#2`, is hashed as the first one is.
    name = column.partition("#")[0]
    return column not in _NEVER and any(
        fnmatch.fnmatchcase(f"{stream}.{each}".lower(), pattern.lower())
        for each in dict.fromkeys((column, name))
    )


def hashed_schema(schema: Mapping[str, Any], hashing: Hashing | None) -> dict[str, Any]:
    """Return a stream's schema with text in place of the type of every hashed column."""
    text = {"type": ["string", "null"]}
    return {
        **schema,
        "properties": {
            name: text if hashing and hashing.applies(name) else type_
            for name, type_ in schema["properties"].items()
        },
    }


def safe_record(record: Mapping[str, Any], hashing: Hashing | None) -> dict[str, Any]:
    """Return a record of a list as it may leave.

    Hashed values are replaced, also inside of JSON texts, and signed links lose their query.
    """
    return {
        name: _hashed(value, hashing)
        if hashing and hashing.applies(name)
        else _without_secrets(value, hashing)
        for name, value in record.items()
    }


def _without_secrets(value: Any, hashing: Hashing | None) -> Any:  # noqa: ANN401
    match value:
        case str():
            text = without_signatures(value)
            return hash_nested(text, hashing, hashing.hides) if hashing else text
        case list():
            return [_without_secrets(item, hashing) for item in value]
        case _:
            return value


def _hashed(value: Any, hashing: Hashing) -> Any:  # noqa: ANN401
    match value:
        case None:
            return None
        case list():
            return ",".join(str(_hashed(item, hashing)) for item in value)
        case _:
            return hashing.of(str(value))
