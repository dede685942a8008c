"""Pictures of projects and people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt

from tap_autodesk_exports.report_page.pictures import (
    BLUE,
    DAYS,
    GREEN,
    GREY,
    ORANGE,
    RED,
    Picture,
    Question,
    bar_height,
    chart,
    colours,
    count_axis,
    day_axis,
    legend,
    lines,
    number,
    panel,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_autodesk_exports.report_page.pictures import Chart, Panel
    from tap_autodesk_exports.report_page.warehouse import Marts, Row

MOST_PROJECTS = 12
MOST_WEEKS = 60


def issue_backlog(marts: Marts) -> Picture | None:
    """Draw open and overdue issues of each project, week by week."""
    latest = marts.rows(
        "SELECT project_id, project_name, open_issues, overdue_issues, mean_age_days, "
        "oldest_age_days FROM {issue_backlog} WHERE is_latest "
        "ORDER BY open_issues DESC, overdue_issues DESC, project_name"
    )
    shown = [row for row in latest if number(row["open_issues"])][:MOST_PROJECTS] or latest[:1]
    if not shown:
        return None
    weeks = marts.rows(
        "SELECT project_id, week, open_issues, overdue_issues FROM {issue_backlog} ORDER BY week"
    )
    newest = sorted({str(row["week"]) for row in weeks})[-MOST_WEEKS:]
    kept = [row for row in weeks if str(row["week"]) in set(newest)]
    most = max(number(row["open_issues"]) for row in kept)
    panels = []
    for row in shown:
        of_project = [week for week in kept if week["project_id"] == row["project_id"]]
        made = _backlog(of_project, newest[0], newest[-1], most)
        panels.append(panel(made, 110, str(row["project_name"])))
    more = len([row for row in latest if number(row["open_issues"])]) - len(shown)
    also = f" {more} more projects with open issues are in the table." if more > 0 else ""
    return Picture(
        f"Open issues at the end of each week (blue), and those past their due date (red).{also}",
        panels,
        table(
            {
                "project_name": "Project",
                "open_issues": "Open",
                "overdue_issues": "Overdue",
                "mean_age_days": "Mean age in days",
                "oldest_age_days": "Oldest",
            },
            latest,
        ),
    )


def _backlog(rows: list[Row], first: str, last: str, most: float) -> Chart:
    x = alt.X("week:T", axis=day_axis(), scale=alt.Scale(type="utc", domain=[first, last]))
    domain = alt.Scale(domain=[0, max(most, 1)], nice=True)
    tooltip = [
        alt.Tooltip("utcyearmonthdate(week):T", title="week"),
        alt.Tooltip("open_issues:Q", title="open"),
        alt.Tooltip("overdue_issues:Q", title="overdue"),
    ]
    y = alt.Y("open_issues:Q", title=None, scale=domain, axis=alt.Axis(tickCount=4))
    opened = chart(rows).mark_area(color=BLUE, opacity=0.5, interpolate="step-after")
    overdue = chart(rows).mark_area(color=RED, opacity=0.9, interpolate="step-after")
    return alt.layer(
        opened.encode(x=x, y=y, tooltip=tooltip),
        overdue.encode(x=x, y="overdue_issues:Q", tooltip=tooltip),
    )


def rfi_turnaround(marts: Marts) -> Picture | None:
    """Draw what became of the RFIs of each month, and how long their answers took."""
    rows = marts.rows(
        "SELECT month, sum(rfis) AS rfis, sum(answered) AS answered, "
        "sum(answered_late) AS late, sum(waiting) AS waiting, sum(overdue) AS overdue, "
        "sum(mean_days_to_answer * answered) / nullif(sum(answered), 0) AS mean_days "
        "FROM {rfi_turnaround} GROUP BY month ORDER BY month DESC"
    )
    if not rows:
        return None
    rows = [
        {
            **row,
            "mean_days": None if row["mean_days"] is None else round(number(row["mean_days"]), 1),
        }
        for row in rows
    ]
    kinds = ("answered", "answered late", "waiting", "overdue")
    bars: list[Row] = [
        {"month": row["month"], "is": kind, "rfis": count, "place": kinds.index(kind)}
        for row in rows
        for kind, count in (
            ("answered", number(row["answered"]) - number(row["late"])),
            ("answered late", number(row["late"])),
            ("waiting", number(row["waiting"]) - number(row["overdue"])),
            ("overdue", number(row["overdue"])),
        )
    ]
    x = alt.X("utcyearmonth(month):T", axis=day_axis(), scale=DAYS)
    counted = (
        chart(bars)
        .mark_bar()
        .encode(
            x=x,
            y=alt.Y("rfis:Q", title="RFIs", axis=count_axis()),
            color=alt.Color(
                "is:N", scale=colours(kinds, (GREEN, ORANGE, BLUE, RED)), legend=legend()
            ),
            order=alt.Order("place:Q"),
            tooltip=["is:N", "rfis:Q"],
        )
    )
    known = [row for row in rows if row["mean_days"] is not None]
    taken = (
        chart(known)
        .mark_line(color=BLUE, point=alt.OverlayMarkDef(color=BLUE))
        .encode(
            x=x,
            y=alt.Y("mean_days:Q", title="days", scale=alt.Scale(domainMin=0)),
            tooltip=[alt.Tooltip("mean_days:Q", format=".1f", title="days to the answer")],
        )
    )
    return Picture(
        "RFIs by the month in which they were asked, and the days to the first answer on average.",
        [panel(counted, 170, "What became of them"), panel(taken, 110, "Days to the answer")],
        table(
            {
                "month": "Month",
                "rfis": "Asked",
                "answered": "Answered",
                "late": "Late",
                "waiting": "Waiting",
                "overdue": "Overdue",
                "mean_days": "Mean days to the answer",
            },
            rows,
        ),
    )


def submittal_backlog(marts: Marts) -> Picture | None:
    """Draw the submittals that wait in each project, by when they are required on the job."""
    rows = marts.rows(
        "SELECT project_name, sum(items) AS items, sum(waiting) AS waiting, "
        "sum(past_required_on_job) AS past, sum(required_within_30_days) AS soon, "
        "sum(review_late) AS review_late FROM {submittal_backlog} "
        "GROUP BY project_id, project_name ORDER BY sum(waiting) DESC, project_name"
    )
    if not rows:
        return None
    kinds = ("past required-on-job", "within 30 days", "later or undated")
    bars: list[Row] = [
        {"project": lines(row["project_name"]), "required": kind, "submittals": count,
         "place": kinds.index(kind)}
        for row in rows[:MOST_PROJECTS]
        for kind, count in (
            (kinds[0], row["past"]),
            (kinds[1], row["soon"]),
            (kinds[2], number(row["waiting"]) - number(row["past"]) - number(row["soon"])),
        )
    ]  # fmt: skip
    made = (
        chart(bars)
        .mark_bar()
        .encode(
            y=alt.Y(
                "project:N", sort=_order(bars, "project"), title=None, axis=alt.Axis(labelLimit=0)
            ),
            x=alt.X("submittals:Q", title="submittals waiting", axis=count_axis()),
            color=alt.Color(
                "required:N", scale=colours(kinds, (RED, ORANGE, BLUE)), legend=legend()
            ),
            order=alt.Order("place:Q"),
            tooltip=["required:N", "submittals:Q"],
        )
    )
    return Picture(
        "Submittals that are neither closed nor void, by the day on which they are required on the "
        "job.",
        [panel(made, bar_height(_order(bars, "project")))],
        table(
            {
                "project_name": "Project",
                "items": "All",
                "waiting": "Waiting",
                "past": "Past required-on-job",
                "soon": "Within 30 days",
                "review_late": "Review late",
            },
            rows,
        ),
    )


def cost_position(marts: Marts) -> Picture | None:
    """Draw revised budget, commitment, actual cost and forecast of each project."""
    rows = marts.rows(
        "SELECT project_name, coalesce(currency, '') AS currency, sum(original) AS original, "
        "sum(revised) AS revised, sum(committed) AS committed, sum(actual) AS actual, "
        "sum(forecast) AS forecast FROM {cost_position} WHERE parent_budget_id IS NULL "
        "GROUP BY project_id, project_name, coalesce(currency, '') "
        "ORDER BY sum(revised) DESC NULLS LAST, project_name"
    )
    if not rows:
        return None
    currencies = list(dict.fromkeys(str(row["currency"]) for row in rows))
    return Picture(
        "Actual cost (dark) and commitment (middle) against the revised budget (light); the mark "
        "is the forecast, red where it is above the budget.",
        [_budgets(rows, currency, titled=len(currencies) > 1) for currency in currencies],
        table(
            {
                "project_name": "Project",
                "currency": "Currency",
                "original": "Original",
                "revised": "Revised",
                "committed": "Committed",
                "actual": "Actual",
                "forecast": "Forecast",
            },
            rows,
        ),
    )


def _budgets(rows: list[Row], currency: str, *, titled: bool) -> Panel:
    of_currency: list[Row] = [
        {
            **row,
            "project": lines(row["project_name"]),
            "is": "above" if number(row["forecast"]) > number(row["revised"]) else "within",
        }
        for row in rows
        if row["currency"] == currency
    ][:MOST_PROJECTS]
    base = chart(of_currency).encode(
        y=alt.Y(
            "project:N",
            sort=_order(of_currency, "project"),
            title=None,
            axis=alt.Axis(labelLimit=0),
        ),
        tooltip=["project_name:N"]
        + [
            alt.Tooltip(f"{name}:Q", format=",.0f")
            for name in ("revised", "committed", "actual", "forecast")
        ],
    )
    x = alt.X("revised:Q", title=currency or "amount", axis=alt.Axis(format="~s"))
    made = alt.layer(
        base.mark_bar(color=GREY, opacity=0.45, size=22).encode(x=x),
        base.mark_bar(color=BLUE, opacity=0.5, size=13).encode(x="committed:Q"),
        base.mark_bar(color=BLUE, size=6).encode(x="actual:Q"),
        base.mark_tick(thickness=3, size=24).encode(
            x="forecast:Q",
            color=alt.Color("is:N", scale=colours(("above", "within"), (RED, GREEN)), legend=None),
        ),
    )
    title = (currency or "no currency") if titled else ""
    return panel(made, bar_height(_order(of_currency, "project")), title)


def people(marts: Marts) -> Picture | None:
    """Draw who has access and is active, and list those who are not."""
    kinds = ("seat and projects", "a seat", "projects", "neither")
    rows = marts.rows(
        "SELECT CASE WHEN seats > 0 AND projects > 0 THEN 'seat and projects' "
        "WHEN seats > 0 THEN 'a seat' WHEN projects > 0 THEN 'projects' ELSE 'neither' END AS has, "
        "CASE WHEN access_without_activity THEN 'not active' ELSE 'active' END AS is_active, "
        "count(*) AS people FROM {people} GROUP BY 1, 2 ORDER BY 1, 2"
    )
    if not rows:
        return None
    # Those without access are neither.
    bars: list[Row] = [
        {**row, "is_active": "no access" if row["has"] == "neither" else row["is_active"]}
        for row in rows
    ]
    states = ("active", "not active", "no access")
    made = (
        chart(bars)
        .mark_bar()
        .encode(
            y=alt.Y("has:N", sort=kinds, title=None, axis=alt.Axis(labelLimit=0)),
            x=alt.X("people:Q", title="people", axis=count_axis()),
            color=alt.Color(
                "is_active:N", scale=colours(states, (GREEN, RED, GREY)), legend=legend()
            ),
            tooltip=["has:N", "is_active:N", "people:Q"],
        )
    )
    idle = marts.rows(
        "SELECT coalesce(person_name, person) AS person, team_alias, seats, offerings, projects, "
        "last_used_on, last_tokens_on, last_sign_in_on FROM {people} WHERE access_without_activity "
        "ORDER BY last_active_on NULLS FIRST, 1, team_alias, offerings"
    )
    return Picture(
        "People of all three APIs by what they have access to. The table lists those with access "
        "who did nothing for long.",
        [panel(made, bar_height(kinds))],
        table(
            {
                "person": "Person",
                "team_alias": "Team",
                "offerings": "Seats",
                "projects": "Projects",
                "last_used_on": "Last used",
                "last_tokens_on": "Last tokens",
                "last_sign_in_on": "Last sign-in",
            },
            idle,
        ),
    )


def _order(rows: Sequence[Row], name: str) -> list[str]:
    return list(dict.fromkeys(str(row[name]) for row in rows))


QUESTIONS = (
    Question(
        "issue_backlog",
        "Where do issues pile up?",
        ("issues_issues", "admin_projects"),
        issue_backlog,
        wide=True,
    ),
    Question(
        "rfi_turnaround",
        "How long do questions wait for an answer?",
        ("rfis_rfis", "rfis_rfi_transitions"),
        rfi_turnaround,
    ),
    Question(
        "submittal_backlog",
        "Which submittals wait?",
        ("submittalsacc_items", "submittalsacc_steps"),
        submittal_backlog,
    ),
    Question(
        "cost_position",
        "Where do budgets stand?",
        ("cost_budgets", "cost_contracts", "cost_change_orders"),
        cost_position,
        wide=True,
    ),
    Question(
        "people",
        "Who has access and does not use it?",
        ("insights_usage_report", "insights_usage", "tokenflex_usage", "admin_users",
         "admin_project_users"),
        people,
        wide=True,
    ),
)  # fmt: skip
