"""Lists that are served in pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.autodesk.answers import Answer, UnexpectedAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_ENTRIES = 200_000
"""More than any user has of one list: a server whose list never ends is not followed further."""


def pages(title: str, items: str, limit: int, fetch: Callable[[int, int], Any]) -> list[Any]:
    """Collect a list that is served in pages of the form `{items: […], "pagination": {…}}`.

    Args:
        title: The API as a person knows it.
        items: The key of the page's list.
        limit: Entries asked for at once.
        fetch: Takes offset and limit, returns a page; `pagination.totalResults` may be missing.

    Raises:
        UnexpectedAnswer: A page has another form, or the list repeats itself or does not end.
    """
    found: list[Any] = []
    last: list[Any] = []
    while True:
        page = Answer.of(title, f"page of {items}", fetch(len(found), limit))
        entries = page.entries(items)
        if entries and entries == last:
            msg = f"{title} answered the same page of {items} for two offsets"
            raise UnexpectedAnswer(msg)
        found += entries
        if len(found) > MOST_ENTRIES:
            msg = f"{title} answered a list of {items} that does not end ({len(found)} entries)"
            raise UnexpectedAnswer(msg)
        total = _total(page)
        if not entries or (total is not None and len(found) >= total):
            return found
        if total is None and len(entries) < limit:
            return found
        last = entries


def _total(page: Answer) -> int | None:
    pagination = page.values.get("pagination")
    if not pagination:
        return None
    total = Answer.of(page.title, "pagination", pagination).optional_text("totalResults")
    return int(total) if total and total.isdecimal() else None
