"""What this release expects an endpoint to answer: names and kinds of fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_autodesk_exports.loading.listing import Listing

    Fields = Mapping[str, str]
    """Name of a field, nested ones as `a.b` -> its kind: `text`, `number`, `boolean`, `date`,
    `date-time`, `texts` (a list of them), `objects` (an object or a list of them, whose fields are
    nested), `number or text`, `texts or text`; with a `?` where it may be missing."""

_FORMATS = {"date": "date", "date-time": "date-time"}
AROUND = "(page)"
"""What a page has around its entries is nested in this."""


def page_of(items: str) -> dict[str, str]:
    """Return what a page has around its entries (documented for both APIs that have pages)."""
    pagination = dict.fromkeys(("limit", "offset", "totalResults"), "number")
    return {
        f"{AROUND}.{items}": "entries",
        f"{AROUND}.pagination": "objects",
        **{f"{AROUND}.pagination.{name}": kind for name, kind in pagination.items()},
    }


def fields_of(listing: Listing, **more: str) -> dict[str, str]:
    """Return the fields of a listing's schema.

    Args:
        listing: The listing, as the API answers it.
        more: Further fields, or other kinds, where a `__` in a name stands for a dot.
    """
    found = {}
    for name, schema in listing.schema["properties"].items():
        if name.startswith("_"):
            continue
        kind = next(each for each in schema["type"] if each != "null")
        kinds = {"string": _FORMATS.get(schema.get("format", ""), "text"), "array": "texts"}
        found[name] = kinds.get(kind, kind)
    return found | {name.replace("__", "."): kind for name, kind in more.items()}
