"""Which of several sheets or files hold the rows of a report, by their headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_ALIKE = 0.75
"""Part of the columns of the best header that another one must have to count as the same report.

A report comes in parts with the same header, or with a column more or less; what comes beside it, a
list of filters (observed) or a summary, shares only a few of its columns."""


def with_the_reports_header(found: Sequence[Collection[str]]) -> list[bool]:
    """Tell for each header whether it is the report's.

    Args:
        found: The expected columns that each header has.

    Returns:
        True for the one with most expected columns, and for each that has almost as many of them;
        all False where no header has any.
    """
    best: set[str] = max(map(set, found), key=len, default=set())
    return [bool(best) and len(best.intersection(names)) >= _ALIKE * len(best) for names in found]
