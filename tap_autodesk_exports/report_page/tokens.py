"""Pictures of tokens and sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt

from tap_autodesk_exports.report_page.pictures import (
    BLUE,
    DAYS,
    GREY,
    MOST_CATEGORIES,
    ORANGE,
    RED,
    Picture,
    Question,
    chart,
    colours,
    day_axis,
    largest,
    legend,
    number,
    panel,
    table,
)

if TYPE_CHECKING:
    from tap_autodesk_exports.report_page.pictures import Chart, Panel
    from tap_autodesk_exports.report_page.warehouse import Marts, Row

MOST_PRODUCTS = 4
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
OTHERS = "others"


def token_burndown(marts: Marts) -> Picture | None:
    """Draw the tokens left of each contract's newest year, known and forecast."""
    every = marts.rows(
        "SELECT contract_number, contract_year, day, is_forecast, is_current_year, tokens_used, "
        "tokens_left, even_use_left, tokens_a_day, runs_out_on FROM {token_burndown} "
        "ORDER BY contract_number, contract_year, day"
    )
    if not every:
        return None
    newest = {row["contract_number"]: row["contract_year"] for row in every}
    rows = [row for row in every if row["contract_year"] == newest[row["contract_number"]]]
    # A contract that is over is shown only where there is no other.
    rows = [row for row in rows if row["is_current_year"]] or rows
    contracts = list(dict.fromkeys(row["contract_number"] for row in rows))
    panels, ends = [], []
    for contract in contracts:
        of_contract = [row for row in rows if row["contract_number"] == contract]
        title = f"Contract {contract}" if len(contracts) > 1 else ""
        panels.append(panel(_burndown(of_contract), 280, title))
        ends.append(_end(of_contract[-1]))
    months = [row for row in rows if str(row["day"]).endswith("-01") or row is rows[-1]]
    return Picture(
        f"Tokens left of the contract year. Dashed: at the pace of the last 28 days. Grey: an even "
        f"use. {' '.join(ends)}",
        panels,
        table(
            {
                "contract_number": "Contract",
                "day": "Day",
                "tokens_left": "Tokens left",
                "even_use_left": "At an even use",
                "is_forecast": "Forecast",
            },
            months,
        ),
    )


def _end(row: Row) -> str:
    if row["runs_out_on"]:
        return f"They run out on {row['runs_out_on']}."
    if not row["is_current_year"]:
        return f"The year ended on {row['day']}."
    if row["tokens_a_day"] is None:
        return "There is no usage to tell a pace from."
    return "They last to its end."


def _burndown(rows: list[Row]) -> Chart:
    known = [row for row in rows if not row["is_forecast"]]
    # The forecast starts where the known line ends.
    foreseen = [*known[-1:], *(row for row in rows if row["is_forecast"])]
    x = alt.X("day:T", axis=day_axis(), scale=DAYS)
    y = alt.Y("tokens_left:Q", title="tokens left", axis=alt.Axis(format="~s"))
    tooltip = [
        alt.Tooltip("utcyearmonthdate(day):T", title="day"),
        alt.Tooltip("tokens_left:Q", format=",.0f", title="tokens left"),
        alt.Tooltip("tokens_used:Q", format=",.0f", title="used"),
    ]
    layers = [
        chart(known).mark_area(color=BLUE, opacity=0.15).encode(x=x, y=y),
        chart(rows).mark_line(color=GREY, strokeWidth=1.5).encode(x=x, y="even_use_left:Q"),
        chart(known).mark_line(color=BLUE, strokeWidth=2.5).encode(x=x, y=y, tooltip=tooltip),
        chart(foreseen)
        .mark_line(color=ORANGE, strokeWidth=2.5, strokeDash=[6, 4])
        .encode(x=x, y=y, tooltip=tooltip),
        chart([{"zero": 0}]).mark_rule(color=GREY).encode(y="zero:Q"),
    ]
    return alt.layer(*layers)


def token_chargeback(marts: Marts) -> Picture | None:
    """Draw the tokens of each value of the cost field, month by month."""
    rows = marts.rows(
        # Manual entries reach back further than usage: those months are not whole.
        "SELECT month, cost_field, cost_value, sum(tokens) AS tokens FROM {token_chargeback} "
        "WHERE month >= (SELECT coalesce(min(CASE WHEN usage_category NOT LIKE 'MANUAL%' "
        "THEN month END), min(month)) FROM {token_chargeback}) "
        "GROUP BY month, cost_field, cost_value ORDER BY month DESC, sum(tokens) DESC, cost_value"
    )
    if not rows:
        return None
    named = [str(value) for value in largest(rows, "cost_value", "tokens", MOST_CATEGORIES)]
    sums: dict[tuple[str, str], float] = {}
    for row in rows:
        name = str(row["cost_value"]) if str(row["cost_value"]) in named else OTHERS
        key = (str(row["month"]), name)
        sums[key] = sums.get(key, 0) + number(row["tokens"])
    names = [*named, *([OTHERS] if any(name == OTHERS for _, name in sums) else [])]
    bars: list[Row] = [
        {"month": month, "paid by": name, "tokens": tokens, "place": names.index(name)}
        for (month, name), tokens in sums.items()
    ]
    made = (
        chart(bars)
        .mark_bar()
        .encode(
            x=alt.X("utcyearmonth(month):T", axis=day_axis(), scale=DAYS),
            y=alt.Y("tokens:Q", title="tokens", axis=alt.Axis(format="~s")),
            color=alt.Color("paid by:N", scale=colours(names), legend=legend()),
            order=alt.Order("place:Q"),
            tooltip=["paid by:N", alt.Tooltip("tokens:Q", format=",.0f")],
        )
    )
    field = ", ".join(sorted({str(row["cost_field"]) for row in rows}))
    return Picture(
        f"Tokens by {field}, month by month; credits count negative.",
        [panel(made)],
        table({"month": "Month", "cost_value": field, "tokens": "Tokens"}, rows),
    )


def peak_sessions(marts: Marts) -> Picture | None:
    """Draw a heat map of the most sessions at once, for the products with the highest peaks."""
    rows = marts.rows(
        "SELECT product_name, weekday, hour, peak_sessions, mean_peak, peak_at, utc_offset_minutes "
        "FROM {peak_sessions} ORDER BY peak_sessions DESC, product_name, weekday, hour"
    )
    if not rows:
        return None
    products = list(dict.fromkeys(row["product_name"] for row in rows))[:MOST_PRODUCTS]
    panels = [_heat_map(rows, str(product)) for product in products]
    offset = int(number(rows[0]["utc_offset_minutes"]))
    clock = f"UTC{'-' if offset < 0 else '+'}{abs(offset) // 60}:{abs(offset) % 60:02}"
    return Picture(
        f"Most sessions that were open at the same moment, by weekday and hour ({clock}).",
        panels,
        table(
            {
                "product_name": "Product",
                "weekday_name": "Day",
                "hour": "Hour",
                "peak_sessions": "Most at once",
                "mean_peak": "On average",
            },
            [{**row, "weekday_name": WEEKDAYS[int(number(row["weekday"])) - 1]} for row in rows],
        ),
    )


def _heat_map(rows: list[Row], product: str) -> Panel:
    cells: list[Row] = [
        {**row, "day": WEEKDAYS[int(number(row["weekday"])) - 1]}
        for row in rows
        if row["product_name"] == product
    ]
    made = (
        chart(cells)
        .mark_rect()
        .encode(
            x=alt.X(
                "hour:O",
                scale=alt.Scale(domain=list(range(24))),
                axis=alt.Axis(labelAngle=0, values=[0, 6, 12, 18, 23], title=None),
            ),
            y=alt.Y("day:O", sort=WEEKDAYS, scale=alt.Scale(domain=WEEKDAYS), title=None),
            color=alt.Color(
                "peak_sessions:Q",
                scale=alt.Scale(range=["#5b8fd433", BLUE, RED], domainMin=0),
                legend=alt.Legend(
                    title=None, orient="top", gradientThickness=8, tickCount=4, format="d"
                ),
            ),
            tooltip=["day:O", "hour:O", "peak_sessions:Q", "mean_peak:Q"],
        )
    )
    return panel(made, 150, product)


QUESTIONS = (
    Question(
        "token_burndown",
        "Will the tokens last?",
        ("tokenflex_contract_years", "tokenflex_usage", "tokenflex_manual_usage"),
        token_burndown,
        wide=True,
    ),
    Question(
        "token_chargeback",
        "Who uses the tokens?",
        ("tokenflex_usage", "tokenflex_manual_usage", "tokenflex_enrichments"),
        token_chargeback,
    ),
    Question(
        "peak_sessions",
        "How many work at once?",
        ("tokenflex_desktop_sessions",),
        peak_sessions,
        wide=True,
    ),
)
