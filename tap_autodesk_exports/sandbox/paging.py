"""Pages of a list, and the ways in which a server may get them wrong.

| `paging` | what happens |
|---|---|
| `documented` | the part of the list that `offset` and `limit` name, and the true total |
| `ignores_offset` | every page is the first one |
| `repeats` | after its end the list starts again, and the total is always further on |
| `grows` | after its end the list goes on with made-up entries, the total is always further on |
| `shifts` | one new entry arrives in front between two pages, so the last of a page comes again |
| `counts_page` | the total is that of the page |
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.sandbox.behaviour import one_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    Entry = dict[str, Any]

DOCUMENTED = "documented"


def paging_field() -> str:
    """Declare the switch of a part with paged lists."""
    return one_of(DOCUMENTED, "ignores_offset", "repeats", "grows", "shifts", "counts_page")


def cut(entries: Sequence[Entry], offset: int, limit: int, paging: str) -> tuple[list[Entry], int]:
    """Return the entries of a page and the total that it claims."""
    total = len(entries)
    match paging:
        case "ignores_offset":
            return list(entries[:limit]), total
        case "repeats" if entries:
            page = [entries[(offset + number) % total] for number in range(limit)]
            return page, offset + limit + total
        case "grows" if entries:
            page = list(entries[offset : offset + limit])
            page += [_made_up(entries[-1]) for _ in range(limit - len(page))]
            return page, offset + limit + total
        case "shifts":
            moved = offset // limit
            start = max(0, offset - moved)
            return list(entries[start : start + limit]), total + moved
        case _:
            page = list(entries[offset : offset + limit])
            return page, len(page) if paging == "counts_page" else total


def _made_up(entry: Entry) -> Entry:
    return {**entry, "id": str(uuid.uuid4())}
