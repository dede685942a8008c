"""What this release expects the endpoints of the Data Connector to answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_autodesk_exports.autodesk.data_connector.listings import LISTINGS
from tap_autodesk_exports.autodesk.expected import fields_of

if TYPE_CHECKING:
    from tap_autodesk_exports.autodesk.expected import Fields

_REQUESTS, _JOBS, _ = LISTINGS
_REQUEST = fields_of(_REQUESTS, id="text", serviceGroups="list")
_JOB = fields_of(_JOBS, id="text", requestId="text", status="text")
_FILE = {"name": "text", "size": "number?", "createdAt": "date-time?"}

EXPECTED: dict[str, Fields] = {
    "GET /accounts/:id/requests": _REQUEST,
    "GET /accounts/:id/requests/:id": _REQUEST,
    "POST /accounts/:id/requests": _REQUEST,
    "GET /accounts/:id/requests/:id/jobs": _JOB,
    "GET /accounts/:id/jobs": _JOB,
    "GET /accounts/:id/jobs/:id": _JOB,
    "GET /accounts/:id/jobs/:id/data-listing": _FILE,
    "GET /accounts/:id/jobs/:id/data/:id": {"name": "text", "size": "number?", "signedUrl": "text"},
}
