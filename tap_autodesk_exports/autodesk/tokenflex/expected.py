"""What this release expects the endpoints of Token Flex to answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_autodesk_exports.autodesk.expected import fields_of
from tap_autodesk_exports.autodesk.tokenflex.listings import LISTINGS

if TYPE_CHECKING:
    from tap_autodesk_exports.autodesk.expected import Fields

_CONTRACTS, _YEARS, _, _SUMMARY, _LAST, _REQUESTS = LISTINGS
_YEAR_FIELDS = {
    f"contractYears.{name}": kind
    for name, kind in fields_of(_YEARS).items()
    if name not in {"contractNumber", "multiyearProvisionedTokens"}
}


def _without_number(fields: dict[str, str]) -> dict[str, str]:
    """Return fields without the contract's number, which the tap adds."""
    return {name: kind for name, kind in fields.items() if name != "contractNumber"}


_READY = _without_number(fields_of(_REQUESTS, downloadUrl="text", scheduleId="text?"))
_REQUEST = {**_READY, "downloadUrl": "text?", "downloadUrlExpireDate": "date-time?"}
"""Links are there once the export is ready."""

EXPECTED: dict[str, Fields] = {
    "GET /contract": fields_of(_CONTRACTS),
    "GET /contract/:id": {
        **fields_of(_CONTRACTS),
        "multiyearProvisionedTokens": "number",
        "contractYears": "objects",
        **_YEAR_FIELDS,
    },
    "GET /contract/:id/enrichment": {"(entry)": "text"},
    "GET /usage/:id/summary": _without_number(fields_of(_SUMMARY, contractYear="number or text")),
    "GET /usage/:id/last": _without_number(fields_of(_LAST)),
    "GET /export/:id/requests": _REQUEST,
    "GET /export/:id/requests/:id": _REQUEST,
    "POST /export/:id/requests": {**_REQUEST, "readFlag": "text?"},
    "POST /export/:id/requests/:id/refreshUrl": _READY,
    "POST /export/:id/requests/:id/retry": {**_REQUEST, "readFlag": "text?"},
}
