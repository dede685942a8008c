"""What this release expects the endpoints of the Data Connector to answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_autodesk_exports.autodesk.data_connector.listings import LISTINGS
from tap_autodesk_exports.autodesk.expected import fields_of, page_of

if TYPE_CHECKING:
    from tap_autodesk_exports.autodesk.expected import Fields

_REQUESTS, _JOBS, _ = LISTINGS
_REQUEST = fields_of(
    _REQUESTS,
    projectIdList="texts or text",
    dateRange="text?",
    callbackUrl="text?",
)
_JOB = fields_of(_JOBS, projectIdList="texts or text", progress="number or text")
_FILE = {"name": "text", "size": "number or text", "createdAt": "date-time"}
_PAGE = page_of("results")

EXPECTED: dict[str, Fields] = {
    "GET /accounts/:id/requests": _PAGE | _REQUEST,
    "GET /accounts/:id/requests/:id": _REQUEST,
    "POST /accounts/:id/requests": _REQUEST,
    "GET /accounts/:id/requests/:id/jobs": _PAGE | _JOB,
    "GET /accounts/:id/jobs": _PAGE | _JOB,
    "GET /accounts/:id/jobs/:id": _JOB,
    "GET /accounts/:id/jobs/:id/data-listing": _FILE,
    "GET /accounts/:id/jobs/:id/data/:id": {
        "name": "text",
        "size": "number or text",
        "signedUrl": "text",
    },
}
