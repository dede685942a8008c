"""What a Token Flex export may request, and its rows: filter, group, measure.

Documented: the metrics are calculated over the grouping of the fields; session-level fields need
exactly one usage category (the two manual ones may be mixed) and, for desktop, nothing beyond the
documented set; `where` accepts comparisons, IN, LIKE and AND, no `not`, and at least three literal
characters next to a wildcard. OR and parentheses are not documented and refused here. The header is
fields, then metrics, as requested (inferred).
"""

from __future__ import annotations

import datetime as dt
import operator
import re
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.sandbox.data.tokens import ADJUSTMENT, CATEGORIES, CONSUMPTION, DESKTOP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tap_autodesk_exports.sandbox.data.tokens import Item

    Condition = Callable[[Item], bool]

CUSTOM = tuple(f"customField{number}" for number in range(1, 11))
SESSION_FIELDS = (
    "usageMonth", "usageDate", "contractYear", "productName", "productLineCode", "productVersion",
    "productFeatureCode", "userName", "machineName", "sessionStartDate", "sessionEndDate",
    "licenseServerTimeZoneOffset", "chargedItemID", "chargeCategory", "licenseServerName",
    "usageType", "usageCategory", *CUSTOM,
)  # fmt: skip
SESSION_METRICS = ("tokensConsumed", "usageMinutes", "usageHours")
TRANSACTIONAL = frozenset(
    {"chargedItemID", "chargeCategory", "sessionStartDate", "sessionEndDate",
     "licenseServerTimeZoneOffset", "hubId", "hubName"}
)  # fmt: skip
FIELDS = frozenset(SESSION_FIELDS) | TRANSACTIONAL | {
    "tokenPool", "transactionDate", "reasonType", "reasonComment",
}  # fmt: skip
METRICS = frozenset(
    {"tokensConsumed", "uniqueUsers", "uniqueProducts", "usageMinutes", "usageHours", "useCount",
     "quantity"}
)  # fmt: skip
MANUAL = {ADJUSTMENT, CONSUMPTION}
NO_WILDCARD = frozenset({"tokenPool", "usageCategory", "chargeCategory", "usageType"})
WILDCARD_LITERALS = 3

_CONDITION = re.compile(
    r"""\s*(?P<field>\w+)\s*
    (?:(?P<comparison><=|>=|!=|<>|=|<|>)\s*(?P<value>'[^']*'|-?[\d.]+)
      |(?P<word>IN|LIKE)\s*(?P<values>\([^)]*\)|'[^']*'))\s*""",
    re.IGNORECASE | re.VERBOSE,
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<>": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


class Invalid(Exception):
    """The API refuses the request."""


class Query:
    """A checked request.

    Args:
        body: The request as it was posted.
        categories: The usage categories that there are.

    Raises:
        Invalid: The API refuses what the body requests.
    """

    def __init__(self, body: dict[str, Any], categories: Iterable[str] = CATEGORIES) -> None:
        self.fields = _names(body.get("fields"), FIELDS)
        self.metrics = _names(body.get("metrics"), METRICS)
        self.categories = _names(body.get("usageCategory"), frozenset(categories))
        self.conditions = _where(body.get("where"))
        if not self.fields and not self.metrics:
            msg = "fields or metrics are required"
            raise Invalid(msg)
        if TRANSACTIONAL & set(self.fields):
            self._check_session()

    def _check_session(self) -> None:
        if len(self.categories) != 1 and not (self.categories and set(self.categories) <= MANUAL):
            msg = "session level needs exactly one usageCategory"
            raise Invalid(msg)
        beyond = (set(self.fields) - set(SESSION_FIELDS)) | (
            set(self.metrics) - set(SESSION_METRICS)
        )
        if self.categories == [DESKTOP] and beyond:
            msg = f"not allowed at session level: {', '.join(sorted(beyond))}"
            raise Invalid(msg)

    @property
    def header(self) -> list[str]:
        """Column names: fields, then metrics."""
        return [*self.fields, *self.metrics]

    def days(self) -> tuple[dt.date, dt.date]:
        """Return a range of days outside which no row can pass, to read less."""
        first, last = dt.date.min, dt.date.max
        for field, comparison, value in self._dates:
            if field == "usageDate" and comparison in {">", ">=", "="}:
                first = max(first, dt.date.fromisoformat(value))
            if field == "usageDate" and comparison in {"<", "<=", "="}:
                last = min(last, dt.date.fromisoformat(value))
        return first, last

    @property
    def _dates(self) -> list[tuple[str, str, str]]:
        return [
            (f, c, v) for f, c, v, _ in self.conditions if f.endswith("Date") and c in _COMPARISONS
        ]

    def rows(self, items: Iterable[Item]) -> list[list[str | None]]:
        """Filter, group and measure; cells in the order of the header."""
        groups: dict[tuple[str | float, ...], list[Item]] = {}
        for item in items:
            wanted = not self.categories or item["usageCategory"] in self.categories
            if wanted and all(test(item) for *_, test in self.conditions):
                key = tuple(item.get(field, "") for field in self.fields)
                groups.setdefault(key, []).append(item)
        return [
            [*map(_text, key), *(_text(_measure(metric, found)) for metric in self.metrics)]
            for key, found in groups.items()
        ]


def _names(given: Any, known: frozenset[str]) -> list[str]:  # noqa: ANN401
    names = given or []
    if not isinstance(names, list) or not all(name in known for name in names):
        msg = f"unknown name in {given}"
        raise Invalid(msg)
    return list(dict.fromkeys(names))


def _where(text: Any) -> list[tuple[str, str, str, Condition]]:  # noqa: ANN401
    if not text:
        return []
    conditions = []
    rest = str(text)
    while True:
        found = _CONDITION.match(rest)
        if found is None or found["field"] not in FIELDS:
            msg = "where cannot be read"
            raise Invalid(msg)
        conditions.append(_condition(found))
        rest = rest[found.end() :]
        if not rest:
            return conditions
        joined = re.match(r"and\b", rest, re.IGNORECASE)
        if joined is None:
            msg = "conditions can only be joined with and"
            raise Invalid(msg)
        rest = rest[joined.end() :]


def _condition(found: re.Match[str]) -> tuple[str, str, str, Condition]:
    field = found["field"]
    if found["comparison"]:
        compare, text = _COMPARISONS[found["comparison"]], found["value"].strip("'")
        if field in {"usageDate", "transactionDate"}:
            try:
                dt.date.fromisoformat(text)
            except ValueError:
                msg = f"{field} needs a date"
                raise Invalid(msg) from None
        value = _number(text) if field == "contractYear" else text
        return (
            field,
            found["comparison"],
            text,
            lambda item: field in item and compare(item[field], value),
        )
    listed = re.findall(r"'([^']*)'|(-?[\d.]+)", found["values"])
    values = {quoted or bare for quoted, bare in listed}
    if found["word"].upper() == "IN":
        return field, "IN", "", lambda item: _text(item.get(field, "")) in values
    pattern = "".join(values)
    if field in NO_WILDCARD or len(pattern.replace("%", "")) < WILDCARD_LITERALS:
        msg = "wildcard not allowed"
        raise Invalid(msg)
    expression = re.compile(".*".join(map(re.escape, pattern.split("%"))))
    return field, "LIKE", "", lambda item: bool(expression.fullmatch(str(item.get(field, ""))))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        msg = "contractYear needs a number"
        raise Invalid(msg) from None


def _measure(metric: str, items: list[Item]) -> float:
    match metric:
        case "uniqueUsers":
            return len({item["userName"] for item in items})
        case "uniqueProducts":
            return len({item["productName"] for item in items})
        case "useCount":
            return len(items)
        case _:
            return round(sum(float(item.get(metric, 0.0)) for item in items), 4)


def _text(value: str | float) -> str | None:
    """Write a cell; numbers as the query API shows them, tokens as 60.0 (documented there)."""
    return str(value) or None
