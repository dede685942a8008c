"""Lists that are served in pages."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.autodesk.answers import Answer, UnexpectedAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("tap-autodesk-exports")

MOST_PAGES = 500
"""More than any user has of one list: a server whose list never ends is not followed further."""


def pages(title: str, items: str, limit: int, fetch: Callable[[int, int], Any]) -> list[Any]:
    """Collect a list that is served in pages of the form `{items: […], "pagination": {…}}`.

    An entry that comes again, because a new one has moved the others, is in the list once.

    Args:
        title: The API as a person knows it.
        items: The key of the page's list.
        limit: Entries to request at once; a page may have fewer.
        fetch: Takes offset and limit, returns a page; `pagination.totalResults` may be missing.

    Raises:
        UnexpectedAnswer: A page has another form, or the list repeats itself or does not end.
    """
    found: dict[str, Any] = {}
    offset = 0
    for _ in range(MOST_PAGES):
        page = Answer.of(title, f"page of {items}", fetch(offset, limit))
        entries = page.entries(items)
        before = len(found)
        for entry in entries:
            found.setdefault(json.dumps(entry, sort_keys=True, default=str), entry)
        offset += len(entries)
        total = _total(page)
        if not entries and total is not None and offset < total:
            logger.warning(
                "%s: the list of %s ends after %d entries, and says that it has %d.",
                title,
                items,
                offset,
                total,
            )
        is_last = len(entries) < limit if total is None else offset >= total
        if not entries or is_last:
            return list(found.values())
        if len(found) == before:
            msg = f"{title} answered the same page of {items} for two offsets"
            raise UnexpectedAnswer(msg)
    msg = f"{title} answered a list of {items} that does not end ({MOST_PAGES} pages)"
    raise UnexpectedAnswer(msg)


def _total(page: Answer) -> int | None:
    pagination = page.values.get("pagination")
    if not pagination:
        return None
    total = Answer.of(page.title, "pagination", pagination).optional_text("totalResults")
    return int(total) if total and total.isascii() and total.isdecimal() else None
