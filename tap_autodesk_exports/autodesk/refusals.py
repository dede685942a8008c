"""What an API answered when it refused, and what to do about it, in words.

Facts used here: a 401 means that the token is invalid or expired (documented); a gateway's 403 is
plain text (documented); a 429 carries `Retry-After` in seconds (documented for the platform, not
for Data Connector's job quota); error bodies have several shapes (documented).
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import requests

from tap_autodesk_exports.autodesk.server_time import http_date
from tap_autodesk_exports.json_reading import read_json
from tap_autodesk_exports.redaction import excerpt
from tap_autodesk_exports.transport.failures import PROXY_CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_SENSIBLE = dt.timedelta(days=366)
"""A server that asks to wait for longer than this does not know what it says."""


def retry_after(answer: requests.Response, now: dt.datetime) -> float | None:
    """Return the seconds that the server asks to wait, from either form of `Retry-After`."""
    value = answer.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value)
    at = http_date(value)
    return max((at - now).total_seconds(), 0.0) if at else None


_ADVICE: dict[int, str] = {
    requests.codes.unauthorized: (
        "The access token is invalid or expired, also after a new sign-in: check the credentials "
        "in the settings."
    ),
    requests.codes.not_found: (
        "There is no such thing for this user: check the IDs in the settings, and `api_url`."
    ),
    requests.codes.gone: "It is not there any more.",
    requests.codes.proxy_authentication: f"The proxy asks for credentials. {PROXY_CREDENTIALS}",
}
_REDIRECTED = (
    "It is a redirect to another address, which is not followed, so that credentials stay with "
    "their host: check `api_url`, and whether a proxy asks to sign in."
)


def advice(answer: requests.Response, causes_of_403: Sequence[str], now: dt.datetime) -> str:
    """Return sentences on what to do about a refusal.

    Args:
        answer: The refusal.
        causes_of_403: The usual causes of a 403, most likely first, each a clause.
        now: The present instant.
    """
    status = answer.status_code
    if status == requests.codes.forbidden:
        causes = (f"({number}) {cause}" for number, cause in enumerate(causes_of_403, 1))
        return f"Usual causes: {'; '.join(causes)}."
    if status == requests.codes.too_many_requests:
        return f"The request limit is used up: run again {_free_again(answer, now)}."
    if status in _ADVICE:
        return _ADVICE[status]
    if status >= requests.codes.server_error:
        return "The fault is on Autodesk's side: run again later."
    if requests.codes.multiple_choices <= status < requests.codes.bad_request:
        return _REDIRECTED
    return "The request was not accepted: check the settings that it is made of."


def _free_again(answer: requests.Response, now: dt.datetime) -> str:
    seconds = retry_after(answer, now)
    if seconds is None or seconds > LONGEST_SENSIBLE.total_seconds():
        return "later"  # the server does not say, or not in earnest
    return f"after {now + dt.timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S} UTC"


def said(answer: requests.Response) -> str:
    """Return the server's own words, from any of the documented shapes of an error body."""
    try:
        body = read_json(answer.content)
    except ValueError:
        text = answer.text.strip()
        words = "" if text.startswith("<") else text
    else:
        keys = ("developerMessage", "Message", "detail", "message", "title", "userMessage", "error")
        found = body if isinstance(body, dict) else {}
        words = next((str(found[key]) for key in keys if found.get(key)), "")
    shown = excerpt(words, 300).rstrip(".")
    return f" ({shown})" if shown else ""
