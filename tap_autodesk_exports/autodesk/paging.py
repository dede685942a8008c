"""Lists that are served in pages."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.autodesk.answers import Answer, UnexpectedAnswer
from tap_autodesk_exports.autodesk.http import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("tap-autodesk-exports")

MOST_PAGES = 500
"""More than any user has of one list: a server whose list never ends is not followed further."""
MOST_ENTRIES = 50_000
"""Entries of a list: a user who requests 24 extracts a day has so many after five years."""
MOST_BYTES = 64 << 20
"""Bytes of a list as JSON: fifty thousand entries of more than a kilobyte."""
PAGES_OF_GROWTH = 10
"""Pages after which less must be left of a list than at its beginning."""


class EndlessList(ApiError):
    """A list that has no end, or is far larger than any user's."""


def pages(title: str, items: str, limit: int, fetch: Callable[[int, int], Any]) -> list[Any]:
    """Collect a list that is served in pages of the form `{items: […], "pagination": {…}}`.

    An entry that comes again, because a new one has moved the others, is in the list once. What
    says at once that it is too long costs one request, and not hundreds at the API's own pace.

    Args:
        title: The API as a person knows it.
        items: The key of the page's list.
        limit: Entries to request at once; a page may have fewer.
        fetch: Takes offset and limit, returns a page; `pagination.totalResults` may be missing.

    Raises:
        UnexpectedAnswer: A page has another form, or the list repeats itself.
        EndlessList: The list does not end, or is too long.
    """
    found: dict[bytes, Any] = {}
    size = offset = 0
    left_at_first: int | None = None
    for number in range(MOST_PAGES):
        page = Answer.of(title, f"page of {items}", fetch(offset, limit))
        entries = page.entries(items)
        before = len(found)
        for entry in entries:
            text = json.dumps(entry, sort_keys=True, default=str).encode()
            size += len(text)
            found.setdefault(hashlib.sha256(text).digest(), entry)
        offset += len(entries)
        total = _total(page)
        if max(offset, total or 0) > MOST_ENTRIES or size > MOST_BYTES:
            raise _endless(title, items)
        if not entries and total is not None and offset < total:
            logger.warning(
                "%s: the list of %s ends after %d entries, and says that it has %d.",
                title,
                items,
                offset,
                total,
            )
        is_last = total is None or offset >= total
        # A total may count the page alone: behind a full page, there may be another one.
        if not entries or (is_last and len(entries) < min(limit, _limit(page) or limit)):
            return list(found.values())
        if len(found) == before:
            if is_last and total is not None:
                return list(found.values())
            msg = f"{title} answered the same page of {items} for two offsets"
            raise UnexpectedAnswer(msg)
        if total is not None and not is_last:
            left_at_first = total - offset if left_at_first is None else left_at_first
            if number >= PAGES_OF_GROWTH and total - offset >= left_at_first:
                raise _endless(title, items)
    raise _endless(title, items)


def _endless(title: str, items: str) -> EndlessList:
    return EndlessList(
        f"{title} answered a list of {items} that does not end: one of at most {MOST_ENTRIES} "
        f"entries, {MOST_PAGES} pages and {MOST_BYTES >> 20} MB is read, and it must not grow as "
        "fast as it is read; a newer release of this tap may know the new form.",
        executed=True,
    )


def _total(page: Answer) -> int | None:
    """Return how many entries the list has, as a page says."""
    return _number(page, "totalResults")


def _limit(page: Answer) -> int | None:
    """Return how many entries a page may have, as the server says: maybe fewer than requested."""
    return _number(page, "limit")


def _number(page: Answer, name: str) -> int | None:
    pagination = page.values.get("pagination")
    if not pagination:
        return None
    text = Answer.of(page.title, "pagination", pagination).optional_text(name)
    return int(text) if text and text.isascii() and text.isdecimal() else None
