"""What an API answers at once, without an export: declared here, and fitted to its schema."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.apis import TITLES, Api
from tap_autodesk_exports.clock import canonical, instant
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.files.json_text import compact
from tap_autodesk_exports.loading.personal import safe_record
from tap_autodesk_exports.tables.layout import PROVENANCE, RESCUED_DATA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_autodesk_exports.tables.hashing import Hashing

STRING: dict[str, Any] = {"type": ["string", "null"]}
NUMBER: dict[str, Any] = {"type": ["number", "null"]}
BOOLEAN: dict[str, Any] = {"type": ["boolean", "null"]}
DATE: dict[str, Any] = {"type": ["string", "null"], "format": "date"}
TIMESTAMP: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
STRINGS: dict[str, Any] = {"type": ["array", "null"], "items": {"type": ["string", "null"]}}

Entry = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Listing:
    """A list as an API answers it, with the API's own names.

    What does not fit its type, and what the schema does not know, is kept in `_rescued_data`.

    Attributes:
        name: Name of the stream.
        api: Name of the API.
        primary_keys: The key.
        schema: JSON schema of the records, as the API has them.
        read: Takes the API's `Source`; yields the entries, and an error for each part of the list
            that could not be read.
        left_out: Fields that are not loaded: whoever has a signed link can read the file.
        is_personal: Takes the name of a field, known or not; tells whether it holds personal data.
    """

    name: str
    api: str
    primary_keys: tuple[str, ...]
    schema: Mapping[str, Any]
    read: Callable[[Any], Iterable[Mapping[str, Any] | TapError]]
    left_out: frozenset[str] = frozenset()
    is_personal: Callable[[str], bool] = lambda _: False

    def records(self, source: Any, hashing: Hashing | None) -> Iterator[Entry | TapError]:  # noqa: ANN401
        """Yield the records, and an error for each part that could not be read.

        Entries that are no objects, of which there may be millions, are one error.

        Args:
            source: The API's `Source`.
            hashing: What is hashed in them.
        """
        others = 0
        for entry in self.read(source):
            if isinstance(entry, Mapping):
                yield safe_record(self.record(entry), hashing)
            elif isinstance(entry, TapError):
                yield entry
            else:
                others += 1
        if others:
            what = "an entry that is" if others == 1 else f"{others} entries that are"
            yield TapError(
                f"{TITLES[Api(self.api)]} answered {what} not an object; a newer release of this "
                "tap may know the new form."
            )

    def record(self, entry: Mapping[str, Any]) -> Entry:
        """Return an entry as a record: each value in its type, the others in `_rescued_data`."""
        properties: Mapping[str, Any] = self.schema["properties"]
        record: Entry = dict.fromkeys(properties)
        rescued: Entry = {}
        for name, value in entry.items():
            if name in self.left_out or value is None:
                continue
            fits = _fit(value, properties[name]) if name in properties else None
            if fits is None:
                rescued[name] = value
            else:
                record[name] = fits
        record[RESCUED_DATA] = compact(rescued) if rescued else None
        return record


def list_schema(**properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a listing."""
    rescued = {RESCUED_DATA: PROVENANCE[RESCUED_DATA]}
    return {"type": "object", "properties": {**properties, **rescued}}


def _fit(value: Any, schema: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Return a value in the type that its schema asks for; None where it does not fit."""
    names, form = schema["type"], schema.get("format")
    is_text = "string" in names and form is None
    match value:
        case bool():
            return value if "boolean" in names else None
        case int() | Decimal():
            return value if "number" in names else str(value) if is_text else None
        case str() if form:
            return _time(value, form)
        case str():
            return value if is_text else _number(value, names)
        case list():
            return [_item(item) for item in value] if "array" in names else None
        case _:
            return compact(value) if is_text else None


def _time(value: str, form: str) -> str | None:
    """Return a date or an instant as RECORD messages write it; None where it is none.

    An instant has six fraction digits, and a date no time of day: no other value loses any.
    """
    at = instant(value)
    if at is None or _FINER.search(value):
        return None
    if form == "date-time":
        return canonical(at)
    return at.date().isoformat() if at.time() == dt.time() else None


_FINER = re.compile(r"[.,][0-9]{6}[0-9]*[1-9]")
"""A fraction of a second with more than six digits."""


def _number(value: str, names: list[str]) -> int | None:
    """Return a number that the API wrote as text: sizes and years occur in both forms."""
    return int(value) if "number" in names and _DIGITS.fullmatch(value) else None


_DIGITS = re.compile("[0-9]{1,100}")


def _item(item: Any) -> str | None:  # noqa: ANN401
    if item is None or isinstance(item, str):
        return item
    return compact(item)
