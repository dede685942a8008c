"""The figures on top of the page."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tap_autodesk_exports.report_page.licences import month_name, seats_of_month
from tap_autodesk_exports.report_page.pictures import number

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_autodesk_exports.report_page.warehouse import Marts

IDLE_DAYS = 30


@dataclasses.dataclass(frozen=True)
class Figure:
    """A number and what it counts."""

    value: str
    text: str


def figures(marts: Marts) -> list[Figure]:
    """Return the figures of the marts that have rows."""
    found: list[Figure] = []
    for mart, figure in FIGURES.items():
        if mart in marts.names:
            found += figure(marts)
    return found


def _seats(marts: Marts) -> list[Figure]:
    month, rows = seats_of_month(marts)
    known = [row for row in rows if row["bought"] is not None]
    if not known:
        return []
    unused, bought = (sum(number(row[name]) for row in known) for name in ("unused", "bought"))
    return [Figure(f"{unused:,.0f} of {bought:,.0f}", f"seats unused in {month_name(month)}")]


def _idle(marts: Marts) -> list[Figure]:
    row = marts.rows(
        "SELECT count(*) AS seats, sum(CASE WHEN days_idle > 30 OR (days_idle IS NULL AND "
        "coalesce(days_assigned, 31) > 30) THEN 1 ELSE 0 END) AS idle FROM {idle_seats}"
    )[0]
    text = f"assigned seats idle for over {IDLE_DAYS} days, of {number(row['seats']):,.0f}"
    return [Figure(f"{number(row['idle']):,.0f}", text)] if row["seats"] else []


def _tokens(marts: Marts) -> list[Figure]:
    rows = marts.rows(
        "SELECT contract_number, max(remaining_tokens) AS tokens_left, "
        "max(runs_out_on) AS runs_out_on, max(end_date) AS end_date "
        "FROM {token_burndown} WHERE is_current_year "
        "GROUP BY contract_number ORDER BY contract_number"
    )
    found = []
    for row in rows:
        contract = f" of contract {row['contract_number']}" if len(rows) > 1 else ""
        left = f"{number(row['tokens_left']):,.0f}"
        if row["runs_out_on"]:
            end = Figure(str(row["runs_out_on"]), f"tokens{contract} run out")
        else:
            end = Figure(str(row["end_date"]), f"tokens{contract} last to the end of the year")
        found += [Figure(left, f"tokens{contract} left"), end]
    return found


def _issues(marts: Marts) -> list[Figure]:
    row = marts.rows(
        "SELECT sum(open_issues) AS opened, sum(overdue_issues) AS overdue FROM {issue_backlog} "
        "WHERE is_latest"
    )[0]
    if row["opened"] is None:
        return []
    text = f"open issues, {number(row['overdue']):,.0f} of them overdue"
    return [Figure(f"{number(row['opened']):,.0f}", text)]


def _rfis(marts: Marts) -> list[Figure]:
    row = marts.rows(
        "SELECT sum(waiting) AS waiting, sum(overdue) AS overdue FROM {rfi_turnaround}"
    )[0]
    if row["waiting"] is None:
        return []
    text = f"RFIs without an answer, {number(row['overdue']):,.0f} of them overdue"
    return [Figure(f"{number(row['waiting']):,.0f}", text)]


def _people(marts: Marts) -> list[Figure]:
    row = marts.rows(
        "SELECT count(*) AS people, "
        "sum(CASE WHEN access_without_activity THEN 1 ELSE 0 END) AS idle FROM {people}"
    )[0]
    if not row["people"]:
        return []
    return [Figure(f"{number(row['idle']):,.0f}", "people with access and without activity")]


FIGURES: dict[str, Callable[[Marts], list[Figure]]] = {
    "seat_utilisation": _seats,
    "idle_seats": _idle,
    "token_burndown": _tokens,
    "issue_backlog": _issues,
    "rfi_turnaround": _rfis,
    "people": _people,
}
"""Mart -> what of it stands on top of the page."""
