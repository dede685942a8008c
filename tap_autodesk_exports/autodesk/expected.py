"""What this release expects an endpoint to answer: names and kinds of fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_autodesk_exports.loading.listing import Listing

    Fields = Mapping[str, str]
    """Name of a field, nested ones as `a.b` -> its kind: `text`, `number`, `boolean`, `date`,
    `date-time` or `list`, with a `?` where it may be missing."""

_FORMATS = {"date": "date", "date-time": "date-time"}


def fields_of(listing: Listing, **more: str) -> dict[str, str]:
    """Return the fields of a listing's schema; the API may leave any of them out.

    Args:
        listing: The listing, as the API answers it.
        more: Further fields, where a `__` in a name stands for a dot.
    """
    found = {}
    for name, schema in listing.schema["properties"].items():
        if name.startswith("_"):
            continue
        kind = next(each for each in schema["type"] if each != "null")
        kinds = {"string": _FORMATS.get(schema.get("format", ""), "text"), "array": "list"}
        found[name] = kinds.get(kind, kind) + "?"
    return found | {name.replace("__", "."): kind for name, kind in more.items()}
