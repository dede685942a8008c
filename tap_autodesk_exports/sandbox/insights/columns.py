"""How the files of Insights spell their columns.

Three generations of names are known from the help pages; which of the last two is the newer one is
not (facts: Y was observed in real files of 2026). Here Y is `snake`, X is `title`. Autodesk's JSON
is camelCase elsewhere, so `camel` is possible for JSON.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tap_autodesk_exports.sandbox.data.reports import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

_X = {
    "SUBSCRIPTIONS": {"team_alias": "Team"},
    "USERS": {
        "autodesk_id": "Autodesk ID", "email": "Email", "product_name": "Feature",
        "first_name": "First name", "last_name": "Last name", "offering_name": "Product",
        "role": "Role", "team_alias": "Team", "account_status": "Account status",
    },
    "USAGE": {
        "access_option": "Access option", "day_used": "Day used", "team_alias": "Team",
        "email": "Email", "first_name": "First name", "last_name": "Last name",
        "tokens_used": "Tokens used",
    },
    "USAGE_REPORT": {
        "access_option": "Access option", "assigned_date": "Assigned date",
        "days_inactive": "Days inactive", "days_used": "Days used", "email": "Email",
        "first_name": "First name", "group": "Group", "last_accessed": "Last accessed",
        "last_name": "Last name", "monthly_average": "Monthly average", "offering_name": "Product",
        "seat_assignment": "Seat assignment", "team_alias": "Team", "tokens_used": "Tokens used",
        "unassigned_date": "Unassigned date", "user_activity": "User activity",
        "version": "Version",
    },
}  # fmt: skip
"""Names of generation X; a column that is not here keeps its name."""

_LEFT_OUT = {
    "generation_x": {
        "USERS": {"account_status"},
        "USAGE": {"version"},
        "USAGE_REPORT": {"hashed_autodesk_id", "autodesk_id"},
    },
    "generation_1": {"USERS": {"account_status"}, "USAGE_REPORT": {"autodesk_id"}},
}
"""Columns that the help page of a generation does not list."""


@dataclasses.dataclass(frozen=True)
class Header:
    """The columns of a file: `columns` as the reports name them, `shown` as the file does."""

    columns: tuple[str, ...]
    shown: tuple[str, ...]


def header(report: str, spelling: str, extra: tuple[str, ...] = ()) -> Header:
    """Return the header of a report.

    Args:
        report: Name of the report.
        spelling: As in `InsightsBehaviour.columns`.
        extra: Columns after the usual ones.
    """
    left_out: Mapping[str, set[str]] = _LEFT_OUT.get(spelling, {})
    columns = tuple(
        column for column in (*COLUMNS[report], *extra) if column not in left_out.get(report, set())
    )
    return Header(columns, tuple(_spelled(report, column, spelling) for column in columns))


def _spelled(report: str, column: str, spelling: str) -> str:
    words = column.split("_")
    match spelling:
        case "title" | "generation_x":
            return _X[report].get(column, column)
        case "camel":
            return words[0] + "".join(word.capitalize() for word in words[1:])
        case "words":
            return " ".join(word.capitalize() for word in words)
        case "upper":
            return column.upper()
        case _:
            return column
