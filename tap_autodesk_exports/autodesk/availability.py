"""Answers that are about one export, and not about the API."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import requests

from tap_autodesk_exports.autodesk.answers import UnexpectedAnswer
from tap_autodesk_exports.autodesk.http import ApiError, NotFound, NotJson
from tap_autodesk_exports.autodesk.paging import EndlessList
from tap_autodesk_exports.exports.export import NotAvailable, NotUnderstood

if TYPE_CHECKING:
    from collections.abc import Iterator

OF_ALL = frozenset(
    {
        requests.codes.unauthorized,
        requests.codes.proxy_authentication_required,
        requests.codes.request_timeout,
        requests.codes.too_many_requests,
    }
)
"""Refusals of any request, whatever it is about."""


def is_of_an_export(status: int | None) -> bool:
    """Tell whether an API may refuse an export with a status because it does not have it any more.

    Documented: what "does not exist or is invalid" is a 400 with Token Flex; Insights documents
    403 and 500, and no 404. What else may come is not documented, so every refusal counts that is
    not of all requests, and an answer without content. Other 5xx are failures of the API.
    """
    if status in {requests.codes.no_content, requests.codes.server_error}:
        return True
    is_refusal = status is not None and status // 100 == requests.codes.bad_request // 100
    return is_refusal and status not in OF_ALL


@contextlib.contextmanager
def of_one_export(*, is_there: bool = False) -> Iterator[None]:
    """Read or fetch one export.

    Args:
        is_there: Whether the export is known to be there, so that a 404 is a refusal too.

    Raises:
        NotFound: It is not there.
        NotAvailable: The API answers in a way that is about this export.
        NotUnderstood: It answers no JSON, where it may also be a proxy that answers.
        ApiError: It answers in another way, or not at all.
    """
    try:
        yield
    except ApiError as error:
        if isinstance(error, NotFound) and not is_there:
            raise
        pending = " The export stays pending: run again." if is_there else ""
        sentence = f"{error}{pending}"
        if is_of_an_export(error.status) or isinstance(error, UnexpectedAnswer | EndlessList):
            raise NotAvailable(sentence) from None
        if isinstance(error, NotJson):
            raise NotUnderstood(sentence) from None
        raise
