"""Answers that are about one export, and not about the API."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import requests

from tap_autodesk_exports.autodesk.answers import UnexpectedAnswer
from tap_autodesk_exports.autodesk.http import ApiError, NotFound
from tap_autodesk_exports.autodesk.paging import EndlessList
from tap_autodesk_exports.exports.export import NotAvailable

if TYPE_CHECKING:
    from collections.abc import Iterator

OF_AN_EXPORT = frozenset(
    {
        requests.codes.bad_request,
        requests.codes.forbidden,
        requests.codes.not_found,
        requests.codes.gone,
        requests.codes.server_error,
    }
)
"""Statuses with which an API may refuse an export that it does not have any more. Documented: what
"does not exist or is invalid" is a 400 with Token Flex; Insights documents 403 and 500, and no 404.
"""


@contextlib.contextmanager
def of_one_export(*, is_there: bool = False) -> Iterator[None]:
    """Read or fetch one export.

    Args:
        is_there: Whether the export is known to be there, so that a 404 is a refusal too.

    Raises:
        NotFound: It is not there.
        NotAvailable: The API answers in a way that is about this export.
        ApiError: It answers in another way, or not at all.
    """
    try:
        yield
    except ApiError as error:
        if isinstance(error, NotFound) and not is_there:
            raise
        if error.status in OF_AN_EXPORT or isinstance(error, UnexpectedAnswer | EndlessList):
            pending = " The export stays pending: run again." if is_there else ""
            sentence = f"{error}{pending}"
            raise NotAvailable(sentence) from None
        raise
