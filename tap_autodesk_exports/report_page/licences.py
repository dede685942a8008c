"""Pictures of seats, versions and Flex."""

from __future__ import annotations

import datetime as dt
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
    largest,
    legend,
    lines,
    number,
    panel,
    table,
)

if TYPE_CHECKING:
    from tap_autodesk_exports.report_page.warehouse import Marts, Row

FEW_DAYS = 8
"""A month that is younger says little: the one before is shown."""
IDLE = ("0-30", "31-90", "91-180", "over 180", "never")
MOST_PRODUCTS = 6


def seats_of_month(marts: Marts) -> tuple[str, list[Row]]:
    """Return the month to show, and its seats by offering over all teams."""
    months = marts.rows(
        "SELECT month, max(counted_on) AS counted_on FROM {seat_utilisation} "
        "GROUP BY month ORDER BY max(CASE WHEN seats_bought > 0 OR people_used > 0 THEN 1 ELSE 0 "
        "END) DESC, month DESC LIMIT 2"
    )
    if not months:
        return "", []
    newest = months[0]
    young = dt.date.fromisoformat(str(newest["counted_on"])).day < FEW_DAYS
    month = str(months[-1]["month"] if young else newest["month"])
    rows = marts.rows(
        "SELECT offering_name, sum(seats_bought) AS bought, sum(people_used) AS used, "
        "sum(seats_unused) AS unused, max(highest_day_people) AS highest_day "
        "FROM {seat_utilisation} WHERE month = CAST(? AS date) "
        "GROUP BY offering_name "
        "ORDER BY sum(seats_unused) DESC NULLS LAST, offering_name",
        month,
    )
    return month, [row for row in rows if row["bought"] or row["used"]] or rows


def seat_utilisation(marts: Marts) -> Picture | None:
    """Draw bought and used seats of each offering."""
    month, rows = seats_of_month(marts)
    if not rows:
        return None
    named: list[Row] = [
        {
            **row,
            "offering": lines(row["offering_name"]),
            "shown": f"{row['unused']} unused" if row["unused"] is not None else "seats unknown",
            "end": max(number(row["bought"]), number(row["used"])),
        }
        for row in rows
    ]
    order = [str(row["offering"]) for row in named]
    base = chart(named).encode(
        y=alt.Y("offering:N", sort=order, title=None, axis=alt.Axis(labelLimit=0))
    )
    tooltip = [
        alt.Tooltip("offering_name:N", title="offering"),
        alt.Tooltip("bought:Q"),
        alt.Tooltip("used:Q"),
        alt.Tooltip("unused:Q"),
    ]
    most = max(number(row["end"]) for row in named)
    # The words at the ends of the bars need room.
    axis = alt.X("bought:Q", title="seats", scale=alt.Scale(domain=[0, most * 1.3], nice=True))
    bought = base.mark_bar(color=GREY, opacity=0.45, size=20).encode(x=axis, tooltip=tooltip)
    used = base.mark_bar(color=BLUE, size=9).encode(x="used:Q", tooltip=tooltip)
    words = base.mark_text(align="left", dx=5).encode(x="end:Q", text="shown:N")
    return Picture(
        f"Seats bought (light) and people who used one (dark) in {month_name(month)}, all teams.",
        [panel(alt.layer(bought, used, words), bar_height(order))],
        table(
            {
                "offering_name": "Offering",
                "bought": "Seats bought",
                "used": "People",
                "unused": "Seats unused",
                "highest_day": "People on the busiest day of a team",
            },
            rows,
        ),
    )


def idle_seats(marts: Marts) -> Picture | None:
    """Draw how long seats have been idle, and list those that are."""
    rows = marts.rows(
        "SELECT idle_for, count(*) AS seats FROM {idle_seats} GROUP BY idle_for ORDER BY idle_for"
    )
    if not rows:
        return None
    counts = {str(row["idle_for"]): row["seats"] for row in rows}
    bars: list[Row] = [{"idle": name, "seats": counts.get(name, 0)} for name in IDLE]
    made = chart(bars).encode(
        x=alt.X("idle:N", sort=IDLE, title="days since the last use", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("seats:Q", title="assigned seats", axis=count_axis()),
        tooltip=["idle:N", "seats:Q"],
    )
    coloured = made.mark_bar().encode(
        color=alt.Color(
            "idle:N", legend=None, scale=colours(IDLE, (GREEN, BLUE, ORANGE, ORANGE, RED))
        )
    )
    words = made.mark_text(dy=-7).encode(text="seats:Q")
    idle = marts.rows(
        "SELECT coalesce(person_name, person) AS person, offering_name, team_alias, assigned_on, "
        "last_used_on, days_idle, idle_for FROM {idle_seats} WHERE idle_for <> '0-30' "
        "ORDER BY CASE WHEN days_idle IS NULL THEN 1 ELSE 0 END DESC, days_idle DESC, 1, 2"
    )
    return Picture(
        "Assigned seats by the days since their person last used them. The table lists those idle "
        "for more than 30 days.",
        [panel(coloured + words)],
        table(
            {
                "person": "Person",
                "offering_name": "Offering",
                "team_alias": "Team",
                "assigned_on": "Assigned",
                "last_used_on": "Last used",
                "days_idle": "Days idle",
            },
            idle,
        ),
    )


def product_versions(marts: Marts) -> Picture | None:
    """Draw the share of each release over time, for the products most used."""
    rows = marts.rows(
        "SELECT product_name, version, month, people, days_used, share_of_days "
        "FROM {product_versions} ORDER BY month DESC, product_name, version"
    )
    if not rows:
        return None
    # Cloud products have no versions: they are shown where there is nothing else.
    rows = [row for row in rows if row["version"] != "none"] or rows
    products = largest(rows, "product_name", "days_used", MOST_PRODUCTS)
    versions = sorted({str(row["version"]) for row in rows if row["product_name"] in products})
    panels = []
    for product in products:
        of_product: list[Row] = [
            {**row, "place": versions.index(str(row["version"]))}
            for row in rows
            if row["product_name"] == product
        ]
        made = (
            chart(of_product)
            .mark_bar()
            .encode(
                x=alt.X("utcyearmonth(month):T", axis=day_axis(), scale=DAYS),
                y=alt.Y(
                    "days_used:Q",
                    stack="normalize",
                    title="share of days",
                    axis=alt.Axis(format="%"),
                ),
                color=alt.Color("version:N", scale=colours(versions), legend=legend()),
                order=alt.Order("place:Q"),
                tooltip=["version:N", alt.Tooltip("share_of_days:Q", format=".0%"), "people:Q"],
            )
        )
        panels.append(panel(made, 150, str(product)))
    return Picture(
        "Share of each release in the days of use, month by month.",
        panels,
        table(
            {
                "product_name": "Product",
                "version": "Version",
                "month": "Month",
                "people": "People",
                "days_used": "Days used",
            },
            [row for row in rows if row["product_name"] in products],
        ),
    )


def seat_or_flex(marts: Marts) -> Picture | None:
    """Draw days of use against the break-even of each offering."""
    rows = marts.rows(
        "SELECT coalesce(person_name, person) AS person, offering_name, licensed_by, "
        "days_per_year, break_even_days, cheaper_by, saving_per_year FROM {seat_or_flex} "
        "ORDER BY saving_per_year DESC NULLS LAST, 1, 2"
    )
    if not rows:
        return None
    named: list[Row] = [{**row, "offering": lines(row["offering_name"])} for row in rows]
    ways = ("seat", "flex", "both")
    y = alt.Y("offering:N", title=None, axis=alt.Axis(labelLimit=0, grid=True))
    x = alt.X("days_per_year:Q", title="days of use in a year", scale=alt.Scale(domainMin=0))
    # Points at the same place are spread over the height of their row, always in the same way.
    for place, row in enumerate(named):
        row["spread"] = place * 7 % 11
    points = (
        chart(named)
        .mark_circle(size=55, opacity=0.75)
        .encode(
            x=x,
            y=y,
            yOffset=alt.YOffset("spread:Q", scale=alt.Scale(domain=[-3, 13])),
            color=alt.Color(
                "licensed_by:N", scale=colours(ways, (BLUE, ORANGE, GREY)), legend=legend()
            ),
            tooltip=["person:N", "days_per_year:Q", "cheaper_by:N", "saving_per_year:Q"],
        )
    )
    evens = {str(row["offering"]): row["break_even_days"] for row in named}
    ticks = chart(
        [{"offering": name, "days": days} for name, days in evens.items() if days is not None]
    )
    ticks = ticks.mark_tick(color=RED, thickness=3, size=30).encode(x="days:Q", y=y)
    changes = [row for row in rows if number(row["saving_per_year"]) > 0]
    return Picture(
        "Each point is a person; the red mark is the break-even. Seats left of it would be cheaper "
        "by Flex, Flex right of it by a seat, at the prices of the seed. The table lists what a "
        "change would save.",
        [panel(points + ticks, max(92, round(1.4 * bar_height(list(evens)))))],
        table(
            {
                "person": "Person",
                "offering_name": "Offering",
                "licensed_by": "Licensed by",
                "days_per_year": "Days a year",
                "break_even_days": "Break-even",
                "cheaper_by": "Cheaper by",
                "saving_per_year": "Saving a year",
            },
            changes,
        ),
    )


def month_name(month: str) -> str:
    """Return a month such as 2026-11-01 in words."""
    return f"{dt.date.fromisoformat(month):%B %Y}"


QUESTIONS = (
    Question(
        "seat_utilisation",
        "Which seats are paid for and not used?",
        ("insights_subscriptions", "insights_usage"),
        seat_utilisation,
    ),
    Question(
        "idle_seats",
        "How long have assigned seats been idle?",
        ("insights_usage_report", "insights_usage"),
        idle_seats,
    ),
    Question(
        "seat_or_flex",
        "Seat or Flex?",
        ("insights_usage", "insights_usage_report"),
        seat_or_flex,
    ),
    Question(
        "product_versions",
        "Which releases are still in use?",
        ("insights_usage", "tokenflex_desktop_sessions"),
        product_versions,
        wide=True,
    ),
)
