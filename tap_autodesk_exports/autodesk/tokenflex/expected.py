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
_REQUEST = fields_of(_REQUESTS, requestKey="text", requestStatus="text", downloadUrl="text?")
del _REQUEST["contractNumber"]


def _without_number(fields: dict[str, str]) -> dict[str, str]:
    """Return fields without the contract's number, which the tap adds."""
    return {name: kind for name, kind in fields.items() if name != "contractNumber"}


EXPECTED: dict[str, Fields] = {
    "GET /contract": fields_of(_CONTRACTS, contractNumber="text", isActive="boolean"),
    "GET /contract/:id": {
        **fields_of(_CONTRACTS),
        "multiyearProvisionedTokens": "number?",
        "contractYears": "list?",
        **_YEAR_FIELDS,
    },
    "GET /contract/:id/enrichment": {"(entry)": "text"},
    "GET /usage/:id/summary": _without_number(fields_of(_SUMMARY)),
    "GET /usage/:id/last": _without_number(fields_of(_LAST, usageCategory="text")),
    "GET /export/:id/requests": _REQUEST,
    "GET /export/:id/requests/:id": _REQUEST,
    "POST /export/:id/requests": _REQUEST,
    "POST /export/:id/requests/:id/refreshUrl": {**_REQUEST, "downloadUrl": "text"},
    "POST /export/:id/requests/:id/retry": _REQUEST,
}
