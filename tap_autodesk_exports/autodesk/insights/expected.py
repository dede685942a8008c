"""What this release expects the endpoints of Insights to answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_autodesk_exports.autodesk.expected import fields_of, page_of
from tap_autodesk_exports.autodesk.insights.listings import LISTINGS

if TYPE_CHECKING:
    from tap_autodesk_exports.autodesk.expected import Fields

_CONTEXTS, _EXPORTS = LISTINGS
_EXPORT = fields_of(
    _EXPORTS,
    downloads="objects",
    downloads__type="text",
    downloads__downloadURL="text",
)

EXPECTED: dict[str, Fields] = {
    "GET /contexts": fields_of(_CONTEXTS),
    "GET /exports": page_of("exports") | _EXPORT,
    "GET /exports/:id": _EXPORT,
    "POST /exports": _EXPORT,
}

OPTIONAL_COLUMNS = {"insights_usage": frozenset({"tokens_used", "usage_type"})}
"""Columns that only some of the documented forms of a file have."""
