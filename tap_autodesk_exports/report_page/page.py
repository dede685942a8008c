"""The page: one HTML file that holds everything it shows, and asks the network for nothing."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

import altair as alt
import jinja2
import markupsafe
import vl_convert

from tap_autodesk_exports.report_page import licences, projects, tokens
from tap_autodesk_exports.report_page.figures import figures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_autodesk_exports.report_page.pictures import Picture, Question
    from tap_autodesk_exports.report_page.warehouse import Marts, Value

ORDER = (
    "token_burndown", "seat_utilisation", "idle_seats", "seat_or_flex", "token_chargeback",
    "product_versions", "peak_sessions", "issue_backlog", "rfi_turnaround", "submittal_backlog",
    "cost_position", "people",
)  # fmt: skip
QUESTIONS = {
    question.mart: question
    for question in (*licences.QUESTIONS, *tokens.QUESTIONS, *projects.QUESTIONS)
}

# Colours of text, axes and grid are the page's own style, which follows the reader's scheme.
SNIPPET = "window.vegaEmbed = vegaEmbed"

CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "system-ui, -apple-system, 'Segoe UI', sans-serif",
    "lineBreak": "\n",
    "view": {"stroke": None},
    "axis": {"titleFontWeight": "normal", "titleFontSize": 11, "labelFontSize": 11},
    "legend": {"labelFontSize": 11},
    "text": {"fontSize": 11},
    "autosize": {"type": "fit-x", "contains": "padding"},
}


@dataclasses.dataclass(frozen=True)
class Answer:
    """A question with its picture, or without one where the mart has no rows."""

    question: Question
    picture: Picture | None


def render(marts: Marts, title: str) -> str:
    """Return the page as HTML."""
    answers = list(_answers(marts))
    specs = [
        {**panel.spec, "config": CONFIG}
        for answer in answers
        if answer.picture
        for panel in answer.picture.panels
    ]
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["cell"] = _cell
    source = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    return environment.from_string(source).render(
        title=title,
        made=f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC",
        figures=figures(marts),
        answers=[answer for answer in answers if answer.picture],
        missing=[answer.question for answer in answers if not answer.picture],
        # Neither can end the script element that it is in.
        specs=_markup(json.dumps(specs, ensure_ascii=False).replace("<", "\\u003c")),
        vega=_markup(_vega().replace("</script", "<\\/script")),
    )


def _answers(marts: Marts) -> Iterator[Answer]:
    for mart in ORDER:
        question = QUESTIONS[mart]
        yield Answer(question, question.draw(marts) if mart in marts.names else None)


def _vega() -> str:
    """Return the scripts of Vega, with the newest Vega-Lite that understands altair."""
    wanted = alt.SCHEMA_VERSION.removeprefix("v").split(".")[0]
    versions = [
        version for version in vl_convert.get_vegalite_versions() if version.split(".")[0] == wanted
    ]
    newest = max(versions, key=lambda version: [int(part) for part in version.split(".")])
    bundle: str = vl_convert.javascript_bundle(SNIPPET, vl_version=newest)
    return bundle


def _markup(text: str) -> markupsafe.Markup:
    return markupsafe.Markup(text)  # noqa: S704


def _cell(value: Value) -> str:
    """Write a cell of a table."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.2f}".rstrip("0").rstrip(".")
        case _:
            return value
