"""Streams of what an API answers at once, as a list: no export, the full list each time."""

from __future__ import annotations

import abc
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tap_autodesk_exports.clock import canonical, instant
from tap_autodesk_exports.streams.base import TapStream
from tap_autodesk_exports.streams.personal import hashed_record, hashed_schema, hashing_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from singer_sdk.helpers import types

    from tap_autodesk_exports.tap import TapAutodeskExports

STRING: dict[str, Any] = {"type": ["string", "null"]}
NUMBER: dict[str, Any] = {"type": ["number", "null"]}
BOOLEAN: dict[str, Any] = {"type": ["boolean", "null"]}
DATE: dict[str, Any] = {"type": ["string", "null"], "format": "date"}
TIMESTAMP: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
STRINGS: dict[str, Any] = {"type": ["array", "null"], "items": {"type": ["string", "null"]}}
RESCUED: dict[str, Any] = {"type": ["object", "null"], "additionalProperties": True}


class ListStream(TapStream, abc.ABC):
    """A list as the API answers it, with the API's own names.

    What does not fit its type, and what the schema does not know, is kept in `_rescued_data`.
    Signed links are left out: whoever has one can read the file.
    """

    entry_schema: Mapping[str, Any]
    """Schema of the records, as the API has them."""
    left_out: frozenset[str] = frozenset()

    def __init__(self, tap: TapAutodeskExports) -> None:
        self._hashing = hashing_of(self.name, tap.settings)
        super().__init__(tap)

    @property
    @override
    def schema(self) -> dict[str, Any]:
        return hashed_schema(self.entry_schema, self._hashing)

    @abc.abstractmethod
    def entries(self) -> Iterable[Mapping[str, Any]]:
        """Yield the list's entries.

        Raises:
            TapError: The API could not be used.
        """

    @override
    def get_records(self, context: types.Context | None) -> Iterable[dict[str, Any]]:
        self._begin_version()
        for entry in self.entries():
            record = fitted(entry, self.entry_schema["properties"], self.left_out)
            yield hashed_record(record, self._hashing) if self._hashing else record
        self._activate_version()


def list_schema(**properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a list stream."""
    return {"type": "object", "properties": {**properties, "_rescued_data": RESCUED}}


def fitted(
    entry: Mapping[str, Any], properties: Mapping[str, Any], left_out: frozenset[str]
) -> dict[str, Any]:
    """Return an entry as a record: each value in its type, the others under `_rescued_data`."""
    record: dict[str, Any] = dict.fromkeys(properties)
    rescued: dict[str, Any] = {}
    for name, value in entry.items():
        if name in left_out or value is None:
            continue
        fits = _fit(value, properties[name]) if name in properties else None
        if fits is None:
            rescued[name] = value
        else:
            record[name] = fits
    record["_rescued_data"] = rescued or None
    return record


def _fit(value: Any, schema: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Return a value in the type that its schema asks for; None where it does not fit."""
    names = schema["type"]
    match value:
        case bool():
            return value if "boolean" in names else None
        case int() | Decimal():
            return value if "number" in names else _text(value, names)
        case str() if schema.get("format") == "date-time":
            at = instant(value)
            return canonical(at) if at else None
        case str():
            return value if "string" in names else _number(value, names)
        case list():
            return [_item(item) for item in value] if "array" in names else None
        case _:
            return json.dumps(value, default=str) if "string" in names else None


def _text(value: int | Decimal, names: list[str]) -> str | None:
    return str(value) if "string" in names else None


def _number(value: str, names: list[str]) -> int | None:
    """Return a number that the API wrote as text: sizes and years occur in both forms."""
    return int(value) if "number" in names and value.isdecimal() else None


def _item(item: Any) -> str | None:  # noqa: ANN401
    if item is None or isinstance(item, str):
        return item
    return json.dumps(item, default=str)
