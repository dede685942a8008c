"""Whatever an API writes into a list: a record is as its schema says, and the rest is rescued."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import pytest

from tap_autodesk_exports.autodesk.sources import SOURCES
from tap_autodesk_exports.loading.listing import (
    BOOLEAN,
    DATE,
    NUMBER,
    STRING,
    STRINGS,
    TIMESTAMP,
    Listing,
    list_schema,
)

LISTINGS = [listing for source in SOURCES.values() for listing in source.listings]
VALUES = {
    "a huge integer": 10**400,
    "milliseconds since 1970": 1764202000123,
    "a fraction": Decimal("1.5"),
    "true": True,
    "empty text": "",
    "text": "something",
    "a number as text": "12",
    "thousands of digits": "9" * 5000,
    "digits of another script": "\uff11\uff12",
    "a superscript": "\u00b2",
    "a day": "2026-01-31",
    "midnight": "2026-01-31T00:00:00Z",
    "noon": "2026-01-31T12:00:00Z",
    "seven fraction digits": "2026-01-31T00:00:00.1234567Z",
    "no such day": "2026-02-30",
    "the first instant of all": "0001-01-01T00:00:00Z",
    "a list": [1, None, "x"],
    "an object": {"a": None},
}


def fits(value, schema):  # noqa: PLR0911 - one for each type
    """Tell whether a value is what a schema says; formats as the SDK's targets read them."""
    names, form = schema["type"], schema.get("format")
    match value:
        case None:
            return True
        case bool():
            return "boolean" in names
        case int() | Decimal():
            return "number" in names
        case list():
            return "array" in names and all(item is None or isinstance(item, str) for item in value)
        case str() if form == "date":
            return len(value) == 10 and bool(dt.date.fromisoformat(value))
        case str() if form == "date-time":
            return len(value) == 27 and bool(dt.datetime.fromisoformat(value))
        case _:
            return "string" in names


@pytest.mark.parametrize("name", VALUES)
def test_a_record_is_as_its_schema_says(name):
    for listing in LISTINGS:
        properties = listing.schema["properties"]
        record = listing.record(dict.fromkeys(properties, VALUES[name]))
        wrong = [field for field, value in record.items() if not fits(value, properties[field])]
        assert wrong == [], listing.name
        json.dumps(record, default=str)


ONE = Listing(
    "x", "insights", (),
    list_schema(text=STRING, number=NUMBER, flag=BOOLEAN, day=DATE, at=TIMESTAMP, texts=STRINGS),
    lambda _: (),
)  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("number", "12", 12),
        ("number", "9" * 5000, None),
        ("number", "\uff11\uff12", None),
        ("day", 202601, None),
        ("day", "2026-01-31", "2026-01-31"),
        ("day", "2026-01-31T00:00:00Z", "2026-01-31"),
        ("day", "2026-01-31T12:00:00Z", None),
        ("day", "2026-02-30", None),
        ("day", "0001-01-01T00:00:00Z", "0001-01-01"),
        ("at", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
        ("at", "0001-01-01T00:00:00+01:00", None),
        ("at", "9999-12-31T23:59:59.9999999Z", None),
        ("at", 1764202000123, None),
        ("at", "2026-01-31T00:00:00.1234567Z", None),
        ("at", "2026-01-31T00:00:00.1234560Z", "2026-01-31T00:00:00.123456Z"),
        ("text", 1764202000123, "1764202000123"),
    ],
)
def test_a_value_is_kept_as_it_is_or_rescued(field, value, kept):
    record = ONE.record({field: value})
    assert record[field] == kept
    rescued = json.loads(record["_rescued_data"] or "{}")
    assert rescued == ({field: value} if kept is None else {})
