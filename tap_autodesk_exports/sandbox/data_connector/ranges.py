"""Which dates a Data Connector request covers, and how its lists are sorted and filtered.

Documented: `dateRange` overrides the two dates; one date given counts for both; a range of more
than 31 days falls back to yesterday for activities, silently; yesterday is the default.
Assumed: the same default for the change groups, and that a date without a time as `endDate` means
the end of that day.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.sandbox.clock import instant
from tap_autodesk_exports.sandbox.paging import cut

if TYPE_CHECKING:
    from collections.abc import Mapping

    Period = tuple[dt.datetime, dt.datetime]

MAX_ACTIVITY_DAYS = 31
DEFAULT_LIMIT = 20
NAMED = frozenset({"TODAY", "YESTERDAY", "PAST_7_DAYS", "MONTH_TO_DATE", "LAST_MONTH", "CUSTOM"})
_DATE_LENGTH = 10
_INSTANT = dt.timedelta(microseconds=1)


def asked(body: Mapping[str, Any], now: dt.datetime) -> Period | None:
    """Return the range that a request names, resolved at `now`; None without one.

    Raises:
        ValueError: A date cannot be read, or the range has no such name or lacks a date.
    """
    named = body.get("dateRange")
    if named not in {None, "CUSTOM"}:
        return _named(named, now)
    given = [body.get("startDate"), body.get("endDate")]
    if named == "CUSTOM" and not all(given):
        msg = "CUSTOM needs startDate and endDate"
        raise ValueError(msg)
    start, end = given[0] or given[1], given[1] or given[0]
    if start is None or end is None:
        return None
    whole_day = dt.timedelta(days=1) - _INSTANT if len(end) == _DATE_LENGTH else dt.timedelta(0)
    return instant(start), instant(end) + whole_day


def activities(period: Period | None, now: dt.datetime) -> Period:
    """Return the range of the activities, which fall back to yesterday without saying so."""
    if period is None or period[1] - period[0] > dt.timedelta(days=MAX_ACTIVITY_DAYS):
        return _named("YESTERDAY", now)
    return period


def changes(period: Period | None, now: dt.datetime) -> Period:
    """Return the range of the change groups."""
    return period or _named("YESTERDAY", now)


def _named(name: str | None, now: dt.datetime) -> Period:
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    day = dt.timedelta(days=1)
    month = today.replace(day=1)
    match name:
        case "TODAY":
            return today, now
        case "YESTERDAY":
            return today - day, today - _INSTANT
        case "PAST_7_DAYS":
            return today - 6 * day, now
        case "MONTH_TO_DATE":
            return month, now
        case "LAST_MONTH":
            return (month - day).replace(day=1), month - _INSTANT
        case _:
            msg = f"dateRange must be one of {', '.join(sorted(NAMED))}"
            raise ValueError(msg)


def page(
    entries: list[dict[str, Any]], arguments: Mapping[str, str], paging: str
) -> dict[str, Any]:
    """Filter, sort and cut a list as the query asks; unknown sort fields are ignored.

    Args:
        entries: The whole list.
        arguments: The query.
        paging: How it is cut: see `sandbox/paging.py`.

    Raises:
        ValueError: `limit` or `offset` is no number.
    """
    found = [entry for entry in entries if _passes(entry, arguments)]
    descending = arguments.get("sort", "asc").lower() == "desc"
    found.sort(key=lambda entry: str(entry["createdAt"]), reverse=descending)
    for field in reversed(arguments.get("sortFields", "").split(",")):
        name = field.removeprefix("-")
        if name and all(name in entry for entry in found):
            found.sort(key=lambda entry: str(entry[name]), reverse=field.startswith("-"))
    limit = max(1, int(arguments.get("limit", DEFAULT_LIMIT)))
    offset = max(0, int(arguments.get("offset", 0)))
    results, total = cut(found, offset, limit, paging)
    pagination = {"limit": limit, "offset": offset, "totalResults": total}
    return {"pagination": pagination, "results": results}


def _passes(entry: Mapping[str, Any], arguments: Mapping[str, str]) -> bool:
    for argument, wanted in arguments.items():
        if not argument.startswith("filter[") or not argument.endswith("]"):
            continue
        name = argument[len("filter[") : -1].replace("reocurring", "reoccuring")
        value = entry.get(name)
        text = value if isinstance(value, str) else json.dumps(value)
        if ".." in wanted:
            first, _, last = wanted.partition("..")
            if value is None or (first and text < first) or (last and text > last):
                return False
        elif text != wanted:
            return False
    return True
